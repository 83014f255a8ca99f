//! What a user without privilege needs first.

use super::failure::say;
use brokenpipe::enter_user_namespace;

/// Moves the process to where it may make networks of its own; where that is not allowed it says so, and all goes on without. There must
/// be no other thread yet.
pub(super) fn enter_namespace() {
    if let Err(error) = enter_user_namespace() {
        say(format_args!("no network of its own for the server: {error}; `brokenpipe doctor` tells more"));
    }
}
