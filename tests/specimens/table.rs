//! The specimens: for each its protocol, the finding it is for, and an order of events that shows it.

/// A small server with one fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Specimen {
    pub(crate) name: &'static str,
    /// Its file in `faults`, without the ending.
    pub(crate) source: &'static str,
    /// What the compiler is told of the fault, and what else.
    pub(crate) fault: &'static str,
    pub(crate) flags: &'static [&'static str],
    pub(crate) protocol: Protocol,
    pub(crate) clients: Clients,
    /// What is to be found, how much it counts, and what is as true.
    pub(crate) finding: &'static str,
    pub(crate) counts: Counts,
    pub(crate) also: &'static [&'static str],
    /// Which of its processes it is that dies, if one does.
    pub(crate) process: Option<&'static str>,
    /// Whether it is found with the server's calls let in one by one, or only without.
    pub(crate) gate: bool,
    /// In the words of a scenario.
    pub(crate) order: &'static str,
}

/// How much a finding counts, and whether it needs an injected error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counts {
    Finding,
    Warning,
    InjectedWarning,
}

/// An honest server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    pub(crate) clients: Clients,
}

/// What is said to a server, and what is a full answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// It speaks first, whatever it says.
    None,
    /// It sends back what it got.
    Echo,
    Http,
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Protocol::None => "none",
            Protocol::Echo => "echo",
            Protocol::Http => "http",
        }
    }
}

/// How many clients a server serves at a time: beside one that stays, nobody else is served, or others are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clients {
    One,
    Many,
}

const RESET: &str = "a connect; a rst";
const RESETS: &str = "repeat 16 { a connect; a rst }";
/// The client of a request is gone when the server comes to accept it.
const RESET_WITH_A_REQUEST: &str = r#"hold; a connect; a send "hello\n"; a rst; go"#;

const fn specimen(name: &'static str, clients: Clients, finding: &'static str, order: &'static str) -> Specimen {
    Specimen {
        name,
        source: name,
        fault: "1",
        flags: &[],
        protocol: Protocol::Echo,
        clients,
        finding,
        counts: Counts::Finding,
        also: &[],
        process: None,
        gate: true,
        order,
    }
}

/// One whose only fault is what it makes of an error of `accept` that Linux never returns to it.
const fn accept_error(name: &'static str, fault: &'static str, order: &'static str) -> Specimen {
    let counts = Counts::InjectedWarning;
    Specimen { source: "accept-error", fault, counts, ..specimen(name, Clients::One, "exit", order) }
}

use Clients::{Many, One};

pub(crate) const SPECIMENS: [Specimen; 28] = [
    Specimen {
        protocol: Protocol::None,
        process: Some("main"),
        ..specimen("sigpipe", One, "sigpipe", "a connect; b connect; b fin; b rst; a close")
    },
    // Nothing is harmed but the connection that brought it about.
    Specimen {
        counts: Counts::Warning,
        process: Some("child"),
        ..specimen("sigpipe-child", Many, "sigpipe", RESET_WITH_A_REQUEST)
    },
    // All that the worker serves are cut off.
    Specimen {
        process: Some("child"),
        also: &["collateral"],
        ..specimen("sigpipe-worker", Many, "sigpipe", RESET_WITH_A_REQUEST)
    },
    Specimen { process: Some("main"), ..specimen("crash", One, "crash", "hold; a connect; a rst; go") },
    Specimen {
        flags: &["-fsanitize=address", "-static-libasan"],
        process: Some("main"),
        ..specimen("crash-asan", One, "crash", RESET)
    },
    specimen("exit", One, "exit", RESET),
    specimen("exit-zero", One, "exit", RESET_WITH_A_REQUEST),
    Specimen { gate: false, ..specimen("exit-race", One, "exit", RESETS) },
    accept_error("exit-on-econnaborted", "ECONNABORTED", "fault accept ECONNABORTED; a connect; a close"),
    // The kernel itself returns this one, for as long as no descriptor is free.
    Specimen {
        counts: Counts::Finding,
        ..accept_error("exit-on-emfile", "EMFILE", "limit descriptors; a connect; a close")
    },
    // It handles no signal, so that none interrupts it.
    accept_error("exit-on-eintr", "EINTR", "fault accept EINTR; a connect; a close"),
    Specimen {
        flags: &["-DHANDLES=SIGURG"],
        counts: Counts::Finding,
        ..accept_error("exit-on-signal", "EINTR", "signal SIGURG; a connect; a close")
    },
    specimen("not-listening", Many, "not-listening", RESET),
    specimen("unresponsive", Many, "unresponsive", RESET),
    specimen("unresponsive-slots", Many, "unresponsive", RESETS),
    // Those who were there before are not served any more either.
    Specimen { also: &["collateral"], ..specimen("unresponsive-lock", Many, "unresponsive", RESET_WITH_A_REQUEST) },
    specimen("collateral", Many, "collateral", RESET),
    // A socket in CLOSE_WAIT is a descriptor too.
    Specimen {
        also: &["fd-leak"],
        ..specimen("close-wait-leak", Many, "close-wait-leak", r#"a connect; a send "hel"; a fin; a close"#)
    },
    specimen("fd-leak", One, "fd-leak", RESET),
    specimen("fd-leak-steps", One, "fd-leak", RESET),
    specimen("process-leak", Many, "process-leak", RESET),
    specimen("thread-leak", Many, "thread-leak", RESET),
    specimen("zombie", Many, "zombie", RESET),
    specimen("spin", Many, "spin", RESET),
    specimen("spin-urgent", Many, "spin", "a connect; a urgent; a close"),
    Specimen {
        protocol: Protocol::Http,
        ..specimen("spin-half-close", Many, "spin", r#"a connect; a send "GET / HTTP/1.0\r\n\r\n"; a fin; a close"#)
    },
    specimen("spin-on-emfile", Many, "spin", "limit descriptors; a connect; limit off; a close"),
    Specimen { counts: Counts::Warning, ..specimen("memory-growth", One, "memory-growth", RESETS) },
];

pub(crate) const SHAPES: [Shape; 7] = [
    Shape { name: "iterative", clients: One },
    Shape { name: "forking", clients: Many },
    Shape { name: "preforking", clients: Many },
    Shape { name: "threaded", clients: Many },
    Shape { name: "epoll-level", clients: Many },
    Shape { name: "epoll-edge", clients: Many },
    Shape { name: TOKIO, clients: Many },
];

/// The shape that is in Rust.
pub(crate) const TOKIO: &str = "tokio";
