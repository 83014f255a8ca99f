//! The text protocol of memcached (memcached's `doc/protocol.txt`).

use super::talk::{Talk, ANNOUNCED, filling, LARGE, SENT};
use super::{Answer, Exchange};

pub(super) const NAME: &str = "memcached";

pub(super) fn talk() -> Talk {
    let get = b"get brokenpipe\r\n";
    let set = format!("set brokenpipe 0 0 {LARGE}\r\n");
    let cut = format!("set brokenpipe 0 0 {ANNOUNCED}\r\n");
    let say = vec![
        b"version\r\n".to_vec(),
        [set.as_bytes(), &filling(LARGE), b"\r\n", get].concat(),
        get.to_vec(),
        get.repeat(64),
        [cut.as_bytes(), &filling(SENT)].concat(),
    ];
    // The server answers `quit` by closing the connection only, so there is no closing exchange.
    Talk::new(&say, vec![], vec![Exchange::new(b"version\r\n", Answer::Line(b"VERSION "))], vec![])
}
