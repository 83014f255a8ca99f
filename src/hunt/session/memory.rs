//! Checks whether a server's memory grows with what clients do. That takes hundreds of runs, so it is done once in a hunt.

use super::follow_up::{Wanted, confirm};
use super::{HuntEvent, Hunting};
use crate::detect::{Kind, Severity};
use crate::hunt::baseline::HuntError;
use crate::hunt::seeds::briefest;
use crate::scenario::{Client, Event, Payload, Scenario};

impl<W: FnMut(HuntEvent<'_>)> Hunting<'_, W> {
    /// Checks a few short scenarios for growing memory, unless there is a finding already.
    pub(super) fn memory(&mut self, payloads: &[Payload]) -> Result<(), HuntError> {
        // A server that writes without end is never idle, so the memory that it uses says nothing.
        let is_found = self.report.findings.iter().any(|f| f.severity() == Severity::Finding);
        if self.is_done() || self.lab.floods() || is_found {
            return Ok(());
        }
        let mut chosen = briefest(payloads.first());
        // All of these scenarios are checked at once first. Nearly all servers pass, and need no further check.
        let all = side_by_side(&chosen);
        if self.lab.grows_in_memory(&all, true)?.seen.is_empty() {
            return Ok(());
        }
        chosen.push(all);
        for scenario in chosen {
            if self.is_done() || self.how.time.is_some_and(|time| self.start.elapsed() >= time) {
                break;
            }
            if self.lab.grows_in_memory(&scenario, false)?.seen.is_empty() {
                continue;
            }
            let wanted = Wanted::Kind(Kind::MemoryGrowth);
            let finding = self.unhurried(|hunting| confirm(&mut hunting.lab, &scenario, wanted))?;
            if finding.is_confirmed() {
                self.add(finding);
                break;
            }
        }
        Ok(())
    }
}

/// One scenario of several, one after the other, each with a client of its own. Each of them must have one client only.
fn side_by_side(scenarios: &[Scenario]) -> Scenario {
    let renamed = scenarios.iter().enumerate().flat_map(|(number, scenario)| {
        scenario.events().iter().map(move |event| match event {
            Event::Client(_, action) => Event::Client(Client::nth(number), action.clone()),
            event => event.clone(),
        })
    });
    Scenario::from_valid(renamed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_side_by_side_have_a_client_each() {
        let scenarios = ["a connect; a rst", "a connect; a send 5; a rst"].map(|text| text.parse().unwrap());
        assert_eq!(side_by_side(&scenarios).to_string(), "a connect; a rst; b connect; b send 5; b rst");
    }
}
