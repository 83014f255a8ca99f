//! Clients that wait in the kernel. This takes long, so it comes first.

use crate::server::{Server, hunted};
use crate::util::Folder;

#[test]
fn a_client_that_the_kernel_keeps_back_for_a_second_is_waited_for() {
    // The polite clients send nothing, so each waits for a second until it is accepted and gets the greeting.
    hunted(&Folder::new(), Server::Deferring, &["--protocol", "none", "--cases", "1"]).code(0);
}
