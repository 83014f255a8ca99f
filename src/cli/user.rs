//! What brokenpipe does first when the user has no privileges.

use super::failure::say;
use brokenpipe::enter_user_namespace;

/// Moves the process into a user namespace in which it may create network namespaces, unless it may do so already. If that is not allowed,
/// a message says so, and the server shares the machine's network. The process must have a single thread.
pub(super) fn enter_namespace() {
    if let Err(error) = enter_user_namespace() {
        say(format_args!("no network of its own for the server: {error}; `brokenpipe doctor` tells more"));
    }
}
