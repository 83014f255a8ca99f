//! The echo protocol: the server sends back everything that it receives (RFC 862).

use super::talk::Talk;
use super::{Answer, Exchange};

pub(super) const NAME: &str = "echo";

pub(super) fn talk() -> Talk {
    let line = b"brokenpipe\n".to_vec();
    Talk::new(std::slice::from_ref(&line), vec![], vec![Exchange::new(&line, Answer::Exactly(line.clone()))], vec![])
}
