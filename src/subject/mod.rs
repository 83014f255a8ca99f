//! Servers as data: what they do with a connection, and what they do about SIGPIPE.

mod codec;
mod machine;
mod policy;
mod program;

pub use policy::Policy;
pub use program::{MAX_OPS, Op, PRESETS, Program, ProgramError};

pub(crate) use machine::{Machine, Want};

use std::fmt;

/// The server of a run: its program and its policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Setup {
    /// What the server does with each connection.
    pub program: Program,
    /// What the server does about SIGPIPE.
    pub policy: Policy,
}

impl Setup {
    /// A setup of this program and policy.
    pub fn new(program: Program, policy: Policy) -> Setup {
        Setup { program, policy }
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` under {}", self.program, self.policy)
    }
}
