//! What a hunt is doing at the moment, for whoever shows it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;

/// Something that a hunt does, and may have to wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activity {
    /// Scenarios are played.
    #[default]
    Plays,
    /// The setup command runs.
    SetsUp,
    /// A server is starting.
    Starts,
    /// A fresh server serves polite clients until what it has stays the same.
    WarmsUp,
    /// A suspicion is confirmed on fresh servers.
    Confirms,
    /// A finding is cut down.
    Minimises,
    /// A scenario is repeated to see whether something grows.
    Repeats,
    /// A server is given time to let go of what clients left.
    LetsGo,
    /// A server is given time to recover.
    Recovers,
}

impl Activity {
    const ALL: [Activity; 9] = [
        Activity::Plays,
        Activity::SetsUp,
        Activity::Starts,
        Activity::WarmsUp,
        Activity::Confirms,
        Activity::Minimises,
        Activity::Repeats,
        Activity::LetsGo,
        Activity::Recovers,
    ];
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Activity::Plays => "playing scenarios",
            Activity::SetsUp => "waiting for the setup command to end",
            Activity::Starts => "waiting for the server to listen",
            Activity::WarmsUp => "waiting for polite clients to be served by a fresh server",
            Activity::Confirms => "confirming a suspicion on fresh servers",
            Activity::Minimises => "cutting a finding down",
            Activity::Repeats => "repeating a scenario to see whether something grows",
            Activity::LetsGo => "waiting for the server to let go of what clients left",
            Activity::Recovers => "waiting for the server to recover",
        })
    }
}

/// Where a hunt notes what it is doing. Every copy shows the same.
#[derive(Clone, Debug, Default)]
pub struct ActivityLog(Arc<AtomicU8>);

impl ActivityLog {
    /// What it is doing now.
    pub fn now(&self) -> Activity {
        Activity::ALL.get(usize::from(self.0.load(Relaxed))).copied().unwrap_or_default()
    }

    /// Notes what is being done, until what this returns is dropped: then it is what it was before.
    pub(super) fn enter(&self, activity: Activity) -> Doing {
        Doing { log: self.clone(), before: self.0.swap(activity as u8, Relaxed) }
    }
}

/// Something that is being done.
#[derive(Debug)]
pub(super) struct Doing {
    log: ActivityLog,
    before: u8,
}

impl Drop for Doing {
    fn drop(&mut self) {
        self.log.0.store(self.before, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_within_something_is_told_while_it_is_done() {
        let log = ActivityLog::default();
        let shown = log.clone();
        assert_eq!(shown.now(), Activity::Plays);
        let confirms = log.enter(Activity::Confirms);
        let starts = log.enter(Activity::Starts);
        assert_eq!(shown.now(), Activity::Starts);
        drop(starts);
        assert_eq!(shown.now(), Activity::Confirms);
        drop(confirms);
        assert_eq!(shown.now(), Activity::Plays);
    }

    #[test]
    fn every_activity_is_read_back() {
        for (number, activity) in Activity::ALL.into_iter().enumerate() {
            assert_eq!(activity as usize, number);
        }
    }
}
