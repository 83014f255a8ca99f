//! From a scenario that fails to the fewest events that do.
//!
//! Whether a scenario fails is asked of the caller, who plays it where it matters. First events are deleted, many at a time
//! and then one by one, and after them those in blocks; blocks are dissolved, or have fewer rounds. A death is then looked up in the model, which is fast enough to walk all that is shorter; what
//! it comes up with counts only if it fails as well. Where the model has nothing to say, events are replaced by earlier
//! ones of the table as long as it goes on failing.

use super::Death;
use super::death::written_out;
use super::shortest::shortest;
use crate::scenario::{Action, Client, Event, Fault, Payload, Repeat, Scenario, Wait};
use crate::subject::Setup;
use crate::trace::Trace;
use std::collections::HashMap;

/// After so many scenarios asked about, no more events are replaced. Deletion has no bound: it is what makes a result minimal.
const MAX_ASKED: usize = 2_000;

/// The smallest scenario with the death of this one. `play` plays a scenario against a server of `setup` and writes its
/// trace.
///
/// The result stands by itself: what the teardown did is written out as events, so that the last event is the one that
/// kills, or a block in which it does. It dies of the same [`Death`] before its teardown begins, and does not with any one event
/// removed, one of a block either. Where the
/// model foresees that death, the result depends on the setup and the death alone: it is the shortest, one of plain clients
/// if there is one, and the first in the order of the event table.
///
/// `None` if the server survives, or does not die again when the teardown is written out.
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

/// A small scenario that `fails` as this one does: a disagreement, say, or whatever else `fails` asks about.
///
/// It no longer fails with any one event removed, one of a block either, nor with any block in place of its rounds played once. Its
/// clients are named `a`, `b`, … in the order of their connects, and its events are the earliest of the event table, with the smallest
/// payloads, as far as it then still fails; but a fault of a call keeps its error.
///
/// A scenario that does not fail to begin with comes back as it is, unless something smaller does.
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
        // No step of the search names a client that the scenario did not name.
        let scenario = Scenario::from_valid(events.to_vec());
        if let Some(answer) = self.answers.get(&scenario) {
            return Ok(*answer);
        }
        let answer = (self.ask)(&scenario)?;
        self.answers.insert(scenario, answer);
        Ok(answer)
    }

    /// Deletes events until it fails with none of the rest removed; then those in blocks, and rounds.
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

    /// Deletes of a list; `whole` makes all events of what is left of it, if it can.
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

    /// Makes the block that is event `i` as small as it goes: its events, then the block itself, then its rounds.
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
        // More rounds fail rather than fewer, and it fails with so many.
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

    /// Deletes, renames and replaces until none of them gets any further.
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

    /// Replaces each event by the earliest with which it still fails. Whether there was any to replace.
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

/// The events, their clients named by rank in the order of their connects; those that never connect come last.
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

/// The event, its clients named by their rank in this order.
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

/// The events of these clients that come before this one, in order. A block comes after the same with any event of it earlier.
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
    // Of two errors neither is the simpler one, and which it is matters to the reader.
    let other_call = |fault: &Fault| !matches!(event, Event::Fault(own) if own.call() == fault.call());
    events.extend(Fault::all().filter(other_call).map(Event::Fault));
    events.extend(clients.iter().flat_map(|c| actions.iter().map(|a| Event::Client(*c, a.clone()))));
    if let Event::Wait(wait) = event {
        // Each time costs as long, so that to within an eighth is near enough.
        let n = wait.as_millis();
        events.extend([n / 2, n - n / 4, n - n / 8].into_iter().filter_map(Wait::millis).map(Event::Wait));
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

/// Payloads half as long and one byte shorter: the same bytes, and filling.
fn shorter(payload: &Payload) -> impl Iterator<Item = Payload> {
    let lens = [payload.len() / 2, payload.len().saturating_sub(1)];
    let given = payload.given().unwrap_or_default();
    let cut = lens.into_iter().filter(|n| *n < given.len()).filter_map(|n| Payload::bytes(&given[..n]));
    lens.into_iter().filter_map(Payload::filling).chain(cut)
}
