//! Errors that the harness injects: it answers a call with an error, and the kernel does not make the call.

use crate::scenario::{Call, Client, Errno, Fault};

/// The injected errors of a run: those that wait for a call, and those that a call was answered with.
///
/// Errors are injected only into calls on connections of the scenario's clients, and into an `accept` that would take such a connection.
/// They are never injected into calls for the harness's own clients, because those clients check the state of the server afterwards.
#[derive(Debug, Default)]
pub(crate) struct Injection {
    waiting: Vec<Fault>,
    /// The cookies (`SO_COOKIE`) of the server-side sockets of the scenario's clients.
    exposed: Vec<u64>,
    /// Whether the next connection in the accept queue is that of a scenario's client.
    next_is_exposed: bool,
    /// The errors that calls were answered with in this run.
    injected: Vec<Fault>,
}

impl Injection {
    /// Adds an error for the next call of the fault's kind.
    pub(crate) fn add(&mut self, fault: Fault) {
        self.waiting.push(fault);
    }

    /// Records the cookie of a connection of a scenario's client.
    pub(crate) fn expose(&mut self, cookie: Option<u64>) {
        self.exposed.extend(cookie);
    }

    /// Records which client's connection is the next in the accept queue.
    pub(crate) fn set_next(&mut self, client: Option<Client>) {
        self.next_is_exposed = client.is_some_and(|client| !client.is_own());
    }

    /// Whether an error waits for a call of this kind.
    pub(crate) fn is_for(&self, call: Call) -> bool {
        self.waiting.iter().any(|fault| fault.call() == call)
    }

    /// Removes and returns the error with which to answer a call of this kind; `None` if the kernel is to make the call. The cookie of the
    /// socket decides whether an error may be injected; for an `accept`, the next connection in the queue decides.
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

    /// The errors that calls were answered with in this run.
    pub(crate) fn injected(&self) -> &[Fault] {
        &self.injected
    }

    /// Begins a run.
    pub(crate) fn clear(&mut self) {
        *self = Injection::default();
    }

    /// Ends a run: drops the errors that still wait for a call.
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
