//! How processes have ended, in words, and whether the server caused the end itself.

use super::detector::{Place, Sighting};
use crate::linux::foreign::history::Last;
use crate::linux::foreign::start::how;
use crate::linux::foreign::world::Ended;
use crate::trace::Role;

/// The sighting of a process that has ended.
pub(super) fn sighting(ended: &Ended, when: &str) -> Sighting {
    let Ended { death, role, after } = ended;
    let was = if death.signal().is_some() { "was " } else { "" };
    let after = after.as_ref();
    let evidence =
        format!("{} {was}{}{}{when}", process(*role), how(&death.status), after.map(in_or_after).unwrap_or_default());
    let place = Place { role: *role, call: after.map(|last| last.name), state: after.and_then(|last| last.state) };
    Sighting { place, evidence }
}

/// The sighting of a process that the reporter of this line has ended.
pub(super) fn by_reporter(ended: &Ended, line: &str) -> Sighting {
    let evidence = format!("{} {}; it wrote: {line}", process(ended.role), how(&ended.death.status));
    Sighting { place: Place { role: ended.role, ..Place::SERVER }, evidence }
}

/// The signal that killed a process, unless the server sent it. A server that kills its own processes does so on purpose.
pub(super) fn killed_by(ended: &Ended) -> Option<i32> {
    ended.death.signal().filter(|_| !ended.death.sent)
}

/// A process of this role, in words.
const fn process(role: Role) -> &'static str {
    match role {
        Role::Main => "the server",
        Role::Worker => "a worker process of the server",
        Role::Connection => "a child process that served one connection",
    }
}

/// The last call of a process that has ended, in words, to follow how it ended.
fn in_or_after(Last { name, client, error, .. }: &Last) -> String {
    let whose = match client {
        Some(client) if client.is_own() => " of a polite client".to_owned(),
        Some(client) => format!(" {client}"),
        None => String::new(),
    };
    let failed = error.map(|errno| format!(", which failed with {errno}")).unwrap_or_default();
    format!(", in or after {name}{whose}{failed}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Client, Errno};
    use crate::trace::TcpState;

    #[test]
    fn the_evidence_names_the_call_its_client_and_what_it_failed_with() {
        let last = |client, error| Last { name: "recv", client, state: Some(TcpState::Close), error };
        assert_eq!(in_or_after(&last(Some(Client::nth(0)), None)), ", in or after recv a");
        assert_eq!(
            in_or_after(&last(Some(Client::BYSTANDER), Some(Errno::EINTR))),
            ", in or after recv of a polite client, which failed with EINTR"
        );
    }
}
