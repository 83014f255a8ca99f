//! Limits the number of segments in flight.
//!
//! The initial congestion window is ten segments (RFC 6928). Further segments, a FIN included, wait at the sender for an
//! acknowledgement, which the receiver may delay, so that the time of their arrival is not predictable. Therefore at most nine
//! segments are sent in either direction before all are known to be acknowledged.

use crate::linux::error::KernelError;
use crate::linux::sys;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// The largest number of segments in flight.
const MOST: u32 = 9;
/// Bound on the wait for an acknowledgement. Linux delays it by 40 ms; RFC 9293, section 3.8.6.3, allows less than 500 ms.
const ACKNOWLEDGEMENT_BOUND: Duration = Duration::from_secs(10);

/// Interval between checks for an acknowledgement.
const LOOK_AGAIN: Duration = Duration::from_micros(200);

/// The number of segments that one end of a connection has sent since all of them were last known to be acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Flight(u32);

impl Flight {
    /// Counts a send of `bytes` bytes as one segment, because no send is longer than a segment on loopback.
    pub(crate) fn sent(&mut self, bytes: u32) {
        self.0 += u32::from(bytes > 0);
    }

    /// Whether no further segment may be sent.
    pub(crate) const fn full(&self) -> bool {
        self.0 >= MOST
    }

    /// Waits until all that the socket has sent is acknowledged, or the socket has left ESTABLISHED and CLOSE_WAIT.
    ///
    /// # Errors
    ///
    /// [`KernelError::Late`] after [`ACKNOWLEDGEMENT_BOUND`].
    pub(crate) fn land(&mut self, socket: BorrowedFd<'_>) -> Result<(), KernelError> {
        const DOING: &str = "have what was sent acknowledged";
        let deadline = Instant::now() + ACKNOWLEDGEMENT_BOUND;
        while sys::may_send(socket).map_err(KernelError::call(DOING, "getsockopt TCP_INFO"))?
            && sys::unacknowledged(socket).map_err(KernelError::call(DOING, "ioctl SIOCOUTQ"))? > 0
        {
            if Instant::now() > deadline {
                return Err(KernelError::Late { doing: DOING, bound: ACKNOWLEDGEMENT_BOUND });
            }
            // The kernel reports no event for this. An acknowledgement that has not come at once is a delayed one.
            std::thread::sleep(LOOK_AGAIN);
        }
        self.0 = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::clock::blocked_call::tests::wait_for_sleep;
    use std::io::Write;
    use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
    use std::os::fd::AsFd;
    use std::sync::mpsc;

    #[test]
    fn whoever_waits_for_an_acknowledgement_sleeps() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let SocketAddr::V4(address) = listener.local_addr().unwrap() else { unreachable!("it is one of IPv4's") };
        let mut sender = TcpStream::connect(address).unwrap();
        // From here on no acknowledgement arrives.
        sys::cut_off(sender.as_fd(), address, true).unwrap();
        sender.write_all(b"x").unwrap();
        let (tell, told) = mpsc::channel();
        let other = sender.try_clone().unwrap();
        let waiting = std::thread::spawn(move || {
            tell.send(nix::unistd::gettid().as_raw()).unwrap();
            Flight::default().land(other.as_fd())
        });
        wait_for_sleep(told.recv().unwrap(), &[libc::SYS_clock_nanosleep, libc::SYS_nanosleep]);
        // The socket leaves ESTABLISHED, which ends the wait.
        sender.shutdown(Shutdown::Write).unwrap();
        waiting.join().unwrap().unwrap();
    }
}
