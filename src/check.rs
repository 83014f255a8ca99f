//! A test of a server in one call: the server as text, a policy, and a number of scenarios.

use crate::case::Case;
use crate::detect::Finding;
use crate::hunt::Playing;
use crate::input::Input;
use crate::linux::{Kernel, KernelError};
use crate::report;
use crate::scenario::ParseError;
use crate::search::{Random, Shape, reduce};
use crate::subject::{Policy, Setup};
use std::fmt;
use std::ops::ControlFlow;

/// Plays `scenarios` random scenarios on the kernel against a server. `program` is what the server does with each connection, or the name
/// of a preset; `policy` is what the server does about SIGPIPE. The scenarios are the same in each call.
///
/// # Errors
///
/// [`CheckError::Found`] with the first finding, minimised. Its `Debug` is the full report, so that `unwrap` shows it:
///
/// ```no_run
/// use brokenpipe::{CheckError, Policy, check};
///
/// let Err(CheckError::Found(finding)) = check("greeter", Policy::Default, 10_000) else {
///     panic!("the greeter must die");
/// };
/// assert_eq!(finding.scenario.to_string(), "a connect; b connect; b fin; b rst; a fin");
/// ```
///
/// [`CheckError::Program`] if `program` does not parse, [`CheckError::Kernel`] if the kernel world fails on this machine.
pub fn check(program: &str, policy: Policy, scenarios: u64) -> Result<(), CheckError> {
    let setup = Setup::new(program.parse()?, policy);
    let mut kernel = Kernel::new()?;
    let playing = Playing { setup, random: Random::new(0, Shape::default()) };
    let hunted = playing.play(&mut kernel, 0..scenarios, |_| ControlFlow::Continue(()))?;
    match hunted.found {
        None => Ok(()),
        Some(found) => Err(CheckError::Found(Box::new(reduce(&mut kernel, found.finding)?))),
    }
}

/// Why a [`check`] did not pass. `Debug` gives the same text as `Display`.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// A scenario failed.
    #[error("{}replay: {}\n", report::finding(.0), replay(.0))]
    Found(
        /// The finding, minimised.
        Box<Finding>,
    ),
    /// The program does not parse.
    #[error("the program: {0}")]
    Program(#[from] ParseError),
    /// The kernel world failed.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

/// The shell command that plays a finding again.
fn replay(finding: &Finding) -> String {
    Input::of(&Case::of_finding(finding, "")).map_or_else(String::new, |input| input.replay())
}

impl fmt::Debug for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
