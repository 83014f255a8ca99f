//! What a full answer is, and how much of one has been received.

use super::http_response;

/// What a full answer is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// No answer is expected.
    Nothing,
    /// At least one byte, or the end of file. All bytes that were received belong to the answer.
    Something,
    /// At least one byte. All bytes that were received belong to the answer.
    Bytes,
    /// These bytes, anywhere; what comes before them belongs to the answer too.
    Contains(Vec<u8>),
    /// One line that begins with these bytes.
    Line(&'static [u8]),
    /// A reply with this code, as in SMTP: lines that begin with the code and a hyphen, and a last line without the hyphen.
    Reply(&'static [u8; 3]),
    /// Exactly these bytes.
    Exactly(Vec<u8>),
    /// A whole response to a request other than HEAD: the status line, the headers, and the body by its length, in chunks, or up
    /// to the end of file. Any final status is accepted.
    Http,
}

/// How much of an answer has been received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Progress {
    /// Not a full answer yet; further bytes may complete it.
    More,
    /// A full answer, which consists of this many of the received bytes.
    Full(usize),
    /// Not an answer, whatever follows.
    Wrong,
}

impl Answer {
    /// Checks the bytes that were received since the request. `eof` says that no more will follow.
    pub fn check(&self, received: &[u8], eof: bool) -> Progress {
        let progress = match self {
            Answer::Nothing => Progress::Full(0),
            Answer::Bytes if received.is_empty() => Progress::More,
            Answer::Something if received.is_empty() && !eof => Progress::More,
            Answer::Something | Answer::Bytes => Progress::Full(received.len()),
            Answer::Contains(bytes) => match received.windows(bytes.len().max(1)).position(|part| part == bytes) {
                Some(at) => Progress::Full(at + bytes.len()),
                None => Progress::More,
            },
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

    /// Whether the server is going to keep the connection open after this full answer, as far as the answer says.
    pub fn keeps_open(&self, answer: &[u8]) -> bool {
        match self {
            Answer::Http => matches!(http_response::response(answer, false), Ok(Some(response)) if response.keeps_open),
            _ => true,
        }
    }
}

/// Whether `received` begins with `start`, as far as its length allows to say.
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
        // A line that has ended does not get longer.
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
