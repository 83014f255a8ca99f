//! Enumerates every scenario up to a length, without those that differ only in the names of clients.

use super::{Action, Client, Event, Scenario};

/// Every scenario of 1 to `events` events in which up to `clients` clients do `actions` and, in between, `others` happen. Shorter
/// scenarios come first. Those of one length come in the order in which `actions` and `others` are given.
///
/// Scenarios that differ only in the names of their clients come once: a client's first event is its connect, and client k+1
/// connects only after client k. Events that do nothing are kept.
///
/// ```
/// use brokenpipe::{Action, enumerate};
///
/// let all: Vec<String> = enumerate(2, 2, vec![Action::Connect, Action::Rst], vec![]).map(|s| s.to_string()).collect();
/// assert_eq!(all, ["a connect", "a connect; a connect", "a connect; b connect", "a connect; a rst"]);
/// ```
pub fn enumerate(events: usize, clients: usize, actions: Vec<Action>, others: Vec<Event>) -> Enumerate {
    Enumerate { events, clients: clients.min(super::MAX_CLIENTS), actions, others, current: Vec::new() }
}

/// The iterator of [`enumerate`].
#[derive(Clone, Debug)]
pub struct Enumerate {
    events: usize,
    clients: usize,
    actions: Vec<Action>,
    others: Vec<Event>,
    /// The choice at each position, as in `choice`. Together they are a number in base `choices`, with gaps where a choice is not
    /// legal.
    current: Vec<usize>,
}

impl Enumerate {
    /// The basic actions, over which the exhaustive tests enumerate.
    pub fn plain_actions() -> Vec<Action> {
        let send = Action::Send(super::Payload::FIVE);
        vec![Action::Connect, send, Action::Recv, Action::Fin, Action::Close, Action::Rst]
    }

    fn choices(&self) -> usize {
        self.actions.len() * self.clients + self.others.len()
    }

    fn choice(&self, n: usize) -> Event {
        match self.actions.get(n / self.clients.max(1)) {
            Some(action) => Event::Client(Client::nth(n % self.clients.max(1)), action.clone()),
            None => self.others[n - self.actions.len() * self.clients].clone(),
        }
    }

    /// Whether choice `n` is legal when `connected` clients have connected.
    fn legal(&self, n: usize, connected: usize) -> bool {
        match self.actions.get(n / self.clients.max(1)) {
            Some(Action::Connect) => n % self.clients <= connected,
            Some(_) => n % self.clients < connected,
            None => true,
        }
    }

    /// How many clients have connected in the first `len` choices.
    fn connected(&self, len: usize) -> usize {
        let connect = |n: &usize| match self.actions.get(n / self.clients.max(1)) {
            Some(Action::Connect) => n % self.clients + 1,
            _ => 0,
        };
        self.current[..len].iter().map(connect).max().unwrap_or(0)
    }

    /// Moves position `at` to its next legal choice, starting at `from`, and all later positions to their first one. False if
    /// there is no such choice.
    fn advance(&mut self, at: usize, from: usize) -> bool {
        let connected = self.connected(at);
        let Some(n) = (from..self.choices()).find(|n| self.legal(*n, connected)) else {
            return false;
        };
        self.current[at] = n;
        at + 1 == self.current.len() || self.advance(at + 1, 0)
    }
}

impl Iterator for Enumerate {
    type Item = Scenario;

    fn next(&mut self) -> Option<Scenario> {
        let mut moved = false;
        for at in (0..self.current.len()).rev() {
            if self.advance(at, self.current[at] + 1) {
                moved = true;
                break;
            }
        }
        if !moved {
            if self.current.len() == self.events {
                return None;
            }
            self.current.push(0);
            if !self.advance(0, 0) {
                return None;
            }
        }
        Some(Scenario::from_valid(self.current.iter().map(|n| self.choice(*n)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Every sequence over the alphabet, renamed so that clients are numbered as they connect, without those in which a
    /// client acts before it connects.
    fn by_brute_force(events: usize, clients: usize) -> HashSet<String> {
        let mut all = HashSet::new();
        let alphabet: Vec<Event> = Enumerate::plain_actions()
            .into_iter()
            .flat_map(|a| (0..clients).map(move |k| Event::Client(Client::nth(k), a.clone())))
            .collect();
        for len in 1..=events {
            for mut n in 0..alphabet.len().pow(len as u32) {
                let mut known = Vec::new();
                let mut renamed = Vec::new();
                for _ in 0..len {
                    let Event::Client(client, action) = &alphabet[n % alphabet.len()] else { unreachable!() };
                    n /= alphabet.len();
                    let rank = known.iter().position(|c| c == client).unwrap_or_else(|| {
                        known.push(*client);
                        known.len() - 1
                    });
                    let first = known.len() == rank + 1
                        && !renamed.iter().any(|e: &Event| e.client() == Some(Client::nth(rank)));
                    if first && *action != Action::Connect {
                        renamed.clear();
                        break;
                    }
                    renamed.push(Event::Client(Client::nth(rank), action.clone()));
                }
                if renamed.len() == len {
                    all.insert(Scenario::from_valid(renamed).to_string());
                }
            }
        }
        all
    }

    #[test]
    fn each_scenario_up_to_renaming_comes_exactly_once() {
        let listed: Vec<String> = enumerate(4, 3, Enumerate::plain_actions(), vec![]).map(|s| s.to_string()).collect();
        let distinct: HashSet<String> = listed.iter().cloned().collect();
        assert_eq!(listed.len(), distinct.len());
        assert_eq!(distinct, by_brute_force(4, 3));
    }

    #[test]
    fn events_of_no_client_need_no_client() {
        let all: Vec<String> = enumerate(2, 0, vec![], vec![Event::Hold, Event::Go]).map(|s| s.to_string()).collect();
        assert_eq!(all, ["hold", "go", "hold; hold", "hold; go", "go; hold", "go; go"]);
        assert_eq!(enumerate(0, 3, Enumerate::plain_actions(), vec![]).count(), 0);
    }
}
