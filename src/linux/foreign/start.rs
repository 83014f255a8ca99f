//! Waits until a program that has been started listens.

use super::injection::Injection;
use super::not_listening::{are_all_stopped, instead_of_listening};
use super::patience::Patience;
use super::server::LOOK_UP;
use crate::linux::error::KernelError;
use crate::linux::foreign::server::{Quiet, Server};
use crate::linux::net::tables;
use crate::linux::process::tasks::Death;
use crate::scenario::Errno;
use crate::trace::Signal;
use crate::world::quiescence::Quiescence;
use std::net::IpAddr;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// While a server starts, the interval between two look-ups of its listener is the time that the start has taken so far, divided by this
/// number, but at least [`ASK_AGAIN`] and at most [`ASK_AGAIN_AT_MOST`].
const ASK_AGAIN_PART: u32 = 32;
const ASK_AGAIN: Duration = Duration::from_millis(2);
const ASK_AGAIN_AT_MOST: Duration = Duration::from_millis(50);

/// Why a server does not listen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotListening {
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error("the command cannot be executed: {errno} ({})", errno.text())]
    NotExecuted { errno: Errno },
    #[error("the server ended before it listened: {}", how(.0))]
    Ended(Option<i32>),
    #[error("the server did not listen on a TCP port within {} s{waits}; `--start-timeout` gives it longer", bound.as_secs_f64())]
    Late { bound: Duration, waits: String },
    #[error("the server does not listen on a TCP port, and waits for good: nothing that it waits for can happen{0}")]
    Frozen(String),
    #[error("the server listens on {0} only, which brokenpipe does not speak: have it listen on 127.0.0.1")]
    Address(IpAddr),
    #[error(
        "the server has closed the listener on port {port} that it had{}",
        if *given { " as descriptor 3: `--listen-fd` is for servers that take it, as sd_listen_fds(3) has it" } else { "" }
    )]
    Closed { port: u16, given: bool },
    #[error("stopped")]
    Stopped,
    #[error("the server uses io_uring, whose calls the gate cannot see")]
    Ring,
}

/// Describes how a process ended, from its wait status (`waitpid(2)`).
pub(crate) fn how(status: &Option<i32>) -> String {
    let death = Death { pid: 0, inner: 0, status: *status, sent: false };
    match (death.signal(), death.code()) {
        (Some(signal), _) => format!("killed by {}", Signal::from_raw(signal)),
        (_, Some(code)) => format!("exited with {code}"),
        _ => "ended, nobody knows how".to_owned(),
    }
}

/// Lets a server start until it listens. Returns the listener, and the process that counts as the server: the first one, or, if that has
/// ended, the one that has the listener. The start may take as long as `bound`, not counting time in which the server was runnable but got
/// no processor. A server that is blocked for ever before it listens is an error at once.
pub(super) fn wait_for_listener(
    server: &mut Server,
    port: Option<u16>,
    stop: &AtomicBool,
    bound: Duration,
) -> Result<(tables::Entry, i32), NotListening> {
    let mut patience = Patience::new(server);
    // Releases all calls of the server, without injected errors, for about [`LOOK_UP`] at most. True if any call was released.
    let go_on = |server: &mut Server| -> Result<bool, KernelError> {
        let soon = Instant::now() + LOOK_UP;
        let mut steps = 0;
        while server.step(&mut Injection::default())?.is_some() && Instant::now() < soon {
            steps += 1;
        }
        server.survey()?;
        Ok(steps > 0)
    };
    server.survey()?;
    let mut quiet = Quiet::Busy(server.pid);
    loop {
        let steps = go_on(server)?;
        if stop.load(Relaxed) {
            return Err(NotListening::Stopped);
        }
        let wanted = |entry: &tables::Entry| port.is_none_or(|port| entry.port == port);
        let mut entries: Vec<_> = tables::listeners()?.into_iter().filter(wanted).collect();
        entries.sort_by_key(|entry| (entry.port, entry.address.is_ipv6(), !entry.address.is_unspecified()));
        if let Some(entry) = entries.first() {
            // The first process may have started the listening one in the background, and may be about to end.
            server.quiet()?;
            go_on(server)?;
            let main = if server.first_runs() { None } else { server.owner_of(entry.inode) };
            return Ok((*entry, main.unwrap_or(server.pid)));
        }
        if let Some(errno) = server.not_executed() {
            return Err(NotListening::NotExecuted { errno });
        }
        if server.uses_io_uring() && server.is_gated() {
            return Err(NotListening::Ring);
        }
        if server.main_status().is_some() && !server.is_alive() {
            return Err(NotListening::Ended(server.main_status()));
        }
        // The server was idle before the listeners were looked up, and has made no call since.
        if quiet == Quiet::Yes && !steps && (server.quiescence() == Quiescence::Frozen || are_all_stopped(server)) {
            return Err(NotListening::Frozen(instead_of_listening(server)));
        }
        if patience.is_over(server, bound) {
            return Err(NotListening::Late { bound, waits: instead_of_listening(server) });
        }
        let again = (server.now().saturating_duration_since(patience.start) / ASK_AGAIN_PART)
            .clamp(ASK_AGAIN, ASK_AGAIN_AT_MOST);
        // A server that has not begun to listen may wait for something outside, and ask for it again and again, so its clock does not jump.
        quiet = server.until(patience.next(server, bound).min(server.now() + again))?;
    }
}
