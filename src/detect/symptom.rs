//! What can be wrong with a server, each under its own name.

use std::fmt;
use std::str::FromStr;

/// What was found, as a difference from what the same server does under polite clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Symptom {
    /// A process was killed by SIGPIPE.
    Sigpipe,
    /// A process was killed by another signal, or a sanitizer reported.
    Crash,
    /// The server ended by itself.
    Exit,
    /// It lives, and its listener is gone.
    NotListening,
    /// A polite client gets no full answer, and did before.
    Unresponsive,
    /// A polite client that was connected throughout was cut off, or is no longer served.
    Collateral,
    /// Sockets in CLOSE_WAIT are left when all clients have gone, more and more with repetitions.
    CloseWaitLeak,
    /// Descriptors are left, more and more with repetitions.
    FdLeak,
    /// Processes are left, more and more with repetitions.
    ProcessLeak,
    /// Threads are left, more and more with repetitions.
    ThreadLeak,
    /// Processes that have ended are not reaped, more and more with repetitions.
    Zombie,
    /// It works in a circle, with nobody asking anything of it.
    Spin,
    /// A sanitizer reported an error, and no process ended.
    SanitizerReport,
    /// It refuses clients for a while and then serves them again, by itself. A warning only.
    Throttling,
    /// Resident memory grows without end over batches of repetitions. A warning only.
    MemoryGrowth,
}

impl Symptom {
    /// Every symptom, the worst first.
    pub const ALL: [Symptom; 15] = [
        Symptom::Sigpipe,
        Symptom::Crash,
        Symptom::Exit,
        Symptom::NotListening,
        Symptom::Unresponsive,
        Symptom::Collateral,
        Symptom::CloseWaitLeak,
        Symptom::FdLeak,
        Symptom::ProcessLeak,
        Symptom::ThreadLeak,
        Symptom::Zombie,
        Symptom::Spin,
        Symptom::SanitizerReport,
        Symptom::Throttling,
        Symptom::MemoryGrowth,
    ];

    /// Its name, as cases and the JSON have it.
    pub const fn name(self) -> &'static str {
        match self {
            Symptom::Sigpipe => "sigpipe",
            Symptom::Crash => "crash",
            Symptom::Exit => "exit",
            Symptom::NotListening => "not-listening",
            Symptom::Unresponsive => "unresponsive",
            Symptom::Collateral => "collateral",
            Symptom::CloseWaitLeak => "close-wait-leak",
            Symptom::FdLeak => "fd-leak",
            Symptom::ProcessLeak => "process-leak",
            Symptom::ThreadLeak => "thread-leak",
            Symptom::Zombie => "zombie",
            Symptom::Spin => "spin",
            Symptom::SanitizerReport => "sanitizer-report",
            Symptom::Throttling => "throttling",
            Symptom::MemoryGrowth => "memory-growth",
        }
    }

    /// What it is, in one line.
    pub const fn what(self) -> &'static str {
        match self {
            Symptom::Sigpipe => "a process of the server was killed by SIGPIPE",
            Symptom::Crash => "a process of the server was killed by a signal, or reported an error of its own",
            Symptom::Exit => "the server ended by itself",
            Symptom::NotListening => "the server lives, and its listener is gone",
            Symptom::Unresponsive => "a polite client gets no full answer any more",
            Symptom::Collateral => {
                "a polite client that was connected throughout lost its connection, or is served no more"
            }
            Symptom::CloseWaitLeak => {
                "sockets in CLOSE_WAIT are left when all clients have gone, more and more with repetitions"
            }
            Symptom::FdLeak => "descriptors are left, more and more with repetitions",
            Symptom::ProcessLeak => "processes are left, more and more with repetitions",
            Symptom::ThreadLeak => "threads are left, more and more with repetitions",
            Symptom::Zombie => "processes that have ended are not reaped, more and more with repetitions",
            Symptom::Spin => "the server works in a circle, with nobody asking anything of it",
            Symptom::SanitizerReport => "a sanitizer reported an error, and no process ended",
            Symptom::Throttling => "the server refuses clients for a while, and then serves them again by itself",
            Symptom::MemoryGrowth => "resident memory grows without end over batches of repetitions",
        }
    }

    /// Whether a server that shows it serves nobody any more, so that the rest of a scenario is not played.
    pub(crate) const fn ends_the_server(self) -> bool {
        matches!(
            self,
            Symptom::Sigpipe | Symptom::Crash | Symptom::Exit | Symptom::NotListening | Symptom::Unresponsive
        )
    }

    /// Whether it is something that a server has and should not have any more.
    pub(crate) const fn is_left_behind(self) -> bool {
        matches!(
            self,
            Symptom::CloseWaitLeak | Symptom::FdLeak | Symptom::ProcessLeak | Symptom::ThreadLeak | Symptom::Zombie
        )
    }

    /// Whether it takes real time to be sure of: what a server lets go of late looks like what it keeps.
    pub(crate) const fn takes_time(self) -> bool {
        matches!(self, Symptom::Unresponsive) || self.is_left_behind()
    }

    /// What to do about it, in a line or two.
    pub const fn advice(self) -> &'static str {
        match self {
            Symptom::Sigpipe => {
                "pass MSG_NOSIGNAL to every send, or set SIGPIPE to SIG_IGN before the first accept. write, writev and sendfile take no \
                 flags, and a library's sends can be given none; SIG_IGN is kept by children through exec, where programs rely on dying \
                 of a closed pipe."
            }
            Symptom::Crash => {
                "look at the server's output, and run it under a debugger or a sanitizer with the same scenario: what a client does may end \
                 its own connection and nothing else."
            }
            Symptom::Exit => {
                "look at what the server does with the error of its last call: ECONNRESET, EPIPE, ECONNABORTED, EMFILE and EINTR are \
                 everyday results, and end a connection at most."
            }
            Symptom::NotListening => {
                "go back to the accept loop from every error path, and close the listener only when shutting down."
            }
            Symptom::Unresponsive => {
                "find what the server waits for (above, its last calls): a connection that is gone must not be waited for, nor one client \
                 for another."
            }
            Symptom::Collateral => {
                "keep an error to the connection that had it: check which descriptor or entry is closed on that path."
            }
            Symptom::CloseWaitLeak => {
                "close a connection whose peer has sent a FIN as soon as there is nothing left to answer: recv that gives 0, or EPOLLRDHUP."
            }
            Symptom::FdLeak => {
                "close the accepted descriptor on every path, those of errors too: after a reset no TCP table shows it any more."
            }
            Symptom::ProcessLeak => {
                "have a connection's process end with its connection, whatever it is waiting for at the time."
            }
            Symptom::ThreadLeak => {
                "have a connection's thread end with its connection, whatever it is waiting for at the time."
            }
            Symptom::Zombie => {
                "reap in a loop until waitpid has nothing more (one SIGCHLD may stand for several), or set SIGCHLD to SIG_IGN."
            }
            Symptom::Spin => {
                "take in, or no longer ask for, the event that keeps coming: EPOLLHUP and EPOLLERR cannot be masked, a level-triggered \
                 EPOLLRDHUP or EPOLLPRI comes again until it is dealt with, and accept that fails with EMFILE leaves the connection queued."
            }
            Symptom::Throttling => {
                "if it is meant as a defence, see that it cannot be used to shut others out: it should count by client, and its end should not \
                 depend on who asks."
            }
            Symptom::SanitizerReport => {
                "look at the report in the server's output: what it names is undefined, whatever came of it this time. The sanitizer can be \
                 told to end the process, as with -fno-sanitize-recover."
            }
            Symptom::MemoryGrowth => {
                "look for what is kept of a connection after its end; a heap profiler with the same scenario shows it."
            }
        }
    }
}

impl fmt::Display for Symptom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A word that names no symptom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no symptom of that name")]
pub struct UnknownSymptom;

impl FromStr for Symptom {
    type Err = UnknownSymptom;

    fn from_str(name: &str) -> Result<Symptom, UnknownSymptom> {
        Symptom::ALL.into_iter().find(|symptom| symptom.name() == name).ok_or(UnknownSymptom)
    }
}
