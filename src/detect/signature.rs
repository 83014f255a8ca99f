//! What makes two findings the same one.

use super::kind::Kind;
use crate::trace::{Role, TcpState};
use std::fmt;

/// What identifies a finding: its kind, the process, the call, and the state of the socket there. Two failures of one kind with different
/// causes differ in at least one of them. `Display` gives it in a line, as in `death in send, socket in CLOSE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature {
    /// The kind of failure.
    pub kind: Kind,
    /// The role of the process.
    pub role: Role,
    /// The last call of the process before the failure, if the failure showed in or after a call.
    pub call: Option<&'static str>,
    /// The TCP state of the call's socket just before the call; `None` if it is not known.
    pub state: Option<TcpState>,
}

impl Signature {
    /// A failure of the server as a whole, not of one call.
    pub(crate) const fn of(kind: Kind) -> Signature {
        Signature { kind, role: Role::Main, call: None, state: None }
    }

    /// Whether the other may be the same failure, if the call is not known or differs because the server has threads.
    pub(crate) fn is_like(&self, other: &Signature) -> bool {
        self.kind == other.kind && self.role.is_main() == other.role.is_main()
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        self.call.map_or(Ok(()), |call| write!(f, " in {call}"))?;
        self.state.map_or(Ok(()), |state| write!(f, ", socket in {state}"))
    }
}
