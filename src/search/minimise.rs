//! Minimises a scenario that fails.
//!
//! The caller says whether a scenario fails, and plays it in the world of its choice. First events are deleted, many at a time
//! and then one by one. Then events in blocks are deleted, and blocks are replaced by their events or get fewer rounds. For a
//! death the model is then searched, because it is fast enough to try everything that is shorter; its scenario is used only if it
//! fails as well. Without one, events are replaced by earlier events of the event table as long as the scenario still fails.

use super::Death;
use super::death::written_out;
use super::shortest::shortest;
use crate::scenario::{Action, Client, Event, Fault, Payload, Repeat, Scenario, Wait};
use crate::subject::Setup;
use crate::trace::Trace;
use std::collections::HashMap;

/// Once this many scenarios have been tried, no more events are replaced. Deletion has no bound, because it makes a result
/// minimal.
const MAX_ASKED: usize = 2_000;

/// Minimises a scenario that kills the server, and keeps the death. `play` plays a scenario against a server of `setup` and
/// writes its trace.
///
/// The result does not need the teardown: what the teardown did is written out as events, so that the last event is the fatal
/// one, or a block in which the server dies. The server dies of the same [`Death`] before the teardown begins, and does not if
/// any one event is removed, inside a block too. If the model predicts the death, the result depends on the setup and the death
/// alone: it is the shortest scenario, among equally short ones one of plain client events if there is one, and among those the
/// first in the order of the event table.
///
/// `None` if the server survives, or does not die again when what the teardown did is written out as events.
///
/// ```
/// use brokenpipe::{Model, Setup, minimise_death, play};
///
/// let setup = Setup::default();
/// let scenario = "a connect; b connect; a send 5; hold; b fin; c connect; b rst; c recv".parse()?;
/// let mut kernel = Model::default(); // In earnest, the kernel.
/// let small = minimise_death(&scenario, &setup, |s, trace| play(&mut kernel, &setup, s, trace))?;
/// assert_eq!(small.map(|s| s.to_string()).as_deref(), Some("a connect; b connect; b fin; b rst; a fin"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Those of `play`.
pub fn minimise_death<E>(
    scenario: &Scenario,
    setup: &Setup,
    mut play: impl FnMut(&Scenario, &mut Trace) -> Result<(), E>,
) -> Result<Option<Scenario>, E> {
    let mut trace = Trace::default();
    play(scenario, &mut trace)?;
    let Some(death) = Death::of(&trace) else {
        return Ok(None);
    };
    let events = written_out(scenario, &trace);
    let mut search = Search::new(|scenario: &Scenario| {
        play(scenario, &mut trace)?;
        Ok(death.comes_early(&trace))
    });
    if !search.fails(&events)? {
        return Ok(None);
    }
    let events = search.delete(events)?;
    let limit = Scenario::from_valid(events.clone()).played();
    let small = match shortest(setup, death, limit) {
        Some(foreseen) if search.fails(&foreseen)? => search.delete(foreseen)?,
        _ => search.simplify(events)?,
    };
    Ok(Some(Scenario::from_valid(small)))
}

/// Minimises a scenario for which `fails` holds. `fails` may test for a disagreement, for example, or for any other property.
///
/// The result no longer fails if any one event is removed, inside a block too, or if any block is replaced by its events played
/// once. Its clients are renamed to `a`, `b`, … in the order of their connects, and its events are replaced by the earliest
/// events of the event table, with the smallest payloads, as long as the scenario still fails. A fault is not replaced by another
/// error of the same call.
///
/// A scenario that does not fail is returned unchanged, unless a smaller one that is tried fails.
///
/// ```
/// use brokenpipe::{Scenario, minimise};
/// use std::convert::Infallible;
///
/// let scenario: Scenario = "hold; web connect; db connect; db send 60; go; web rst".parse()?;
/// let fails = |s: &Scenario| Ok::<_, Infallible>(s.to_string().contains("rst"));
/// assert_eq!(minimise(&scenario, fails)?.to_string(), "a rst");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Those of `fails`.
pub fn minimise<E>(scenario: &Scenario, fails: impl FnMut(&Scenario) -> Result<bool, E>) -> Result<Scenario, E> {
    let small = Search::new(fails).simplify(scenario.events().to_vec())?;
    Ok(Scenario::from_valid(small))
}

/// Asks whether scenarios fail, and remembers the answers.
struct Search<F> {
    ask: F,
    answers: HashMap<Scenario, bool>,
}

impl<E, F: FnMut(&Scenario) -> Result<bool, E>> Search<F> {
    fn new(ask: F) -> Search<F> {
        Search { ask, answers: HashMap::new() }
    }

    fn fails(&mut self, events: &[Event]) -> Result<bool, E> {
        // Valid: the search never adds a client, and `shortest` names only two.
        let scenario = Scenario::from_valid(events.to_vec());
        if let Some(answer) = self.answers.get(&scenario) {
            return Ok(*answer);
        }
        let answer = (self.ask)(&scenario)?;
        self.answers.insert(scenario, answer);
        Ok(answer)
    }

    /// Deletes events until the scenario no longer fails if one more is removed; then deletes events in blocks, and rounds.
    /// Repeats this until nothing changes.
    fn delete(&mut self, mut events: Vec<Event>) -> Result<Vec<Event>, E> {
        loop {
            events = self.delete_of(events, |events| Some(events.to_vec()))?;
            let before = events.clone();
            let mut i = 0;
            while let Some(event) = events.get(i) {
                if let Event::Repeat(repeat) = event.clone() {
                    self.cut(&mut events, i, repeat)?;
                }
                i += 1;
            }
            if events == before {
                return Ok(events);
            }
        }
    }

    /// Deletes events from a list, which is a scenario or a block. `whole` builds the events of the scenario from what is left of
    /// the list, or gives `None` if that is not possible.
    fn delete_of(
        &mut self,
        mut list: Vec<Event>,
        whole: impl Fn(&[Event]) -> Option<Vec<Event>>,
    ) -> Result<Vec<Event>, E> {
        let mut chunk = (list.len() / 2).max(1);
        loop {
            let len = list.len();
            let mut end = len;
            while end > 0 {
                let start = end.saturating_sub(chunk);
                let fewer = [&list[..start], &list[end..]].concat();
                if let Some(events) = whole(&fewer)
                    && self.fails(&events)?
                {
                    list = fewer;
                }
                end = start;
            }
            if chunk == 1 && list.len() == len {
                return Ok(list);
            }
            chunk = (chunk / 2).max(1);
        }
    }

    /// Minimises the block that is event `i`: deletes its events, then tries its events without the block, then tries fewer
    /// rounds.
    fn cut(&mut self, events: &mut Vec<Event>, i: usize, repeat: Repeat) -> Result<(), E> {
        let whole = |events: &[Event], times, inner: &[Event]| {
            let block = Event::Repeat(Repeat::new(times, inner)?);
            Some([&events[..i], &[block], &events[i + 1..]].concat())
        };
        let inner = self.delete_of(repeat.events().to_vec(), |inner| whole(events, repeat.times(), inner))?;
        let once = [&events[..i], &inner, &events[i + 1..]].concat();
        if self.fails(&once)? {
            *events = once;
            return Ok(());
        }
        // A binary search: `fails` rounds are known to fail. If a number of rounds fails, a greater number is assumed to fail
        // too.
        let (mut fails, mut holds) = (repeat.times(), 1);
        while fails - holds > 1 {
            let times = holds.midpoint(fails);
            match whole(events, times, &inner) {
                Some(fewer) if self.fails(&fewer)? => fails = times,
                _ => holds = times,
            }
        }
        if let Some(cut) = whole(events, fails, &inner) {
            *events = cut;
        }
        Ok(())
    }

    /// Deletes, renames and replaces until nothing changes.
    fn simplify(&mut self, mut events: Vec<Event>) -> Result<Vec<Event>, E> {
        loop {
            events = self.delete(events)?;
            let renamed = renamed(&events);
            if renamed != events && self.fails(&renamed)? {
                events = renamed;
            } else if !self.replace(&mut events)? {
                return Ok(events);
            }
        }
    }

    /// Replaces each event by the earliest event with which the scenario still fails. Returns whether any event was replaced.
    fn replace(&mut self, events: &mut [Event]) -> Result<bool, E> {
        let clients = Scenario::from_valid(events.to_vec()).clients();
        let mut replaced = false;
        for i in 0..events.len() {
            for earlier in earlier(&events[i], &clients) {
                if self.answers.len() >= MAX_ASKED {
                    return Ok(replaced);
                }
                let old = std::mem::replace(&mut events[i], earlier);
                if self.fails(events)? {
                    replaced = true;
                    break;
                }
                events[i] = old;
            }
        }
        Ok(replaced)
    }
}

/// The events with their clients renamed in the order of their connects; clients that never connect come last.
fn renamed(events: &[Event]) -> Vec<Event> {
    let mut order: Vec<Client> = Vec::new();
    let all = || events.iter().flat_map(Event::parts);
    let connects = all().filter(|e| matches!(e, Event::Client(_, Action::Connect)));
    for client in connects.chain(all()).filter_map(Event::client) {
        if !order.contains(&client) {
            order.push(client);
        }
    }
    events.iter().map(|event| rename(event, &order)).collect()
}

/// The event with each client named by its rank in `order`.
fn rename(event: &Event, order: &[Client]) -> Event {
    match event {
        Event::Client(client, action) => {
            let rank = order.iter().position(|c| c == client).unwrap_or(0);
            Event::Client(Client::nth(rank), action.clone())
        }
        Event::Repeat(repeat) => {
            let renamed: Vec<Event> = repeat.events().iter().map(|event| rename(event, order)).collect();
            Repeat::new(repeat.times(), &renamed).map_or_else(|| event.clone(), Event::Repeat)
        }
        other => other.clone(),
    }
}

/// The candidates to replace this event: events of these clients that come before it in the order of the event table, earliest
/// first. For a block also the same block with any one of its events replaced so.
fn earlier(event: &Event, clients: &[Client]) -> Vec<Event> {
    let mut actions = vec![
        Action::Connect,
        Action::Recv,
        Action::Fin,
        Action::Close,
        Action::Rst,
        Action::Vanish,
        Action::Urgent,
        Action::Stall,
    ];
    actions.extend([0, 1, 5].into_iter().filter_map(Payload::filling).map(Action::Send));
    if let Event::Client(_, Action::Send(payload)) = event {
        actions.extend(shorter(payload).map(Action::Send));
    }
    let mut events = vec![Event::Hold, Event::Step, Event::Go];
    // No error is simpler than another, and the reader needs the error that failed.
    let other_call = |fault: &Fault| !matches!(event, Event::Fault(own) if own.call() == fault.call());
    events.extend(Fault::all().filter(other_call).map(Event::Fault));
    events.extend(clients.iter().flat_map(|c| actions.iter().map(|a| Event::Client(*c, a.clone()))));
    if let Event::Wait(wait) = event {
        // A round time, where that is long enough: it is often the server's own.
        let n = wait.as_millis();
        let round = [60_000, 10_000, 1000, 100, 10].map(|unit| n - n % unit);
        // Each try may take as long as its wait, so of a short one a result within an eighth of the minimum is good enough.
        let parts = if n < 1000 { 2..=8 } else { 2..=256 };
        let shorter = (1..=8).map(|power| 1 << power).filter(|part| parts.contains(part)).map(|part| n - n / part);
        events.extend(round.into_iter().chain(shorter).filter_map(Wait::millis).map(Event::Wait));
    }
    events.retain(|e| e < event);
    events.sort_unstable();
    events.dedup();
    if let Event::Repeat(repeat) = event {
        for (i, inner) in repeat.events().iter().enumerate() {
            let (before, after) = (&repeat.events()[..i], &repeat.events()[i + 1..]);
            let with = |e: Event| Repeat::new(repeat.times(), &[before, &[e], after].concat());
            events.extend(earlier(inner, clients).into_iter().filter_map(with).map(Event::Repeat));
        }
    }
    events
}

/// Payloads that are shorter by a half, a quarter, an eighth and so on, down to one byte: the same bytes, and filling.
fn shorter(payload: &Payload) -> impl Iterator<Item = Payload> {
    let (len, given) = (payload.len(), payload.given().unwrap_or_default());
    let parts = (1..usize::BITS).map(move |power| len >> power).take_while(|part| *part > 0);
    let lens: Vec<usize> = parts.map(|part| len - part).collect();
    let cut = lens.clone().into_iter().filter(|n| *n < given.len()).filter_map(|n| Payload::bytes(&given[..n]));
    lens.into_iter().filter_map(Payload::filling).chain(cut)
}
