//! How much the server replies to what clients say, and what fills its send buffer when the client does not read.

use super::Lab;
use crate::hunt::baseline::{HuntError, Replies};
use crate::linux::foreign::world::Foreign;
use crate::protocol::{Protocol, paths_in, with_ranges};
use crate::scenario::{Action, Client, Event, Payload};
use crate::trace::{End, Reply};
use crate::world::World;
use std::time::{Duration, Instant};

/// How many requests a client sends, at most, whose replies it does not read.
const REQUESTS: usize = 64;
/// How many paths are tried that are in replies to HTTP requests.
const PATHS: usize = 16;
/// How much of a reply is searched for paths, in bytes.
const SEARCHED: usize = 1 << 20;
/// A full buffer holds at least so many bytes: the kernel grants no smaller one (`SOCK_MIN_SNDBUF`), and accounts for each segment besides its
/// bytes.
const SMALLEST: u32 = 2048;
/// How much real time this may take.
const LONG: Duration = Duration::from_secs(2);

impl Lab<'_> {
    /// Measures the replies to what clients say; for HTTP also to requests for the paths in these, and for many ranges of the largest. Then a client
    /// sends the request with the largest reply again and again without reading.
    pub(super) fn learn_replies(&mut self) -> Result<Replies, HuntError> {
        let begun = Instant::now();
        let mut payloads = self.target.payloads();
        let is_http = self.protocol() == Protocol::Http;
        let (mut largest, mut best, mut tried) = (0, None::<Payload>, 0);
        let mut ranged = false;
        while let Some(payload) = payloads.get(tried).cloned() {
            tried += 1;
            if begun.elapsed() > LONG {
                break;
            }
            let reply = reply(&mut self.running()?.world, &payload)?;
            self.still_wanted()?;
            if self.running()?.world.main_ended().is_some() {
                // The scenarios will show it.
                self.begin()?;
                return Ok(Replies::default());
            }
            if is_http && tried == 1 && self.target.says.is_empty() {
                let gets = paths_in(&reply[..reply.len().min(SEARCHED)])
                    .into_iter()
                    .take(PATHS)
                    .map(|path| Payload::bytes(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()));
                payloads.extend(gets.flatten());
            }
            if reply.len() > largest {
                largest = reply.len();
                best = Some(payload);
            }
            if tried == payloads.len() && is_http && !ranged && self.target.says.is_empty() {
                ranged = true;
                let request = best.as_ref().and_then(Payload::given).and_then(with_ranges);
                payloads.extend(request.and_then(|request| Payload::bytes(&request)));
            }
        }
        let Some(payload) = best else { return Ok(Replies::default()) };
        let fills = fills(&mut self.running()?.world, &payload, begun)?;
        if self.running()?.world.main_ended().is_some() || self.running()?.world.has_spin() {
            self.begin()?;
        }
        Ok(Replies { largest, request: Some(payload), fills })
    }
}

/// What the server sends to a client that sends this, as long as it sends by itself.
fn reply(world: &mut Foreign, payload: &Payload) -> Result<Vec<u8>, HuntError> {
    const CLIENT: Client = Client::PROBE;
    let mut bytes = Vec::new();
    if matches!(world.act(CLIENT, &Action::Connect)?, Reply::Ok(_)) {
        world.settle()?;
        world.act(CLIENT, &Action::Send(payload.clone()))?;
        world.settle()?;
        let mut is_all = false;
        loop {
            let (more, end) = world.take(CLIENT);
            let is_empty = more.is_empty();
            bytes.extend(more);
            if end != End::Open || (is_empty && is_all) {
                break;
            }
            is_all = is_empty;
            if is_empty {
                world.arrives()?;
            }
            world.settle()?;
        }
    }
    world.clear(None)?;
    Ok(bytes)
}

/// How many of these requests, whose replies the client does not read, fill the server's buffer: another one changes nothing.
fn fills(world: &mut Foreign, payload: &Payload, begun: Instant) -> Result<Option<usize>, HuntError> {
    let client = Client::nth(0);
    world.foresee(&[Event::Client(client, Action::Stall)]);
    let (mut fills, mut before) = (None, 0);
    let mut connected = matches!(world.act(client, &Action::Connect)?, Reply::Ok(_));
    world.settle()?;
    world.act(client, &Action::Stall)?;
    for n in 1..=REQUESTS {
        if !connected || begun.elapsed() > LONG * 2 {
            break;
        }
        connected = matches!(world.act(client, &Action::Send(payload.clone()))?, Reply::Ok(_));
        world.settle()?;
        let Some(side) = world.server_side(client)? else { break };
        if side.unacknowledged >= SMALLEST && (side.unread > 0 || side.unacknowledged == before) {
            fills = Some(n);
            break;
        }
        before = side.unacknowledged;
    }
    world.clear(None)?;
    Ok(fills)
}
