//! The one binary form, shared by `Arbitrary`, the proptest strategy, the fuzzer's corpus and its artifacts.
//!
//! An event is a cell of four bytes: what happens, to which client, and an argument of 16 bits. Cells have a fixed width so
//! that a changed byte changes one event and a lost cell loses one. Any bytes decode to a valid scenario, and what
//! [`encode`](Scenario::encode) gives decodes to the same scenario, but for the names of its clients, which are `a`, `b`, … in
//! the order of the old ones. Given payloads follow their cell, padded to whole cells.

use super::{Action, Client, Event, Fault, MAX_CLIENTS, MAX_SEND, Payload, Scenario};

/// Bytes of one cell.
pub(crate) const CELL: usize = 4;
/// How many rows of the event table a cell can name.
const ROWS: u8 = 11;
/// The row that stands for a send of given bytes. No small change of another row makes it one.
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

    /// The event that this cell alone stands for.
    pub(crate) fn event(self) -> Event {
        let client = self.client();
        let action = match self.row % ROWS {
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
            _ => (event.row(), 0),
        };
        Cell { row, client: rank as u8, argument }
    }
}

impl Scenario {
    /// The scenario that `bytes` stand for. Any do; an unfinished last cell is left out.
    pub fn decode(bytes: &[u8]) -> Scenario {
        let mut events = Vec::with_capacity(bytes.len() / CELL);
        let mut rest = bytes;
        while let Some((cell, tail)) = rest.split_first_chunk::<CELL>() {
            rest = tail;
            let cell = Cell { row: cell[0], client: cell[1], argument: u16::from_le_bytes([cell[2], cell[3]]) };
            if cell.row != GIVEN {
                events.push(cell.event());
                continue;
            }
            let len = usize::from(cell.len()).min(rest.len());
            if let Some(payload) = Payload::bytes(&rest[..len]) {
                events.push(Event::Client(cell.client(), Action::Send(payload)));
            }
            rest = &rest[len.next_multiple_of(CELL).min(rest.len())..];
        }
        Scenario::from_valid(events)
    }

    /// The bytes that [`Scenario::decode`] turns back into this scenario, its clients renamed to `a`, `b`, … in order.
    pub fn encode(&self) -> Vec<u8> {
        let clients = self.clients();
        let mut bytes = Vec::with_capacity(self.events.len() * CELL);
        for event in &self.events {
            let rank = event.client().and_then(|c| clients.binary_search(&c).ok()).unwrap_or(0);
            let cell = Cell::of(event, rank);
            let [lo, hi] = cell.argument.to_le_bytes();
            bytes.extend_from_slice(&[cell.row, cell.client, lo, hi]);
            if let Event::Client(_, Action::Send(payload)) = event {
                bytes.extend_from_slice(payload.given().unwrap_or_default());
                bytes.resize(bytes.len().next_multiple_of(CELL), 0);
            }
        }
        bytes
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
                    hold; step; go; fault accept EMFILE; fault send ETIMEDOUT; fault recv EINTR";
        let scenario: Scenario = text.parse().unwrap();
        assert_eq!(Scenario::decode(&scenario.encode()), scenario);
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
