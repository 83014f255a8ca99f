//! Finds the shortest scenario that leads to a death in the model.
//!
//! The model is a value that can be cloned, compared and hashed, so this is a breadth-first search over its distinct states.
//! Events are tried in their order. So the first path into a state is a shortest one, and the first in that order among the
//! shortest. An event that does nothing leads to a state already seen.

use super::Death;
use crate::model::Model;
use crate::scenario::{Action, Client, Event, Payload};
use crate::subject::Setup;
use crate::trace::Trace;
use crate::world::{World, certain, happen};
use std::collections::HashSet;

/// Maximum number of states that one walk keeps: about 20 ms of work. The presets' deaths take less than a tenth of them.
const MAX_STATES: usize = 10_000;

/// Number of clients in a walk. Connections share nothing but the server's time, so two clients have every effect that more could
/// have: one waits in the accept queue while the other keeps the server busy.
const CLIENTS: usize = 2;

/// The shortest scenario of at most `limit` events that ends in this death. Among equally short scenarios it is one of plain
/// client events; if there is none, one with `vanish`; if there is none, one with `hold`, `step` or `go`. Among those it is the
/// first in the order of the events.
///
/// `None` if the model has no such scenario, or none within [`MAX_STATES`]. Faults and larger payloads are not tried, because a
/// client that goes away brings the server as far as any of them.
pub(super) fn shortest(setup: &Setup, death: Death, mut limit: usize) -> Option<Vec<Event>> {
    let mut alphabet = Vec::new();
    let mut found = None;
    for more in [plain(), clients(Action::Vanish), vec![Event::Hold, Event::Step, Event::Go]] {
        alphabet.extend(more);
        alphabet.sort_unstable();
        if let Some(events) = walk(setup, death, &alphabet, limit) {
            // With more kinds of events only a shorter scenario is better.
            limit = events.len() - 1;
            found = Some(events);
        }
    }
    found
}

/// The plain client events: the actions of `Enumerate::plain_actions`, with the smallest payload.
fn plain() -> Vec<Event> {
    let send = Payload::filling(1).map(Action::Send);
    let rest = [Action::Connect, Action::Recv, Action::Fin, Action::Close, Action::Rst];
    send.into_iter().chain(rest).flat_map(clients).collect()
}

fn clients(action: Action) -> Vec<Event> {
    (0..CLIENTS).map(|k| Event::Client(Client::nth(k), action.clone())).collect()
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    model: Model,
    held: bool,
    connected: usize,
}

impl State {
    fn start(setup: &Setup) -> State {
        let mut model = Model::default();
        certain(model.start(setup));
        State { model, held: false, connected: 0 }
    }

    /// Whether to try the event now: clients connect in the order of their names, and act only after their connect.
    fn allows(&self, event: &Event) -> bool {
        match event {
            Event::Client(client, Action::Connect) => *client == Client::nth(self.connected),
            Event::Client(client, _) => *client < Client::nth(self.connected),
            _ => true,
        }
    }

    /// The state after an event, or the death if the event kills the server.
    fn after(&self, event: &Event, scratch: &mut Trace) -> Result<State, Death> {
        let mut after = self.clone();
        after.connected += usize::from(matches!(event, Event::Client(_, Action::Connect)));
        scratch.clear();
        match certain(happen(&mut after.model, event, &mut after.held, scratch)) {
            (_, Some(ending)) => Err(Death { ending, call: scratch.calls().last().map(|called| called.call) }),
            (_, None) => Ok(after),
        }
    }
}

/// How a state was first reached.
struct Node<'a> {
    from: Option<usize>,
    by: &'a Event,
}

/// The shortest scenario of at most `limit` events of `alphabet` that ends in this death; among equally short ones the first in
/// the order of `alphabet`.
fn walk(setup: &Setup, death: Death, alphabet: &[Event], limit: usize) -> Option<Vec<Event>> {
    let start = State::start(setup);
    let mut seen = HashSet::from([start.clone()]);
    let mut nodes = Vec::new();
    let mut frontier = vec![(start, None)];
    let mut scratch = Trace::default();
    for _ in 0..limit {
        let mut next = Vec::new();
        for (state, from) in frontier {
            for by in alphabet.iter().filter(|event| state.allows(event)) {
                match state.after(by, &mut scratch) {
                    Err(end) if end == death => return Some(path(&nodes, Node { from, by })),
                    Ok(after) if !seen.contains(&after) => {
                        if seen.len() == MAX_STATES {
                            return None;
                        }
                        seen.insert(after.clone());
                        next.push((after, Some(nodes.len())));
                        nodes.push(Node { from, by });
                    }
                    _ => {}
                }
            }
        }
        frontier = next;
    }
    None
}

/// The events on the path to `last`, its own event included.
fn path(nodes: &[Node<'_>], last: Node<'_>) -> Vec<Event> {
    let mut events = vec![last.by.clone()];
    let mut from = last.from;
    while let Some(node) = from.map(|n| &nodes[n]) {
        events.push(node.by.clone());
        from = node.from;
    }
    events.reverse();
    events
}
