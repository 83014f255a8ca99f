//! Writes the seed corpus: `cargo run --example seeds -- corpus/lifecycle`.
//!
//! A seed is a scenario that is known to matter, against one of the preset programs. Their names end in `.seed`, which tells them
//! from what a run adds to a corpus: they are committed, the rest is not. `brokenpipe corpus export` adds those of the cases.

use brokenpipe::{Input, PRESETS, Policy, Program, Setup};
use std::error::Error;
use std::path::Path;
use std::{env, fs};

/// What the seeds are about, and the events.
const SCENARIOS: [(&str, &str); 25] = [
    ("reset-in-close-wait", "a connect; b connect; b fin; b rst; a close"),
    ("close-in-close-wait", "a connect; b connect; b fin; b close; a close"),
    ("reset-established", "a connect; b connect; b rst; a close"),
    ("held-reset-in-close-wait", "hold; a connect; a fin; a rst; go"),
    ("held-reset-established", "hold; a connect; a rst; go"),
    ("held-reset-between-calls", "hold; a connect; step; a fin; a rst; go"),
    ("held-close-after-first-send", "hold; a connect; step; step; a close; go"),
    ("unread-at-close", "a connect; a send 5; a close"),
    ("unread-then-fin", "hold; a connect; a send 5; a fin; a rst; go"),
    ("polite", "a connect; a send 5; a recv; a fin; a recv; a close"),
    ("echo", "a connect; a send \"hello\"; a recv; a send 64; a recv; a fin; a close"),
    ("two-in-turn", "a connect; a fin; b connect; b fin; a recv; a close; b recv; b close"),
    ("vanish", "a connect; b connect; b fin; a vanish; b rst"),
    ("vanish-after-fin", "hold; a connect; a fin; a vanish; b connect; go; b close"),
    ("window", "hold; a connect; a send 16384; a send 16384; a send 1; go; a recv; a close"),
    ("fault-accept", "fault accept EMFILE; fault accept ECONNABORTED; a connect; a close"),
    ("fault-send", "fault send ECONNRESET; a connect; a send 5; a close"),
    ("fault-recv", "fault recv EINTR; a connect; a send 5; a close; b connect; b rst"),
    ("three-queued", "a connect; b connect; c connect; b fin; c fin; b rst; c rst; a rst"),
    ("nothing-possible", "a send 5; b rst; step; go; c recv"),
    ("urgent", "hold; a connect; a send 5; a urgent; a send 1; go; a fin; a recv; a close"),
    ("urgent-twice", "a connect; a urgent; b connect; b urgent; b urgent; b send 1; a send 1; a fin; a recv"),
    ("stall", "a connect; a stall; a send 5; a recv; a close"),
    ("rounds", "a connect; repeat 3 { b connect; b fin; b rst }; a fin"),
    ("rounds-left-open", "repeat 5 { a connect; a send 1 }; a rst"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args().nth(1).ok_or("which folder?")?;
    let folder = Path::new(&folder);
    fs::create_dir_all(folder)?;
    let write = |name: &str, input: &Input| fs::write(folder.join(name).with_extension("seed"), input.encode());
    for (k, (preset, program)) in PRESETS.into_iter().enumerate() {
        for (n, (name, scenario)) in SCENARIOS.into_iter().enumerate() {
            // The policies in turn, so that each program and each scenario meets all of them.
            let policy = Policy::ALL[(k + n) % Policy::ALL.len()];
            let setup = Setup::new(program.parse::<Program>()?, policy);
            write(&format!("{preset}-{policy}-{name}"), &Input::new(setup, scenario.parse()?))?;
        }
    }
    Ok(())
}
