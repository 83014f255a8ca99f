//! What is said in each protocol.

use super::{Answer, Exchange, Protocol};
use crate::scenario::Payload;

/// All that is said in a protocol.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) say: Vec<Payload>,
    pub(super) opening: Vec<Exchange>,
    pub(super) polite: Vec<Exchange>,
    pub(super) closing: Vec<Exchange>,
}

/// A value of so many bytes: with a few dozen of them a reply outgrows the buffers of a client that does not read.
const LARGE: usize = 8_192;
/// What is announced of a body or value of which only [`SENT`] bytes are sent.
const ANNOUNCED: usize = 100_000;
/// What is sent of it.
const SENT: usize = 100;

pub(super) fn of(protocol: Protocol) -> Talk {
    let (say, opening, polite, closing) = match protocol {
        Protocol::Http => http(),
        Protocol::Redis => redis(),
        Protocol::Memcached => memcached(),
        Protocol::Smtp => smtp(),
        Protocol::Echo => {
            let line = b"brokenpipe\n".to_vec();
            (vec![line.clone()], vec![], vec![ask(&line, Answer::Exactly(line.clone()))], vec![])
        }
        // That the server says something, or closes, is not asked for: it may wait for a word that nobody here knows.
        Protocol::None => return Talk { say: Payload::filling(5).into_iter().collect(), ..Talk::silent() },
    };
    let say = say.iter().map(|bytes| Payload::bytes(bytes).expect("no payload of a preset is too long")).collect();
    Talk { say, opening, polite, closing }
}

impl Talk {
    fn silent() -> Talk {
        Talk { say: vec![], opening: vec![], polite: vec![ask(b"", Answer::Nothing)], closing: vec![] }
    }
}

/// The payloads, the opening, the polite question and the closing.
type Words = (Vec<Vec<u8>>, Vec<Exchange>, Vec<Exchange>, Vec<Exchange>);

fn ask(send: &[u8], answer: Answer) -> Exchange {
    Exchange { send: send.to_vec(), answer }
}

fn http() -> Words {
    let get = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let post = format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {ANNOUNCED}\r\n\r\n");
    let say = vec![
        get.to_vec(),
        b"GET / HTTP/1.0\r\n\r\n".to_vec(),
        b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        [post.as_bytes(), &filling(SENT)].concat(),
        get.repeat(2),
    ];
    (say, vec![], vec![ask(get, Answer::Http)], vec![])
}

fn redis() -> Words {
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
    (say, vec![], vec![ask(ping, Answer::Line(b"+PONG"))], vec![ask(b"*1\r\n$4\r\nQUIT\r\n", Answer::Line(b"+OK"))])
}

fn memcached() -> Words {
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
    // Its `quit` is answered by a close alone.
    (say, vec![], vec![ask(b"version\r\n", Answer::Line(b"VERSION "))], vec![])
}

fn smtp() -> Words {
    let ehlo = b"EHLO localhost\r\n";
    let mail = b"MAIL FROM:<a@localhost>\r\nRCPT TO:<b@localhost>\r\nDATA\r\n";
    // The mail is never ended, so that none is ever sent.
    let say = vec![
        ehlo.to_vec(),
        b"NOOP\r\n".to_vec(),
        b"QUIT\r\n".to_vec(),
        [&ehlo[..], mail, b"Subject: ", &filling(SENT)].concat(),
    ];
    let opening = vec![ask(b"", Answer::Reply(b"220")), ask(ehlo, Answer::Reply(b"250"))];
    (say, opening, vec![ask(b"NOOP\r\n", Answer::Reply(b"250"))], vec![ask(b"QUIT\r\n", Answer::Reply(b"221"))])
}

fn filling(len: usize) -> Vec<u8> {
    vec![b'x'; len]
}
