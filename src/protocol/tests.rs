use super::*;

fn check(answer: &Answer, received: &[u8]) -> Progress {
    answer.check(received, false)
}

/// Asserts that `text` is a full answer, and that its prefixes are not: each is incomplete, and wrong if no more follows.
fn whole(answer: &Answer, text: &[u8]) {
    for cut in 0..text.len() {
        let shown = String::from_utf8_lossy(&text[..cut]);
        assert_eq!(check(answer, &text[..cut]), Progress::More, "{shown:?}");
        assert_eq!(answer.check(&text[..cut], true), Progress::Wrong, "{shown:?} and the end");
    }
    assert_eq!(check(answer, text), Progress::Full(text.len()));
    assert_eq!(answer.check(text, true), Progress::Full(text.len()));
    assert_eq!(check(answer, &[text, b"HTTP"].concat()), Progress::Full(text.len()), "what follows is no part of it");
}

#[test]
fn names_are_read_back_and_an_unknown_one_has_a_nearest() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    for protocol in Protocol::ALL {
        assert_eq!(protocol.to_string().parse(), Ok(protocol));
        assert!(readme.contains(&format!("`{protocol}`")), "the README lacks `{protocol}`");
    }
    let e = " memcache".parse::<Protocol>().unwrap_err();
    assert_eq!((e.column, e.len, e.nearest), (2, 8, Some("memcached")));
    assert!(e.to_string().contains("`memcache` is no protocol; expected http, redis, memcached, "), "{e}");
}

#[test]
fn every_protocol_says_something_and_asks_something() {
    for protocol in Protocol::ALL {
        assert_eq!(Protocol::ALL[protocol as usize], protocol, "the tables go by this");
        assert!(protocol.say().iter().all(|p| p.len() > 0) && !protocol.say().is_empty(), "{protocol}");
        assert!(!protocol.polite().is_empty(), "{protocol}");
        let mut said = protocol.say();
        said.sort_unstable();
        said.dedup();
        assert_eq!(said.len(), protocol.say().len(), "{protocol} says something twice");
    }
}

#[test]
fn http_says_what_the_hunt_needs() {
    let said = |start: &[u8]| {
        let found = Protocol::Http.say().into_iter().find(|p| p.given().unwrap().starts_with(start));
        found.unwrap().given().unwrap().to_vec()
    };
    let (head, body) = {
        let post = said(b"POST ");
        let end = post.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
        (String::from_utf8(post[..end].to_vec()).unwrap(), post.len() - end)
    };
    assert!(head.contains("\r\nContent-Length: 100000\r\n"), "{head}");
    assert_eq!(body, 100, "fewer than were announced");
    assert!(said(b"HEAD ").ends_with(b"\r\n\r\n"));
    let get = said(b"GET / HTTP/1.1");
    assert!(Protocol::Http.say().iter().any(|p| p.given().unwrap() == get.repeat(2)), "no pipelined pair");
}

#[test]
fn nothing_is_waited_for() {
    assert_eq!(check(&Answer::Nothing, b""), Progress::Full(0));
    assert_eq!(Answer::Nothing.check(b"abc", true), Progress::Full(0));
}

#[test]
fn something_is_a_byte_or_the_end() {
    assert_eq!(check(&Answer::Something, b""), Progress::More);
    assert_eq!(Answer::Something.check(b"", true), Progress::Full(0));
    assert_eq!(check(&Answer::Something, b"ab"), Progress::Full(2));
}

#[test]
fn a_line_is_whole_with_its_end_and_wrong_as_soon_as_it_differs() {
    let pong = Answer::Line(b"+PONG");
    whole(&pong, b"+PONG\r\n");
    whole(&Answer::Line(b"VERSION "), b"VERSION 1.6.18\r\n");
    assert_eq!(check(&pong, b"-"), Progress::Wrong);
    assert_eq!(check(&pong, b"+PO\n"), Progress::Wrong);
}

#[test]
fn a_reply_goes_on_to_the_line_without_a_hyphen() {
    let reply = Answer::Reply(b"250");
    whole(&reply, b"250 ok\r\n");
    whole(&reply, b"250-localhost\r\n250-SIZE 1000\r\n250 HELP\r\n");
    whole(&reply, b"250\r\n");
    for wrong in [&b"25x"[..], b"554 ", b"2500", b"250-a\r\n554 b\r\n", b"25\n"] {
        assert_eq!(check(&reply, wrong), Progress::Wrong, "{:?}", String::from_utf8_lossy(wrong));
    }
}

#[test]
fn exactly_is_to_the_byte() {
    let echo = Answer::Exactly(b"abc\n".to_vec());
    whole(&echo, b"abc\n");
    assert_eq!(check(&echo, b"abd"), Progress::Wrong);
}

#[test]
fn http_bodies_end_by_their_length() {
    whole(&Answer::Http, b"HTTP/1.1 200 OK\r\ncontent-LENGTH:  5 \r\nServer: x\r\n\r\nhello");
    whole(&Answer::Http, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    whole(&Answer::Http, b"HTTP/1.1 200\nContent-Length: 1\n\n\n");
}

#[test]
fn http_bodies_end_by_their_last_chunk_and_trailers() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\nContent-Length: 1\r\n\r\n";
    for body in ["0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", "a;x=y\r\n0\r\n\r\n0\r\n\r\n\r\n1\r\nb\r\n0\r\nT: 1\r\n\r\n"] {
        whole(&Answer::Http, format!("{head}{body}").as_bytes());
    }
}

#[test]
fn http_bodies_of_unknown_length_end_with_the_connection() {
    let text = b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\nhello";
    for cut in 0..=text.len() {
        assert_eq!(check(&Answer::Http, &text[..cut]), Progress::More);
    }
    assert_eq!(Answer::Http.check(text, true), Progress::Full(text.len()));
    assert_eq!(Answer::Http.check(&text[..20], true), Progress::Wrong, "the headers did not end");
}

#[test]
fn http_responses_without_a_body_and_interim_ones() {
    whole(&Answer::Http, b"HTTP/1.1 204 No Content\r\n\r\n");
    whole(&Answer::Http, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n");
    whole(&Answer::Http, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

#[test]
fn what_is_no_http_is_wrong_at_once() {
    for wrong in [
        &b"h"[..],
        b"HTTP/2",
        b"HTTP/1.1 2000 x\r\n",
        b"HTTP/1.1 +20 x\r\n",
        b"HTTP/1.1 099 x\r\n",
        b"HTTP/1.1\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    ] {
        assert_eq!(check(&Answer::Http, wrong), Progress::Wrong, "{:?}", String::from_utf8_lossy(wrong));
    }
}

#[test]
fn a_server_says_whether_it_keeps_the_connection() {
    let keeps = |text: &str| Answer::Http.keeps_open(text.as_bytes());
    assert!(keeps("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    assert!(!keeps("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: foo, Close\r\n\r\n"));
    assert!(!keeps("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"));
    assert!(keeps("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"));
    assert!(!keeps("HTTP/1.1 200 OK\r\n\r\nto the end"));
    assert!(Answer::Line(b"+").keeps_open(b"+OK\r\n"));
}

#[test]
fn payloads_of_a_command_line_need_no_quotation_marks() {
    let given = |text| parse_payload(text).map(|p| p.given().unwrap().to_vec());
    assert_eq!(given(r#"a"b\"\\\x00\0\n\t\xff"#), Ok(b"a\"b\"\\\0\0\n\t\xff".to_vec()));
    assert_eq!(given("a\né; # '"), Ok("a\né; # '".as_bytes().to_vec()));
    assert_eq!(given(""), Ok(vec![]));
    let e = parse_payload(r"ab\q").unwrap_err();
    assert_eq!((e.offset, e.len), (2, 2));
    assert!(e.to_string().contains("an unknown escape"));
    assert!(parse_payload("ab\\").unwrap_err().to_string().contains("an unknown escape"));
    assert!(parse_payload(r"\x1").unwrap_err().to_string().contains("two hexadecimal digits"));
    assert_eq!(given(&"x".repeat(crate::MAX_SEND)).unwrap().len(), crate::MAX_SEND);
    let e = parse_payload(&"x".repeat(crate::MAX_SEND + 1)).unwrap_err();
    assert!(e.to_string().contains("16385 bytes are more than one send may carry; expected at most 16384"), "{e}");
}
