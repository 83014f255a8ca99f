//! Plays many runs in both worlds, divided among the cores.

pub(crate) mod workers;

use brokenpipe::{Kernel, Model, Scenario, Setup, Trace, play};

/// One scenario and its two traces.
pub(crate) struct Played<'a> {
    pub(crate) setup: &'a Setup,
    pub(crate) scenario: &'a Scenario,
    pub(crate) kernel: &'a Trace,
    pub(crate) model: &'a Trace,
}

/// Plays all of `runs` in both worlds, on every core, and returns how many there were. `check` is called for each.
pub(crate) fn play_all<I: Iterator<Item = (Setup, Scenario)>>(
    runs: impl Fn() -> I,
    check: impl Fn(Played<'_>),
) -> usize {
    workers::divided(|part| {
        let mut kernel_world = Kernel::new().expect("the kernel world");
        let mut model_world = Model::default();
        let (mut kernel, mut model) = (Trace::default(), Trace::default());
        let mut count = 0;
        for (setup, scenario) in part.part(runs()) {
            if let Err(error) = play(&mut kernel_world, &setup, &scenario, &mut kernel) {
                panic!("{scenario}: {error}");
            }
            let Ok(()) = play(&mut model_world, &setup, &scenario, &mut model);
            check(Played { setup: &setup, scenario: &scenario, kernel: &kernel, model: &model });
            count += 1;
        }
        count
    })
}
