//! What the property tests share: many runs, spread over the cores, each played in both worlds.

use brokenpipe::{Kernel, Model, Scenario, Setup, Trace, play};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One scenario and its two traces.
pub(crate) struct Played<'a> {
    pub(crate) setup: &'a Setup,
    pub(crate) scenario: &'a Scenario,
    pub(crate) kernel: &'a Trace,
    pub(crate) model: &'a Trace,
}

/// Plays all of `runs` in both worlds, on every core, and gives how many there were. `check` sees each.
pub(crate) fn play_all(
    runs: impl Iterator<Item = (Setup, Scenario)> + Send,
    check: impl Fn(Played<'_>) + Sync,
) -> usize {
    let runs = Mutex::new(runs);
    let count = AtomicUsize::new(0);
    let work = || {
        let mut kernel_world = Kernel::new().expect("the kernel world");
        let mut model_world = Model::default();
        let (mut kernel, mut model) = (Trace::default(), Trace::default());
        loop {
            let Some((setup, scenario)) = runs.lock().expect("a check failed elsewhere").next() else {
                break;
            };
            if let Err(error) = play(&mut kernel_world, &setup, &scenario, &mut kernel) {
                panic!("{scenario}: {error}");
            }
            let Ok(()) = play(&mut model_world, &setup, &scenario, &mut model);
            check(Played { setup: &setup, scenario: &scenario, kernel: &kernel, model: &model });
            count.fetch_add(1, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    count.into_inner()
}
