//! The kinds of finding about a program. They are found by comparing traces ([`judge`](super::judge)), so no observation shows them.

use super::detector::{About, Cost, Detector, Harm, Observation, Sighting};
use super::sigpipe;

/// Makes the detectors of these kinds, each from its name, what it does to the server, its summary and its advice.
macro_rules! kinds {
    ($($kind:ident $name:literal $harm:ident $summary:literal $advice:expr;)+) => {$(
        pub(super) struct $kind;

        impl Detector for $kind {
            fn about(&self) -> &'static About {
                &About { name: $name, summary: $summary, advice: $advice, cost: Cost::Comparison, harm: Harm::$harm }
            }

            fn see(&self, _: &Observation<'_>) -> Option<Sighting> {
                None
            }
        }
    )+};
}

kinds! {
    Disagreement "disagreement" GoesOn "the kernel did not do what the model of TCP's rules predicts" REPORT_IT;
    Nondeterminism "nondeterminism" GoesOn "two runs of the same scenario gave different traces" REPORT_IT;
    PolicyDifference "policy-difference" GoesOn
        "the policy for SIGPIPE made a difference before there was a SIGPIPE" REPORT_IT;
    WrongEnd "wrong-end" EndsTheServer
        "the server exited, got stuck, or was killed by a signal other than SIGPIPE"
        "look at what the server does with the result of its last call: whatever a client does may end that client's connection, and \
         nothing else.";
    HandledDeath "handled-death" EndsTheServer "SIGPIPE killed a server whose policy handles SIGPIPE" sigpipe::ADVICE;
    Hygiene "hygiene" GoesOn
        "the server survived, but is not in the state that it was in before the clients came"
        "close every accepted descriptor on every path, those of errors too, and go back to accept from each of them.";
    Death "death" EndsTheServer "the clients' order of events killed the server by SIGPIPE" sigpipe::ADVICE;
}

const REPORT_IT: &str = "replay it. If it stays, brokenpipe or the kernel is wrong, not the server: please report the case, with what \
                         `uname -r` says.";
