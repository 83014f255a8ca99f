//! The code that runs in the guardian, and in the server before its `execve`.
//!
//! Each of the two is a copy of one thread of a process with other threads. So this code does not allocate, takes no lock and does not
//! panic. It uses only system calls, through `libc::syscall`, and memory that was allocated before the clone. The steps, in order:
//! 1. The guardian is cloned with the harness's own descriptor table and exchanges it for an empty one in a single call, as
//!    [`child`](crate::linux::gate::handshake::child) does and for the same reason: it must never hold a copy of another worker's sockets.
//! 2. The guardian clones the server. The server takes a process group of its own, because it may signal its whole group. That group is in
//!    the harness's session if that is a worker's ([`session`](crate::linux::process::session)), and else in a session of its own. The
//!    server sets every signal to its default, opens its standard descriptors and, if asked, the listener, and installs the filter. From
//!    then on, unless a step fails, it makes no call that the filter intercepts.
//! 3. The server sets the stage on the shared page, and waits until the harness has fetched the filter's notification descriptor, which is
//!    close-on-exec.
//! 4. The server calls `execve`.

use super::page::{ALONE, CHDIR, CLONE, EXEC, FAILED, LISTEN, OPEN, PRCTL, Page, READY, REAPED, SECCOMP};
use super::{Plan, START_BOUND};
use crate::linux::sys::{futex_wait, futex_wake};
use crate::subject::Sigpipe;
use libc::{c_char, c_int, c_long};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::Duration;

/// What the two processes read. All of it is made before the clone.
pub(super) struct Prepared<'p> {
    pub(super) plan: &'p Plan,
    pub(super) arguments: Vec<*const c_char>,
    pub(super) environment: Vec<*const c_char>,
    /// Where the digits of LISTEN_PID go.
    pub(super) listen_pid: *mut u8,
    pub(super) filter: Vec<libc::sock_filter>,
    pub(super) namespace: bool,
    /// Whether the filter keeps signals from cutting short calls at the gate, where the kernel can do that.
    pub(super) killable: bool,
    /// Whether the server stays in the harness's session.
    pub(super) in_session: bool,
    /// The limits of descriptors to set in the server, if they differ from the harness's.
    pub(super) descriptors: Option<libc::rlimit>,
    pub(super) page: &'p Page,
}

/// The result of a system call: -1 if it failed, with the error in `errno`.
macro_rules! call {
    ($($argument:expr),+) => { libc::syscall($($argument),+) };
}

fn reached(page: &Page, stage: u32) {
    page.stage.store(stage, Release);
    futex_wake(&page.stage);
}

/// Records the failed step and its errno on the page, and exits.
unsafe fn failed(page: &Page, step: u32) -> ! {
    // SAFETY: errno is this thread's own.
    page.errno.store(unsafe { *libc::__errno_location() }, Relaxed);
    reached(page, FAILED + step);
    // SAFETY: this process has one thread.
    unsafe { end() }
}

/// Ends this process by `exit(2)`. The filter intercepts `exit_group`, which `_exit` makes, and a harness that has died answers nothing.
///
/// # Safety
///
/// Only in a process of one thread that `clone_process` has made.
unsafe fn end() -> ! {
    loop {
        // SAFETY: the call takes no pointer, and does not return.
        unsafe { call!(libc::SYS_exit, 127 as c_long) };
    }
}

/// # Safety
///
/// Only in a child that `clone_process` has made.
pub(super) unsafe fn guardian(prepared: &Prepared<'_>) -> ! {
    let page = prepared.page;
    // SAFETY: system calls that use no memory but this stack.
    unsafe {
        call!(libc::SYS_prctl, libc::PR_SET_PDEATHSIG, libc::SIGKILL as c_long);
        if call!(libc::SYS_close_range, 0, u32::MAX, libc::CLOSE_RANGE_UNSHARE) < 0 {
            failed(page, CLONE);
        }
        if !prepared.namespace {
            call!(libc::SYS_prctl, libc::PR_SET_CHILD_SUBREAPER, 1 as c_long);
        }
        reached(page, ALONE);
        let server = match call!(libc::SYS_clone, libc::SIGCHLD as c_long, 0usize, 0usize, 0usize, 0usize) {
            0 => server(prepared),
            pid @ 1.. => pid,
            _ => failed(page, CLONE),
        };
        loop {
            let mut status: c_int = 0;
            let ended = call!(libc::SYS_wait4, -1 as c_long, &raw mut status, libc::__WALL as c_long, 0usize);
            if ended > 0 {
                // The guardian is the only process that writes these fields.
                let count = page.count.load(Relaxed);
                if let Some(place) = page.reaped.get(count as usize % REAPED) {
                    place.pid.store(ended as i32, Relaxed);
                    place.status.store(status, Relaxed);
                }
                page.count.store(count.wrapping_add(1), Release);
                futex_wake(&page.count);
            }
            if ended == server {
                page.status.store(status, Relaxed);
                page.ended.store(1, Release);
                futex_wake(&page.ended);
            }
            if ended < 0 && *libc::__errno_location() == libc::ECHILD {
                // No child is left, and none can be added. The guardian stays until the harness kills it, because the harness may still
                // inspect it. If `go` was never set, the harness may have died before `PR_SET_PDEATHSIG` was set, so the guardian exits by
                // itself.
                if page.go.load(Acquire) == 0 {
                    libc::_exit(0);
                }
                // `ended` is 1 and never changes again, so this blocks for ever. A signal other than SIGKILL only makes the loop repeat.
                futex_wait(&page.ended, 1, Duration::MAX);
            }
        }
    }
}

/// # Safety
///
/// Only in the guardian's child.
unsafe fn server(prepared: &Prepared<'_>) -> ! {
    let Prepared { plan, page, .. } = prepared;
    // SAFETY: every pointer is to memory that was made before the clone, of which this process has its own copy, or to this stack.
    unsafe {
        if prepared.in_session {
            call!(libc::SYS_setpgid, 0usize, 0usize);
        } else {
            call!(libc::SYS_setsid);
        }
        signals(plan.sigpipe);
        let null = c"/dev/null".as_ptr();
        let at = libc::AT_FDCWD as c_long;
        let append = libc::O_CREAT | libc::O_WRONLY | libc::O_APPEND;
        if call!(libc::SYS_openat, at, null, libc::O_RDONLY as c_long, 0usize) != 0
            || call!(libc::SYS_openat, at, plan.output.as_ptr(), append as c_long, 0o600usize) != 1
            || call!(libc::SYS_dup3, 1usize, 2usize, 0usize) != 2
        {
            failed(page, OPEN);
        }
        if let Some(port) = plan.listener {
            if !listen(port) {
                failed(page, LISTEN);
            }
            digits(prepared.listen_pid, call!(libc::SYS_getpid) as u32);
        }
        if call!(libc::SYS_chdir, plan.folder.as_ptr()) < 0 {
            failed(page, CHDIR);
        }
        if let Some(limits) = &prepared.descriptors {
            let none = std::ptr::null_mut::<libc::rlimit>();
            call!(libc::SYS_prlimit64, 0usize, libc::RLIMIT_NOFILE as c_long, std::ptr::from_ref(limits), none);
        }
        if plan.gate {
            let program =
                libc::sock_fprog { len: prepared.filter.len() as u16, filter: prepared.filter.as_ptr().cast_mut() };
            let install = |flags: libc::c_ulong| {
                let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | flags;
                call!(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER as c_long, flags, &raw const program)
            };
            // The flag needs Linux 5.19. Without it, a signal makes a call at the gate return EINTR without having run.
            let mut flags = if prepared.killable { libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV } else { 0 };
            let mut fd = install(flags);
            if fd < 0 && *libc::__errno_location() == libc::EINVAL {
                flags = 0;
                fd = install(flags);
            }
            if fd < 0 && *libc::__errno_location() == libc::EACCES {
                // Without CAP_SYS_ADMIN the kernel takes a filter only after PR_SET_NO_NEW_PRIVS.
                if call!(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS as c_long, 1 as c_long, 0usize, 0usize, 0usize) < 0
                {
                    failed(page, PRCTL);
                }
                fd = install(flags);
            }
            if fd < 0 {
                failed(page, SECCOMP);
            }
            page.killable.store(u32::from(flags != 0), Relaxed);
            page.listener.store(fd as i32, Relaxed);
        }
        reached(page, READY);
        futex_wait(&page.go, 0, START_BOUND);
        if page.go.load(Acquire) == 0 {
            end();
        }
        libc::execve(plan.program.as_ptr(), prepared.arguments.as_ptr(), prepared.environment.as_ptr());
        failed(page, EXEC)
    }
}

/// Sets every signal to its default and unblocks all of them. SIGPIPE is set as asked for.
///
/// # Safety
///
/// Only in the server's process.
unsafe fn signals(sigpipe: Sigpipe) {
    /// The kernel's `struct sigaction`. The C library's `sigaction` refuses the signals that the C library reserves.
    #[repr(C)]
    struct Action {
        handler: usize,
        flags: u64,
        restorer: usize,
        mask: u64,
    }
    for signal in 1..=64 {
        let ignore = signal == libc::SIGPIPE && sigpipe == Sigpipe::Ignore;
        let handler = if ignore { libc::SIG_IGN } else { libc::SIG_DFL };
        let action = Action { handler, flags: 0, restorer: 0, mask: 0 };
        // SAFETY: the kernel reads the struct. It refuses to change SIGKILL and SIGSTOP.
        unsafe { call!(libc::SYS_rt_sigaction, signal as c_long, &raw const action, 0usize, 8usize) };
    }
    let mask = if sigpipe == Sigpipe::Blocked { 1u64 << (libc::SIGPIPE - 1) } else { 0 };
    // SAFETY: the kernel reads the 64 bits.
    unsafe { call!(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK as c_long, &raw const mask, 0usize, 8usize) };
}

/// Makes the listener, which is descriptor 3, because the first three are taken. False if that fails.
///
/// # Safety
///
/// Only in the server's process.
unsafe fn listen(port: u16) -> bool {
    const BACKLOG: c_long = 511;
    // SAFETY: the pointers are to locals of the right types and sizes.
    unsafe {
        let mut address: libc::sockaddr_in = std::mem::zeroed();
        address.sin_family = libc::AF_INET as u16;
        address.sin_port = port.to_be();
        address.sin_addr.s_addr = u32::from_ne_bytes([127, 0, 0, 1]);
        let on: c_int = 1;
        let (level, option) = (libc::SOL_SOCKET as c_long, libc::SO_REUSEADDR as c_long);
        call!(libc::SYS_socket, libc::AF_INET as c_long, libc::SOCK_STREAM as c_long, 0usize) == 3
            && call!(libc::SYS_setsockopt, 3usize, level, option, &raw const on, size_of::<c_int>()) == 0
            && call!(libc::SYS_bind, 3usize, &raw const address, size_of::<libc::sockaddr_in>()) == 0
            && call!(libc::SYS_listen, 3usize, BACKLOG) == 0
    }
}

/// Writes a number in decimal, and a NUL byte after it.
///
/// # Safety
///
/// There is room for eleven bytes at `to`.
unsafe fn digits(to: *mut u8, number: u32) {
    let mut length = 1;
    let mut rest = number / 10;
    while rest > 0 {
        length += 1;
        rest /= 10;
    }
    let mut rest = number;
    for i in (0..length).rev() {
        // SAFETY: a u32 has at most ten digits.
        unsafe { to.add(i).write(b'0' + (rest % 10) as u8) };
        rest /= 10;
    }
    // SAFETY: as above.
    unsafe { to.add(length).write(0) };
}
