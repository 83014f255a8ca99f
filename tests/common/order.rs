//! Plays an order of events against a running server, without brokenpipe. Orders are in the text form of scenarios; only the events that
//! the tests need are supported.

use crate::run::unforked;
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;

/// What an order needs of a running server.
pub(crate) trait Played {
    fn connect(&self) -> std::io::Result<TcpStream>;
    /// Stops all processes of the server, or lets them continue.
    fn hold(&mut self, held: bool);
    /// Waits until the server has reacted to an event.
    fn settle(&mut self);
    /// Makes the server's next `call` (accept, recv or send) fail with this error.
    fn fail(&self, call: &str, errno: i32);
    /// Limits the server's processes to the descriptors that they have open, or lifts the limit.
    fn limit_descriptors(&mut self, limited: bool);
    /// Looks whether others are served while this number of clients is connected, at the end of an order.
    fn is_held_by(&mut self, _clients: usize) {}
    /// Sends a signal to the server's main process.
    fn signal(&self, signal: Signal);
}

/// Plays an order, then closes the clients that are still open and lifts the limit of descriptors.
pub(crate) fn play(order: &str, server: &mut impl Played) {
    let mut clients = BTreeMap::new();
    let mut held = false;
    for event in events(order) {
        match event.split_once(' ') {
            None => {
                held = event == "hold";
                server.hold(held);
            }
            Some(("fault", which)) => {
                let (call, errno) = which.split_once(' ').expect("a call and an error");
                server.fail(call, number(errno));
            }
            Some(("limit", which)) => server.limit_descriptors(which == "descriptors"),
            Some(("wait", millis)) => {
                let millis = millis.strip_suffix("ms").and_then(|number| number.parse().ok()).expect("milliseconds");
                std::thread::sleep(std::time::Duration::from_millis(millis));
            }
            Some(("signal", "SIGURG")) => server.signal(Signal::SIGURG),
            Some((client, action)) => act(client, action, &mut clients, server),
        }
        if !held {
            server.settle();
        }
    }
    server.is_held_by(clients.len());
    let _unforked = unforked();
    drop(clients);
    server.limit_descriptors(false);
}

fn act<'a>(client: &'a str, action: &str, clients: &mut BTreeMap<&'a str, TcpStream>, server: &impl Played) {
    let _unforked = unforked();
    // A failed connect, shutdown or send is ignored: the server may have stopped listening, or may have closed the connection.
    match (action.split_once(' ').unwrap_or((action, "")), clients.get_mut(client)) {
        (("connect", _), _) => {
            let _ = server.connect().map(|stream| clients.insert(client, stream));
        }
        (("close", _), _) => drop(clients.remove(client)),
        (("rst", _), _) => {
            if let Some(stream) = clients.remove(client) {
                let at_once = Some(std::time::Duration::ZERO);
                socket2::SockRef::from(&stream).set_linger(at_once).expect("SO_LINGER");
            }
        }
        (("fin", _), Some(stream)) => drop(stream.shutdown(Shutdown::Write)),
        (("send", payload), Some(stream)) => drop(stream.write_all(unquoted(payload).as_bytes())),
        (("urgent", _), Some(stream)) => {
            // SAFETY: one byte, of a constant.
            unsafe { libc::send(stream.as_raw_fd(), b"!".as_ptr().cast(), 1, libc::MSG_OOB | libc::MSG_NOSIGNAL) };
        }
        ((other, _), stream) => assert!(stream.is_none(), "`{other}` is nothing that an order here does"),
    }
}

/// The events of an order, with blocks expanded.
fn events(order: &str) -> Vec<&str> {
    match order.strip_prefix("repeat ").and_then(|rest| rest.strip_suffix(" }")?.split_once(" { ")) {
        Some((count, body)) => vec![body; count.parse().expect("a number")].into_iter().flat_map(events).collect(),
        None => order.split("; ").collect(),
    }
}

fn number(errno: &str) -> i32 {
    match errno {
        "ECONNABORTED" => libc::ECONNABORTED,
        "ECONNRESET" => libc::ECONNRESET,
        "EINTR" => libc::EINTR,
        "EMFILE" => libc::EMFILE,
        _ => panic!("{errno} is no error that an order here injects"),
    }
}

/// The text of a payload: so many bytes of filling, or what is quoted.
fn unquoted(payload: &str) -> String {
    if let Ok(len) = payload.parse() {
        return "x".repeat(len);
    }
    payload.trim_matches('"').replace("\\r", "\r").replace("\\n", "\n")
}
