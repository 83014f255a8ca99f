//! The baseline, which is how a server behaves with polite clients, and the errors that prevent a hunt.

use crate::linux::KernelError;
use crate::scenario::{Action, Payload};
use std::fmt;
use std::time::Duration;

/// Why a target cannot be hunted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HuntError {
    /// The command, its setup command, its environment or an option cannot be used. The text says why.
    #[error("{0}")]
    Command(String),
    /// The server does not listen, or does not use the listener that it was given.
    #[error("{why}{}", tail(output))]
    NotListening {
        /// The reason.
        why: String,
        /// The end of the server's output.
        output: String,
    },
    /// A fresh server gave a polite client no full answer.
    #[error(
        "a polite client of the fresh server got no full answer: {why}; `--protocol` and `--polite` say how to ask{}",
        tail(output)
    )]
    Impolite {
        /// What the client got.
        why: String,
        /// The end of the server's output.
        output: String,
    },
    /// A fresh server ended when the first polite client connected.
    #[error("{how} when the first polite client came{}", tail(output))]
    Ended {
        /// How the server ended.
        how: String,
        /// The end of the server's output.
        output: String,
    },
    /// A fresh server served some polite clients, but not the next one.
    #[error(
        "a fresh server serves {} and not the next ({why}): nothing else can be told of it{}",
        polite_clients(*served),
        tail(output)
    )]
    Unserved {
        /// How many polite clients the server served.
        served: usize,
        /// How the server ended, or what the next client got.
        why: String,
        /// The end of the server's output.
        output: String,
    },
    /// The `stop` flag was set.
    #[error("stopped")]
    Stopped,
    /// A worker process of the hunt of a program failed, for this reason.
    #[error("{0}")]
    Worker(String),
    /// The harness failed, for example in a system call.
    #[error(transparent)]
    Kernel(KernelError),
}

impl From<KernelError> for HuntError {
    fn from(error: KernelError) -> HuntError {
        if error == KernelError::Interrupted { HuntError::Stopped } else { HuntError::Kernel(error) }
    }
}

fn polite_clients(served: usize) -> String {
    if served == 1 { "one polite client".to_owned() } else { format!("{served} polite clients") }
}

fn tail(output: &str) -> String {
    if output.trim().is_empty() {
        "; it wrote nothing".to_owned()
    } else {
        format!("; it wrote:\n{}", output.trim_end())
    }
}

/// How a server behaves with polite clients. Every scenario is compared with this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baseline {
    /// Whether a client is served while another one is connected. An iterative server serves one at a time.
    pub concurrent: bool,
    /// Whether a client that stays connected can send another request.
    pub keeps_alive: bool,
    /// Whether the server sends a client anything.
    pub answers: bool,
    /// How the running server handles SIGPIPE, in words.
    pub sigpipe: String,
    /// Whether the server's calls pass the gate, where the harness releases them one by one; if not, why.
    pub gate: Result<(), String>,
    /// Whether the server's clock is put forward while the server waits for it and no client acts; if not, why.
    pub virtual_time: Result<(), String>,
    /// Whether the server runs in a network namespace of its own.
    pub namespace: bool,
    /// After what time the server closes the connection of a client that is silent, where it does. Learnt in virtual time only.
    pub timeouts: Vec<Timeout>,
    /// What polite clients say to a server whose protocol is not known: the first payload, if the server answers it.
    pub question: Option<Payload>,
    /// How much the server replies.
    pub replies: Replies,
    /// How many silent clients keep everybody else from being served, where 64 or fewer do.
    pub shut_out: Vec<ShutOut>,
    /// The numbers of the server's processes, threads and descriptors when it is idle, in words.
    pub idle: String,
}

/// How much a server replies to what clients say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replies {
    /// The size of the largest reply, in bytes.
    pub largest: usize,
    /// The request that draws it; `None` if no request is answered.
    pub request: Option<Payload>,
    /// How many such requests fill the server's send buffer if the client reads nothing; `None` if 64 do not.
    pub fills: Option<usize>,
}

/// After what time a server closes the connection of a client that is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout {
    /// What the client has sent before.
    pub silent: Silent,
    /// The time for which it was silent.
    pub time: Duration,
}

/// How many silent clients at once keep everybody else from being served, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShutOut {
    /// What these clients have sent before.
    pub silent: Silent,
    /// How many they are.
    pub clients: usize,
    /// After what virtual time another client is served all the same; `None` if none was within two hours, or in real time.
    pub time: Option<Duration>,
}

/// What a client has sent before it is silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Silent {
    /// Nothing.
    Connected,
    /// Half a request.
    Half,
    /// A whole request.
    Whole,
    /// Several requests, of whose answers the client reads nothing.
    Stalled,
    /// A whole request and a FIN.
    HalfClosed,
    /// A whole request, after which the client has vanished.
    Vanished,
}

impl Silent {
    pub(crate) const ALL: [Silent; 6] =
        [Silent::Connected, Silent::Half, Silent::Whole, Silent::Stalled, Silent::HalfClosed, Silent::Vanished];
    /// Those whose connection a server may close after a time.
    pub(crate) const TIMED: [Silent; 3] = [Silent::Connected, Silent::Half, Silent::Whole];

    /// What the client sends: nothing, or a part of this payload. `None` if there is no such part.
    pub(super) fn says(self, payload: Option<&Payload>) -> Option<Option<Payload>> {
        let payload = payload.filter(|payload| payload.len() > 1);
        match self {
            Silent::Connected => Some(None),
            Silent::Half => payload.map(|payload| Some(payload.first(payload.len().div_ceil(2)))),
            _ => payload.map(|payload| Some(payload.clone())),
        }
    }

    /// What the client does, once it is connected. `None` if there is no such part of this payload.
    pub(super) fn acts(self, payload: Option<&Payload>) -> Option<Vec<Action>> {
        /// How many requests a client sends that does not read.
        const REQUESTS: usize = 8;
        let said = self.says(payload)?.map(Action::Send);
        let once = said.clone().into_iter();
        Some(match self {
            Silent::Connected | Silent::Half | Silent::Whole => once.collect(),
            Silent::Stalled => {
                let often = std::iter::repeat_n(said, REQUESTS).flatten();
                std::iter::once(Action::Stall).chain(often).collect()
            }
            Silent::HalfClosed => once.chain([Action::Fin]).collect(),
            Silent::Vanished => once.chain([Action::Vanish]).collect(),
        })
    }
}

impl fmt::Display for Silent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Silent::Connected => "no request",
            Silent::Half => "half a request",
            Silent::Whole => "a request",
            Silent::Stalled => "answers unread",
            Silent::HalfClosed => "a request and a FIN",
            Silent::Vanished => "a request, vanished",
        })
    }
}
