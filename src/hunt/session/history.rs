//! Faults that build up over scenarios: a suspicion that a fresh server does not confirm may come of what other scenarios did to the server
//! before.
//!
//! So what the server had been through is played again on a fresh one, in one scenario, which is minimised as any other.

use super::Hunting;
use super::follow_up::{Suspicion, Wanted, once};
use crate::detect::{Finding, Kind, Severity};
use crate::hunt::activity::Activity;
use crate::hunt::baseline::HuntError;
use crate::hunt::report::HuntEvent;
use crate::scenario::{Action, Client, Event, Limit, MAX_CLIENTS, Repeat, Scenario};

/// How often each scenario is played: only in a block can a client's name be used again, and a block has two rounds at least.
const ROUNDS: usize = 2;

impl<W: FnMut(HuntEvent<'_>)> Hunting<'_, W> {
    /// Puts a suspected failure off that a fresh server did not show. Before it is tried with the history of the server, shorter scenarios may
    /// show it.
    pub(super) fn put_off(&mut self, suspicion: Suspicion) {
        let signature = suspicion.seen.signature;
        // What is left behind is judged by how it grows with repetitions of one scenario.
        let may_build_up = !signature.kind.is_left_behind() && signature.kind != Kind::Spin;
        if may_build_up
            && !suspicion.before.is_empty()
            && suspicion.injected.is_empty()
            && !self.built_up_from.contains(&signature)
        {
            self.built_up_from.push(signature);
            self.put_off.push(suspicion);
        }
    }

    /// Tries what was put off, and reports what comes true.
    pub(super) fn try_histories(&mut self) -> Result<(), HuntError> {
        for suspicion in std::mem::take(&mut self.put_off) {
            if self.is_done() || self.is_known(&suspicion) {
                continue;
            }
            if let Some(finding) = self.unhurried(|hunting| hunting.with_history(&suspicion))?
                && !self.is_found(finding.signature, false)
            {
                self.add(finding);
            }
        }
        Ok(())
    }

    /// Confirms a suspected failure after the scenarios that the server had been through.
    fn with_history(&mut self, suspicion: &Suspicion) -> Result<Option<Finding>, HuntError> {
        let _doing = self.lab.activity.enter(Activity::Confirms);
        let scenario = joined(&suspicion.before, &suspicion.scenario);
        let outcome = once(&mut self.lab, &scenario, Wanted::of(suspicion), true)?;
        let Some(seen) = Wanted::of(suspicion).among(&outcome).cloned() else { return Ok(None) };
        if self.lab.tires(&scenario)? {
            return Ok(None);
        }
        let long = Suspicion { scenario, seen, injected: Vec::new(), before: Vec::new() };
        let finding = self.confirmed(&long)?;
        if finding.severity() == Severity::Unconfirmed {
            return Ok(None);
        }
        let Some(scenario) = in_one_block(&finding.scenario) else { return Ok(Some(finding)) };
        let short = self.confirmed(&Suspicion { scenario, ..long })?;
        Ok(Some(if short.severity() == finding.severity() { short } else { finding }))
    }
}

/// One scenario of what a server has been through and the last one.
fn joined(before: &[Scenario], last: &Scenario) -> Scenario {
    let before = before.iter().flat_map(rounds);
    // After a block the names of its clients are taken.
    let names = last.clients();
    let last = last.events().iter().map(|event| renamed(event, &names));
    Scenario::from_valid(before.chain(last).collect())
}

/// The event with each of these clients under one of the last names.
fn renamed(event: &Event, clients: &[Client]) -> Event {
    let name = |client: &Client| {
        let rank = clients.iter().position(|other| other == client).unwrap_or(0);
        Client::nth(MAX_CLIENTS - 1 - rank)
    };
    match event {
        Event::Client(client, action) => Event::Client(name(client), action.clone()),
        Event::Repeat(repeat) => {
            let inner: Vec<Event> = repeat.events().iter().map(|event| renamed(event, clients)).collect();
            Repeat::new(repeat.times(), &inner).map_or_else(|| event.clone(), Event::Repeat)
        }
        event => event.clone(),
    }
}

/// A scenario and its teardown as blocks. Events outside the blocks of a scenario that has some are left out.
fn rounds(scenario: &Scenario) -> Vec<Event> {
    let scenario = scenario.filtered(|event| !matches!(event, Event::Fault(_)));
    let blocks: Vec<Event> =
        scenario.events().iter().filter(|event| matches!(event, Event::Repeat(_))).cloned().collect();
    if !blocks.is_empty() {
        return blocks;
    }
    let has = |wanted: fn(&Event) -> bool| scenario.events().iter().any(wanted);
    let go = has(|event| *event == Event::Hold).then_some(Event::Go);
    let lifted = has(|event| matches!(event, Event::Limit(_))).then_some(Event::Limit(Limit::Off));
    let closes = scenario.clients().into_iter().map(|client| Event::Client(client, Action::Close));
    let events: Vec<Event> = scenario.events().iter().cloned().chain(go).chain(closes).chain(lifted).collect();
    Repeat::new(ROUNDS, &events).map(Event::Repeat).into_iter().collect()
}

/// The scenario with all its blocks replaced by one, where the last of them is: the block that is the most often among them, with twice as many
/// rounds as all of them have together, for minimising leaves no more of these than it has to. `None` if there are no two blocks.
fn in_one_block(scenario: &Scenario) -> Option<Scenario> {
    let blocks = scenario.events().iter().filter_map(|event| match event {
        Event::Repeat(repeat) => Some(repeat),
        _ => None,
    });
    let blocks: Vec<&Repeat> = blocks.collect();
    let of = |block: &Repeat| blocks.iter().filter(|other| other.events() == block.events()).map(|b| b.times()).sum();
    let most = blocks.iter().max_by_key(|block| -> usize { of(block) })?;
    let times: usize = blocks.iter().map(|block| block.times()).sum();
    let one = Repeat::new(times * 2, most.events()).filter(|_| blocks.len() > 1)?;
    let is_block = |event: &Event| matches!(event, Event::Repeat(_));
    let last = scenario.events().iter().rposition(is_block)?;
    let (before, after) = scenario.events().split_at(last);
    let before = before.iter().filter(|event| !is_block(event)).cloned();
    Some(Scenario::from_valid(before.chain([Event::Repeat(one)]).chain(after[1..].iter().cloned()).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenarios(texts: &[&str]) -> Vec<Scenario> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn what_a_server_has_been_through_is_one_scenario() {
        let before = [
            "a connect; b connect; a rst",
            "hold; repeat 20 { a connect; a rst }; go",
            "fault accept EMFILE; a connect",
        ];
        let whole = joined(&scenarios(&before), &"a connect".parse().unwrap());
        assert_eq!(
            whole.to_string(),
            "repeat 2 { a connect; b connect; a rst; a close; b close }; repeat 20 { a connect; a rst }; \
             repeat 2 { a connect; a close }; zzl connect"
        );
    }

    #[test]
    fn blocks_become_one() {
        let one = |text: &str| in_one_block(&text.parse().unwrap()).map(|scenario| scenario.to_string());
        let text = "repeat 2 { a connect; a rst }; b connect; repeat 3 { a connect; a fin }; repeat 2 { a connect; a rst }; a fin";
        assert_eq!(one(text).as_deref(), Some("b connect; repeat 14 { a connect; a rst }; a fin"));
        assert_eq!(one("repeat 2 { a connect; a rst }; a connect"), None);
    }
}
