//! The summary of all trials.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many of the slowest hunts the summary lists.
const SLOWEST: usize = 5;

/// How long each hunt took, and which servers were not hunted.
#[derive(Debug)]
pub(crate) struct Tally {
    hunted: BTreeMap<&'static str, Duration>,
    /// The skipped servers, by what was missing.
    skipped: BTreeMap<String, Vec<&'static str>>,
}

impl Tally {
    /// The tally of this process.
    pub(crate) fn get() -> MutexGuard<'static, Tally> {
        static ALL: Mutex<Tally> = Mutex::new(Tally { hunted: BTreeMap::new(), skipped: BTreeMap::new() });
        ALL.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn hunted(&mut self, server: &'static str, took: Duration) {
        self.hunted.insert(server, took);
    }

    pub(crate) fn skipped(&mut self, server: &'static str, missing: String) {
        self.skipped.entry(missing).or_default().push(server);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut slowest: Vec<_> = self.hunted.iter().collect();
        slowest.sort_by_key(|(_, took)| std::cmp::Reverse(**took));
        let told = |(name, took): &(&&str, &Duration)| format!("{name} {:.0} s", took.as_secs_f64());
        let slowest: Vec<_> = slowest.iter().take(SLOWEST).map(told).collect();
        let total: Duration = self.hunted.values().sum();
        let (count, seconds) = (self.hunted.len(), total.as_secs_f64());
        if count > 0 {
            write!(f, "{count} servers were hunted for {seconds:.0} s in all; the slowest: {}", slowest.join(", "))?;
        }
        let skipped: usize = self.skipped.values().map(Vec::len).sum();
        if skipped > 0 {
            let skipped_for = |(missing, names): (&String, &Vec<&str>)| format!("{} ({missing})", names.join(", "));
            let why: Vec<_> = self.skipped.iter().map(skipped_for).collect();
            write!(f, "\nskipped: {skipped} servers: {}", why.join("; "))?;
        }
        Ok(())
    }
}
