//! HTTP/1.0 and 1.1 (RFC 9112).

use super::talk::{ANNOUNCED, LARGE, SENT, Talk, filling};
use super::{Answer, Exchange, Frame};

/// The announced size in bytes of a body that is to be refused.
const REFUSED: u64 = 1 << 40;

pub(super) const NAME: &str = "http";

/// A body whose length is declared, a long target and a long field.
const FRAMES: &[Frame] = &[
    Frame {
        head: |len| format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len}\r\n\r\n"),
        tail: "",
        is_declared: true,
    },
    Frame { head: |_| "GET /".to_owned(), tail: " HTTP/1.1\r\nHost: localhost\r\n\r\n", is_declared: false },
    Frame {
        head: |_| "GET / HTTP/1.1\r\nHost: localhost\r\nX-Filling: ".to_owned(),
        tail: "\r\n\r\n",
        is_declared: false,
    },
];

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
    Talk::new(&say, vec![], vec![Exchange::new(get, Answer::Http)], vec![]).sized(FRAMES)
}

/// The paths to which the links in a response lead, without duplicates: those of `href`, `src` and `Location` on the same server.
pub(crate) fn paths_in(response: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(response);
    let mut paths: Vec<String> = Vec::new();
    for start in ["href=\"", "src=\"", "Location: "] {
        for rest in text.split(start).skip(1) {
            let Some(link) = rest.split(['"', '\r', '\n', '#', ' ']).next() else { continue };
            let path = match link.strip_prefix('/') {
                Some(path) if !path.starts_with('/') => format!("/{path}"),
                None if !link.contains(':') && !link.is_empty() => format!("/{link}"),
                _ => continue,
            };
            if path != "/" && !paths.contains(&path) {
                paths.push(path);
            }
        }
    }
    paths
}

/// The same GET for sixteen ranges, each of which is the whole (RFC 9110, section 14.2). A server that allows it sends the whole sixteen times.
/// `None` for any other request.
pub(crate) fn with_ranges(request: &[u8]) -> Option<Vec<u8>> {
    let head = request.strip_prefix(b"GET ").and_then(|_| request.strip_suffix(b"\r\n"))?;
    let is_one = head.ends_with(b"\r\n") && !head.windows(4).any(|window| window == b"\r\n\r\n");
    let ranges = ["0-"; 16].join(",");
    is_one.then(|| [head, format!("Range: bytes={ranges}\r\n\r\n").as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_get_is_asked_for_many_ranges() {
        let ranged = super::with_ranges(b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let text = String::from_utf8(ranged).unwrap();
        assert!(text.starts_with("GET /a HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-,0-,"), "{text}");
        assert!(text.ends_with(",0-\r\n\r\n") && text.matches("0-").count() == 16, "{text}");
        let get = b"GET / HTTP/1.1\r\n\r\n";
        for other in [&b"HEAD / HTTP/1.1\r\n\r\n"[..], b"GET / HTTP/1.1\r\n", &get.repeat(2)] {
            assert_eq!(super::with_ranges(other), None);
        }
    }

    #[test]
    fn links_on_the_same_server_are_paths() {
        let response = b"HTTP/1.0 200 OK\r\nLocation: /new\r\n\r\n<a href=\"big.bin\"><img src=\"/a/b.png\"><a href=\"//elsewhere/x\">\
            <a href=\"http://elsewhere/\"><a href=\"/\"><a href=\"big.bin#part\"><a href=\"mailto:a\">";
        assert_eq!(super::paths_in(response), ["/big.bin", "/a/b.png", "/new"]);
    }
}
