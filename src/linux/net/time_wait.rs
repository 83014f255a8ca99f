//! Housekeeping of TIME_WAIT: each leaves a small socket behind for a minute, and past `net.ipv4.tcp_max_tw_buckets` of them
//! the kernel makes no more, which would show in a trace as CLOSE.

use crate::linux::error::KernelError;
use crate::linux::net::sock_diag::{Netstat, Pair};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// How many connections are let go before their sockets in TIME_WAIT are taken down together.
const BATCH: usize = 1024;
/// A TIME_WAIT lasts a minute (`TCP_TIMEWAIT_LEN`); the timer's granularity adds a little.
const DRAIN_BOUND: Duration = Duration::from_secs(75);
/// How often the sockets in TIME_WAIT are counted while they are waited for.
const COUNT_AGAIN: Duration = Duration::from_millis(50);
const DOING: &str = "make room for sockets in TIME_WAIT";

/// What past runs may have left in TIME_WAIT.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    pairs: Vec<Pair>,
    /// Set once taking down was refused: from then on there is only waiting.
    refused: bool,
    /// Set by whoever wants the run to stop: then nobody needs room.
    stop: Option<Arc<AtomicBool>>,
}

impl Leftovers {
    /// None yet. Nobody waits any longer when `stop` is set.
    pub(crate) fn until(stop: Arc<AtomicBool>) -> Leftovers {
        Leftovers { stop: Some(stop), ..Leftovers::default() }
    }

    /// Notes a connection whose both ends may be in TIME_WAIT, and makes room if many have come together.
    pub(crate) fn add(&mut self, (local, peer): Pair, netstat: &mut Netstat) -> Result<(), KernelError> {
        self.pairs.extend([(local, peer), (peer, local)]);
        if self.pairs.len() < BATCH { Ok(()) } else { self.clear(netstat) }
    }

    /// Takes down what has been noted; where that is not allowed, waits until the kernel has room again.
    fn clear(&mut self, netstat: &mut Netstat) -> Result<(), KernelError> {
        if self.take_down(netstat)? { Ok(()) } else { wait_for_room(self.stop.as_deref()) }
    }

    /// Takes down what has been noted, and forgets it. False if that is not allowed.
    pub(crate) fn take_down(&mut self, netstat: &mut Netstat) -> Result<bool, KernelError> {
        self.refused = self.refused || !netstat.destroy(&self.pairs)?;
        self.pairs.clear();
        Ok(!self.refused)
    }
}

/// Waits until at most three quarters of the allowed sockets are in TIME_WAIT, or somebody sets `stop`.
fn wait_for_room(stop: Option<&AtomicBool>) -> Result<(), KernelError> {
    // In a network namespace of one's own the limit may not be shown; the kernel's smallest default then stands in.
    let limit = number("/proc/sys/net/ipv4/tcp_max_tw_buckets", |text| text.trim().parse().ok()).unwrap_or(4096);
    wait_until(|| Ok(number("/proc/net/sockstat", time_waits)? <= limit / 4 * 3), stop)
}

/// Waits until there is room, or somebody sets `stop`.
fn wait_until(
    mut has_room: impl FnMut() -> Result<bool, KernelError>,
    stop: Option<&AtomicBool>,
) -> Result<(), KernelError> {
    let deadline = Instant::now() + DRAIN_BOUND;
    loop {
        if has_room()? || stop.is_some_and(|stop| stop.load(Relaxed)) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(KernelError::Late { doing: DOING, bound: DRAIN_BOUND });
        }
        // The kernel has no event for its count, which falls by what has come together in a minute.
        std::thread::sleep(COUNT_AGAIN);
    }
}

fn number(path: &str, parse: impl FnOnce(&str) -> Option<u64>) -> Result<u64, KernelError> {
    let text = std::fs::read_to_string(Path::new(path)).map_err(KernelError::io(DOING, "read /proc/net"))?;
    parse(&text).ok_or(KernelError::Garbled { what: "/proc/net/sockstat" })
}

/// The `tw` of the line `TCP: inuse 5 orphan 0 tw 12 alloc 7 mem 1`.
fn time_waits(text: &str) -> Option<u64> {
    let mut words = text.lines().find(|line| line.starts_with("TCP:"))?.split_whitespace();
    words.find(|word| *word == "tw")?;
    words.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::clock::blocked_call::tests::wait_for_sleep;
    use std::sync::mpsc;

    #[test]
    fn room_is_waited_for_asleep_until_somebody_wants_to_stop() {
        let stop = Arc::new(AtomicBool::new(false));
        let (tell, told) = mpsc::channel();
        let waiting = std::thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                tell.send(nix::unistd::gettid().as_raw()).unwrap();
                wait_until(|| Ok(false), Some(&stop))
            }
        });
        wait_for_sleep(told.recv().unwrap(), &[libc::SYS_clock_nanosleep, libc::SYS_nanosleep]);
        stop.store(true, Relaxed);
        waiting.join().unwrap().unwrap();
        wait_until(|| Ok(true), None).unwrap();
    }

    #[test]
    fn the_count_of_time_waits_is_found_by_its_word() {
        let text = "sockets: used 9\nTCP: inuse 5 orphan 0 tw 12 alloc 7 mem 1\nUDP: inuse 0\n";
        assert_eq!(time_waits(text), Some(12));
        assert_eq!(time_waits("TCP: inuse 5"), None);
    }
}
