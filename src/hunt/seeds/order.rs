//! Builds scenarios event by event.

use crate::scenario::Action::{self, Send};
use crate::scenario::{Call, Client, Errno, Event, Fault, MAX_SEND, Payload, Repeat, Scenario, Wait};

/// How many rounds a burst has.
const BURST: usize = 20;
/// A body that outgrows most buffers, in bytes, and the size of the parts in which a large one is sent.
const BODY: usize = 256_000;
const PART: usize = 16_000;

/// A scenario that is being built, event by event.
#[derive(Clone, Default)]
pub(super) struct Order(Vec<Event>);

impl Order {
    pub(super) fn then(mut self, event: Event) -> Order {
        self.0.push(event);
        self
    }

    /// Client `a` acts.
    pub(super) fn a(self, action: Action) -> Order {
        self.then(Event::Client(Client::nth(0), action))
    }

    /// Client `b` acts.
    pub(super) fn b(self, action: Action) -> Order {
        self.then(Event::Client(Client::nth(1), action))
    }

    pub(super) fn step(self) -> Order {
        self.then(Event::Step)
    }

    pub(super) fn go(self) -> Order {
        self.then(Event::Go)
    }

    /// Waits long enough for a server that checks its connections every quarter of a second.
    pub(super) fn wait(self) -> Order {
        let event = Wait::millis(300).map(Event::Wait);
        event.into_iter().fold(self, Order::then)
    }

    /// Adds [`BURST`] rounds of `block`.
    pub(super) fn burst(self, block: Order) -> Order {
        self.repeat(BURST, &block)
    }

    pub(super) fn repeat(self, times: usize, block: &Order) -> Order {
        let event = Repeat::new(times, &block.0).map(Event::Repeat);
        event.into_iter().fold(self, Order::then)
    }

    /// Client `a` sends this text, unless it is empty.
    pub(super) fn says(self, text: &str) -> Order {
        let payload = Payload::bytes(text.as_bytes()).filter(|_| !text.is_empty());
        payload.map(Send).into_iter().fold(self, Order::a)
    }

    /// Client `a` sends a large body.
    pub(super) fn body(self) -> Order {
        self.body_of(BODY)
    }

    /// Client `a` sends a body of so many bytes, in parts of [`PART`] bytes if one `send` cannot carry it.
    pub(super) fn body_of(self, size: usize) -> Order {
        let send = |order: Order, size| Payload::filling(size).map(Send).into_iter().fold(order, Order::a);
        if size <= MAX_SEND {
            return send(self, size);
        }
        let order = self.repeat(size / PART, &send(start(), PART));
        match size % PART {
            0 => order,
            rest => send(order, rest),
        }
    }

    /// The scenario. No order has more clients than a scenario may have.
    pub(super) fn scenario(self) -> Scenario {
        Scenario::from_valid(self.0)
    }
}

pub(super) fn start() -> Order {
    Order::default()
}

pub(super) fn hold() -> Order {
    start().then(Event::Hold)
}

pub(super) fn fault(call: Call, errno: Errno) -> Order {
    let event = Fault::new(call, errno).map(Event::Fault);
    event.into_iter().fold(start(), Order::then)
}
