//! Seeds: scenarios that have killed, hung or leaked servers before, with the target's payloads in them.
//!
//! A hunt plays them first. They cover an RST in each state of a connection, data left unread, a peer that is gone before the first or the
//! second send, bursts that pile up while a server is held, urgent bytes, clients that vanish or stall, and injected errors.

mod order;
mod sizes;

use super::baseline::Silent;
use super::bodies::is_large;
use super::lab::Mark;
use crate::protocol::Dialogue;
use crate::scenario::Action::{Close, Connect, Fin, Recv, Rst, Send, Stall, Urgent, Vanish};
use crate::scenario::{Call, Client, Errno, Event, Limit, Payload, Scenario, Wait};
use order::{Order, fault, hold, start};
use sizes::EDGES;
pub(super) use sizes::sized;
use std::collections::HashSet;

/// How many requests a client sends in a row in the scenarios with many requests.
const MANY: usize = 8;
/// Every scenario is made with each of the first `ALL_OF` payloads. With each further payload, only the first [`FEW`] are made.
const ALL_OF: usize = 2;
const FEW: usize = 18;

/// Scenarios in which no client sends a payload of the target's.
fn bare() -> Vec<Order> {
    let crowd = |order: Order| order.a(Connect).b(Connect).b(Close);
    let sized = EDGES.into_iter().filter_map(Payload::filling).map(|payload| start().a(Connect).a(Send(payload)));
    let mut all = vec![
        start().a(Connect).a(Rst),
        start().a(Connect).a(Fin).a(Rst),
        start().a(Connect).a(Close),
        start().a(Connect).a(Fin).a(Close),
        hold().a(Connect).a(Fin).a(Rst).go(),
        hold().a(Connect).a(Rst).go(),
        hold().a(Connect).a(Close).go(),
        start().a(Connect).b(Connect).b(Fin).b(Rst).a(Fin),
        start().a(Connect).b(Connect).b(Rst).a(Fin),
        hold().a(Connect).step().a(Fin).a(Rst).go(),
        hold().a(Connect).step().a(Rst).go(),
        hold().a(Connect).step().step().a(Rst).go(),
        hold().a(Connect).step().step().a(Fin).a(Rst).go(),
        start().a(Connect).a(Urgent),
        start().a(Connect).a(Urgent).a(Rst),
        start().a(Connect).a(Urgent).a(Fin),
        start().a(Connect).a(Vanish),
        start().a(Connect).a(Fin).a(Vanish),
        hold().burst(start().a(Connect).a(Rst)).go(),
        hold().burst(start().a(Connect).a(Fin).a(Rst)).go(),
        start().burst(start().a(Connect).a(Rst)),
        start().burst(start().a(Connect).a(Fin).a(Rst)),
        crowd(fault(Call::Accept, Errno::EMFILE)),
        crowd(fault(Call::Accept, Errno::EINTR)),
        crowd(fault(Call::Accept, Errno::ECONNABORTED)),
        start().then(Event::Limit(Limit::Descriptors)).a(Connect),
        crowd(start().then(Event::Limit(Limit::Descriptors))),
        start().a(Connect),
        start().a(Connect).a(Fin),
        start().a(Connect).a(Stall),
        start().a(Connect).body().a(Close),
        start().a(Connect).body_of(1 << 20).a(Close),
        start().a(Connect).wait().a(Rst),
        start().a(Connect).wait().a(Close),
        start().a(Connect).a(Fin).wait().a(Rst),
    ];
    all.extend(sized);
    all
}

/// Scenarios in which clients send this payload: whole, its first half, or many times.
fn talking(payload: &Payload) -> Vec<Order> {
    let whole = || Send(payload.clone());
    let half = || Send(payload.first(payload.len().div_ceil(2)));
    let many = |order: Order| (0..MANY).fold(order, |order, _| order.a(whole()));
    let steps = |order: Order, n: usize| (0..n).fold(order, |order, _| order.step());
    let asked = || start().a(Connect).a(whole());
    let asked_half = || start().a(Connect).a(half());
    let asked_held = |n| steps(hold().a(Connect).a(whole()), n);
    let held_asked = |n| steps(start().a(Connect).then(Event::Hold).a(whole()), n);
    let stalled = || many(start().a(Connect).a(Stall));
    let served_beside = |order: Order| order.a(Connect).a(whole()).b(Connect).b(whole()).b(Recv).b(Close);
    vec![
        asked().a(Rst),
        asked().a(Fin).a(Rst),
        asked().a(Close),
        asked().a(Fin).a(Close),
        asked().a(Recv).a(Rst),
        asked().a(Recv).a(Fin).a(Rst),
        asked_half().a(Rst),
        asked_half().a(Fin).a(Rst),
        asked_half().a(Fin),
        asked_half().a(Close),
        asked_held(0).a(Rst).go(),
        asked_held(0).a(Fin).a(Rst).go(),
        asked_held(0).a(Close).go(),
        asked_held(1).a(Rst).go(),
        asked_held(2).a(Rst).go(),
        asked_held(3).a(Rst).go(),
        asked().body().a(Close),
        asked().body().a(Rst),
        // The scenarios up to here are the first `FEW`.
        asked(),
        asked_half(),
        asked().a(Fin),
        stalled(),
        asked_held(2).a(Fin).a(Rst).go(),
        asked_held(3).a(Fin).a(Rst).go(),
        held_asked(0).a(Rst).go(),
        held_asked(0).a(Fin).a(Rst).go(),
        held_asked(1).a(Rst).go(),
        held_asked(2).a(Rst).go(),
        asked().a(Urgent).a(Rst),
        start().a(Connect).a(Urgent).a(whole()).a(Fin),
        asked().a(Vanish),
        asked_half().a(Vanish).b(Connect).b(whole()).b(Recv).b(Close),
        stalled().a(Rst),
        stalled().a(Fin).a(Rst),
        stalled().a(Close),
        many(start().a(Connect)).a(Rst),
        many(start().a(Connect)).a(Recv).a(Fin).a(Rst),
        asked().body(),
        asked().b(Connect).b(Rst),
        asked().b(Connect).b(whole()).b(Rst).b(Connect).b(Recv),
        start().a(Connect).b(Connect).a(whole()).b(whole()).a(Rst).b(Fin).b(Rst),
        start().burst(asked().a(Rst)),
        start().burst(asked_half().a(Fin).a(Rst)),
        hold().burst(asked().a(Rst)).go(),
        served_beside(fault(Call::Recv, Errno::ECONNRESET)),
        served_beside(fault(Call::Recv, Errno::EINTR)),
        served_beside(fault(Call::Send, Errno::ECONNRESET)),
        served_beside(fault(Call::Send, Errno::EINTR)),
        asked().wait().a(Rst),
        asked_half().wait().a(Fin).a(Rst),
    ]
}

/// Scenarios in which a client is silent until just before the server does something about it, until just after it, and until both happen
/// at once.
pub(super) fn at_deadlines(marks: &[Mark], payload: Option<&Payload>) -> Vec<Scenario> {
    /// By how much earlier or later, in milliseconds.
    const BESIDE: u32 = 5;
    let mut orders = Vec::new();
    for Mark { silent, time, .. } in marks {
        let Some(said) = silent.says(payload) else { continue };
        let at = Wait::at_least(*time).as_millis();
        let wait = |order: Order, millis| {
            let event = Wait::millis(millis).map(Event::Wait);
            event.into_iter().fold(order, Order::then)
        };
        let asked = || said.clone().into_iter().fold(start().a(Connect), |order, payload| order.a(Send(payload)));
        let before = || wait(asked(), at.saturating_sub(BESIDE).max(1));
        let after = |order: Order| wait(order, at + BESIDE);
        // With a request in the same moment: the server finds both when it goes on.
        if let Some(payload) = payload {
            let both = before().then(Event::Hold).a(Send(payload.clone()));
            orders.push(wait(both, 2 * BESIDE).go().a(Recv));
            orders.push(before().a(Send(payload.clone())).a(Recv));
            orders.push(after(before().a(Send(payload.clone()))));
            orders.push(after(asked()).a(Send(payload.clone())).a(Recv));
        }
        orders.push(before().a(Rst));
        orders.push(before().a(Fin));
        orders.push(wait(before().then(Event::Hold).a(Rst), 2 * BESIDE).go());
        orders.push(wait(before().then(Event::Hold).a(Close), 2 * BESIDE).go());
        orders.push(after(asked().a(Rst)));
        orders.push(after(asked().a(Fin)));
        orders.push(after(asked().a(Vanish)));
        orders.push(after(asked()));
        orders.push(after(asked()).a(Rst));
    }
    orders.into_iter().map(Order::scenario).collect()
}

/// Scenarios of a conversation that ends after each of its steps, or in the middle of what the client says: by a FIN, an RST, a close, or
/// because the client vanishes, reads no more or says no more.
pub(super) fn prefixes(dialogue: &Dialogue) -> Vec<Scenario> {
    /// After how many sends, at most.
    const SENDS: usize = 16;
    let ends = || [vec![], vec![Fin], vec![Rst], vec![Close], vec![Fin, Rst], vec![Vanish], vec![Urgent], vec![Stall]];
    let mut orders = Vec::new();
    let mut before = start().a(Connect).a(Recv);
    for payload in dialogue.sends().take(SENDS) {
        let half = before.clone().a(Send(payload.first(payload.len().div_ceil(2))));
        let unread = before.clone().a(Send(payload.clone()));
        before = unread.clone().a(Recv);
        for place in [half, unread, before.clone()] {
            orders.extend(ends().into_iter().map(|end| end.into_iter().fold(place.clone(), Order::a)));
        }
        // The next step comes when the client has gone.
        orders.push(before.clone().then(Event::Hold).a(Fin).a(Rst).go());
    }
    orders.into_iter().map(Order::scenario).collect()
}

/// Scenarios of a client that sends what takes several sends: all of it, the first half, and half of the first send. Then it ends the
/// connection, reads, or does not read from the beginning on.
pub(super) fn uploads(parts: &[Payload]) -> Vec<Scenario> {
    let sends = |order: Order, parts: &[Payload]| parts.iter().cloned().map(Send).fold(order, Order::a);
    let ends = [vec![], vec![Rst], vec![Fin], vec![Fin, Rst], vec![Close], vec![Vanish], vec![Recv, Fin]];
    let half = parts.len().div_ceil(2);
    let first: Vec<Payload> = parts.first().map(|first| first.first(first.len() / 2)).into_iter().collect();
    let mut orders = Vec::new();
    for said in [parts, &parts[..half], &first] {
        orders.extend(ends.iter().map(|end| end.iter().cloned().fold(sends(start().a(Connect), said), Order::a)));
    }
    orders.extend(
        [vec![], vec![Fin], vec![Rst]]
            .map(|end| end.into_iter().fold(sends(start().a(Connect).a(Stall), parts), Order::a)),
    );
    orders.into_iter().map(Order::scenario).collect()
}

/// A scenario in which this many clients are silent at once.
pub(super) fn held(silent: Silent, clients: usize, payload: Option<&Payload>) -> Option<Scenario> {
    let acts = silent.acts(payload)?;
    let clients = (0..clients).map(Client::nth).flat_map(|client| {
        std::iter::once(Connect).chain(acts.clone()).map(move |action| Event::Client(client, action))
    });
    Some(Scenario::from_valid(clients.collect()))
}

/// Scenarios of a client that reads nothing and sends this request so often that the replies fill the server's buffer.
pub(super) fn unread(request: &Payload, times: usize) -> Vec<Scenario> {
    let visit = start().a(Connect).a(Stall);
    let full = match times {
        1 => visit.a(Send(request.clone())),
        times => visit.repeat(times, &start().a(Send(request.clone()))),
    };
    let ends = [vec![], vec![Rst], vec![Fin], vec![Fin, Rst], vec![Close], vec![Vanish], vec![Urgent]];
    let orders = ends.into_iter().map(|end| end.into_iter().fold(full.clone(), Order::a));
    orders.map(Order::scenario).collect()
}

/// The seeds for these payloads, without duplicates. Those that take time come last.
pub(super) fn seeds(payloads: &[Payload]) -> Vec<Scenario> {
    let mut orders = bare();
    for (i, payload) in payloads.iter().enumerate() {
        let most = if i < ALL_OF { usize::MAX } else { FEW };
        orders.extend(talking(payload).into_iter().take(most));
    }
    let mut known = HashSet::new();
    // No seed has more than two clients.
    let scenarios = orders.into_iter().map(Order::scenario);
    let mut seeds: Vec<Scenario> = scenarios.filter(|scenario| known.insert(scenario.clone())).collect();
    let waits = |seed: &Scenario| seed.events().iter().any(|event| matches!(event, Event::Wait(_)));
    seeds.sort_by_key(|seed| (waits(seed), is_large(seed)));
    seeds
}

/// The shortest scenarios: a client connects and resets, a client connects and closes, and a client connects, sends this payload and
/// resets.
pub(super) fn briefest(payload: Option<&Payload>) -> Vec<Scenario> {
    let visit = || start().a(Connect);
    let talking = payload.map(|payload| visit().a(Send(payload.clone())).a(Rst));
    let all = [visit().a(Rst), visit().a(Close)].into_iter().chain(talking);
    all.map(Order::scenario).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_is_made_once_with_each_of_the_first_payloads() {
        let of = |n: usize| {
            let payloads: Vec<Payload> =
                (0..n).map(|k| Payload::bytes(format!("{k} GET").as_bytes()).unwrap()).collect();
            seeds(&payloads).len()
        };
        let (bare, talking) = (bare().len(), talking(&Payload::FIVE).len());
        assert_eq!([of(0), of(1), of(2), of(3)], [bare, bare + talking, bare + 2 * talking, bare + 2 * talking + FEW]);
        assert_eq!(seeds(&[Payload::FIVE, Payload::FIVE]).len(), bare + talking);
    }

    #[test]
    fn what_takes_time_comes_last() {
        let waits = |seed: &Scenario| seed.events().iter().any(|event| matches!(event, Event::Wait(_)));
        let seeds = seeds(&[Payload::FIVE]);
        assert_eq!(seeds.iter().filter(|seed| waits(seed)).count(), 5);
        assert!(seeds[seeds.len() - 5..].iter().all(waits));
    }

    #[test]
    fn an_upload_is_sent_whole_and_in_part() {
        let parts: Vec<Payload> = b"abcdef".chunks(2).filter_map(Payload::bytes).collect();
        let all: Vec<String> = uploads(&parts).iter().map(ToString::to_string).collect();
        for wanted in [
            "a connect; a send \"ab\"; a send \"cd\"; a send \"ef\"; a rst",
            "a connect; a send \"ab\"; a send \"cd\"; a recv; a fin",
            "a connect; a send \"a\"",
            "a connect; a stall; a send \"ab\"; a send \"cd\"; a send \"ef\"; a fin",
        ] {
            assert!(all.iter().any(|scenario| scenario == wanted), "{wanted} is not among {all:#?}");
        }
    }

    #[test]
    fn a_seed_holds_a_server_only_if_it_lets_it_go() {
        for seed in seeds(&[Payload::FIVE]) {
            let count = |wanted: Event| seed.events().iter().filter(|event| **event == wanted).count();
            assert_eq!(count(Event::Hold), count(Event::Go), "{seed}");
        }
    }
}
