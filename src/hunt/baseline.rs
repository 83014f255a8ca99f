//! What a target is like when nothing is wrong, and what keeps it from being hunted at all.

use crate::linux::KernelError;

/// What keeps a target from being hunted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The command or its setup is not what it should be.
    #[error("{0}")]
    Command(String),
    /// The server did not come to listen.
    #[error("{why}{}", tail(output))]
    NotListening {
        /// Why.
        why: String,
        /// The end of what it wrote.
        output: String,
    },
    /// A fresh server gave a polite client no full answer.
    #[error(
        "a polite client of the fresh server got no full answer: {why}; `--protocol` and `--polite` say how to ask{}",
        tail(output)
    )]
    Impolite {
        /// What it got.
        why: String,
        /// The end of what the server wrote.
        output: String,
    },
    /// A fresh server ended when the first polite client came.
    #[error("{how} when the first polite client came{}", tail(output))]
    Ended {
        /// How.
        how: String,
        /// The end of what it wrote.
        output: String,
    },
    /// A fresh server served some polite clients, and then no other.
    #[error(
        "a fresh server serves {} and not the next ({why}): nothing else can be told of it{}",
        polite_clients(*served),
        tail(output)
    )]
    Unserved {
        /// How many it served.
        served: usize,
        /// What the next one got.
        why: String,
        /// The end of what the server wrote.
        output: String,
    },
    /// It was stopped before its server listened.
    #[error("stopped")]
    Stopped,
    /// The machine cannot.
    #[error(transparent)]
    Kernel(#[from] KernelError),
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

/// What a server is like under polite clients: what everything else is held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baseline {
    /// Whether a client is served while another holds its connection. An iterative server does not.
    pub concurrent: bool,
    /// Whether a client that stays connected can be asked again.
    pub keeps_alive: bool,
    /// Whether a client gets something to read.
    pub answers: bool,
    /// What is in force for SIGPIPE in the running server.
    pub sigpipe: String,
    /// Whether its calls are steered; if not, why.
    pub gate: Result<(), String>,
    /// Whether it has a network of its own.
    pub namespace: bool,
    /// Its processes, threads and descriptors when it is idle.
    pub idle: String,
}
