//! Whether this machine can play: what the kernel must do, and what any server needs beside that.

use super::scratch;
use crate::linux::{self, Requirement};

/// Looks at all that brokenpipe needs of this machine. Nothing stays behind.
pub fn requirements() -> Vec<Requirement> {
    let mut all = linux::requirements();
    all.push(Requirement {
        name: "a scratch folder",
        purpose: "each start of any server gets a fresh folder, for {dir} and for what it writes",
        needed: true,
        state: scratch::try_scratch(),
        remedy: "set TMPDIR to a folder that can be written, or make room there",
    });
    all
}
