//! RESP, the protocol of Redis (the RESP specification).

use super::talk::{ANNOUNCED, LARGE, SENT, Talk, filling};
use super::{Answer, Exchange, Frame};

pub(super) const NAME: &str = "redis";

/// A value whose length is declared, and a long inline command.
const FRAMES: &[Frame] = &[
    Frame {
        head: |len| format!("*3\r\n$3\r\nSET\r\n$10\r\nbrokenpipe\r\n${len}\r\n"),
        tail: "\r\n",
        is_declared: true,
    },
    Frame { head: |_| "ECHO ".to_owned(), tail: "\r\n", is_declared: false },
];

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
    Talk::new(
        &say,
        vec![],
        vec![Exchange::new(ping, Answer::Line(b"+PONG"))],
        vec![Exchange::new(b"*1\r\n$4\r\nQUIT\r\n", Answer::Line(b"+OK"))],
    )
    .sized(FRAMES)
}
