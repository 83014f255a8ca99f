//! Errors that the harness gives in the kernel's place.

use crate::scenario::{Call, Client, Errno, Fault};

/// Injected errors: those that wait for a call, and which calls they are meant for.
///
/// They are for calls on the connections of the scenario's clients and for an `accept` that would take one of these, never for the harness's
/// own clients: those show what a server is like afterwards, and are treated as the kernel treats them. Without such a connection nothing is
/// injected.
#[derive(Debug, Default)]
pub(crate) struct Injection {
    waiting: Vec<Fault>,
    /// The sockets of the scenario's clients, by the kernel's number (`SO_COOKIE`).
    exposed: Vec<u64>,
    /// Whether the next connection in the accept queue is a scenario's client's.
    next_is_exposed: bool,
    /// Those that a call was answered with in this run.
    injected: Vec<Fault>,
}

impl Injection {
    /// One more for the next such call.
    pub(crate) fn add(&mut self, fault: Fault) {
        self.waiting.push(fault);
    }

    /// Takes note of a connection of a scenario's client.
    pub(crate) fn expose(&mut self, cookie: Option<u64>) {
        self.exposed.extend(cookie);
    }

    /// Takes note of whose connection is the next in the accept queue.
    pub(crate) fn set_next(&mut self, client: Option<Client>) {
        self.next_is_exposed = client.is_some_and(|client| !client.is_own());
    }

    /// Whether any waits for such a call.
    pub(crate) fn is_for(&self, call: Call) -> bool {
        self.waiting.iter().any(|fault| fault.call() == call)
    }

    /// The error with which this call is to be answered, on the socket of this number. `None` if it is to be made.
    pub(crate) fn take(&mut self, call: Call, cookie: Option<u64>) -> Option<Errno> {
        let exposed = match call {
            Call::Accept => self.next_is_exposed,
            _ => cookie.is_some_and(|cookie| self.exposed.contains(&cookie)),
        };
        if !exposed {
            return None;
        }
        let i = self.waiting.iter().position(|fault| fault.call() == call)?;
        let fault = self.waiting.remove(i);
        self.injected.push(fault);
        Some(fault.errno())
    }

    /// Those that a call was answered with in this run.
    pub(crate) fn injected(&self) -> &[Fault] {
        &self.injected
    }

    /// Begins a run.
    pub(crate) fn clear(&mut self) {
        *self = Injection::default();
    }

    /// Ends a run: nothing is injected any more.
    pub(crate) fn end(&mut self) {
        self.waiting.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(call: Call, errno: Errno) -> Fault {
        Fault::new(call, errno).unwrap()
    }

    #[test]
    fn an_error_of_accept_is_for_a_scenarios_client_that_is_next() {
        let mut injection = Injection::default();
        injection.add(fault(Call::Accept, Errno::EMFILE));
        for next in [None, Some(Client::PROBE), Some(Client::BYSTANDER)] {
            injection.set_next(next);
            assert_eq!(injection.take(Call::Accept, Some(1)), None, "{next:?}");
        }
        injection.set_next(Some(Client::nth(0)));
        assert_eq!(injection.take(Call::Recv, None), None);
        assert_eq!(injection.take(Call::Accept, None), Some(Errno::EMFILE));
        assert_eq!(injection.take(Call::Accept, None), None);
        assert_eq!(injection.injected(), [fault(Call::Accept, Errno::EMFILE)]);
    }

    #[test]
    fn other_errors_are_for_the_connections_of_the_scenarios_clients_alone() {
        let mut injection = Injection::default();
        injection.add(fault(Call::Send, Errno::EINTR));
        injection.add(fault(Call::Send, Errno::ECONNRESET));
        injection.expose(Some(7));
        injection.set_next(Some(Client::nth(0)));
        assert_eq!(injection.take(Call::Send, Some(8)), None);
        assert_eq!(injection.take(Call::Send, None), None);
        assert_eq!(injection.take(Call::Send, Some(7)), Some(Errno::EINTR));
        injection.end();
        assert_eq!(injection.take(Call::Send, Some(7)), None);
    }
}
