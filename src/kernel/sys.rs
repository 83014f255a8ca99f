//! The system calls that neither nix nor socket2 has, as thin functions.

use crate::scenario::Errno;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// The error of the call that just failed.
pub(super) fn last_error() -> Errno {
    Errno::from_raw(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))
}

/// The value of a call that is negative on failure.
pub(super) fn check(value: libc::c_long) -> Result<libc::c_long, Errno> {
    if value < 0 { Err(last_error()) } else { Ok(value) }
}

/// `pidfd_getfd(2)`: a duplicate of descriptor `fd` of another process.
pub(super) fn pidfd_getfd(pidfd: BorrowedFd<'_>, fd: i32) -> Result<OwnedFd, Errno> {
    // SAFETY: it takes no pointer, and makes a new descriptor that nobody else owns.
    unsafe {
        let new = check(libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), fd, 0))?;
        Ok(OwnedFd::from_raw_fd(new as i32))
    }
}

/// `pidfd_send_signal(2)`.
pub(super) fn pidfd_kill(pidfd: BorrowedFd<'_>, signal: i32) -> Result<(), Errno> {
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo is what the call takes for a plain kill.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, none, 0) };
    check(result).map(drop)
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    Code(i32),
    Signal(i32),
}

/// Reaps the child of this pidfd, which has ended or is about to; children without an exit signal too.
pub(super) fn reap(pidfd: BorrowedFd<'_>) -> Result<Exit, Errno> {
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
pub(super) fn poll<const N: usize>(fds: [BorrowedFd<'_>; N], bound: Duration) -> Result<[i16; N], Errno> {
    poll_for(fds, libc::POLLIN, bound)
}

/// The same for other conditions than POLLIN.
pub(super) fn poll_for<const N: usize>(
    fds: [BorrowedFd<'_>; N],
    events: i16,
    bound: Duration,
) -> Result<[i16; N], Errno> {
    let mut polled = fds.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 });
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

/// Sets an integer option of a socket.
pub(super) fn set_option(fd: BorrowedFd<'_>, level: i32, option: i32, value: i32) -> Result<(), Errno> {
    let len = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the option's value is an int, and `len` is its size.
    let result = unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, (&raw const value).cast(), len) };
    check(result.into()).map(drop)
}

/// Whether data can still be sent on this TCP socket: its state is ESTABLISHED or CLOSE_WAIT.
pub(super) fn may_send(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    const ESTABLISHED: u8 = 1;
    const CLOSE_WAIT: u8 = 8;
    let mut state = 0u8;
    let mut len: libc::socklen_t = 1;
    // SAFETY: the first byte of tcp_info is the state, and the kernel copies no more than `len` bytes.
    let result = unsafe {
        libc::getsockopt(fd.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_INFO, (&raw mut state).cast(), &mut len)
    };
    check(result.into()).map(|_| matches!(state, ESTABLISHED | CLOSE_WAIT))
}

/// Bytes of this socket that are not on the wire yet.
pub(super) fn unsent(fd: BorrowedFd<'_>) -> Result<i32, Errno> {
    const SIOCOUTQNSD: libc::c_ulong = 0x894b;
    let mut bytes = 0i32;
    // SAFETY: the request writes one int.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), SIOCOUTQNSD as _, &raw mut bytes) };
    check(result.into()).map(|_| bytes)
}

/// Has a socket drop all that arrives, by a classic BPF filter that accepts no byte.
pub(super) fn drop_all(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut nothing = libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: 0 };
    let program = libc::sock_fprog { len: 1, filter: &raw mut nothing };
    let len = size_of::<libc::sock_fprog>() as libc::socklen_t;
    // SAFETY: `program` names one instruction, and the kernel copies it before the call returns.
    let result = unsafe {
        libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, (&raw const program).cast(), len)
    };
    check(result.into()).map(drop)
}
