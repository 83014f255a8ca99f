//! What makes two findings the same one.

use super::symptom::Symptom;
use crate::trace::{Role, TcpState};

/// The identity of a finding: its kind, the process, the call, and the state of the socket there. Two faults of one kind with different
/// causes differ in one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// What is wrong.
    pub symptom: Symptom,
    /// Which process of the server's it is about.
    pub role: Role,
    /// The process' last call before it showed, if it showed in or after one.
    pub call: Option<&'static str>,
    /// The state of the TCP socket that the call was made on, just before.
    pub state: Option<TcpState>,
}

impl Identity {
    /// Something that is about the server as a whole, and not about one call.
    pub(crate) const fn of(symptom: Symptom) -> Identity {
        Identity { symptom, role: Role::Main, call: None, state: None }
    }

    /// Whether the other may be the same where the call is not known, or was another because the server has threads.
    pub(crate) fn is_like(&self, other: &Identity) -> bool {
        self.symptom == other.symptom && self.role.is_main() == other.role.is_main()
    }
}
