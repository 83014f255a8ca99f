//! Explains why a run ended as it did, by applying the kernel's rules to the trace: an RST leaves EPIPE in CLOSE_WAIT and ECONNRESET in
//! other states (`tcp_reset`), and a socket's error is reported once, after which a send raises SIGPIPE (`sk_stream_error`).

use crate::oracle::{is_broken, left_words, vanished};
use crate::scenario::{Action, Call, Client, Errno, Event, Fault, Scenario};
use crate::subject::{Policy, Setup};
use crate::trace::{At, Called, Outcome, Reply, Signal, Step, Survivor, Trace};
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
        Outcome::Ended { .. } => format!("the server ended {last}; the kernel does not tell how."),
        Outcome::Stuck { .. } => {
            format!("the server did not come to its next call within its bound {last}: it is stuck in something else.")
        }
        Outcome::Survived(survivor) => {
            let met = history.met(setup.policy);
            format!("survived: {met}; {}.", whereabouts(survivor, scenario, trace))
        }
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

/// How a client's RST came about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reset {
    /// By an abortive close.
    Abort,
    /// By a close that left data unread.
    Unread,
    /// As the response to data that the server sent after the client's plain close.
    Drawn,
}

/// The history of one connection so far, or of several equal ones: those made in equal rounds of a block.
#[derive(Clone, Copy)]
struct Account {
    client: Client,
    /// How many of these connections wait in the accept queue.
    waiting: u32,
    /// The block in which they connected, by its index among the events, and the first of their rounds.
    rounds: Option<(usize, u16)>,
    /// Whether the server has accepted it.
    accepted: bool,
    /// Whether the server has shut down its sending side.
    shut: bool,
    /// Whether the client has sent its FIN.
    fin: bool,
    /// Whether the client has closed its socket.
    closed: bool,
    /// How the client's RST came about, and whether the connection was in the accept queue then; `None` without an RST.
    reset: Option<(Reset, bool)>,
    /// The server's call that returned ECONNRESET.
    reported: Option<Call>,
    /// Whether the server has made a send call, even one that failed.
    sent: bool,
    /// Bytes that the server sent and the client has not read.
    unread: u32,
    /// Whether the client has vanished: it neither sends nor acknowledges.
    vanished: bool,
}

impl Account {
    fn new(client: Client, waiting: u32, at: At) -> Account {
        Account {
            client,
            waiting,
            rounds: rounds(at),
            accepted: false,
            shut: false,
            fin: false,
            closed: false,
            reset: None,
            reported: None,
            sent: false,
            unread: 0,
            vanished: false,
        }
    }

    fn event(&mut self, action: &Action) {
        let queued = !self.accepted;
        match action {
            Action::Recv => self.unread = 0,
            Action::Fin => self.fin = true,
            Action::Close if self.unread > 0 => self.reset = Some((Reset::Unread, queued)),
            Action::Close => self.fin = true,
            Action::Rst => self.reset = Some((Reset::Abort, queued)),
            Action::Vanish => self.vanished = true,
            Action::Connect | Action::Send(_) | Action::Urgent | Action::Stall => {}
        }
        self.closed |= matches!(action, Action::Close | Action::Rst);
    }

    fn call(&mut self, called: &Called) {
        self.sent |= called.call == Call::Send;
        match (called.call, called.result) {
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

/// The index of the block and the round, of a place inside a block.
fn rounds(at: At) -> Option<(usize, u16)> {
    match at {
        At::Round { event, round, .. } => Some((event, round)),
        At::Event(_) | At::TeardownGo | At::Teardown(_) => None,
    }
}

/// A send that failed with EPIPE, with the history of its connection before that send. `Display` explains why it failed.
struct Broken(Account);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Broken(account) = self;
        let c = account.client;
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
                write!(f, "{}, which the server's {call} reported; an error is reported only once, ", left(c, reset))?;
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

/// Says what left ECONNRESET on the server's socket: an RST outside CLOSE_WAIT.
fn left(client: Client, reset: Option<(Reset, bool)>) -> String {
    match reset {
        Some((Reset::Unread, _)) => {
            format!("{client} closed with data unread, which sends an RST and leaves ECONNRESET")
        }
        Some(_) => format!("{client}'s RST left ECONNRESET"),
        None => format!("{client}'s connection had ECONNRESET"),
    }
}

/// The history of all connections of a run.
#[derive(Default)]
struct History {
    /// In the order of their connects.
    accounts: Vec<Account>,
    /// Index of the connection that the server accepted last.
    current: Option<usize>,
    /// Injected errors that no call has returned yet. Such an error is never on the socket, so it does not count as reported.
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
        match (step.at, step.at.of(scenario)) {
            (At::Teardown(client), _) => {
                let open = |a: &&mut Account| a.client == client && !a.closed && !a.vanished;
                self.accounts.iter_mut().filter(open).for_each(|account| account.event(&Action::Close));
            }
            (_, Some(Event::Client(client, Action::Connect))) if happened => {
                self.accounts.push(Account::new(*client, step.times.into(), step.at));
            }
            (_, Some(Event::Client(client, action))) if happened => {
                let i = self.newest(*client, step.at);
                self.accounts[i].event(action);
            }
            (_, Some(Event::Fault(fault))) => self.faults.push(*fault),
            _ => {}
        }
        for called in step.calls {
            let fault = self.faults.iter().position(|fault| fault.call() == called.call);
            let injected = fault.map(|i| self.faults.remove(i)).is_some();
            let Some(client) = called.client else { continue };
            if called.call == Call::Accept {
                self.accept(client, step.times.into(), step.at);
            }
            let i = self.current.filter(|i| self.accounts[*i].client == client);
            let i = i.unwrap_or_else(|| self.newest(client, step.at));
            let account = &mut self.accounts[i];
            if injected {
                account.sent |= called.call == Call::Send;
                continue;
            }
            if is_broken(called) {
                self.broken.push(Broken(*account));
            }
            account.call(called);
        }
    }

    /// Index of the client's newest connection. If its entry stands for several equal connections, the last of them gets an entry of its
    /// own, unless `at` lies in the rounds in which they connected: there each of them does the same.
    fn newest(&mut self, client: Client, at: At) -> usize {
        let Some(i) = self.accounts.iter().rposition(|a| a.client == client) else {
            self.accounts.push(Account::new(client, 1, at));
            return self.accounts.len() - 1;
        };
        if self.accounts[i].waiting < 2 || self.accounts[i].rounds == rounds(at) {
            return i;
        }
        self.accounts[i].waiting -= 1;
        self.accounts.insert(i + 1, Account { waiting: 1, ..self.accounts[i] });
        self.current = self.current.map(|current| current + usize::from(current > i));
        i + 1
    }

    /// The server accepts the first `times` connections of this client that wait in the accept queue.
    fn accept(&mut self, client: Client, mut times: u32, at: At) {
        let mut last = None;
        while times > 0
            && let Some(i) = self.accounts.iter().position(|a| a.client == client && a.waiting > 0)
        {
            let account = &mut self.accounts[i];
            let taken = account.waiting.min(times);
            account.waiting -= taken;
            account.accepted = account.waiting == 0;
            times -= taken;
            last = Some(i);
        }
        let i = last.unwrap_or_else(|| self.newest(client, at));
        if self.accounts[i].waiting > 0 {
            // The others stay in the queue. Their entry comes after the accepted one, because the client's name stands for the newest
            // connection.
            self.accounts.insert(i, self.accounts[i]);
        }
        self.accounts[i].waiting = 0;
        self.accounts[i].accepted = true;
        self.current = Some(i);
    }

    /// Which broken send or ECONNRESET a surviving server met, and why the send did not kill it.
    fn met(&self, policy: Policy) -> String {
        let reported = self.accounts.iter().find_map(|account| Some((account.client, account, account.reported?)));
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
mod tests;
