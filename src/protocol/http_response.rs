//! Where an HTTP response ends (RFC 9112, section 6.3).

/// A whole response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Response {
    /// The length in bytes, including interim responses before it.
    pub(super) len: usize,
    /// Whether the server is going to keep the connection open.
    pub(super) keeps_open: bool,
}

/// What was received is not the beginning of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The first final response in `received`; `None` if it is not complete yet. `eof` says that no more bytes will follow.
pub(super) fn response(received: &[u8], eof: bool) -> Result<Option<Response>, Malformed> {
    let mut lines = Lines { bytes: received, at: 0 };
    loop {
        let Some(head) = head(&mut lines)? else { return Ok(None) };
        match head.status {
            // After 101 the connection no longer speaks HTTP.
            100 | 102..=199 => continue,
            101 | 204 | 304 => return Ok(Some(Response { len: lines.at, keeps_open: head.keeps_open })),
            _ => {}
        }
        let rest = received.len() - lines.at;
        return Ok(match head.body {
            Body::Chunked => chunks(&mut lines)?.map(|()| Response { len: lines.at, keeps_open: head.keeps_open }),
            Body::Length(len) if len > rest => None,
            Body::Length(len) => Some(Response { len: lines.at + len, keeps_open: head.keeps_open }),
            Body::ToTheEnd => eof.then_some(Response { len: received.len(), keeps_open: false }),
        });
    }
}

#[derive(Clone, Copy)]
enum Body {
    Chunked,
    Length(usize),
    ToTheEnd,
}

struct Head {
    status: u16,
    body: Body,
    keeps_open: bool,
}

struct Lines<'r> {
    bytes: &'r [u8],
    at: usize,
}

impl<'r> Lines<'r> {
    /// The next line without its line end; `None` if the line is not complete yet.
    fn next(&mut self) -> Option<&'r [u8]> {
        let rest = &self.bytes[self.at..];
        let end = rest.iter().position(|b| *b == b'\n')?;
        self.at += end + 1;
        Some(rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]))
    }
}

fn head(lines: &mut Lines<'_>) -> Result<Option<Head>, Malformed> {
    const VERSION: &[u8] = b"HTTP/1.";
    let rest = &lines.bytes[lines.at..];
    if !rest.starts_with(&VERSION[..rest.len().min(VERSION.len())]) {
        return Err(Malformed);
    }
    let Some(line) = lines.next() else { return Ok(None) };
    let (minor, status) = status(line).ok_or(Malformed)?;
    let mut head = Head { status, body: Body::ToTheEnd, keeps_open: minor > 0 };
    loop {
        let Some(line) = lines.next() else { return Ok(None) };
        if line.is_empty() {
            return Ok(Some(head));
        }
        let colon = line.iter().position(|b| *b == b':').ok_or(Malformed)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            head.body = if has_word(value, b"chunked") { Body::Chunked } else { Body::ToTheEnd };
        } else if name.eq_ignore_ascii_case(b"content-length") && !matches!(head.body, Body::Chunked) {
            head.body = Body::Length(number(value, 10).ok_or(Malformed)?);
        } else if name.eq_ignore_ascii_case(b"connection") {
            head.keeps_open = !has_word(value, b"close") && (minor > 0 || has_word(value, b"keep-alive"));
        }
    }
}

/// The minor version and the status of a status line.
fn status(line: &[u8]) -> Option<(u8, u16)> {
    let [minor @ b'0'..=b'9', b' ', rest @ ..] = line.strip_prefix(b"HTTP/1.")? else { return None };
    let (code, reason) = rest.split_at_checked(3)?;
    let code = number(code, 10).filter(|code| *code >= 100)?;
    matches!(reason, [] | [b' ', ..]).then_some((minor - b'0', code as u16))
}

fn has_word(value: &[u8], word: &[u8]) -> bool {
    value.split(|b| *b == b',').any(|w| w.trim_ascii().eq_ignore_ascii_case(word))
}

/// A number that consists of digits only: `from_str_radix` would accept a sign.
fn number(digits: &[u8], radix: u32) -> Option<usize> {
    let text = std::str::from_utf8(digits).ok()?;
    text.chars().all(|c| c.is_digit(radix)).then(|| usize::from_str_radix(text, radix).ok())?
}

/// Skips a chunked body and its trailers; `None` if they are not complete yet.
fn chunks(lines: &mut Lines<'_>) -> Result<Option<()>, Malformed> {
    loop {
        let Some(line) = lines.next() else { return Ok(None) };
        let size = line.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
        match number(size, 16).ok_or(Malformed)? {
            0 => break,
            size if size >= lines.bytes.len() - lines.at => return Ok(None),
            size => lines.at += size,
        }
        match lines.next() {
            None => return Ok(None),
            Some([]) => {}
            Some(_) => return Err(Malformed),
        }
    }
    while let Some(line) = lines.next() {
        if line.is_empty() {
            return Ok(Some(()));
        }
    }
    Ok(None)
}
