//! Writes the traces that the property tests ask about, one JSON object a line: every scenario of up to 5 events under
//! `default`, of up to 4 under each handled policy, and 20,000 random ones over the whole alphabet. `tests/under-load.sh` compares
//! what it writes on an idle and on a busy machine, byte for byte.

use brokenpipe::report::Json;
use brokenpipe::{Enumerate, Kernel, Policy, Program, Random, Scenario, Setup, Shape, Trace, enumerate, play};
use std::error::Error;
use std::io::{BufWriter, Write};

fn main() -> Result<(), Box<dyn Error>> {
    let mut kernel = Kernel::new()?;
    let mut trace = Trace::default();
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut write = |setup: &Setup, scenario: &Scenario| -> Result<(), Box<dyn Error>> {
        play(&mut kernel, setup, scenario, &mut trace)?;
        Ok(Json { scenario, setup, world: "kernel", trace: &trace, agrees: None }.write_line(&mut out)?)
    };
    let setups: Vec<Setup> =
        Policy::ALL.iter().flat_map(|p| Program::presets().map(|program| Setup::new(program, *p))).collect();
    for setup in &setups {
        let events = if setup.policy == Policy::Default { 5 } else { 4 };
        for scenario in enumerate(events, 3, Enumerate::plain_actions(), vec![]) {
            write(setup, &scenario)?;
        }
    }
    let shape = Shape { clients: 6, min_events: 6, max_events: 24, ..Shape::default() };
    for (k, scenario) in Random::new(1, shape).take(20_000).enumerate() {
        write(&setups[k % setups.len()], &scenario)?;
    }
    Ok(out.flush()?)
}
