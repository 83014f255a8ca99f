//! Thin wrappers of system calls that nix and socket2 do not offer.

pub(crate) mod fd_table;
pub(crate) mod limit;
pub(crate) mod proc;
pub(crate) mod process;
pub(crate) mod signals;

use crate::scenario::Errno;
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
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

/// `pidfd_getfd(2)`: a duplicate of descriptor `fd` of another process.
pub(crate) fn pidfd_getfd(pidfd: BorrowedFd<'_>, fd: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: the call takes no pointer and returns a new descriptor, which nothing else owns.
    unsafe {
        let new = check(libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), fd, 0))?;
        Ok(OwnedFd::from_raw_fd(new as i32))
    }
}

/// `pidfd_send_signal(2)`.
pub(crate) fn pidfd_kill(pidfd: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: with a null siginfo the call acts as kill(2).
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, none, 0) };
    check(result).map(drop)
}

/// How a child process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Code(i32),
    Signal(i32),
}

/// Waits until the child process of this pidfd has ended, and reaps it. With `__WALL`, children without an exit signal are found too.
pub(crate) fn reap(pidfd: BorrowedFd<'_>) -> Result<Exit, Errno> {
    loop {
        // SAFETY: all zeros is a valid siginfo_t, and the call fills in the one it is given.
        let (result, info) = unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let id = pidfd.as_raw_fd() as libc::id_t;
            (libc::waitid(libc::P_PIDFD, id, &mut info, libc::WEXITED | libc::__WALL), info)
        };
        match check(result.into()) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(_) => {
                // SAFETY: waitid has filled in the fields of a child that ended.
                let status = unsafe { info.si_status() };
                return Ok(if info.si_code == libc::CLD_EXITED { Exit::Code(status) } else { Exit::Signal(status) });
            }
        }
    }
}

/// Polls `fds` for POLLIN and returns their `revents`, which may also hold POLLERR, POLLHUP and POLLNVAL. All are 0 if `bound` has passed.
pub(crate) fn poll<const N: usize>(fds: [BorrowedFd<'_>; N], bound: Duration) -> Result<[i16; N], Errno> {
    let mut polled = fds.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    let deadline = (!bound.is_zero()).then(|| Instant::now() + bound);
    loop {
        let left = deadline.map_or(Duration::ZERO, |d| d.saturating_duration_since(Instant::now()));
        // Rounded up: rounded down, poll would return up to a millisecond before the deadline.
        let timeout = left.as_micros().div_ceil(1000) as i32;
        // SAFETY: `polled` is an array of N.
        let result = unsafe { libc::poll(polled.as_mut_ptr(), N as libc::nfds_t, timeout) };
        match check(result.into()) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(_) => return Ok(polled.map(|p| p.revents)),
        }
    }
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
/// (`Duration::MAX`: no bound). The reason is not reported: the caller reads the word again. May be called in a server's process.
pub(crate) fn futex_wait(word: &AtomicU32, value: u32, bound: Duration) {
    let timeout = libc::timespec { tv_sec: bound.as_secs() as libc::time_t, tv_nsec: bound.subsec_nanos().into() };
    let timeout = if bound == Duration::MAX { std::ptr::null() } else { &raw const timeout };
    // SAFETY: the address is that of a live u32; the timeout is null or the address of a live timespec.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, value, timeout) };
}

/// Wakes one task that waits for the word. May be called in a server's process.
pub(crate) fn futex_wake(word: &AtomicU32) {
    // SAFETY: the address is that of a live u32.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) };
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
