//! Explains why a run ended as it did. The causes are those that the model recorded.

use crate::model::{Broken, Cause, Failures, Model, Reset, Returned};
use crate::oracle::{is_broken, left_words, vanished};
use crate::scenario::{Client, Errno, Scenario};
use crate::subject::{Policy, Setup};
use crate::trace::{Called, Outcome, Signal, Survivor, Trace};
use crate::world::{certain, play};
use std::fmt;

/// Explains in one sentence why the run ended as it did.
///
/// ```
/// use brokenpipe::report::why;
/// use brokenpipe::{Model, Scenario, Setup, Trace, play};
///
/// let (scenario, setup): (Scenario, _) = ("a connect; b connect; b fin; b rst; a close".parse()?, Setup::default());
/// let mut trace = Trace::default();
/// play(&mut Model::default(), &setup, &scenario, &mut trace)?;
/// assert_eq!(
///     why(&scenario, &setup, &trace),
///     "b half-closed, so its connection waited in the accept queue in CLOSE_WAIT; its RST there leaves EPIPE, not \
///      ECONNRESET, so the server's very first send to b is a broken pipe, and SIGPIPE's default action kills the server."
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn why(scenario: &Scenario, setup: &Setup, trace: &Trace) -> String {
    let mut model = Model::default();
    certain(play(&mut model, setup, scenario, &mut Trace::default()));
    let failures = model.failures();
    let last = match trace.calls().last() {
        Some(called) => format!("after `{called}`"),
        None => "before its first call".to_owned(),
    };
    match trace.outcome() {
        Outcome::Killed { signal: Signal::SIGPIPE, .. } => {
            let Some(broken) = broken(trace).last().map(|(call, called)| cause(failures, call, &called)) else {
                return format!("SIGPIPE killed the server {last}, but none of its sends was seen to break.");
            };
            match setup.policy {
                Policy::Default => format!("{broken}, and SIGPIPE's default action kills the server."),
                policy => format!("{broken}, and SIGPIPE kills the server although its policy is {policy}."),
            }
        }
        Outcome::Killed { signal, .. } => {
            format!("{signal} killed the server {last}: that is no broken pipe, but a fault of its own.")
        }
        Outcome::Exited { code, .. } => {
            format!("the server ended by itself, with code {code}, {last}: no order of events is a reason for that.")
        }
        Outcome::Ended { .. } => format!("the server ended {last}; the kernel does not tell how."),
        Outcome::Stuck { .. } => {
            format!("the server did not come to its next call within its bound {last}: it is stuck in something else.")
        }
        Outcome::Survived(survivor) => {
            let met = met(failures, trace, setup.policy);
            format!("survived: {met}; {}.", whereabouts(survivor, scenario, trace))
        }
    }
}

/// The server's calls in the order in which they were made, those of equal rounds too, each with the number of calls before it.
fn calls(trace: &Trace) -> impl Iterator<Item = (usize, Called)> {
    trace.unfolded().flat_map(|step| step.calls).copied().enumerate()
}

/// The broken sends.
fn broken(trace: &Trace) -> impl Iterator<Item = (usize, Called)> {
    calls(trace).filter(|(_, called)| is_broken(called))
}

/// Says why this send, with the number of calls before it, is a broken pipe. If the trace is not what the model predicts, there may be no
/// cause.
fn cause(failures: &Failures, call: usize, called: &Called) -> String {
    let known = failures.broken.iter().find(|broken| broken.call == call && Some(broken.client) == called.client);
    match (known, called.client) {
        (Some(broken), _) => broken.to_string(),
        (None, Some(client)) => {
            format!("the server's send to {client} is a broken pipe, for which the model has no cause")
        }
        (None, None) => "a send of the server's is a broken pipe, for which the model has no cause".to_owned(),
    }
}

/// Where a surviving server is: at `accept` or waiting on a client, and what it has left behind.
fn whereabouts(survivor: Survivor, scenario: &Scenario, trace: &Trace) -> String {
    let left = left_words(survivor).join(", ");
    match survivor.waits_on {
        Some(client) if vanished(client, scenario, trace) => {
            format!("it waits on {client}, which vanished, so nothing will ever come")
        }
        Some(client) => format!("but it waits on {client}, which never vanished"),
        None if left.is_empty() => "it is back at accept, with nothing left behind".to_owned(),
        None => format!("it is back at accept, {left}"),
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = self.client;
        let which = if self.first { "very first" } else { "next" };
        match self.cause {
            Cause::ShutDown { fin: false } => {
                write!(f, "the server had shut down its own sending side of {c}'s connection, so its ")?;
                write!(f, "{which} send to {c} is a broken pipe, whatever {c} does")
            }
            Cause::ShutDown { fin: true } => {
                write!(f, "the server had shut down its own sending side of {c}'s connection, ")?;
                write!(f, "and {c} had sent its FIN too: with both FINs done the state is CLOSE, ")?;
                write!(f, "so the server's {which} send to {c} is a broken pipe")
            }
            Cause::Returned { reset, by } => {
                write!(f, "{}, which the server's {by} reported; an error is reported only once, ", left(c, reset))?;
                write!(f, "so the server's next send to {c} is a broken pipe")
            }
            Cause::ResetAfterFin { reset, queued } => {
                let place = if queued { "waited in the accept queue" } else { "was" };
                let rst = if reset == Reset::Abort {
                    "its RST there leaves"
                } else {
                    "its close with data unread sends an RST, which there leaves"
                };
                write!(f, "{c} half-closed, so its connection {place} in CLOSE_WAIT; {rst} EPIPE, not ECONNRESET, ")?;
                write!(f, "so the server's {which} send to {c} is a broken pipe")
            }
            Cause::Drawn => {
                write!(f, "{c} had closed: the server's first send to it was still taken but drew an RST, ")?;
                write!(f, "so the server's next send to {c} is a broken pipe")
            }
        }
    }
}

/// Says what left ECONNRESET on the server's socket: an RST outside CLOSE_WAIT.
fn left(client: Client, reset: Reset) -> String {
    match reset {
        Reset::Unread => format!("{client} closed with data unread, which sends an RST and leaves ECONNRESET"),
        Reset::Abort | Reset::Drawn => format!("{client}'s RST left ECONNRESET"),
    }
}

/// Which broken send or ECONNRESET a surviving server met, and why the send did not kill it.
fn met(failures: &Failures, trace: &Trace, policy: Policy) -> String {
    if let Some((call, called)) = broken(trace).next() {
        let saved = match policy {
            Policy::Default => "but no signal killed it",
            Policy::Ignore => "but SIGPIPE is ignored, so it only fails with EPIPE",
            Policy::Handler => "but SIGPIPE has a handler that returns, so it only fails with EPIPE",
            Policy::NoSignal => "but MSG_NOSIGNAL keeps SIGPIPE away, so it only fails with EPIPE",
            Policy::Blocked => "but SIGPIPE is blocked, so it only fails with EPIPE and the signal stays pending",
        };
        return format!("{}, {saved}", cause(failures, call, &called));
    }
    let is_seen = |returned: &Returned| {
        calls(trace).nth(returned.call).is_some_and(|(_, called)| called.result == Some(Err(Errno::ECONNRESET)))
    };
    match failures.returned.filter(is_seen) {
        Some(Returned { client, reset, by, .. }) => {
            format!("{}, which the server's {by} took without a signal, and no send followed", left(client, reset))
        }
        None => "no send met a connection that was gone".to_owned(),
    }
}

#[cfg(test)]
mod tests;
