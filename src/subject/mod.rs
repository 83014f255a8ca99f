//! The server under test as data: a program with a policy for SIGPIPE, or a command.

mod codec;
mod command;
mod form;
mod machine;
mod policy;
mod program;
mod sigpipe;

pub use command::{Polite, Target};
pub use policy::Policy;
pub use program::{MAX_OPS, Op, PRESETS, Program, ProgramError};
pub use sigpipe::Sigpipe;

pub(crate) use form::options;
pub(crate) use machine::{Machine, Want};

use std::fmt;

/// The server under test.
///
/// Its text form is its headers in a case file ([`Case`](crate::Case)), one per line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A described program, with its policy for SIGPIPE.
    Program(Setup),
    /// A server that a command starts.
    Command(Target),
}

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
