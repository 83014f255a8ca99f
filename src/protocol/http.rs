//! HTTP/1.0 and 1.1 (RFC 9112).

use super::talk::{ANNOUNCED, LARGE, SENT, Talk, filling};
use super::{Answer, Exchange};

/// The announced size in bytes of a body that is to be refused.
const REFUSED: u64 = 1 << 40;

pub(super) const NAME: &str = "http";

pub(super) fn talk() -> Talk {
    let get = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let post = format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {ANNOUNCED}\r\n\r\n");
    // More than any server takes that has a limit.
    let refused = format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {REFUSED}\r\n\r\n");
    let say = vec![
        get.to_vec(),
        b"GET / HTTP/1.0\r\n\r\n".to_vec(),
        b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        [post.as_bytes(), &filling(SENT)].concat(),
        get.repeat(2),
        [refused.as_bytes(), &filling(LARGE)].concat(),
    ];
    Talk::new(&say, vec![], vec![Exchange::new(get, Answer::Http)], vec![])
}
