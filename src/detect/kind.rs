//! The kinds of finding.

use super::detector::{About, Cost, Counted, Detector, Harm};
use std::fmt;
use std::str::FromStr;

/// Makes the type of kinds, and the list of detectors, from one list.
macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $kind:ident in $file:ident,)+) => {
        /// A kind of finding. The first seven are found in programs, by comparing traces; the others in commands and functions, as differences
        /// from how the same server behaves with polite clients.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Kind {
            $($(#[doc = $doc])+ $kind,)+
        }

        impl Kind {
            /// Every kind, the worst first.
            pub const ALL: [Kind; [$(Kind::$kind),+].len()] = [$(Kind::$kind),+];

            /// The detector of this kind.
            pub(super) const fn detector(self) -> &'static dyn Detector {
                match self {
                    $(Kind::$kind => &super::$file::$kind,)+
                }
            }
        }
    };
}

// Insert a new kind by its severity: the findings of a run are reported in this order.
kinds! {
    /// The kernel's trace differs from the model's.
    Disagreement in program,
    /// Two runs of one scenario gave different traces.
    Nondeterminism in program,
    /// The traces under two policies differ before the first broken send (a send that fails with EPIPE).
    PolicyDifference in program,
    /// The server ended in a way that no order of events explains: it exited, got stuck, or was killed by a signal other than SIGPIPE.
    WrongEnd in program,
    /// SIGPIPE killed a server whose policy handles SIGPIPE.
    HandledDeath in program,
    /// The server survived but is not as it was before: it leaks descriptors or sockets, is blocked on a client that has closed, has a
    /// SIGPIPE pending that its policy does not explain, or no longer serves.
    Hygiene in program,
    /// SIGPIPE killed a server under [`Policy::Default`](crate::Policy::Default), as the model predicts. This is what a hunt of a program
    /// searches for.
    Death in program,
    /// A process was killed by SIGPIPE.
    Sigpipe in sigpipe,
    /// A process was killed by another signal, or ended as a sanitizer or a runtime ends a process after its report.
    Crash in crash,
    /// The server ended by itself.
    Exit in exit,
    /// The server lives, but its listener is gone.
    NotListening in not_listening,
    /// A polite client gets no full answer any more.
    Unresponsive in unresponsive,
    /// A polite client that was connected throughout was cut off, or is no longer served.
    Collateral in collateral,
    /// Clients that stay connected keep everybody else from being served, though the server serves several clients at once otherwise.
    ShutOut in shut_out,
    /// The server serves fewer clients at once than before, although all have left.
    SlotLeak in slot_leak,
    /// A client that was served gets no FIN, because another program has inherited the connection.
    WithheldFin in withheld_fin,
    /// Sockets in CLOSE_WAIT are left when all clients have gone, and their number grows with repetitions.
    CloseWaitLeak in close_wait_leak,
    /// Descriptors are left when all clients have gone, and their number grows with repetitions.
    FdLeak in fd_leak,
    /// Processes are left when all clients have gone, and their number grows with repetitions.
    ProcessLeak in process_leak,
    /// Threads are left when all clients have gone, and their number grows with repetitions.
    ThreadLeak in thread_leak,
    /// Processes that have ended are not reaped, and their number grows with repetitions.
    Zombie in zombie,
    /// The server runs a busy loop although no client asks anything of it.
    Spin in spin,
    /// The server runs a busy loop for as long as it is short of descriptors. A warning only.
    SpinWhileShort in spin_while_short,
    /// Processes that have ended are reaped only when the next client comes. A warning only.
    LateReaping in late_reaping,
    /// A request that the server was told of was answered with an RST, because a timeout had expired. A warning only.
    RequestReset in request_reset,
    /// A sanitizer reported an error, and no process ended.
    SanitizerReport in sanitizer_report,
    /// The server refuses clients for a while and then serves them again by itself. A warning only.
    Throttling in throttling,
    /// Resident memory grows without end over batches of repetitions. A warning only.
    MemoryGrowth in memory_growth,
}

impl Kind {
    pub(super) fn about(self) -> &'static About {
        self.detector().about()
    }

    /// The name, as in cases and in the JSON.
    pub fn name(self) -> &'static str {
        self.about().name
    }

    /// A summary in one line.
    pub fn what(self) -> &'static str {
        self.about().summary
    }

    /// What to do about it, in a line or two.
    pub fn advice(self) -> &'static str {
        self.about().advice
    }

    /// Whether it is found in programs, by comparing traces.
    pub fn is_of_programs(self) -> bool {
        matches!(self.about().cost, Cost::Comparison)
    }

    /// Whether a server that shows it serves no client any more.
    pub(crate) fn ends_the_server(self) -> bool {
        self.about().harm == Harm::EndsTheServer
    }

    /// Whether no harm has come of it so far, so that it is a warning.
    pub(crate) fn is_harmless_so_far(self) -> bool {
        self.about().harm == Harm::NoneSoFar
    }

    /// What is counted after each of many runs, if this is a resource that the server has kept and should have released.
    pub(crate) fn counted(self) -> Option<Counted> {
        match self.about().cost {
            Cost::Repetitions(counted) => Some(counted),
            Cost::Run | Cost::Time | Cost::Batches | Cost::Comparison => None,
        }
    }

    /// Whether this is a resource that the server has kept and should have released.
    pub(crate) fn is_left_behind(self) -> bool {
        self.counted().is_some()
    }

    /// Whether confirming this takes real time: a resource that is released late looks like one that is kept.
    pub(crate) fn takes_time(self) -> bool {
        matches!(self.about().cost, Cost::Time | Cost::Repetitions(_))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A word that names no kind of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no kind of finding of that name")]
pub struct UnknownKind;

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Kind, UnknownKind> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name).ok_or(UnknownKind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_the_readme_has_those_of_commands() {
        let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
            let is_told = readme.contains(&format!("`{kind}`"));
            assert!(is_told || kind.is_of_programs(), "the README's table of findings lacks `{kind}`");
        }
    }

    #[test]
    fn every_kind_has_its_advice() {
        for kind in Kind::ALL {
            assert!(kind.advice().ends_with('.') && !kind.what().ends_with('.'), "{kind}");
        }
    }
}
