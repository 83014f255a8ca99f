//! RESP, the protocol of Redis (the RESP specification).

use super::talk::{Talk, ANNOUNCED, filling, LARGE, SENT};
use super::{Answer, Exchange};

pub(super) const NAME: &str = "redis";

pub(super) fn talk() -> Talk {
    let ping = b"*1\r\n$4\r\nPING\r\n";
    let get = b"*2\r\n$3\r\nGET\r\n$10\r\nbrokenpipe\r\n";
    let set = format!("*3\r\n$3\r\nSET\r\n$10\r\nbrokenpipe\r\n${LARGE}\r\n");
    let cut = format!("*2\r\n$4\r\nECHO\r\n${ANNOUNCED}\r\n");
    let say = vec![
        ping.to_vec(),
        b"*2\r\n$4\r\nECHO\r\n$5\r\nhello\r\n".to_vec(),
        [set.as_bytes(), &filling(LARGE), b"\r\n", get].concat(),
        get.repeat(64),
        [cut.as_bytes(), &filling(SENT)].concat(),
    ];
    Talk::new(&say, vec![], vec![Exchange::new(ping, Answer::Line(b"+PONG"))], vec![Exchange::new(b"*1\r\n$4\r\nQUIT\r\n", Answer::Line(b"+OK"))])
}
