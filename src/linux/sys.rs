//! System calls: those that nix and socket2 do not offer, and those of rustix with this crate's error type.

pub(crate) mod fd_table;
pub(crate) mod limit;
pub(crate) mod memory;
pub(crate) mod proc;
pub(crate) mod process;
pub(crate) mod signals;
pub(crate) mod timerfd;
pub(crate) mod trace;

use crate::scenario::Errno;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, WaitId, WaitIdOptions};
use rustix::thread::futex;
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

/// The error of the call that just failed.
pub(crate) fn last_error() -> Errno {
    Errno::from_raw(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
}

/// The result of a call that returns a negative value on failure.
pub(crate) fn check(value: libc::c_long) -> Result<libc::c_long, Errno> {
    if value < 0 { Err(last_error()) } else { Ok(value) }
}

/// The error of a call of rustix.
fn failed(errno: rustix::io::Errno) -> Errno {
    Errno::from_raw(errno.raw_os_error())
}

/// `pidfd_getfd(2)`: a duplicate of descriptor `fd` of another process. A server may well make a call on -1.
pub(crate) fn pidfd_getfd(pidfd: BorrowedFd<'_>, fd: i32) -> Result<OwnedFd, Errno> {
    if fd < 0 {
        // rustix asserts that this is not so.
        return Err(Errno::EBADF);
    }
    rustix::process::pidfd_getfd(pidfd, fd, PidfdGetfdFlags::empty()).map_err(failed)
}

/// `pidfd_open(2)`.
pub(crate) fn pidfd_open(pid: i32) -> Result<OwnedFd, Errno> {
    let pid = Pid::from_raw(pid).ok_or(Errno::ESRCH)?;
    rustix::process::pidfd_open(pid, PidfdFlags::empty()).map_err(failed)
}

/// `pidfd_send_signal(2)`. Only signals that have a name can be sent.
pub(crate) fn pidfd_kill(pidfd: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    let signal = Signal::from_named_raw(signal).ok_or(Errno::EINVAL)?;
    rustix::process::pidfd_send_signal(pidfd, signal).map_err(failed)
}

/// How a child process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Code(i32),
    Signal(i32),
}

/// Waits until the child process of this pidfd has ended, and reaps it.
pub(crate) fn reap(pidfd: BorrowedFd<'_>) -> Result<Exit, Errno> {
    // With `__WALL`, children without an exit signal are found too.
    let how = WaitIdOptions::EXITED | WaitIdOptions::from_bits_retain(libc::__WALL as u32);
    let status = rustix::io::retry_on_intr(|| rustix::process::waitid(WaitId::PidFd(pidfd), how)).map_err(failed)?;
    let exit = status.and_then(|status| {
        let signal = status.terminating_signal().map(Exit::Signal);
        status.exit_status().map(Exit::Code).or(signal)
    });
    exit.ok_or(Errno::ECHILD)
}

/// Polls `fds` for POLLIN and returns their `revents`, which may also hold POLLERR, POLLHUP and POLLNVAL. All are empty if `bound` has passed.
pub(crate) fn poll<const N: usize>(fds: [BorrowedFd<'_>; N], bound: Duration) -> Result<[PollFlags; N], Errno> {
    let mut polled = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
    let deadline = (!bound.is_zero()).then(|| Instant::now() + bound);
    loop {
        let left = deadline.map_or(Duration::ZERO, |d| d.saturating_duration_since(Instant::now()));
        match rustix::event::poll(&mut polled, Some(&timespec(left))) {
            Err(rustix::io::Errno::INTR) => {}
            done => return done.map(|_| polled.map(|fd| fd.revents())).map_err(failed),
        }
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec { tv_sec: time.as_secs() as i64, tv_nsec: time.subsec_nanos().into() }
}

/// `recv(2)` with `MSG_DONTWAIT`.
pub(crate) fn recv(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize, Errno> {
    let len = buffer.len();
    // SAFETY: the kernel writes no more than `len` bytes.
    let read = unsafe { libc::recv(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), len, libc::MSG_DONTWAIT) };
    check(read as libc::c_long).map(|n| n as usize)
}

/// How many times a socket has retransmitted a segment that is not acknowledged yet (`tcpi_retransmits` of TCP_INFO, tcp(7)).
pub(crate) fn retransmits(fd: BorrowedFd<'_>) -> Result<u8, Errno> {
    // The struct grows between kernel versions. The kernel fills a shorter buffer as far as it goes.
    let mut info = [0u8; 8];
    let mut len = size_of_val(&info) as libc::socklen_t;
    // SAFETY: `info` has room for `len` bytes.
    let result = unsafe {
        libc::getsockopt(fd.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, info.as_mut_ptr().cast(), &raw mut len)
    };
    // `struct tcp_info` begins with fields of one byte each, and this is the third.
    check(result.into()).map(|_| info[2])
}

/// Sets an integer option of a socket.
pub(crate) fn set_option(fd: BorrowedFd<'_>, level: i32, option: i32, value: i32) -> Result<(), Errno> {
    set_value(fd, level, option, &value)
}

/// Sets an option whose value is a plain struct that the kernel copies before the call returns.
fn set_value<T>(fd: BorrowedFd<'_>, level: i32, option: i32, value: &T) -> Result<(), Errno> {
    let len = size_of::<T>() as libc::socklen_t;
    // SAFETY: the value is live and `len` is its size.
    let result = unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, std::ptr::from_ref(value).cast(), len) };
    check(result.into()).map(drop)
}

/// Whether data can still be sent on this TCP socket: its state is ESTABLISHED or CLOSE_WAIT.
pub(crate) fn may_send(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    const ESTABLISHED: u8 = 1;
    const CLOSE_WAIT: u8 = 8;
    tcp_state(fd).map(|state| matches!(state, ESTABLISHED | CLOSE_WAIT))
}

/// The state of this TCP socket, in the kernel's numbers (`tcp_states.h`).
fn tcp_state(fd: BorrowedFd<'_>) -> Result<u8, Errno> {
    let mut state = 0u8;
    let mut len: libc::socklen_t = 1;
    // SAFETY: the first byte of tcp_info is the state, and the kernel copies no more than `len` bytes.
    let result = unsafe {
        libc::getsockopt(fd.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, (&raw mut state).cast(), &mut len)
    };
    check(result.into()).map(|_| state)
}

/// Bytes that this socket has sent or queued and its peer has not acknowledged.
pub(crate) fn unacknowledged(fd: BorrowedFd<'_>) -> Result<i32, Errno> {
    let mut bytes = 0i32;
    // SAFETY: the request (TIOCOUTQ is the same number as SIOCOUTQ) writes one int.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    check(result.into()).map(|_| bytes)
}

/// Waits until the word is no longer `value`, another task calls [`futex_wake`], a signal arrives, or `bound` has passed
/// (`Duration::MAX`: no bound). The reason is not reported: the caller reads the word again.
///
/// May be called in a server's process: rustix makes the system call itself, without the C library and its thread-locals.
pub(crate) fn futex_wait(word: &AtomicU32, value: u32, bound: Duration) {
    let timeout = (bound != Duration::MAX).then(|| timespec(bound));
    let _ = futex::wait(word, futex::Flags::empty(), value, timeout.as_ref());
}

/// Wakes one task that waits for the word. May be called in a server's process, as [`futex_wait`].
pub(crate) fn futex_wake(word: &AtomicU32) {
    let _ = futex::wake(word, futex::Flags::empty(), 1);
}

/// `struct tcp_md5sig` of `linux/tcp.h`.
#[repr(C)]
struct Md5Signature {
    peer: libc::sockaddr_storage,
    flags: u8,
    prefix: u8,
    key_len: u16,
    interface: i32,
    key: [u8; 80],
}

/// Cuts a connected socket off from its peer at `peer`, or undoes this if `cut` is false.
///
/// The socket gets a TCP_MD5SIG key: it then signs its segments and silently drops unsigned ones. The peer has no key and silently
/// drops signed ones. So nothing gets through in either direction, including segments that the kernel sends by itself. On a kernel
/// without TCP_MD5SIG, a filter makes the socket drop everything that arrives; this covers only one direction and is not undone.
pub(crate) fn cut_off(fd: BorrowedFd<'_>, peer: SocketAddrV4, cut: bool) -> Result<(), Errno> {
    match md5_sign(fd, peer, cut) {
        Err(Errno::ENOPROTOOPT) if cut => drop_all(fd),
        Err(Errno::ENOPROTOOPT) => Ok(()),
        other => other,
    }
}

/// Signs segments to `peer` and drops unsigned segments from it (TCP_MD5SIG, RFC 2385), or undoes this if `sign` is false.
pub(crate) fn md5_sign(fd: BorrowedFd<'_>, peer: SocketAddrV4, sign: bool) -> Result<(), Errno> {
    // SAFETY: all zeros is a valid value of each field.
    let mut signature: Md5Signature = unsafe { std::mem::zeroed() };
    let address = (&raw mut signature.peer).cast::<libc::sockaddr_in>();
    // SAFETY: a sockaddr_storage has room for any address, and is aligned for it.
    unsafe {
        (*address).sin_family = libc::AF_INET as u16;
        (*address).sin_port = peer.port().to_be();
        (*address).sin_addr.s_addr = u32::from(*peer.ip()).to_be();
    }
    // A key length of 0 removes the key.
    signature.key_len = sign.into();
    set_value(fd, libc::IPPROTO_TCP, libc::TCP_MD5SIG, &signature)
}

/// Makes a socket drop all that arrives, by a classic BPF filter that accepts 0 bytes.
fn drop_all(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut nothing = libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: 0 };
    let program = libc::sock_fprog { len: 1, filter: &raw mut nothing };
    set_value(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn there_is_no_descriptor_below_zero() {
        let own = pidfd_open(nix::unistd::getpid().as_raw()).unwrap();
        assert!(pidfd_getfd(own.as_fd(), 0).is_ok());
        assert_eq!(pidfd_getfd(own.as_fd(), -1).unwrap_err(), Errno::EBADF);
    }
}
