//! What a full answer is.

use super::http_response;

/// What a full answer is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// No answer is waited for.
    Nothing,
    /// At least one byte, or the end of file: whatever the server says until it has settled.
    Something,
    /// One line that begins so.
    Line(&'static [u8]),
    /// A reply with this code, as SMTP has them: lines that begin with the code and a hyphen, and a last one without the hyphen.
    Reply(&'static [u8; 3]),
    /// Just these bytes.
    Exactly(Vec<u8>),
    /// A whole response to a request that is no HEAD: the status line, the headers, and the body by its length, in chunks, or up
    /// to the end of file. Any final status will do.
    Http,
}

/// How far an answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Progress {
    /// So far it may become one.
    More,
    /// It is whole, and has so many bytes of those received.
    Full(usize),
    /// It is none, whatever follows.
    Wrong,
}

impl Answer {
    /// How far the bytes that were received since the question have come. `eof` says that no more will follow.
    pub fn check(&self, received: &[u8], eof: bool) -> Progress {
        let progress = match self {
            Answer::Nothing => Progress::Full(0),
            Answer::Something if received.is_empty() && !eof => Progress::More,
            Answer::Something => Progress::Full(received.len()),
            Answer::Line(start) => line(received, start),
            Answer::Reply(code) => reply(received, code),
            Answer::Exactly(bytes) => match begins(received, bytes) {
                Progress::Full(_) => Progress::Full(bytes.len()),
                other => other,
            },
            Answer::Http => match http_response::response(received, eof) {
                Ok(Some(response)) => Progress::Full(response.len),
                Ok(None) => Progress::More,
                Err(http_response::Malformed) => Progress::Wrong,
            },
        };
        match progress {
            Progress::More if eof => Progress::Wrong,
            progress => progress,
        }
    }

    /// Whether the server means to keep the connection after this full answer, as far as it said so.
    pub fn keeps_open(&self, answer: &[u8]) -> bool {
        match self {
            Answer::Http => matches!(http_response::response(answer, false), Ok(Some(response)) if response.keeps_open),
            _ => true,
        }
    }
}

/// Whether `received` begins with `start`, as far as it goes.
fn begins(received: &[u8], start: &[u8]) -> Progress {
    let common = received.len().min(start.len());
    match received[..common] == start[..common] {
        false => Progress::Wrong,
        true if common < start.len() => Progress::More,
        true => Progress::Full(common),
    }
}

fn line(received: &[u8], start: &[u8]) -> Progress {
    match (begins(received, start), received.iter().position(|b| *b == b'\n')) {
        (Progress::Full(_), Some(end)) => Progress::Full(end + 1),
        (Progress::Full(_), None) => Progress::More,
        // A line that has ended will not become longer.
        (Progress::More, Some(_)) => Progress::Wrong,
        (other, _) => other,
    }
}

fn reply(received: &[u8], code: &[u8; 3]) -> Progress {
    let mut at = 0;
    loop {
        let here = &received[at..];
        match (line(here, code), here.get(3)) {
            (Progress::Full(len), Some(b'-')) => at += len,
            (Progress::Full(len), Some(b' ' | b'\r' | b'\n')) => return Progress::Full(at + len),
            (Progress::More, None | Some(b'-' | b' ' | b'\r')) => return Progress::More,
            _ => return Progress::Wrong,
        }
    }
}
