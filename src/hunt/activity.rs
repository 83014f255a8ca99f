//! What a hunt is doing at the moment, for a progress display.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;

/// What a hunt is doing.
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
    /// Polite clients warm up a fresh server, until its resource counts stay the same.
    WarmsUp,
    /// A suspected failure is confirmed on fresh servers.
    Confirms,
    /// A failure is minimised.
    Minimises,
    /// A scenario is repeated to see whether a resource grows.
    Repeats,
    /// A server is given time to release what clients have left.
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

/// Where a hunt records what it is doing. All clones show the same.
#[derive(Clone, Debug, Default)]
pub struct ActivityLog(Arc<AtomicU8>);

impl ActivityLog {
    /// What the hunt is doing now.
    pub fn now(&self) -> Activity {
        Activity::ALL.get(usize::from(self.0.load(Relaxed))).copied().unwrap_or_default()
    }

    /// Records `activity` until the returned value is dropped, which restores the activity from before.
    pub(super) fn enter(&self, activity: Activity) -> Doing {
        Doing { log: self.clone(), before: self.0.swap(activity as u8, Relaxed) }
    }
}

/// Restores the activity from before when it is dropped.
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
