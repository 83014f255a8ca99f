//! The text protocol of memcached (memcached's `doc/protocol.txt`).

use super::talk::{ANNOUNCED, LARGE, SENT, Talk, filling};
use super::{Answer, Exchange, Frame};

pub(super) const NAME: &str = "memcached";

/// A value whose length is declared, and a long key.
const FRAMES: &[Frame] = &[
    Frame { head: |len| format!("set brokenpipe 0 0 {len}\r\n"), tail: "\r\n", is_declared: true },
    Frame { head: |_| "get ".to_owned(), tail: "\r\n", is_declared: false },
];

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
    Talk::new(&say, vec![], vec![Exchange::new(b"version\r\n", Answer::Line(b"VERSION "))], vec![]).sized(FRAMES)
}
