//! System calls that are needed for servers that are not brokenpipe's own programs.

use super::{check, failed, last_error};
use crate::scenario::Errno;
use crate::trace::TcpState;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

/// A `fork` with additional `flags` of clone(2) that does not run the C library's atfork handlers. Returns the child's pid and pidfd in
/// the parent, and `None` in the child.
///
/// # Safety
///
/// Of all threads, only the calling one exists in the child. So the child may only make system calls, and must not return from the function
/// that called this one.
pub(crate) unsafe fn clone_process(flags: i32) -> Result<Option<(i32, OwnedFd)>, Errno> {
    let mut pidfd = -1;
    let flags = (flags | libc::CLONE_PIDFD | libc::SIGCHLD) as libc::c_ulong;
    // SAFETY: without a stack argument the child continues on a copy of this stack. The kernel writes the pidfd before the call returns.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0usize, &raw mut pidfd, 0usize, 0usize) };
    match pid {
        0 => Ok(None),
        // SAFETY: the kernel has created this descriptor for the call above.
        1.. => Ok(Some((pid as i32, unsafe { OwnedFd::from_raw_fd(pidfd) }))),
        _ => Err(last_error()),
    }
}

/// `struct pidfd_info` of `linux/pidfd.h`, in its first form.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    ids: [u32; 11],
    exit_code: i32,
}

/// The wait status (`waitpid(2)`) of a process that another process has reaped (`PIDFD_GET_INFO`, Linux 6.15). `None` if the kernel does
/// not report it.
pub(crate) fn exit_status(pidfd: BorrowedFd<'_>) -> Option<i32> {
    const PIDFD_INFO_EXIT: u64 = 1 << 3;
    // _IOWR(0xff, 11, struct pidfd_info)
    const PIDFD_GET_INFO: libc::c_ulong = 3 << 30 | (size_of::<PidfdInfo>() as libc::c_ulong) << 16 | 0xff << 8 | 11;
    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
    // SAFETY: the kernel writes no more than the size that is encoded in the request number.
    let result = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO, &raw mut info) };
    (result == 0 && info.mask & PIDFD_INFO_EXIT != 0).then_some(info.exit_code)
}

/// Fills `out` from the memory of another process (`process_vm_readv(2)`).
pub(crate) fn read_memory<T: Copy>(pid: i32, address: u64, out: &mut [T]) -> Result<(), Errno> {
    let len = size_of_val(out);
    let local = libc::iovec { iov_base: out.as_mut_ptr().cast(), iov_len: len };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: len };
    // SAFETY: the local buffer is `out`; callers use only types for which any bytes are valid. The kernel checks the remote address.
    let read =
        check(unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) } as libc::c_long)?;
    if read as usize == len { Ok(()) } else { Err(Errno::EFAULT) }
}

/// Writes `data` to the memory of another process (`process_vm_writev(2)`).
pub(crate) fn write_memory<T: Copy>(pid: i32, address: u64, data: &[T]) -> Result<(), Errno> {
    let len = size_of_val(data);
    let local = libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: len };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: len };
    // SAFETY: the local buffer is only read. The kernel checks the remote address.
    check(unsafe { libc::process_vm_writev(pid, &raw const local, 1, &raw const remote, 1, 0) } as libc::c_long)
        .map(drop)
}

/// Reads a socket option whose value is a plain struct (`getsockopt(2)`).
pub(crate) fn option<T: Copy>(fd: BorrowedFd<'_>, level: i32, option: i32, mut value: T) -> Result<T, Errno> {
    let mut len = size_of::<T>() as libc::socklen_t;
    // SAFETY: `value` has room for `len` bytes, and callers use only types for which any bytes are valid.
    let result = unsafe { libc::getsockopt(fd.as_raw_fd(), level, option, (&raw mut value).cast(), &raw mut len) };
    check(result.into()).map(|_| value)
}

/// The state of a TCP socket or listener, which is the first byte of `TCP_INFO`; `None` for any other socket.
pub(crate) fn tcp_state(fd: BorrowedFd<'_>) -> Option<TcpState> {
    let [number] = option(fd, libc::IPPROTO_TCP, libc::TCP_INFO, [0u8]).ok()?;
    state_of(number)
}

/// The state with this number in TCP_INFO. A descriptor still gives a state when the socket has left the kernel's tables, where sock_diag
/// does not find it.
fn state_of(number: u8) -> Option<TcpState> {
    match number {
        7 => Some(TcpState::Close),
        10 => Some(TcpState::Listen),
        other => crate::linux::net::sock_diag::state(other).ok(),
    }
}

/// The state of a TCP socket, and how much has passed through it (`struct tcp_info` of `linux/tcp.h`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TcpInfo {
    pub(crate) state: TcpState,
    /// Bytes that have been written to the socket; a FIN that has not been sent yet counts as one.
    pub(crate) written: u64,
    /// Bytes that have been read from it; a FIN that has arrived counts as one. `None` if data arrived while this was asked.
    pub(crate) read: Option<u64>,
}

/// `None` for a socket that is not one of TCP.
pub(crate) fn tcp_info(fd: BorrowedFd<'_>) -> Option<TcpInfo> {
    /// Offsets in `struct tcp_info`, in words of 8 bytes.
    const RECEIVED: usize = 16;
    const NOT_SENT: usize = 18;
    const SENT: usize = 25;
    const RETRANSMITTED: usize = 26;
    // A listener has nothing to read.
    let waiting = || unread(fd).unwrap_or(0);
    let unread = waiting();
    let words = option(fd, libc::IPPROTO_TCP, libc::TCP_INFO, [0u64; RETRANSMITTED + 1]).ok()?;
    let still = waiting();
    let [number, ..] = words[0].to_ne_bytes();
    // The field is the first half of its word.
    let [b0, b1, b2, b3, ..] = words[NOT_SENT].to_ne_bytes();
    let not_sent = u64::from(u32::from_ne_bytes([b0, b1, b2, b3]));
    Some(TcpInfo {
        state: state_of(number)?,
        written: words[SENT].wrapping_sub(words[RETRANSMITTED]).wrapping_add(not_sent),
        read: (unread == still).then(|| words[RECEIVED].wrapping_sub(u64::from(unread))),
    })
}

/// Sets the soft `RLIMIT_NOFILE` of another process, to its hard limit at most (`prlimit(2)`); `None` leaves it unchanged. Returns both
/// limits from before.
pub(crate) fn limit_descriptors(pid: i32, soft: Option<u64>) -> Result<libc::rlimit, Errno> {
    let ask = |new: Option<&libc::rlimit>| {
        let mut old = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        let new = new.map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: the kernel reads `new` unless it is null, and writes `old`.
        check(unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, new, &raw mut old) }.into()).map(|_| old)
    };
    let old = ask(None)?;
    match soft {
        Some(soft) => ask(Some(&libc::rlimit { rlim_cur: soft.min(old.rlim_max), rlim_max: old.rlim_max })),
        None => Ok(old),
    }
}

/// The number of bytes that can be read from a socket.
pub(crate) fn unread(fd: BorrowedFd<'_>) -> Result<u32, Errno> {
    // FIONREAD is the same number as SIOCINQ.
    rustix::io::ioctl_fionread(fd).map(|bytes| bytes as u32).map_err(failed)
}

/// Whether the next byte to be read from a TCP socket is an urgent one (`sockatmark(3)`). False for any other socket.
pub(crate) fn is_at_urgent_mark(fd: BorrowedFd<'_>) -> bool {
    /// `SIOCATMARK` of `asm-generic/sockios.h`.
    const AT_MARK: libc::c_ulong = 0x8905;
    let mut at_mark = 0i32;
    // SAFETY: the request writes one int.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), AT_MARK, &raw mut at_mark) };
    result == 0 && at_mark != 0
}

/// For how long a `close` of the socket waits until everything has been sent (SO_LINGER, socket(7)); `None` if it does not wait.
pub(crate) fn lingers(socket: BorrowedFd<'_>) -> Option<Duration> {
    let linger = option(socket, libc::SOL_SOCKET, libc::SO_LINGER, libc::linger { l_onoff: 0, l_linger: 0 }).ok()?;
    let seconds = u64::try_from(linger.l_linger).ok().filter(|seconds| linger.l_onoff != 0 && *seconds > 0)?;
    Some(Duration::from_secs(seconds))
}

/// The value of SO_RCVTIMEO or SO_SNDTIMEO (`which`); `None` if it is not set.
pub(crate) fn socket_timeout(socket: BorrowedFd<'_>, which: i32) -> Option<Duration> {
    let none = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let time = option(socket, libc::SOL_SOCKET, which, none).ok()?;
    let time = Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64);
    (!time.is_zero()).then_some(time)
}
