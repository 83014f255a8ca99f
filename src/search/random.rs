//! Random scenarios from a seed.

use crate::scenario::table::{EVENTS, Form, Row};
use crate::scenario::{Action, Client, Event, Fault, MAX_CLIENTS, MAX_SEND, Payload, Repeat, Scenario, Wait};
use fastrand::Rng;

/// What random scenarios look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Maximum number of clients of one scenario, clamped to 1 to [`MAX_CLIENTS`].
    pub clients: usize,
    /// Minimum number of events.
    pub min_events: usize,
    /// Maximum number of events, raised to `min_events` if it is less.
    pub max_events: usize,
    /// Whether clients may `vanish`.
    pub vanish: bool,
    /// Whether the server may be held: `hold`, `step` and `go`.
    pub hold: bool,
    /// Whether the server's calls may fail with injected errors: `fault`.
    pub faults: bool,
    /// Whether clients may send an urgent byte.
    pub urgent: bool,
    /// Whether clients may stall.
    pub stall: bool,
    /// Whether time may pass: `wait`. A wait takes real time, so runs take longer.
    pub waits: bool,
    /// Whether there may be blocks: `repeat`. A run plays all rounds of a block, so it takes longer.
    pub repeats: bool,
}

impl Shape {
    /// Whether single events of this row may be drawn.
    fn allows(&self, row: &Row) -> bool {
        match &row.form {
            Form::Client(Action::Vanish) => self.vanish,
            Form::Client(Action::Urgent) => self.urgent,
            Form::Client(Action::Stall) => self.stall,
            Form::Client(_) | Form::Send => true,
            Form::Harness(_) => self.hold,
            Form::Fault => self.faults,
            Form::Wait => self.waits,
            // Limits and signals have no effect on a program; `Draft::repeat` draws blocks.
            Form::Limit | Form::Signal | Form::Repeat => false,
        }
    }
}

/// Three clients, 4 to 8 events, and all kinds of events except those that take long: no `wait` and no `repeat`.
impl Default for Shape {
    fn default() -> Shape {
        Shape {
            clients: 3,
            min_events: 4,
            max_events: 8,
            vanish: true,
            hold: true,
            faults: true,
            urgent: true,
            stall: true,
            waits: false,
            repeats: false,
        }
    }
}

/// An endless iterator of random scenarios. The same seed and shape always give the same scenarios, and each can be made from its
/// number alone.
///
/// Most events have an effect, because they fit the state of their client. A held server is usually released in the end. Clients
/// are named in the order of their connects.
///
/// ```
/// use brokenpipe::{Random, Shape};
///
/// let random = Random::new(42, Shape::default());
/// let tenth = random.scenario(9);
/// assert_eq!(random.skip(9).next(), Some(tenth));
/// ```
#[derive(Clone, Debug)]
pub struct Random {
    origin: u64,
    shape: Shape,
    next: u64,
}

impl Random {
    /// The scenarios of this seed and shape, from number 0 on.
    pub fn new(seed: u64, shape: Shape) -> Random {
        // The seed is scrambled, so that the scenarios of seed 1 are not those of seed 0 shifted by one.
        Random { origin: Rng::with_seed(seed).u64(..), shape, next: 0 }
    }

    /// The scenario of this number, from 0.
    pub fn scenario(&self, number: u64) -> Scenario {
        let mut rng = Rng::with_seed(self.origin.wrapping_add(number));
        let len = rng.usize(self.shape.min_events..=self.shape.max_events.max(self.shape.min_events));
        let limit = rng.usize(1..=self.shape.clients.clamp(1, MAX_CLIENTS));
        let mut draft = Draft { rng, shape: self.shape, limit, clients: Vec::new(), held: false, events: Vec::new() };
        while draft.events.len() < len {
            if draft.shape.repeats && draft.one_in(6) {
                draft.repeat();
                continue;
            }
            let event = draft.event(len - draft.events.len());
            draft.push(event);
        }
        Scenario::from_valid(draft.events)
    }
}

impl Iterator for Random {
    type Item = Scenario;

    fn next(&mut self) -> Option<Scenario> {
        let scenario = self.scenario(self.next);
        self.next = self.next.wrapping_add(1);
        Some(scenario)
    }

    fn nth(&mut self, n: usize) -> Option<Scenario> {
        self.next = self.next.wrapping_add(n as u64);
        self.next()
    }
}

/// What a client that has connected can still do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Can {
    Everything,
    /// The client has sent its FIN.
    NotSend,
    Nothing,
}

/// A scenario under construction.
struct Draft {
    rng: Rng,
    shape: Shape,
    /// Maximum number of clients of this scenario.
    limit: usize,
    /// What each client that has connected can still do, by rank.
    clients: Vec<Can>,
    held: bool,
    events: Vec<Event>,
}

impl Draft {
    fn one_in(&mut self, n: u32) -> bool {
        self.rng.u32(..n) == 0
    }

    /// The next event, when `left` events are still to be drawn, this one included.
    fn event(&mut self, left: usize) -> Event {
        if self.one_in(20) {
            return self.anything();
        }
        if self.held && (left == 1 || self.one_in(6)) {
            return Event::Go;
        }
        if self.held && self.one_in(6) {
            return Event::Step;
        }
        if self.shape.hold && !self.held && left > 1 && self.one_in(12) {
            return Event::Hold;
        }
        if self.shape.faults && self.one_in(32) {
            return self.fault();
        }
        if self.shape.waits && self.one_in(16) {
            return self.wait();
        }
        let live: Vec<usize> = (0..self.clients.len()).filter(|k| self.clients[*k] != Can::Nothing).collect();
        let room = self.clients.len() < self.limit;
        match self.rng.choice(live) {
            Some(_) if room && self.one_in(3) => self.connect(),
            Some(rank) => self.act(rank),
            None if room => self.connect(),
            None => self.anything(),
        }
    }

    /// Any event, which may do nothing.
    fn anything(&mut self) -> Event {
        // Of the clients that have not connected, only the next may be named: names follow the order of the connects.
        let rank = self.rng.usize(0..(self.clients.len() + 1).min(self.limit));
        let row = &EVENTS[self.rng.usize(..EVENTS.len())];
        let event = match row.form {
            Form::Send => None,
            Form::Wait if self.shape.waits => Some(self.wait()),
            _ if self.shape.allows(row) => row.event(Client::nth(rank), self.rng.u16(..)),
            _ => Some(Event::Client(Client::nth(rank), Action::Recv)),
        };
        event.unwrap_or_else(|| Event::Client(Client::nth(rank), self.send()))
    }

    fn connect(&mut self) -> Event {
        Event::Client(Client::nth(self.clients.len()), Action::Connect)
    }

    /// An action that the client of this rank can do.
    fn act(&mut self, rank: usize) -> Event {
        let action = match (self.rng.u8(..16), self.clients[rank]) {
            (0..4, Can::Everything) => self.send(),
            (4..8, Can::Everything) => Action::Fin,
            (8..10, _) => Action::Recv,
            (10, _) if self.shape.vanish => Action::Vanish,
            (11, Can::Everything) if self.shape.urgent => Action::Urgent,
            (12, _) if self.shape.stall && self.one_in(2) => Action::Stall,
            (n, _) if n % 2 == 0 => Action::Close,
            _ => Action::Rst,
        };
        Event::Client(Client::nth(rank), action)
    }

    /// A send, mostly of a few bytes. Only the number of bytes matters to a server, and that seldom.
    fn send(&mut self) -> Action {
        let len = match self.rng.u8(..16) {
            0..8 => 5,
            8..11 => 1,
            11..14 => self.rng.usize(..=64),
            14 => MAX_SEND,
            _ => 0,
        };
        let given: Vec<u8> = (0..self.rng.usize(..4)).map(|_| self.rng.u8(..)).collect();
        let payload = if len == 0 { Payload::bytes(&given) } else { Payload::filling(len) };
        // No length is above `MAX_SEND`, so there is always a payload.
        payload.map_or(Action::Recv, Action::Send)
    }

    fn fault(&mut self) -> Event {
        let n = self.rng.usize(..Fault::all().count());
        Fault::all().nth(n).map_or(Event::Go, Event::Fault)
    }

    /// A wait of 1 to 20 ms, or of 100 to 500 ms: long enough for a server that wakes up periodically.
    fn wait(&mut self) -> Event {
        let millis = if self.one_in(4) { self.rng.u32(100..=500) } else { self.rng.u32(1..=20) };
        Wait::millis(millis).map_or(Event::Go, Event::Wait)
    }

    /// Adds a block. In most blocks a client connects, which is then a new client in each round.
    fn repeat(&mut self) {
        let first = self.events.len();
        if self.clients.len() < self.limit && !self.one_in(4) {
            let connect = self.connect();
            self.push(connect);
        }
        for _ in 0..self.rng.usize(1..=4) {
            let event = self.event(2);
            self.push(event);
        }
        let times = if self.one_in(8) { self.rng.usize(20..=100) } else { self.rng.usize(2..=8) };
        if let Some(repeat) = Repeat::new(times, &self.events[first..]) {
            self.events.truncate(first);
            self.events.push(Event::Repeat(repeat));
        }
    }

    /// Adds an event, and tracks its effect.
    fn push(&mut self, event: Event) {
        match &event {
            Event::Hold => self.held = true,
            Event::Go => self.held = false,
            // The effects of the events in a block were tracked when they were drawn.
            Event::Step | Event::Fault(_) | Event::Wait(_) | Event::Repeat(_) | Event::Limit(_) | Event::Signal(_) => {}
            Event::Client(client, action) => {
                let rank = (0..self.clients.len()).find(|k| Client::nth(*k) == *client);
                match (action, rank) {
                    (Action::Connect, None) => self.clients.push(Can::Everything),
                    (Action::Fin, Some(k)) if self.clients[k] == Can::Everything => self.clients[k] = Can::NotSend,
                    (Action::Close | Action::Rst | Action::Vanish, Some(k)) => self.clients[k] = Can::Nothing,
                    _ => {}
                }
            }
        }
        self.events.push(event);
    }
}
