//! The one binary form, shared by `Arbitrary`, the proptest strategy, the fuzzer's corpus and its artifacts.
//!
//! An event is a cell of four bytes: what happens, to which client, and an argument of 16 bits. A block is its cell, the cells of
//! its events, and a cell that ends it. Cells have a fixed width so
//! that a changed byte changes one event and a lost cell loses one. Any bytes decode to a valid scenario, and what
//! [`encode`](Scenario::encode) gives decodes to the same scenario, but for the names of its clients, which are `a`, `b`, … in
//! the order of the old ones. Given payloads follow their cell, padded to whole cells.

use super::{
    Action, Client, Event, Fault, HarmlessSignal, Limit, MAX_CLIENTS, MAX_SEND, Payload, ROUNDS, Repeat, Scenario, Wait,
};

/// Bytes of one cell.
pub(crate) const CELL: usize = 4;
/// How many rows there were at first. Bytes that stand for no row of their own stand for one of these.
const ROWS: u8 = 11;
const URGENT: u8 = 11;
const STALL: u8 = 12;
/// The rows that do nothing to a described program, take long to play or are more than one cell. No small change of another row makes it
/// one of them.
const LIMIT: u8 = 250;
const SIGNAL: u8 = 251;
const WAIT: u8 = 252;
const END: u8 = 253;
const REPEAT: u8 = 254;
/// A send of given bytes.
const GIVEN: u8 = 255;

/// One event as numbers: any three are an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) row: u8,
    pub(crate) client: u8,
    pub(crate) argument: u16,
}

impl Cell {
    /// The client. Ranks beyond the most that a scenario may have stand for one of the first four, so that chance
    /// concentrates on few clients.
    fn client(self) -> Client {
        match usize::from(self.client) {
            k if k < MAX_CLIENTS => Client::nth(k),
            k => Client::nth(k % 4),
        }
    }

    /// The argument as a length; lengths beyond the longest stand for short ones.
    fn len(self) -> u16 {
        match self.argument {
            n if usize::from(n) <= MAX_SEND => n,
            n => n % 64,
        }
    }

    /// The argument as a time; times beyond the longest, and none, stand for short ones.
    fn wait(self) -> Option<Wait> {
        Wait::millis(self.argument).or(Wait::millis(self.argument % 16 + 1))
    }

    /// The argument as a number of rounds; those out of range stand for few.
    fn times(self) -> usize {
        match usize::from(self.argument) {
            n if ROUNDS.contains(&n) => n,
            n => ROUNDS.start() + n % 16,
        }
    }

    /// The event that this cell alone stands for.
    pub(crate) fn event(self) -> Event {
        let client = self.client();
        let row = match self.row {
            URGENT => return Event::Client(client, Action::Urgent),
            STALL => return Event::Client(client, Action::Stall),
            WAIT => return self.wait().map_or(Event::Go, Event::Wait),
            LIMIT => return Event::Limit(Limit::ALL[usize::from(self.argument) % Limit::ALL.len()]),
            SIGNAL => {
                let all = HarmlessSignal::ALL;
                return Event::Signal(all[usize::from(self.argument) % all.len()]);
            }
            row => row % ROWS,
        };
        let action = match row {
            0 => Action::Connect,
            1 => Action::Send(Payload(super::event::Content::Filling(self.len()))),
            2 => Action::Recv,
            3 => Action::Fin,
            4 => Action::Close,
            5 => Action::Rst,
            6 => Action::Vanish,
            7 => return Event::Hold,
            8 => return Event::Step,
            9 => return Event::Go,
            _ => {
                let n = usize::from(self.argument) % Fault::all().count();
                return Fault::all().nth(n).map_or(Event::Go, Event::Fault);
            }
        };
        Event::Client(client, action)
    }

    /// The cell of `event`, whose client has this rank.
    fn of(event: &Event, rank: usize) -> Cell {
        let (row, argument) = match event {
            Event::Client(_, Action::Send(payload)) => {
                (if payload.given().is_some() { GIVEN } else { 1 }, payload.len() as u16)
            }
            Event::Fault(fault) => (event.row(), Fault::all().position(|f| f == *fault).unwrap_or(0) as u16),
            Event::Wait(wait) => (WAIT, wait.as_millis()),
            Event::Repeat(repeat) => (REPEAT, repeat.times() as u16),
            Event::Limit(limit) => (LIMIT, *limit as u16),
            Event::Signal(signal) => (SIGNAL, *signal as u16),
            _ => (event.row(), 0),
        };
        Cell { row, client: rank as u8, argument }
    }

    fn write(self, bytes: &mut Vec<u8>) {
        let [lo, hi] = self.argument.to_le_bytes();
        bytes.extend_from_slice(&[self.row, self.client, lo, hi]);
    }
}

impl Scenario {
    /// The scenario that `bytes` stand for. Any do; an unfinished last cell is left out, an unfinished block ends with the bytes or
    /// where the next begins, and one of no events is none.
    pub fn decode(bytes: &[u8]) -> Scenario {
        let mut events = Vec::with_capacity(bytes.len() / CELL);
        // Of the block that is not finished: how many rounds, and where among the events its own begin.
        let mut block: Option<(usize, usize)> = None;
        let mut rest = bytes;
        while let Some((cell, tail)) = rest.split_first_chunk::<CELL>() {
            rest = tail;
            let cell = Cell { row: cell[0], client: cell[1], argument: u16::from_le_bytes([cell[2], cell[3]]) };
            match cell.row {
                GIVEN => {
                    let len = usize::from(cell.len()).min(rest.len());
                    if let Some(payload) = Payload::bytes(&rest[..len]) {
                        events.push(Event::Client(cell.client(), Action::Send(payload)));
                    }
                    rest = &rest[len.next_multiple_of(CELL).min(rest.len())..];
                }
                END | REPEAT => {
                    finish(&mut events, block.take());
                    block = (cell.row == REPEAT).then_some((cell.times(), events.len()));
                }
                _ => events.push(cell.event()),
            }
        }
        finish(&mut events, block);
        Scenario::from_valid(events)
    }

    /// The bytes that [`Scenario::decode`] turns back into this scenario, its clients renamed to `a`, `b`, … in order.
    pub fn encode(&self) -> Vec<u8> {
        let clients = self.clients();
        let mut bytes = Vec::with_capacity(self.events.len() * CELL);
        for event in &self.events {
            match event {
                Event::Repeat(repeat) => {
                    Cell::of(event, 0).write(&mut bytes);
                    repeat.events().iter().for_each(|event| write(event, &clients, &mut bytes));
                    Cell { row: END, client: 0, argument: 0 }.write(&mut bytes);
                }
                event => write(event, &clients, &mut bytes),
            }
        }
        bytes
    }
}

/// Makes a block of the events from its first on.
fn finish(events: &mut Vec<Event>, block: Option<(usize, usize)>) {
    if let Some((times, first)) = block
        && let Some(repeat) = Repeat::new(times, &events[first..])
    {
        events.truncate(first);
        events.push(Event::Repeat(repeat));
    }
}

/// Adds the cell of an event that is no block, and the bytes that it sends if they were given.
fn write(event: &Event, clients: &[Client], bytes: &mut Vec<u8>) {
    let rank = event.client().and_then(|c| clients.binary_search(&c).ok()).unwrap_or(0);
    Cell::of(event, rank).write(bytes);
    if let Event::Client(_, Action::Send(payload)) = event {
        bytes.extend_from_slice(payload.given().unwrap_or_default());
        bytes.resize(bytes.len().next_multiple_of(CELL), 0);
    }
}

#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for Scenario {
    /// All that is left of the input, through [`Scenario::decode`].
    fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Scenario> {
        let len = u.len();
        Ok(Scenario::decode(u.bytes(len)?))
    }

    fn arbitrary_take_rest(u: arbitrary::Unstructured<'a>) -> arbitrary::Result<Scenario> {
        Ok(Scenario::decode(u.take_rest()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_survives_the_round_trip() {
        let text = "a connect; b send 0; c send 16384; d send \"x\\xff\"; e send \"\"; a recv; b fin; c close; d rst; e vanish; \
                    hold; step; go; fault accept EMFILE; fault send ETIMEDOUT; fault recv EINTR; a urgent; b stall; wait 1ms; \
                    wait 60000ms; limit descriptors; limit off; signal SIGCHLD; signal SIGURG; repeat 10000 { f connect; f send \"abcde\"; wait 3ms }; repeat 2 { f rst }; a rst";
        let scenario: Scenario = text.parse().unwrap();
        assert_eq!(Scenario::decode(&scenario.encode()), scenario);
    }

    #[test]
    fn bytes_that_stood_for_a_row_before_there_were_more_do_so_still() {
        let rows = (13..LIMIT).map(|row| Cell { row, client: 0, argument: 5 });
        assert!(rows.clone().all(|cell| cell.event() == Cell { row: cell.row % 11, ..cell }.event()));
        assert!(rows.map(|cell| cell.event().row()).max() == Some(10));
    }

    #[test]
    fn a_block_without_its_end_ends_where_it_must_and_one_of_nothing_is_none() {
        let decode = |cells: &[[u8; 4]]| Scenario::decode(&cells.concat()).to_string();
        let (open, end, hold) = ([254, 0, 3, 0], [253, 0, 0, 0], [7, 0, 0, 0]);
        assert_eq!(decode(&[open, hold]), "repeat 3 { hold }");
        assert_eq!(decode(&[open, hold, open, hold, end, hold]), "repeat 3 { hold }; repeat 3 { hold }; hold");
        assert_eq!(decode(&[end, open, end, hold, end]), "hold");
        assert_eq!(decode(&[[254, 0, 0, 0], hold]), "repeat 2 { hold }");
        assert_eq!(decode(&[[252, 0, 0, 0], [252, 0, 255, 255]]), "wait 1ms; wait 16ms");
    }

    #[test]
    fn names_are_replaced_by_rank_in_the_order_of_the_old_ones() {
        let scenario: Scenario = "web connect; db connect; web close".parse().unwrap();
        assert_eq!(Scenario::decode(&scenario.encode()).to_string(), "b connect; a connect; b close");
    }

    #[test]
    fn a_payload_cut_short_is_what_is_left_of_it() {
        assert_eq!(Scenario::decode(&[255, 0, 8, 0, b'h', b'i']).to_string(), "a send \"hi\"");
    }
}
