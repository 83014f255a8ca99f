//! Makes sure that a `close` has taken effect.
//!
//! `close(2)` frees the descriptor, but the kernel closes the socket only when the last reference to its file is dropped (`__fput`). Whoever
//! lists the descriptors of a process in `/proc/PID/fd`, as `lsof` and many monitors do, holds a reference to each for a moment
//! (`proc_fd_link` in `fs/proc/fd.c`), and a process that another thread has forked holds one until it runs another program. Until then no
//! FIN or RST is sent. Beside a program that did nothing but list descriptors, three in a thousand closes came late.

use crate::linux::error::KernelError;
use crate::linux::net::sock_diag::{Pair, SockDiag};
use std::time::{Duration, Instant};

/// Bound on the time for which others may refer to a socket that has been closed.
const CLOSE_BOUND: Duration = Duration::from_secs(10);
/// Interval between looks at a socket that others refer to.
const LOOK_AGAIN: Duration = Duration::from_micros(200);

/// Waits until this socket has been closed in the kernel. Its descriptors must have been closed before.
///
/// # Errors
///
/// [`KernelError::Late`] if another process still refers to it after [`CLOSE_BOUND`].
pub(crate) fn wait(sock_diag: &mut SockDiag, pair: Pair) -> Result<(), KernelError> {
    until("close a socket to which another process has a reference", || sock_diag.is_closed(pair))
}

/// Waits until this socket has left the kernel's tables: it has received an RST.
///
/// # Errors
///
/// [`KernelError::Late`] if it has not after [`CLOSE_BOUND`].
pub(crate) fn wait_until_gone(sock_diag: &mut SockDiag, pair: Pair) -> Result<(), KernelError> {
    until("have an RST arrive", || sock_diag.is_gone(pair))
}

fn until(doing: &'static str, mut done: impl FnMut() -> Result<bool, KernelError>) -> Result<(), KernelError> {
    let deadline = Instant::now() + CLOSE_BOUND;
    while !done()? {
        if Instant::now() > deadline {
            return Err(KernelError::Late { doing, bound: CLOSE_BOUND });
        }
        // The kernel reports no event for this.
        std::thread::sleep(LOOK_AGAIN);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::clock::blocked_call::tests::wait_for_sleep;
    use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
    use std::sync::mpsc;

    #[test]
    fn whoever_waits_for_a_close_sleeps_until_the_last_reference_is_dropped() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (SocketAddr::V4(own), SocketAddr::V4(peer)) = (client.local_addr().unwrap(), client.peer_addr().unwrap())
        else {
            unreachable!("both are of IPv4")
        };
        let reference = client.try_clone().unwrap();
        drop(client);
        let (tell, told) = mpsc::channel();
        let waiting = std::thread::spawn(move || {
            tell.send(nix::unistd::gettid().as_raw()).unwrap();
            wait(&mut SockDiag::open().unwrap(), (own, peer))
        });
        wait_for_sleep(told.recv().unwrap(), &[libc::SYS_clock_nanosleep, libc::SYS_nanosleep]);
        drop(reference);
        waiting.join().unwrap().unwrap();
        // The other end waits in the accept queue and has no inode either, but is open.
        assert!(!SockDiag::open().unwrap().is_closed((peer, own)).unwrap());
    }
}
