//! Faults that build up: a scenario does a little harm that no health check sees, and the server fails when it has been done often enough.
//!
//! A thread or a process that ends in a scenario is a hint. It may be one of a pool that shrinks when there is little to do. It may also be
//! one that nobody replaces, so that in the end nobody is left to serve. So the scenario is repeated on a fresh server, and what that shows is
//! followed up as any other suspicion.

use super::follow_up::Suspicion;
use super::{HuntEvent, Hunting};
use crate::hunt::baseline::HuntError;
use crate::scenario::{Event, Repeat, Scenario};

/// How often a scenario is repeated: more than most pools have members.
const TIMES: usize = 100;
/// How many scenarios are tried in a hunt.
const MOST: u32 = 6;

impl<W: FnMut(HuntEvent<'_>)> Hunting<'_, W> {
    /// Repeats a scenario that has left the server with fewer threads or processes, and follows up what shows.
    pub(super) fn build_up(&mut self, scenario: &Scenario) -> Result<(), HuntError> {
        let Some(often) = Repeat::new(TIMES, scenario.events()) else { return Ok(()) };
        if self.built_up >= MOST {
            return Ok(());
        }
        self.built_up += 1;
        let often = Scenario::from_valid(vec![Event::Repeat(often)]);
        self.lab.end();
        let outcome = self.lab.screen(&often)?;
        self.lab.end();
        for seen in outcome.seen.into_iter().filter(|seen| !seen.signature.kind.is_left_behind()) {
            if self.is_done() {
                break;
            }
            let injected = outcome.injected.clone();
            self.suspect(Suspicion { scenario: often.clone(), seen, injected, before: Vec::new() })?;
        }
        Ok(())
    }
}
