//! Replaces an injected error by a real cause.
//!
//! Some of the errors that a `fault` can name can be had from the kernel itself: EMFILE when a process has no descriptor left, EINTR when a
//! signal that the process handles interrupts a wait, ECONNRESET when a client resets. Others are never returned there on Linux
//! (ECONNABORTED of `accept`), or need something that the harness cannot provide: a machine without memory, a firewall.

use crate::scenario::{Action, Call, Client, Errno, Event, Fault, HarmlessSignal, Limit, Repeat, Scenario};

/// How many connections are made if one may not be enough to use up a server's descriptors.
const MANY: usize = 40;

/// Scenarios in which the error that this one injects may have a real cause. Empty if it injects several errors, because no single cause
/// would replace them all.
pub(super) fn variants(scenario: &Scenario) -> Vec<Scenario> {
    let events = scenario.events();
    let faults: Vec<(usize, Fault)> = events
        .iter()
        .enumerate()
        .filter_map(|(i, event)| match event {
            Event::Fault(fault) => Some((i, *fault)),
            _ => None,
        })
        .collect();
    let [(at, fault)] = faults[..] else { return Vec::new() };
    let rest = [&events[..at], &events[at + 1..]].concat();
    let all = match (fault.call(), fault.errno()) {
        (Call::Accept, Errno::EMFILE) => without_descriptors(scenario, &rest, at),
        (_, Errno::EINTR) => with_signals(&rest, at),
        (Call::Send | Call::Recv, Errno::ECONNRESET) => with_resets(scenario, &rest, at),
        _ => Vec::new(),
    };
    all.into_iter().map(Scenario::from_valid).collect()
}

/// A limit that lasts to the end, in place of the error of one call. The second variant adds clients, for a server that has unused
/// descriptor numbers below its highest one.
fn without_descriptors(scenario: &Scenario, rest: &[Event], at: usize) -> Vec<Vec<Event>> {
    let limited = inserted(rest, at, Event::Limit(Limit::Descriptors));
    let clients = scenario.clients();
    let other = (0..).map(Client::nth).find(|client| !clients.contains(client));
    let crowd = other.and_then(|client| Repeat::new(MANY, &[Event::Client(client, Action::Connect)]));
    let crowded = crowd.map(|crowd| inserted(&limited, at + 1, Event::Repeat(crowd)));
    std::iter::once(limited).chain(crowded).collect()
}

/// Each of the signals, at each place from the injected error on.
fn with_signals(rest: &[Event], at: usize) -> Vec<Vec<Event>> {
    let places = || at..=rest.len();
    let signals = HarmlessSignal::ALL.into_iter();
    signals.flat_map(|signal| places().map(move |i| inserted(rest, i, Event::Signal(signal)))).collect()
}

/// A reset of each client, at each place after its connect, and one while the server is held.
fn with_resets(scenario: &Scenario, rest: &[Event], at: usize) -> Vec<Vec<Event>> {
    let of_client = |client: Client| {
        let reset = move || Event::Client(client, Action::Rst);
        let connects = |event: &Event| *event == Event::Client(client, Action::Connect);
        let first = rest.iter().position(connects).map_or(0, |i| i + 1);
        let plain = (first..=rest.len()).map(move |i| inserted(rest, i, reset()));
        let held = [&rest[..at], &[Event::Hold], &rest[at..], &[reset(), Event::Go]].concat();
        plain.chain(std::iter::once(held)).collect::<Vec<_>>()
    };
    scenario.clients().into_iter().flat_map(of_client).collect()
}

fn inserted(events: &[Event], at: usize, event: Event) -> Vec<Event> {
    [&events[..at], &[event], &events[at..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Vec<String> {
        variants(&text.parse().unwrap()).iter().map(Scenario::to_string).collect()
    }

    #[test]
    fn a_lack_of_descriptors_lasts_to_the_end() {
        assert_eq!(
            of("fault accept EMFILE; a connect"),
            ["limit descriptors; a connect", "limit descriptors; repeat 40 { b connect }; a connect"]
        );
    }

    #[test]
    fn an_interruption_is_a_signal_at_any_place_afterwards() {
        let all = of("a connect; fault recv EINTR; a send 5");
        assert_eq!(all.len(), 4);
        assert_eq!(all[..2], ["a connect; signal SIGCHLD; a send 5", "a connect; a send 5; signal SIGCHLD"]);
    }

    #[test]
    fn a_reset_is_a_clients() {
        assert_eq!(
            of("fault recv ECONNRESET; a connect; a send 5"),
            ["a connect; a rst; a send 5", "a connect; a send 5; a rst", "hold; a connect; a send 5; a rst; go"]
        );
    }

    #[test]
    fn what_linux_does_not_return_has_no_real_cause_and_nor_have_several_at_once() {
        for text in [
            "fault accept ECONNABORTED; a connect",
            "fault accept ENFILE; a connect",
            "fault send ETIMEDOUT; a connect",
            "fault accept EMFILE; fault accept EMFILE; a connect",
            "a connect",
        ] {
            assert_eq!(of(text), Vec::<String>::new(), "{text}");
        }
    }
}
