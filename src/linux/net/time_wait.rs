//! Limits the number of sockets in TIME_WAIT.
//!
//! A connection leaves a small socket in TIME_WAIT for a minute. Beyond `net.ipv4.tcp_max_tw_buckets` of them the kernel creates no
//! more, and a trace would show CLOSE in place of TIME_WAIT.

use crate::linux::error::KernelError;
use crate::linux::net::sock_diag::{Pair, SockDiag};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// The number of recorded sockets, two for each connection, at which those in TIME_WAIT are destroyed together.
const BATCH: usize = 1024;
/// A TIME_WAIT lasts a minute (`TCP_TIMEWAIT_LEN`); the timer's granularity adds a little.
const DRAIN_BOUND: Duration = Duration::from_secs(75);
/// Interval between counts of the sockets in TIME_WAIT while waiting for room.
const COUNT_AGAIN: Duration = Duration::from_millis(50);
const DOING: &str = "make room for sockets in TIME_WAIT";

/// Sockets of past runs that may be in TIME_WAIT.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    pairs: Vec<Pair>,
    /// Set once destroying was not permitted. From then on the harness only waits for the kernel to remove the sockets.
    refused: bool,
    /// Set to stop the run. Then no room is needed, and a wait for room ends.
    stop: Option<Arc<AtomicBool>>,
}

impl Leftovers {
    /// No sockets yet. A wait for room ends when `stop` is set.
    pub(crate) fn until(stop: Arc<AtomicBool>) -> Leftovers {
        Leftovers { stop: Some(stop), ..Leftovers::default() }
    }

    /// Records both ends of a connection, which may be in TIME_WAIT. Makes room if many sockets have been recorded.
    pub(crate) fn add(&mut self, (local, peer): Pair, sock_diag: &mut SockDiag) -> Result<(), KernelError> {
        self.pairs.extend([(local, peer), (peer, local)]);
        if self.pairs.len() < BATCH { Ok(()) } else { self.clear(sock_diag) }
    }

    /// Destroys the recorded sockets. If that is not permitted, waits until the kernel has room again.
    fn clear(&mut self, sock_diag: &mut SockDiag) -> Result<(), KernelError> {
        if self.take_down(sock_diag)? { Ok(()) } else { wait_for_room(self.stop.as_deref()) }
    }

    /// Destroys the recorded sockets that are in TIME_WAIT, and forgets them all. Returns false if destroying is not permitted.
    pub(crate) fn take_down(&mut self, sock_diag: &mut SockDiag) -> Result<bool, KernelError> {
        self.refused = self.refused || !sock_diag.destroy(&self.pairs)?;
        self.pairs.clear();
        Ok(!self.refused)
    }
}

/// Waits until the number of sockets in TIME_WAIT is at most three quarters of the limit, or `stop` is set.
fn wait_for_room(stop: Option<&AtomicBool>) -> Result<(), KernelError> {
    // A separate network namespace may not show the limit. Then the kernel's smallest default is used.
    let limit = number("/proc/sys/net/ipv4/tcp_max_tw_buckets", |text| text.trim().parse().ok()).unwrap_or(4096);
    wait_until(|| Ok(number("/proc/net/sockstat", time_waits)? <= limit / 4 * 3), stop)
}

/// Waits until there is room, or `stop` is set. Fails after [`DRAIN_BOUND`].
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
        // The kernel reports no event when the count falls.
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
