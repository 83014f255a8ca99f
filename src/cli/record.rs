//! `brokenpipe record`: lets a client talk to a server, and writes down their conversation.
//!
//! The client is given the port of a listener here instead of the server's. What one side says is passed on to the other as it comes, and is kept with
//! the order in which it came. Only the client's first connection is recorded; others are passed on as well.

use super::exit::Exit;
use super::failure::Failure;
use super::out::Out;
use brokenpipe::{Dialogue, MAX_SEND, Payload, Turn};
use clap::Args;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Write down the conversation of a client with a running server, for `hunt --dialogue`
///
/// The client is started with the port of a relay in place of {port}, and the relay passes on what both say. When the client has ended, the
/// dialogue of its first connection is written: what it sent, and the beginning of each answer.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  brokenpipe record --port 2525 --out login.dialogue -- swaks --server 127.0.0.1:{port} --to me@localhost"
)]
pub(super) struct Record {
    /// The port of 127.0.0.1 on which the server listens
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Write the dialogue to this file [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The client's command, with {port} in it
    #[arg(last = true, required = true, value_name = "CLIENT")]
    client: Vec<String>,
}

/// Who said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

/// What was said on a connection, in the order in which it came.
type Said = Arc<Mutex<Vec<(Side, Vec<u8>)>>>;

impl Record {
    pub(super) fn run(self, out: &mut Out) -> Result<u8, Failure> {
        if !self.client.iter().any(|word| word.contains("{port}")) {
            return Err(Failure::Usage(
                "the client's command needs {port} in it: the port that it connects to".to_owned(),
            ));
        }
        let harness = |doing: &str| {
            let doing = doing.to_owned();
            move |error: io::Error| Failure::Usage(format!("{doing}: {error}"))
        };
        let server = (Ipv4Addr::LOCALHOST, self.port);
        // Before the client is started, so that it is clear what is missing.
        TcpStream::connect(server).map_err(harness(&format!("no server listens on 127.0.0.1:{}", self.port)))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(harness("the relay's listener"))?;
        let port = listener.local_addr().map_err(harness("the relay's listener"))?.port().to_string();
        let said = Said::default();
        let first = Arc::clone(&said);
        thread::spawn(move || {
            let mut recorded = Some(first);
            for client in listener.incoming().map_while(Result::ok) {
                let said = recorded.take().unwrap_or_default();
                if let Ok(server) = TcpStream::connect(server) {
                    relay(client, server, &said);
                }
            }
        });
        let words: Vec<String> = self.client.iter().map(|word| word.replace("{port}", &port)).collect();
        let status = Command::new(&words[0])
            .args(&words[1..])
            .stdout(Stdio::from(io::stderr()))
            .status()
            .map_err(harness(&words[0]))?;
        let dialogue = dialogue(&said.lock().unwrap_or_else(PoisonError::into_inner));
        if dialogue.sends().next().is_none() {
            return Err(Failure::Usage(format!("the client said nothing to port {port}: it ended with {status}")));
        }
        let client = self.client.join(" ");
        let client: String = client.lines().map(|line| format!("# {line}\n")).collect();
        let text = client + &dialogue.to_string();
        match &self.out {
            Some(path) => {
                fs::write(path, text).map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?
            }
            None => out.write_all(text.as_bytes())?,
        }
        Ok(Exit::HELD)
    }
}

/// Passes on what both sides say, each on a thread of its own, until both have ended.
fn relay(client: TcpStream, server: TcpStream, said: &Said) {
    let both = || Some((client.try_clone().ok()?, server.try_clone().ok()?));
    for side in [Side::Client, Side::Server] {
        let Some((client, server)) = both() else { return };
        let (from, to) = if side == Side::Client { (client, server) } else { (server, client) };
        let said = Arc::clone(said);
        thread::spawn(move || pass_on(from, to, side, &said));
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, side: Side, said: &Said) {
    let mut bytes = vec![0; MAX_SEND];
    while let Ok(n @ 1..) = from.read(&mut bytes) {
        // Before it is passed on: the answer comes later.
        said.lock().unwrap_or_else(PoisonError::into_inner).push((side, bytes[..n].to_vec()));
        if to.write_all(&bytes[..n]).is_err() {
            break;
        }
    }
    // The other side may have ended.
    let _ = to.shutdown(Shutdown::Write);
}

/// The dialogue of what was said: what the client sent, and the beginning of what the server said after it.
fn dialogue(said: &[(Side, Vec<u8>)]) -> Dialogue {
    let mut turns: Vec<Turn> = Vec::new();
    let mut before = None;
    for (side, bytes) in said {
        match side {
            Side::Client => turns.extend(Payload::bytes(bytes).map(Turn::Send)),
            Side::Server if before != Some(Side::Server) => turns.push(Turn::Expect(beginning(bytes))),
            Side::Server => {}
        }
        before = Some(*side);
    }
    Dialogue::new(turns)
}

/// The first word of an answer. What comes later may be another time or number in each conversation.
fn beginning(bytes: &[u8]) -> Vec<u8> {
    const MOST: usize = 16;
    let end = bytes.iter().position(|byte| byte.is_ascii_whitespace()).unwrap_or(bytes.len());
    bytes[..end.clamp(1, MOST).min(bytes.len())].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialogue_has_what_the_client_sent_and_how_the_answers_began() {
        let said = [
            (Side::Server, &b"220 mail.example ESMTP Fri, 27 Nov 2026\r\n"[..]),
            (Side::Client, b"EHLO me\r\n"),
            (Side::Server, b"250-mail"),
            (Side::Server, b".example\r\n250 SIZE\r\n"),
            (Side::Client, b"QUIT\r\n"),
        ];
        let said: Vec<(Side, Vec<u8>)> = said.into_iter().map(|(side, bytes)| (side, bytes.to_vec())).collect();
        let expected = "expect \"220\"\nsend \"EHLO me\\r\\n\"\nexpect \"250-mail\"\nsend \"QUIT\\r\\n\"\n";
        assert_eq!(dialogue(&said).to_string(), expected);
        assert_eq!(beginning(b"\n"), b"\n");
    }
}
