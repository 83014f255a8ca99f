//! The code that runs in the server's process.
//!
//! The server is a clone of one thread of a process with other threads, and shares their address space. So this code does
//! not allocate, takes no lock, uses nothing of the standard library beyond plain values, and does not panic. It uses only
//! system calls, the arena, and the program's own interpreter. System calls go through `libc::syscall`, which writes only to
//! `errno`. The `errno` of this process lies in its own memory (`arena`), so that of the harness does not change. The only
//! exception is in `dispose`.
//!
//! The steps, in order:
//! 1. The server asks to be killed when the harness dies (`PR_SET_PDEATHSIG`), so that nothing of brokenpipe outlives the
//!    harness. The kernel sends that signal when the thread that made the server ends. That thread keeps the server for as
//!    long as the thread itself lives, so the signal comes neither early nor late.
//! 2. Every signal is set to its default; all signals have been blocked since before the clone. The host's handlers are
//!    inherited and must not run here: a fuzzer's handler would take the server's abort for the fuzzer's own, write an
//!    artifact, and turn the signal into an exit. Then SIGPIPE's disposition is set, before anything can raise SIGPIPE.
//! 3. The descriptor table, until now the harness's own, is exchanged for an empty one in a single call (`close_range(2)`
//!    with `CLOSE_RANGE_UNSHARE`). From here on the server holds no socket of any case
//!    ([`fd_table`](crate::linux::sys::fd_table)).
//! 4. The listener is made, SIGPIPE is unblocked unless the policy blocks it, and the program begins. The server stops at
//!    the [`park`](crate::linux::gate::handshake::park) before each call.

mod come_to;

use crate::linux::gate::handshake::arena::Parked;
use crate::linux::gate::handshake::arena::{Page, buffer_of, page_of};
use crate::linux::gate::handshake::park;
use crate::subject::{Machine, Policy, Want};
use crate::trace::WINDOW;
use libc::{c_int, c_long, c_void};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// Steps that can fail before the program begins. `Page::failed` is the index of the failed step plus one.
pub(crate) const STAGES: [&str; 6] =
    ["prctl PR_SET_PDEATHSIG", "rt_sigaction", "close_range", "socket", "bind or listen", "rt_sigprocmask"];

/// The exit code of a server whose setup failed; the page says which step failed.
pub(crate) const SETUP_FAILED: c_int = 101;
/// The exit code of a server whose harness died before `PR_SET_PDEATHSIG` was set.
const HARNESS_GONE: c_int = 102;

const LISTENER: c_int = 0;
/// The kernel's size of a signal set: 64 bits.
pub(crate) const SIGSET: usize = 8;
const SIGPIPE_BIT: u64 = 1 << (libc::SIGPIPE - 1);

/// The result of a system call: the value, or the negated errno.
macro_rules! call {
    ($($argument:expr),+) => {{
        // The kernel checks every pointer it is given, and those here lie in the arena or in statics.
        let value = libc::syscall($($argument),+);
        if value < 0 { -c_long::from(*libc::__errno_location()) } else { value }
    }};
}
pub(crate) use call;

/// The entry function of a server. Its argument is the page of its arena. It never returns.
///
/// It runs only on the stack of that arena, in a process of its own.
pub(crate) extern "C" fn main(page: *mut c_void) -> c_int {
    let page: *const Page = page.cast();
    // SAFETY: the harness has prepared the page and keeps it mapped until it has reaped this process. The functions called
    // may only run in the server's process, which this is, and `set_up` runs once, before `serve`.
    unsafe {
        let page = &*page;
        let (stage, error) = match set_up(page) {
            Ok(()) => serve(page),
            Err(failed) => failed,
        };
        page.errno.store(-error as i32, Relaxed);
        page.failed.store(stage, Release);
        exit(SETUP_FAILED);
    }
    SETUP_FAILED
}

/// Ends the server's process. It makes the system call itself, because sanitizers replace `_exit`. Its return type is not
/// `!`, because sanitizers instrument calls that do not return with code that inspects the stack. Neither the replacement
/// nor that code may run in this process.
///
/// # Safety
///
/// Only in the server's process.
pub(crate) unsafe fn exit(code: c_int) {
    // SAFETY: no pointer is passed.
    unsafe { call!(libc::SYS_exit_group, c_long::from(code)) };
}

/// A failed step: its index in `STAGES` plus one, and the negated errno.
type Failed = (u32, c_long);

fn stage(number: u32, value: c_long) -> Result<c_long, Failed> {
    if value < 0 { Err((number, value)) } else { Ok(value) }
}

/// # Safety
///
/// Only in the server's process, once, before `serve`.
unsafe fn set_up(page: &Page) -> Result<(), Failed> {
    // SAFETY: this is the server's process; the harness does not write the policy after the clone.
    let policy = unsafe { *page.policy.get() };
    // SAFETY: the pointers are to locals and statics of the right types, which the kernel reads before it returns.
    unsafe {
        stage(1, call!(libc::SYS_prctl, libc::PR_SET_PDEATHSIG, libc::SIGKILL as c_long))?;
        if call!(libc::SYS_getppid) != c_long::from(*page.harness.get()) {
            exit(HARNESS_GONE);
        }
        forget_handlers();
        stage(2, dispose(policy))?;
        stage(3, call!(libc::SYS_close_range, 0, u32::MAX, libc::CLOSE_RANGE_UNSHARE))?;
        listen(page)?;
        let mask = if policy == Policy::Blocked { u64::MAX } else { !SIGPIPE_BIT };
        let none = std::ptr::null_mut::<u64>();
        stage(6, call!(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, none, SIGSET))?;
    }
    Ok(())
}

/// Sets every signal to its default. This fails only for SIGKILL and SIGSTOP, whose disposition is always the default.
///
/// It makes the system call itself, because the C library's `sigaction` refuses the two signals that the C library reserves.
///
/// # Safety
///
/// Only in the server's process.
unsafe fn forget_handlers() {
    // Room for the kernel's `struct sigaction`, which is not longer than this on any architecture. All zeros mean SIG_DFL.
    let default = [0u64; 4];
    let none = std::ptr::null_mut::<u64>();
    for signal in 1..=8 * SIGSET as c_int {
        // SAFETY: the pointer is to a local that is as long as what the kernel reads.
        unsafe { call!(libc::SYS_rt_sigaction, signal, &raw const default, none, SIGSET) };
    }
}

/// Sets SIGPIPE's disposition.
///
/// # Safety
///
/// Only in the server's process.
unsafe fn dispose(policy: Policy) -> c_long {
    let handler = match policy {
        Policy::Default | Policy::NoSignal | Policy::Blocked => libc::SIG_DFL,
        Policy::Ignore => libc::SIG_IGN,
        Policy::Handler => on_sigpipe as *const () as usize,
    };
    // SAFETY: all zeros is a valid sigaction; the C library's function adds the restorer that the kernel wants, and is one of
    // those that may be called after a fork (signal-safety(7)).
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        match libc::sigaction(libc::SIGPIPE, &raw const action, std::ptr::null_mut()) {
            0 => 0,
            _ => -c_long::from(*libc::__errno_location()),
        }
    }
}

/// Counts each SIGPIPE. The handler runs on the server's stack, so the address of a local variable leads to the page.
extern "C" fn on_sigpipe(_: c_int) {
    let here = 0u8;
    // SAFETY: the stack is in the arena, and the arena is aligned to its size.
    unsafe { (*page_of(&raw const here)).handled.fetch_add(1, Relaxed) };
}

/// Makes the listener. It is descriptor 0, because the table is empty.
///
/// # Safety
///
/// Only in the server's process, with an empty descriptor table.
unsafe fn listen(page: &Page) -> Result<(), Failed> {
    // SAFETY: the pointers are to locals of the right types and sizes.
    unsafe {
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        stage(4, call!(libc::SYS_socket, libc::AF_INET, kind, 0))?;
        // Accepted sockets inherit TCP_NODELAY. Without it a second small send could be held back for 40 ms.
        let on: c_int = 1;
        let len = size_of::<c_int>();
        stage(4, call!(libc::SYS_setsockopt, LISTENER, libc::IPPROTO_TCP, libc::TCP_NODELAY, &raw const on, len))?;
        let mut address: libc::sockaddr_in = std::mem::zeroed();
        address.sin_family = libc::AF_INET as u16;
        address.sin_addr.s_addr = u32::from_ne_bytes([127, 0, 0, 1]);
        let mut len = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        stage(5, call!(libc::SYS_bind, LISTENER, &raw const address, len))?;
        stage(5, call!(libc::SYS_listen, LISTENER, BACKLOG))?;
        stage(5, call!(libc::SYS_getsockname, LISTENER, &raw mut address, &raw mut len))?;
        page.port.store(u16::from_be(address.sin_port).into(), Relaxed);
    }
    Ok(())
}

/// More than the clients of a scenario and the probe need.
const BACKLOG: c_int = 128;

/// Runs the program for ever. It never returns; its return type is the one that `main` expects.
///
/// # Safety
///
/// Only in the server's process, after `set_up`.
unsafe fn serve(page: &Page) -> Failed {
    // SAFETY: the harness does not write these after the clone.
    let (ops, policy) = unsafe {
        let len = *page.ops_len.get();
        ((*page.ops.get()).get(..len).unwrap_or(&[]), *page.policy.get())
    };
    let flags = if policy == Policy::NoSignal { libc::MSG_NOSIGNAL } else { 0 };
    let buffer = buffer_of(page);
    let none = std::ptr::null_mut::<c_void>();
    let mut machine = Machine::default();
    let mut connection: c_long = -1;
    loop {
        let want = machine.want(ops);
        let (fd, len) = match want {
            Want::Accept => (LISTENER, 0),
            Want::Send(n) => (connection as c_int, n),
            Want::Recv | Want::Shutdown | Want::Close => (connection as c_int, 0),
        };
        let refusal = park::park(page, Parked { call: want.call(), fd, len });
        // SAFETY: the buffer has room for WINDOW bytes, and no send is longer; the peer's address is read by the harness only
        // while this process is parked.
        let result = unsafe {
            match want {
                _ if refusal != 0 => refusal,
                Want::Accept => {
                    let mut len = size_of::<libc::sockaddr_in>() as libc::socklen_t;
                    let fd = call!(libc::SYS_accept4, LISTENER, page.peer.get(), &raw mut len, libc::SOCK_CLOEXEC);
                    connection = if fd >= 0 { fd } else { connection };
                    fd.min(0)
                }
                Want::Send(n) => call!(libc::SYS_sendto, connection, buffer, n.min(WINDOW) as usize, flags, none, 0),
                Want::Recv => call!(libc::SYS_recvfrom, connection, buffer, WINDOW as usize, 0, none, none),
                Want::Shutdown => call!(libc::SYS_shutdown, connection, libc::SHUT_WR),
                Want::Close => call!(libc::SYS_close, connection),
            }
        };
        if policy == Policy::Blocked && result == -c_long::from(libc::EPIPE) {
            let mut pending = 0u64;
            // SAFETY: the set has the size that is passed.
            unsafe { call!(libc::SYS_rt_sigpending, &raw mut pending, SIGSET) };
            page.pending.store((pending & SIGPIPE_BIT != 0).into(), Relaxed);
        }
        page.result.store(result, Relaxed);
        page.returned.store(page.returned.load(Acquire).wrapping_add(1), Release);
        if cfg!(brokenpipe_plant) && result == -c_long::from(libc::ECONNRESET) {
            // SAFETY: this is the server's process, and the harness does not write this field after the clone.
            unsafe { (*page.wrong_end.get()).into_iter().for_each(|end| end.come_to(page)) };
        }
        machine.done(ops, if result < 0 { None } else { Some(result as u32) });
    }
}
