//! What is said in FTP (RFC 959). The server speaks first.

use super::talk::{SENT, Talk, filling};
use super::{Answer, Exchange, Frame};

pub(super) const NAME: &str = "ftp";

/// A long line.
const FRAMES: &[Frame] = &[Frame { head: |_| "USER ".to_owned(), tail: "\r\n", is_declared: false }];

pub(super) fn talk() -> Talk {
    let user = b"USER anonymous\r\n";
    let say = [
        user.to_vec(),
        b"NOOP\r\n".to_vec(),
        b"QUIT\r\n".to_vec(),
        user.repeat(8),
        [&b"USER "[..], &filling(SENT)].concat(),
    ];
    let opening = vec![Exchange::new(b"", Answer::Reply(b"220"))];
    // The one question that a server answers before the login: others are 530 in some.
    let polite = vec![Exchange::new(user, Answer::Reply(b"331"))];
    Talk::new(&say, opening, polite, vec![Exchange::new(b"QUIT\r\n", Answer::Reply(b"221"))]).sized(FRAMES)
}
