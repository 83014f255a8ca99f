//! Clients that stay connected, while which nobody else is served, although the server serves several clients at once otherwise.

use super::detector::{About, Cost, Detector, Harm, Observation, Sighting};
use std::time::Duration;

/// What was seen of a server that serves nobody while clients stay connected.
#[derive(Clone, Debug)]
pub(crate) struct Shut {
    /// How many clients were connected.
    pub(crate) clients: usize,
    /// How many polite clients were left unserved, and what the last of them got.
    pub(crate) asked: usize,
    pub(crate) answered: String,
    /// The calls in which the server waits.
    pub(crate) waits: Vec<&'static str>,
    /// Whether another one was served later.
    pub(crate) later: Later,
}

/// Whether and when a server serves again that serves nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Later {
    /// After this virtual time.
    After(Duration),
    /// Not within this virtual time.
    NotIn(Duration),
    /// Never: nothing in the server can change by itself.
    Never,
    /// It was not tried, or took too much real time.
    Unknown,
}

impl Later {
    /// After what virtual time, if it is known to serve again.
    pub(crate) const fn time(self) -> Option<Duration> {
        if let Later::After(time) = self { Some(time) } else { None }
    }

    /// Whether it serves nobody for as long as anybody might wait.
    pub(crate) const fn is_never(self) -> bool {
        matches!(self, Later::NotIn(_) | Later::Never)
    }
}

pub(super) struct ShutOut;

impl Detector for ShutOut {
    fn about(&self) -> &'static About {
        &About {
            name: "shut-out",
            summary: "clients that stay connected keep everybody else from being served",
            advice: "find what the server waits for (above, its last calls). Whatever one client leaves undone, the others are not to wait for it: a \
                     send that blocks, a handshake, the rest of a request; and a time limit for each.",
            cost: Cost::Run,
            harm: Harm::GoesOn,
        }
    }

    fn see(&self, observation: &Observation<'_>) -> Option<Sighting> {
        let Observation::ShutOut(shut) = observation else { return None };
        let stayed = if shut.clients == 1 { "one client".to_owned() } else { format!("{} clients", shut.clients) };
        let left = match shut.asked {
            1 => format!("a polite client was not served ({})", shut.answered),
            n => format!("{n} polite clients, one after the other, were not served ({})", shut.answered),
        };
        let later = match shut.later {
            Later::After(time) => format!("; another one was served after {:.1} s of virtual time", time.as_secs_f64()),
            Later::NotIn(time) => format!("; nor was any other within {:.0} s of virtual time", time.as_secs_f64()),
            Later::Never => "; nor will any other be: nothing in the server changes by itself".to_owned(),
            Later::Unknown => String::new(),
        };
        let waits = if shut.waits.is_empty() {
            String::new()
        } else {
            format!("; the server waits in {}", shut.waits.join(", "))
        };
        Some(Sighting::of_server(format!("while {stayed} stayed connected, {left}{waits}{later}")))
    }
}
