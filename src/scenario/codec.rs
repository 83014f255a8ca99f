//! The binary form of scenarios, shared by `Arbitrary`, the proptest strategy, the fuzzer's corpus and its artifacts.
//!
//! An event is a cell of four bytes: the kind of event, the client, and an argument of 16 bits. A block is its cell, the cells of
//! its events, and a cell that ends it. Given payloads follow their cell, padded to whole cells. Cells have a fixed width, so
//! that a changed byte changes one event and a lost cell loses one.
//!
//! Any bytes decode to a valid scenario. What [`encode`](Scenario::encode) returns decodes to the same scenario, except that its
//! clients are renamed to `a`, `b`, … in the order of their old names.

use super::table::{EVENTS, Form, Row};
use super::{Action, Client, Event, Fault, MAX_CLIENTS, MAX_SEND, Payload, ROUNDS, Repeat, Scenario, Wait};

/// The number of bytes of a cell.
pub(crate) const CELL: usize = 4;
/// How many rows the table of events had at first. A code that has no row stands for one of these.
const FIRST_ROWS: usize = 11;
/// The code of the cell that ends a block.
const END: u8 = 253;
/// The code of a send of given bytes.
const GIVEN: u8 = 255;

/// One event as numbers. Any three numbers are valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    /// The code of a row of the table of events, [`END`] or [`GIVEN`].
    pub(crate) code: u8,
    pub(crate) client: u8,
    pub(crate) argument: u16,
}

impl Cell {
    /// The client. Ranks from [`MAX_CLIENTS`] on stand for one of the first four clients, so that random bytes concentrate on few
    /// clients.
    fn client(self) -> Client {
        match usize::from(self.client) {
            k if k < MAX_CLIENTS => Client::nth(k),
            k => Client::nth(k % 4),
        }
    }

    /// The argument as a length of given bytes. Values above [`MAX_SEND`] stand for short lengths.
    fn len(self) -> usize {
        match usize::from(self.argument) {
            n if n <= MAX_SEND => n,
            n => n % 64,
        }
    }

    /// The argument as a number of rounds. Values out of range stand for few rounds.
    fn times(self) -> usize {
        match usize::from(self.argument) {
            n if ROUNDS.contains(&n) => n,
            n => ROUNDS.start() + n % 16,
        }
    }

    /// The row of the table that the code stands for.
    fn row(self) -> &'static Row {
        let first = &EVENTS[usize::from(self.code) % FIRST_ROWS];
        EVENTS.iter().find(|row| row.code == self.code).unwrap_or(first)
    }

    /// The event that this cell alone stands for; `None` for the start of a block.
    pub(crate) fn event(self) -> Option<Event> {
        let row = self.row();
        if let Form::Wait = row.form {
            // A wait has no client, whose byte holds the upper bits of its number.
            return Some(Event::Wait(Wait::from_number(u32::from(self.client) << 16 | u32::from(self.argument))));
        }
        row.event(self.client(), self.argument)
    }

    /// The cell of `event`, whose client has this rank.
    fn of(event: &Event, rank: usize) -> Cell {
        if let Event::Wait(wait) = event {
            let number = wait.number();
            return Cell { code: event.kind().code, client: (number >> 16) as u8, argument: number as u16 };
        }
        let argument = match event {
            Event::Client(_, Action::Send(payload)) => payload.len() as u16,
            Event::Fault(fault) => Fault::all().position(|f| f == *fault).unwrap_or(0) as u16,
            Event::Repeat(repeat) => repeat.times() as u16,
            Event::Limit(limit) => *limit as u16,
            Event::Signal(signal) => *signal as u16,
            Event::Client(..) | Event::Hold | Event::Step | Event::Go | Event::Wait(_) => 0,
        };
        let code = match event {
            Event::Client(_, Action::Send(payload)) if payload.given().is_some() => GIVEN,
            event => event.kind().code,
        };
        Cell { code, client: rank as u8, argument }
    }

    fn write(self, bytes: &mut Vec<u8>) {
        let [lo, hi] = self.argument.to_le_bytes();
        bytes.extend_from_slice(&[self.code, self.client, lo, hi]);
    }
}

impl Scenario {
    /// The scenario that `bytes` stand for. Any bytes are valid. An incomplete last cell is ignored. A block without an end ends
    /// with the bytes or where the next block begins. A block without events is dropped.
    pub fn decode(bytes: &[u8]) -> Scenario {
        let mut events = Vec::with_capacity(bytes.len() / CELL);
        // The block that is not finished: its number of rounds, and the index of its first event.
        let mut block: Option<(usize, usize)> = None;
        let mut rest = bytes;
        while let Some((cell, tail)) = rest.split_first_chunk::<CELL>() {
            rest = tail;
            let cell = Cell { code: cell[0], client: cell[1], argument: u16::from_le_bytes([cell[2], cell[3]]) };
            match (cell.code, cell.event()) {
                (GIVEN, _) => {
                    let len = cell.len().min(rest.len());
                    if let Some(payload) = Payload::bytes(&rest[..len]) {
                        events.push(Event::Client(cell.client(), Action::Send(payload)));
                    }
                    rest = &rest[len.next_multiple_of(CELL).min(rest.len())..];
                }
                (END, _) => finish(&mut events, block.take()),
                (_, None) => {
                    finish(&mut events, block.take());
                    block = Some((cell.times(), events.len()));
                }
                (_, Some(event)) => events.push(event),
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
                    Cell { code: END, client: 0, argument: 0 }.write(&mut bytes);
                }
                event => write(event, &clients, &mut bytes),
            }
        }
        bytes
    }
}

/// Replaces the events from the block's first one on by the block.
fn finish(events: &mut Vec<Event>, block: Option<(usize, usize)>) {
    if let Some((times, first)) = block
        && let Some(repeat) = Repeat::new(times, &events[first..])
    {
        events.truncate(first);
        events.push(Event::Repeat(repeat));
    }
}

/// Writes the cell of an event that is not a block, and the bytes that it sends if they were given.
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
    /// Decodes the rest of the input with [`Scenario::decode`].
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
                    wait 60000ms; wait 74999ms; wait 24h; limit descriptors; limit off; signal SIGCHLD; signal SIGURG; repeat 10000 { f connect; f send \"abcde\"; wait 3ms }; repeat 2 { f rst }; a rst";
        let scenario: Scenario = text.parse().unwrap();
        assert_eq!(Scenario::decode(&scenario.encode()), scenario);
    }

    #[test]
    fn bytes_that_stood_for_a_row_before_there_were_more_do_so_still() {
        let event = |code| Cell { code, client: 0, argument: 5 }.event().unwrap();
        assert!((13..250).all(|code| event(code) == event(code % 11)));
        assert!((13..250).map(|code| event(code).row()).max() == Some(10));
    }

    #[test]
    fn every_code_is_what_it_was() {
        let codes = EVENTS.each_ref().map(|row| (row.code, row.word));
        let old = [
            (0, "connect"),
            (1, "send"),
            (2, "recv"),
            (3, "fin"),
            (4, "close"),
            (5, "rst"),
            (6, "vanish"),
            (7, "hold"),
            (8, "step"),
            (9, "go"),
            (10, "fault"),
            (11, "urgent"),
            (12, "stall"),
            (252, "wait"),
            (254, "repeat"),
            (250, "limit"),
            (251, "signal"),
        ];
        assert!(old.iter().all(|old| codes.contains(old)), "files of the past no longer mean what they did: {codes:?}");
        assert!(codes.iter().all(|(code, _)| ![END, GIVEN].contains(code)));
    }

    #[test]
    fn a_block_without_its_end_ends_where_it_must_and_one_of_nothing_is_none() {
        let decode = |cells: &[[u8; 4]]| Scenario::decode(&cells.concat()).to_string();
        let (open, end, hold) = ([254, 0, 3, 0], [253, 0, 0, 0], [7, 0, 0, 0]);
        assert_eq!(decode(&[open, hold]), "repeat 3 { hold }");
        assert_eq!(decode(&[open, hold, open, hold, end, hold]), "repeat 3 { hold }; repeat 3 { hold }; hold");
        assert_eq!(decode(&[end, open, end, hold, end]), "hold");
        assert_eq!(decode(&[[254, 0, 0, 0], hold]), "repeat 2 { hold }");
        assert_eq!(decode(&[[252, 0, 0, 0], [252, 0, 255, 255]]), "wait 1ms; wait 65535ms");
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
