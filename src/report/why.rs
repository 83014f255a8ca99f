//! Why a run ended as it did: the kernel's rules, applied to what the trace shows, in plain words.

use crate::scenario::{Action, Call, Client, Errno, Event, Fault, Scenario};
use crate::server::{Policy, Setup};
use crate::trace::{At, Called, Outcome, Reply, Signal, Step, Survivor, Trace};
use crate::verdict::{is_broken, left_words, vanished};
use std::collections::BTreeMap;
use std::fmt;

/// Why the run ended as it did, in a sentence of plain words.
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
    let history = History::of(scenario, trace);
    let last = match trace.calls().last() {
        Some(called) => format!("after `{called}`"),
        None => "before its first call".to_owned(),
    };
    match trace.outcome() {
        Outcome::Killed { signal: Signal::SIGPIPE, .. } => match (history.broken.last(), setup.policy) {
            (None, _) => format!("SIGPIPE killed the server {last}, but none of its sends was seen to break."),
            (Some(broken), Policy::Default) => format!("{broken}, and SIGPIPE's default action kills the server."),
            (Some(broken), policy) => {
                format!("{broken}, and SIGPIPE kills the server although its policy is {policy}.")
            }
        },
        Outcome::Killed { signal, .. } => {
            format!("{signal} killed the server {last}: that is no broken pipe, but a fault of its own.")
        }
        Outcome::Exited { code, .. } => {
            format!("the server ended by itself, with code {code}, {last}: no order of events is a reason for that.")
        }
        Outcome::Stuck { .. } => {
            format!("the server did not come to its next call within its bound {last}: it is stuck in something else.")
        }
        Outcome::Survived(survivor) => {
            let met = history.met(setup.policy);
            format!("survived: {met}; {}.", whereabouts(survivor, scenario, trace))
        }
    }
}

/// Where a survivor is, and what it has left behind.
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

/// How a client's RST came about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reset {
    /// By its abortive close.
    Abort,
    /// By a close that left data unread.
    Unread,
    /// As the answer to data that the server sent after the client's plain close.
    Drawn,
}

/// What has befallen one connection so far.
#[derive(Clone, Copy, Default)]
struct Account {
    /// The server has accepted it.
    accepted: bool,
    /// The server has shut down its own side.
    shut: bool,
    /// The client has sent its FIN.
    fin: bool,
    /// The client has no descriptor of it any more.
    closed: bool,
    /// An RST has come, how, and whether the connection was still in the accept queue.
    reset: Option<(Reset, bool)>,
    /// The call by which the server took the error.
    reported: Option<Call>,
    /// Whether the server has tried to send.
    sent: bool,
    /// Bytes that the client has not read.
    unread: u32,
}

impl Account {
    fn event(&mut self, action: &Action) {
        let queued = !self.accepted;
        match action {
            Action::Recv => self.unread = 0,
            Action::Fin => self.fin = true,
            Action::Close if self.unread > 0 => self.reset = Some((Reset::Unread, queued)),
            Action::Close => self.fin = true,
            Action::Rst => self.reset = Some((Reset::Abort, queued)),
            Action::Connect | Action::Send(_) | Action::Vanish | Action::Urgent | Action::Stall => {}
        }
        self.closed |= matches!(action, Action::Close | Action::Rst);
    }

    fn call(&mut self, called: &Called) {
        self.sent |= called.call == Call::Send;
        match (called.call, called.result) {
            (Call::Accept, Ok(_)) => self.accepted = true,
            (Call::Shutdown, Ok(_)) => self.shut = true,
            (Call::Send, Ok(n)) => {
                self.unread += n;
                if self.closed && n > 0 {
                    self.reset = self.reset.or(Some((Reset::Drawn, false)));
                }
            }
            (call, Err(Errno::ECONNRESET)) => self.reported = Some(call),
            _ => {}
        }
    }
}

/// A send that broke, and what had befallen its connection before. `Display` says why it broke.
struct Broken(Client, Account);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Broken(c, account) = self;
        let which = if account.sent { "next" } else { "very first" };
        match *account {
            Account { shut: true, fin: false, .. } => {
                write!(f, "the server had shut down its own sending side of {c}'s connection, so its ")?;
                write!(f, "{which} send to {c} is a broken pipe, whatever {c} does")
            }
            Account { shut: true, fin: true, .. } => {
                write!(
                    f,
                    "the server had shut down its own sending side of {c}'s connection, and {c} had sent its FIN too: "
                )?;
                write!(
                    f,
                    "with both FINs done the state is CLOSE, so the server's {which} send to {c} is a broken pipe"
                )
            }
            Account { reported: Some(call), reset, .. } => {
                write!(f, "{}, which the server's {call} reported; an error is reported only once, ", left(*c, reset))?;
                write!(f, "so the server's next send to {c} is a broken pipe")
            }
            Account { reset: Some((how @ (Reset::Abort | Reset::Unread), queued)), fin: true, .. } => {
                let place = if queued { "waited in the accept queue" } else { "was" };
                let rst = if how == Reset::Abort {
                    "its RST there leaves"
                } else {
                    "its close with data unread sends an RST, which there leaves"
                };
                write!(f, "{c} half-closed, so its connection {place} in CLOSE_WAIT; {rst} EPIPE, not ECONNRESET, ")?;
                write!(f, "so the server's {which} send to {c} is a broken pipe")
            }
            Account { reset: Some((Reset::Drawn, _)), .. } => {
                write!(f, "{c} had closed: the server's first send to it was still taken but drew an RST, ")?;
                write!(f, "so the server's next send to {c} is a broken pipe")
            }
            _ => {
                write!(f, "no rule known here says why {c}'s connection could not be sent on, ")?;
                write!(f, "but the server's {which} send to {c} is a broken pipe")
            }
        }
    }
}

/// What an RST outside CLOSE_WAIT left.
fn left(client: Client, reset: Option<(Reset, bool)>) -> String {
    match reset {
        Some((Reset::Unread, _)) => {
            format!("{client} closed with data unread, which sends an RST and leaves ECONNRESET")
        }
        Some(_) => format!("{client}'s RST left ECONNRESET"),
        None => format!("{client}'s connection had ECONNRESET"),
    }
}

/// All that befell the connections of a run.
#[derive(Default)]
struct History {
    accounts: BTreeMap<Client, Account>,
    /// Errors that the harness will give in the kernel's place: what they report was never on the socket.
    faults: Vec<Fault>,
    broken: Vec<Broken>,
}

impl History {
    fn of(scenario: &Scenario, trace: &Trace) -> History {
        let mut history = History::default();
        trace.steps().for_each(|step| history.step(scenario, &step));
        history
    }

    fn step(&mut self, scenario: &Scenario, step: &Step<'_>) {
        let happened = matches!(step.reply, Reply::Ok(_) | Reply::Received { .. });
        let event = match step.at {
            At::Event(_) | At::Round { .. } => step.at.of(scenario),
            At::TeardownGo => None,
            At::Teardown(client) => Some(&Event::Client(client, Action::Close)),
        };
        match event {
            Some(Event::Client(client, action)) if happened => self.accounts.entry(*client).or_default().event(action),
            Some(Event::Fault(fault)) => self.faults.push(*fault),
            _ => {}
        }
        for called in step.calls {
            let fault = self.faults.iter().position(|fault| fault.call() == called.call);
            let injected = fault.map(|i| self.faults.remove(i)).is_some();
            let Some(client) = called.client else { continue };
            let account = self.accounts.entry(client).or_default();
            if injected {
                account.sent |= called.call == Call::Send;
                continue;
            }
            if is_broken(called) {
                self.broken.push(Broken(client, *account));
            }
            account.call(called);
        }
    }

    /// What a survivor met.
    fn met(&self, policy: Policy) -> String {
        let reported = self.accounts.iter().find_map(|(client, account)| Some((*client, account, account.reported?)));
        if let Some(broken) = self.broken.first() {
            let saved = match policy {
                Policy::Default => "but no signal killed it",
                Policy::Ignore => "but SIGPIPE is ignored, so it only fails with EPIPE",
                Policy::Handler => "but SIGPIPE has a handler that returns, so it only fails with EPIPE",
                Policy::NoSignal => "but MSG_NOSIGNAL keeps SIGPIPE away, so it only fails with EPIPE",
                Policy::Blocked => "but SIGPIPE is blocked, so it only fails with EPIPE and the signal stays pending",
            };
            format!("{broken}, {saved}")
        } else if let Some((client, account, call)) = reported {
            format!(
                "{}, which the server's {call} took without a signal, and no send followed",
                left(client, account.reset)
            )
        } else {
            "no send met a connection that was gone".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{setup, trace};
    use super::*;

    /// Why a run ended, without the full stop.
    fn told(program: &str, policy: Policy, scenario: &str, outcome: Option<Outcome>) -> String {
        let setup = setup(program, policy);
        let (scenario, mut trace) = trace(scenario, &setup);
        trace.finish(outcome.unwrap_or(trace.outcome()));
        why(&scenario, &setup, &trace).trim_end_matches('.').to_owned()
    }

    /// Why a send broke that killed.
    fn broke(program: &str, scenario: &str) -> String {
        let told = told(program, Policy::Default, scenario, None);
        told.strip_suffix(", and SIGPIPE's default action kills the server").expect(&told).to_owned()
    }

    #[test]
    fn a_reset_in_close_wait_leaves_epipe() {
        assert_eq!(
            broke("greeter", "hold; a connect; a fin; a rst; go"),
            "a half-closed, so its connection waited in the accept queue in CLOSE_WAIT; its RST there leaves EPIPE, not \
             ECONNRESET, so the server's very first send to a is a broken pipe"
        );
        assert_eq!(
            broke("greeter-echo", "a connect; hold; a send 5; a recv; a fin; a rst"),
            "a half-closed, so its connection was in CLOSE_WAIT; its RST there leaves EPIPE, not ECONNRESET, so the server's \
             next send to a is a broken pipe"
        );
        assert_eq!(
            broke("greeter-echo", "a connect; hold; a send 5; a fin; a close; go"),
            "a half-closed, so its connection was in CLOSE_WAIT; its close with data unread sends an RST, which there leaves \
             EPIPE, not ECONNRESET, so the server's next send to a is a broken pipe"
        );
    }

    #[test]
    fn an_error_is_reported_once_and_the_next_send_breaks() {
        assert_eq!(
            broke("double-greeter", "hold; a connect; a rst; go"),
            "a's RST left ECONNRESET, which the server's send reported; an error is reported only once, so the server's next \
             send to a is a broken pipe"
        );
        assert_eq!(
            broke("farewell", "a connect; a rst"),
            "a's RST left ECONNRESET, which the server's recv reported; an error is reported only once, so the server's next \
             send to a is a broken pipe"
        );
        assert_eq!(
            broke("accept; send 26; recv-all; send 1; close", "a connect; a close"),
            "a closed with data unread, which sends an RST and leaves ECONNRESET, which the server's recv reported; an error \
             is reported only once, so the server's next send to a is a broken pipe"
        );
    }

    #[test]
    fn an_injected_error_was_never_on_the_socket() {
        assert_eq!(
            broke("double-greeter", "hold; a connect; a fin; a rst; fault send ECONNRESET; go"),
            "a half-closed, so its connection waited in the accept queue in CLOSE_WAIT; its RST there leaves EPIPE, not \
             ECONNRESET, so the server's next send to a is a broken pipe"
        );
    }

    #[test]
    fn the_first_send_to_a_peer_that_closed_draws_the_reset() {
        assert_eq!(
            broke("double-greeter", "hold; a connect; a close; go"),
            "a had closed: the server's first send to it was still taken but drew an RST, so the server's next send to a is a \
             broken pipe"
        );
        assert!(broke("double-greeter", "hold; a connect; a fin; a close; go").starts_with("a had closed: "));
    }

    #[test]
    fn a_server_that_shut_down_its_side_breaks_its_own_pipe() {
        assert_eq!(
            broke("accept; shutdown; send 1; close", "a connect"),
            "the server had shut down its own sending side of a's connection, so its very first send to a is a broken pipe, \
             whatever a does"
        );
        assert_eq!(
            broke("accept; send 1; shutdown; recv-all; send 1; close", "a connect; a fin"),
            "the server had shut down its own sending side of a's connection, and a had sent its FIN too: with both FINs done \
             the state is CLOSE, so the server's next send to a is a broken pipe"
        );
    }

    #[test]
    fn a_survivor_is_told_what_saved_it() {
        const DEATH: &str = "a connect; b connect; b fin; b rst; a close";
        for (policy, saved) in [
            (
                Policy::Ignore,
                "SIGPIPE is ignored, so it only fails with EPIPE; it is back at accept, with nothing left",
            ),
            (Policy::Handler, "SIGPIPE has a handler that returns"),
            (Policy::NoSignal, "MSG_NOSIGNAL keeps SIGPIPE away"),
            (Policy::Blocked, "the signal stays pending; it is back at accept, a SIGPIPE pending"),
        ] {
            let told = told("greeter", policy, DEATH, None);
            assert!(told.starts_with("survived: b half-closed") && told.contains(saved), "{told}");
        }
        assert_eq!(
            told("greeter", Policy::Default, "hold; a connect; a rst; go", None),
            "survived: a's RST left ECONNRESET, which the server's send took without a signal, and no send followed; it is \
             back at accept, with nothing left behind"
        );
        assert_eq!(
            told("greeter", Policy::Default, "a connect; a recv; a close", None),
            "survived: no send met a connection that was gone; it is back at accept, with nothing left behind"
        );
    }

    #[test]
    fn a_survivor_that_waits_is_told_on_whom_and_whether_it_may() {
        assert!(
            told("greeter", Policy::Default, "a connect; a vanish", None)
                .ends_with("it waits on a, which vanished, so nothing will ever come")
        );
        let waits = Outcome::Survived(Survivor { waits_on: Some(Client::nth(0)), ..Survivor::default() });
        assert!(
            told("greeter", Policy::Default, "a connect", Some(waits))
                .ends_with("but it waits on a, which never vanished")
        );
    }

    #[test]
    fn every_other_end_is_told_with_the_call_before_it() {
        let at = At::Event(0);
        let ended =
            |outcome, scenario| told("accept; send 26; recv-all; close", Policy::Default, scenario, Some(outcome));
        let exited = ended(Outcome::Exited { code: 3, at }, "a connect; a vanish");
        assert!(exited.starts_with("the server ended by itself, with code 3, after `send a 26`"), "{exited}");
        let stuck = ended(Outcome::Stuck { at }, "");
        assert!(stuck.contains("within its bound before its first call"), "{stuck}");
        let crashed = ended(Outcome::Killed { signal: Signal::from_raw(libc::SIGSEGV), at }, "a connect; a vanish");
        assert!(crashed.starts_with("SIGSEGV killed the server after `send a 26`"), "{crashed}");
        let unseen = ended(Outcome::Killed { signal: Signal::SIGPIPE, at }, "a connect; a vanish");
        assert!(unseen.contains("none of its sends was seen to break"), "{unseen}");
    }

    #[test]
    fn a_death_under_a_handled_policy_names_the_policy() {
        let killed = Outcome::Killed { signal: Signal::SIGPIPE, at: At::Event(4) };
        let told = told("greeter", Policy::Handler, "hold; a connect; a fin; a rst; go", Some(killed));
        assert!(told.ends_with("and SIGPIPE kills the server although its policy is handler"), "{told}");
    }

    #[test]
    fn no_death_that_the_model_knows_is_without_a_reason() {
        let actions = crate::Enumerate::plain_actions();
        for program in crate::Program::presets() {
            let setup = Setup::new(program, Policy::Default);
            for scenario in crate::enumerate(5, 2, actions.clone(), vec![Event::Hold, Event::Go]) {
                let (scenario, trace) = trace(&scenario.to_string(), &setup);
                let told = why(&scenario, &setup, &trace);
                assert!(!told.contains("no rule known"), "{scenario}: {told}");
            }
        }
    }
}
