//! Since which event of a scenario there is what the server keeps.

use super::Lab;
use crate::hunt::baseline::HuntError;
use crate::scenario::{Event, Scenario};
use crate::trace::Trace;
use crate::world::{World, happen};
use std::collections::BTreeSet;

/// The server's sockets and pipes before a scenario, and after each of its events.
#[derive(Debug, Default)]
pub(super) struct Noted {
    before: BTreeSet<String>,
    after: Vec<BTreeSet<String>>,
}

impl Noted {
    /// The index of the event after which something is there for the first time that was not there before and is there `now`. `None` if there is
    /// nothing like that.
    pub(super) fn since(&self, now: &BTreeSet<String>) -> Option<usize> {
        let kept: BTreeSet<&String> = now.difference(&self.before).collect();
        self.after.iter().position(|after| after.iter().any(|link| kept.contains(link)))
    }
}

impl Lab<'_> {
    /// Plays a scenario on the running server, and notes what there is after each event. Notes nothing of one with blocks, whose events come more
    /// than once, nor if the server ends.
    pub(super) fn noted(&mut self, scenario: &Scenario) -> Result<Noted, HuntError> {
        if scenario.events().iter().any(|event| matches!(event, Event::Repeat(_))) {
            return Ok(Noted::default());
        }
        let world = &mut self.running()?.world;
        let mut noted = Noted { before: world.server.sockets_and_pipes(), after: Vec::new() };
        let (mut held, mut trace) = (false, Trace::default());
        world.start(&())?;
        world.foresee(scenario.events());
        for event in scenario.events() {
            if happen(world, event, &mut held, &mut trace)?.1.is_some() {
                return Ok(Noted::default());
            }
            noted.after.push(world.server.sockets_and_pipes());
        }
        if held {
            world.hold(false)?;
            world.settle()?;
        }
        let mut last = None;
        while let Some(client) = world.next_open(last) {
            world.close(client)?;
            world.settle()?;
            last = Some(client);
        }
        world.survivor()?;
        world.reset_vanished()?;
        world.finish()?;
        world.clear(None)?;
        Ok(noted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_there_since_the_event_that_made_it() {
        let set = |links: &[&str]| links.iter().map(|link| (*link).to_owned()).collect::<BTreeSet<String>>();
        let noted = Noted {
            before: set(&["socket:[1]"]),
            after: vec![set(&["socket:[1]", "socket:[2]"]), set(&["socket:[1]", "socket:[2]", "pipe:[3]"])],
        };
        assert_eq!(noted.since(&set(&["socket:[1]", "pipe:[3]"])), Some(1));
        assert_eq!(noted.since(&set(&["socket:[1]", "socket:[2]"])), Some(0));
        assert_eq!(noted.since(&set(&["socket:[1]", "socket:[9]"])), None);
    }
}
