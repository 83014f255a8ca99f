//! SMTP (RFC 5321).

use super::talk::{SENT, Talk, filling};
use super::{Answer, Exchange, Frame};

pub(super) const NAME: &str = "smtp";

/// A long line.
const FRAMES: &[Frame] = &[Frame { head: |_| "EHLO ".to_owned(), tail: "\r\n", is_declared: false }];

pub(super) fn talk() -> Talk {
    let ehlo = b"EHLO localhost\r\n";
    let mail = b"MAIL FROM:<a@localhost>\r\nRCPT TO:<b@localhost>\r\nDATA\r\n";
    // The mail is never ended, so that the server never delivers one.
    let say = vec![
        ehlo.to_vec(),
        b"NOOP\r\n".to_vec(),
        b"QUIT\r\n".to_vec(),
        [&ehlo[..], mail, b"Subject: ", &filling(SENT)].concat(),
    ];
    let opening = vec![Exchange::new(b"", Answer::Reply(b"220")), Exchange::new(ehlo, Answer::Reply(b"250"))];
    Talk::new(
        &say,
        opening,
        vec![Exchange::new(b"NOOP\r\n", Answer::Reply(b"250"))],
        vec![Exchange::new(b"QUIT\r\n", Answer::Reply(b"221"))],
    )
    .sized(FRAMES)
}
