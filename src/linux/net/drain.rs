//! Segments in flight.
//!
//! The initial congestion window is ten segments (RFC 6928). What is sent beyond it, a FIN too, waits in the sender's kernel for an
//! acknowledgement, which the other end's kernel puts off, and so would arrive at some time or other. So no more than nine are
//! let into flight, in either direction, before all are known to be acknowledged.

use crate::linux::error::KernelError;
use crate::linux::sys;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// Most segments in flight.
const MOST: u32 = 9;
/// How long an acknowledgement may take. It is put off for 40 ms, and by rule for less than 500 (RFC 9293, section 3.8.6.3).
const ACKNOWLEDGEMENT_BOUND: Duration = Duration::from_secs(10);

/// How often it is looked whether an acknowledgement has come.
const LOOK_AGAIN: Duration = Duration::from_micros(200);

/// What one end of a connection has sent since all of it was known to be acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Flight(u32);

impl Flight {
    /// Counts a send of so many bytes: no send is longer than a segment on a loopback.
    pub(crate) fn sent(&mut self, bytes: u32) {
        self.0 += u32::from(bytes > 0);
    }

    /// Whether there is no room for one more.
    pub(crate) const fn full(&self) -> bool {
        self.0 >= MOST
    }

    /// Waits until all that the socket has sent is acknowledged, or there is nobody left who could.
    pub(crate) fn land(&mut self, socket: BorrowedFd<'_>) -> Result<(), KernelError> {
        const DOING: &str = "have what was sent acknowledged";
        let deadline = Instant::now() + ACKNOWLEDGEMENT_BOUND;
        while sys::may_send(socket).map_err(KernelError::call(DOING, "getsockopt TCP_INFO"))?
            && sys::unacknowledged(socket).map_err(KernelError::call(DOING, "ioctl SIOCOUTQ"))? > 0
        {
            if Instant::now() > deadline {
                return Err(KernelError::Late { doing: DOING, bound: ACKNOWLEDGEMENT_BOUND });
            }
            // The kernel has no event for it. An acknowledgement that is not there at once is put off.
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
        // None comes any more.
        sys::cut_off(sender.as_fd(), address, true).unwrap();
        sender.write_all(b"x").unwrap();
        let (tell, told) = mpsc::channel();
        let other = sender.try_clone().unwrap();
        let waiting = std::thread::spawn(move || {
            tell.send(nix::unistd::gettid().as_raw()).unwrap();
            Flight::default().land(other.as_fd())
        });
        wait_for_sleep(told.recv().unwrap(), &[libc::SYS_clock_nanosleep, libc::SYS_nanosleep]);
        // From now on there is nobody who could send.
        sender.shutdown(Shutdown::Write).unwrap();
        waiting.join().unwrap().unwrap();
    }
}
