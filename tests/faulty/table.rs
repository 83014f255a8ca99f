//! the faulty servers: for each its protocol, the finding it is for, and an order of events that shows it.

/// A small server with one fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faulty {
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

const REQUEST: &str = r#"a connect; a send "GET / HTTP/1.0\r\n\r\n""#;
const NINE_IDLE: &str = r#"a connect; a send "hello\n"; b connect; b send "hello\n"; c connect; c send "hello\n"; d connect; d send "hello\n"; e connect; e send "hello\n"; f connect; f send "hello\n"; g connect; g send "hello\n"; h connect; h send "hello\n"; i connect; i send "hello\n""#;
const SIXTEEN: &str = "a connect; b connect; c connect; d connect; e connect; f connect; g connect; h connect; i connect; \
                       j connect; k connect; l connect; m connect; n connect; o connect; p connect";

const fn faulty(name: &'static str, clients: Clients, finding: &'static str, order: &'static str) -> Faulty {
    Faulty {
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
const fn accept_error(name: &'static str, fault: &'static str, order: &'static str) -> Faulty {
    let counts = Counts::InjectedWarning;
    Faulty { source: "accept-error", fault, counts, ..faulty(name, Clients::One, "exit", order) }
}

use Clients::{Many, One};

pub(crate) const FAULTY: &[Faulty] = &[
    Faulty {
        protocol: Protocol::None,
        process: Some("main"),
        ..faulty("sigpipe", One, "sigpipe", "a connect; b connect; b fin; b rst; a close")
    },
    // Nothing is harmed but the connection that brought it about.
    Faulty {
        counts: Counts::Warning,
        process: Some("child"),
        ..faulty("sigpipe-child", Many, "sigpipe", RESET_WITH_A_REQUEST)
    },
    // All that the worker serves are cut off.
    Faulty {
        process: Some("child"),
        also: &["collateral"],
        ..faulty("sigpipe-worker", Many, "sigpipe", RESET_WITH_A_REQUEST)
    },
    Faulty { process: Some("main"), ..faulty("crash", One, "crash", "hold; a connect; a rst; go") },
    Faulty { process: Some("main"), ..faulty("crash-size", One, "crash", "a connect; a send 8192") },
    Faulty {
        flags: &["-fsanitize=address", "-static-libasan"],
        process: Some("main"),
        ..faulty("crash-asan", One, "crash", RESET)
    },
    Faulty {
        flags: &["-fsanitize=undefined", "-static-libubsan"],
        counts: Counts::Warning,
        ..faulty("sanitizer-report", One, "sanitizer-report", RESET)
    },
    faulty("exit", One, "exit", RESET),
    faulty("exit-zero", One, "exit", RESET_WITH_A_REQUEST),
    Faulty { process: Some("child"), ..faulty("worker-exits", One, "exit", RESET) },
    Faulty { gate: false, ..faulty("exit-race", One, "exit", RESETS) },
    accept_error("exit-on-econnaborted", "ECONNABORTED", "fault accept ECONNABORTED; a connect; a close"),
    // The kernel itself returns this one, for as long as no descriptor is free.
    Faulty {
        counts: Counts::Finding,
        ..accept_error("exit-on-emfile", "EMFILE", "limit descriptors; a connect; a close")
    },
    // It handles no signal, so that none interrupts it.
    accept_error("exit-on-eintr", "EINTR", "fault accept EINTR; a connect; a close"),
    Faulty {
        flags: &["-DHANDLES=SIGURG"],
        counts: Counts::Finding,
        ..accept_error("exit-on-signal", "EINTR", "signal SIGURG; a connect; a close")
    },
    // No single scenario shows it, only what the server has been through.
    Faulty { process: Some("main"), ..faulty("crash-count", One, "crash", "repeat 51 { a connect; a rst }") },
    Faulty {
        process: Some("main"),
        ..faulty("crash-timer", Many, "crash", r#"a connect; a send "hello\n"; a close; wait 600ms"#)
    },
    faulty("shut-out", Many, "shut-out", r#"a connect; a send "hel""#),
    faulty("shut-out-handshake", Many, "shut-out", "a connect"),
    faulty("shut-out-idle", Many, "shut-out", NINE_IDLE),
    Faulty { protocol: Protocol::Http, ..faulty("shut-out-reader", Many, "shut-out", REQUEST) },
    Faulty {
        protocol: Protocol::Http,
        ..faulty("shut-out-linger", Many, "shut-out", r#"a connect; a send "GET / HTTP/1.0\r\n\r\n"; a fin"#)
    },
    faulty("withheld-fin", One, "withheld-fin", "a connect; a fin"),
    faulty("not-listening", Many, "not-listening", RESET),
    faulty("unresponsive", Many, "unresponsive", RESET),
    faulty("unresponsive-slots", Many, "unresponsive", RESETS),
    faulty("unresponsive-pool", Many, "unresponsive", RESETS),
    // Those who were there before are not served any more either.
    Faulty { also: &["collateral"], ..faulty("unresponsive-lock", Many, "unresponsive", RESET_WITH_A_REQUEST) },
    faulty("collateral", Many, "collateral", RESET),
    Faulty { protocol: Protocol::Http, ..faulty("collateral-request", Many, "collateral", RESET) },
    // A socket in CLOSE_WAIT is a descriptor too.
    Faulty {
        also: &["fd-leak"],
        ..faulty("close-wait-leak", Many, "close-wait-leak", r#"a connect; a send "hel"; a fin; a close"#)
    },
    faulty("fd-leak", One, "fd-leak", RESET),
    faulty("fd-leak-steps", One, "fd-leak", RESET),
    faulty("fd-leak-collected", One, "fd-leak", RESET),
    Faulty {
        protocol: Protocol::Http,
        ..faulty(
            "fd-leak-refused",
            Many,
            "fd-leak",
            r#"a connect; a send "POST / HTTP/1.0\r\nContent-Length: 99999\r\n\r\n""#,
        )
    },
    faulty("slot-leak", Many, "slot-leak", "repeat 15 { a connect; a rst }"),
    faulty("process-leak", Many, "process-leak", RESET),
    faulty("thread-leak", Many, "thread-leak", RESET),
    faulty("zombie", Many, "zombie", RESET),
    Faulty { counts: Counts::Warning, ..faulty("late-reaping", Many, "late-reaping", SIXTEEN) },
    faulty("spin", Many, "spin", RESET),
    faulty("spin-urgent", Many, "spin", "a connect; a urgent; a close"),
    Faulty {
        protocol: Protocol::Http,
        ..faulty("spin-half-close", Many, "spin", r#"a connect; a send "GET / HTTP/1.0\r\n\r\n"; a fin; a close"#)
    },
    // Nobody else is served meanwhile.
    Faulty { protocol: Protocol::Http, also: &["shut-out"], ..faulty("spin-reader", Many, "spin", REQUEST) },
    Faulty {
        also: &["spin-while-short"],
        ..faulty("spin-on-emfile", Many, "spin", "limit descriptors; a connect; limit off; a close")
    },
    Faulty {
        counts: Counts::Warning,
        ..faulty("spin-while-short", Many, "spin-while-short", "limit descriptors; a connect")
    },
    Faulty { counts: Counts::Warning, ..faulty("memory-growth", One, "memory-growth", RESETS) },
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
