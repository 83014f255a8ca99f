//! What makes two findings the same one.

use super::symptom::Symptom;
use crate::trace::{Role, TcpState};

/// The identity of a finding: its kind, the process, the call, and the state of the socket there. Two failures of one kind with different
/// causes differ in at least one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// The kind of failure.
    pub symptom: Symptom,
    /// The role of the process.
    pub role: Role,
    /// The last call of the process before the failure, if the failure showed in or after a call.
    pub call: Option<&'static str>,
    /// The TCP state of the call's socket just before the call; `None` if it is not known.
    pub state: Option<TcpState>,
}

impl Identity {
    /// A failure of the server as a whole, not of one call.
    pub(crate) const fn of(symptom: Symptom) -> Identity {
        Identity { symptom, role: Role::Main, call: None, state: None }
    }

    /// Whether the other may be the same failure, if the call is not known or differs because the server has threads.
    pub(crate) fn is_like(&self, other: &Identity) -> bool {
        self.symptom == other.symptom && self.role.is_main() == other.role.is_main()
    }
}
