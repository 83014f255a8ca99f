//! Whether brokenpipe can run on this machine: what the kernel must support, and what servers need besides.

use super::scratch;
use crate::linux::{self, Requirement};

/// Checks everything that brokenpipe needs of this machine. Leaves nothing behind.
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
