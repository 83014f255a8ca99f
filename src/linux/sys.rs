//! The system calls that neither nix nor socket2 has, as thin functions.

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

/// The value of a call that is negative on failure.
pub(crate) fn check(value: libc::c_long) -> Result<libc::c_long, Errno> {
    if value < 0 { Err(last_error()) } else { Ok(value) }
}

/// `pidfd_getfd(2)`: a duplicate of descriptor `fd` of another process.
pub(crate) fn pidfd_getfd(pidfd: BorrowedFd<'_>, fd: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: it takes no pointer, and makes a new descriptor that nobody else owns.
    unsafe {
        let new = check(libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), fd, 0))?;
        Ok(OwnedFd::from_raw_fd(new as i32))
    }
}

/// `pidfd_send_signal(2)`.
pub(crate) fn pidfd_kill(pidfd: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo is what the call takes for a plain kill.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, none, 0) };
    check(result).map(drop)
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Code(i32),
    Signal(i32),
}

/// Reaps the child of this pidfd, which has ended or is about to; children without an exit signal too.
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

/// What each of `fds` has to say of POLLIN and the conditions that need not be asked for; all 0 when `bound` has passed.
pub(crate) fn poll<const N: usize>(fds: [BorrowedFd<'_>; N], bound: Duration) -> Result<[i16; N], Errno> {
    let mut polled = fds.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    let deadline = (!bound.is_zero()).then(|| Instant::now() + bound);
    loop {
        let left = deadline.map_or(Duration::ZERO, |d| d.saturating_duration_since(Instant::now()));
        // Rounded up, so that a rest of less than a millisecond is still waited for.
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

/// How often a socket has sent a segment again that was not acknowledged (`tcpi_retransmits` of tcp(7)'s TCP_INFO).
pub(crate) fn retransmits(fd: BorrowedFd<'_>) -> Result<u8, Errno> {
    // The struct grows from one kernel to the next, and of a short buffer the kernel fills as much as there is.
    let mut info = [0u8; 8];
    let mut len = size_of_val(&info) as libc::socklen_t;
    // SAFETY: `info` has room for `len` bytes.
    let result = unsafe {
        libc::getsockopt(fd.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, info.as_mut_ptr().cast(), &raw mut len)
    };
    // The third of the fields of a byte each that the struct begins with.
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

/// Bytes that this socket has sent and its peer has not acknowledged.
pub(crate) fn unacknowledged(fd: BorrowedFd<'_>) -> Result<i32, Errno> {
    let mut bytes = 0i32;
    // SAFETY: the request, SIOCOUTQ by another name, writes one int.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    check(result.into()).map(|_| bytes)
}

/// Waits until the word is no longer `value`, somebody wakes, a signal comes, or the bound has passed: whichever it was, the
/// word says what there is to know. It may be called in a server's process.
pub(crate) fn futex_wait(word: &AtomicU32, value: u32, bound: Duration) {
    let timeout = libc::timespec { tv_sec: bound.as_secs() as libc::time_t, tv_nsec: bound.subsec_nanos().into() };
    let timeout = if bound == Duration::MAX { std::ptr::null() } else { &raw const timeout };
    // SAFETY: the address is of a live u32, the timeout null or of a live timespec.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAIT, value, timeout) };
}

/// Wakes whoever waits for the word. It may be called in a server's process.
pub(crate) fn futex_wake(word: &AtomicU32) {
    // SAFETY: the address is of a live u32.
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

/// Cuts a connected socket off from its peer at `peer`, or no longer does.
///
/// From then on it signs its segments and drops, unseen and unanswered, any that is not signed; the peer, which knows of no
/// key, does the same with those that are. Nothing gets through in either direction, whatever the kernel sends on the socket's
/// behalf. Where the kernel does not have it, a filter that drops all that arrives does the half that matters.
pub(crate) fn cut_off(fd: BorrowedFd<'_>, peer: SocketAddrV4, cut: bool) -> Result<(), Errno> {
    match md5_sign(fd, peer, cut) {
        Err(Errno::ENOPROTOOPT) if cut => drop_all(fd),
        Err(Errno::ENOPROTOOPT) => Ok(()),
        other => other,
    }
}

/// Signs what goes to `peer` and demands signatures from it (TCP_MD5SIG, RFC 2385), or no longer does.
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
    // A key of no length is one to forget.
    signature.key_len = sign.into();
    set_value(fd, libc::IPPROTO_TCP, libc::TCP_MD5SIG, &signature)
}

/// Has a socket drop all that arrives, by a classic BPF filter that accepts no byte.
fn drop_all(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut nothing = libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: 0 };
    let program = libc::sock_fprog { len: 1, filter: &raw mut nothing };
    set_value(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
}
