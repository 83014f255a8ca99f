//! The echo protocol: the server sends back everything that it receives (RFC 862).

use super::talk::Talk;
use super::{Answer, Exchange, Frame};

pub(super) const NAME: &str = "echo";

/// A long line.
const FRAMES: &[Frame] = &[Frame { head: |_| String::new(), tail: "\n", is_declared: false }];

pub(super) fn talk() -> Talk {
    let line = b"brokenpipe\n".to_vec();
    Talk::new(std::slice::from_ref(&line), vec![], vec![Exchange::new(&line, Answer::Exactly(line.clone()))], vec![])
        .sized(FRAMES)
}
