//! Starting somebody else's program behind the gate.
//!
//! Between the harness and the server is a *guardian*, a small process that runs nothing but this file. It is what makes the whole tree
//! end with the harness, whatever the server forks and however the harness ends:
//! - It dies with the harness (`PR_SET_PDEATHSIG`), and where that is allowed it is the first process of a namespace for process numbers of
//!   its own (`pid_namespaces(7)`): with it the kernel kills every process in there, in one go that no fork can outrun.
//! - Elsewhere it adopts whatever loses its parent (`PR_SET_CHILD_SUBREAPER`), so that all of the tree can be found below it.
//! - It reaps the server and every process that loses its parent, such as a daemon, and records how each has ended.
//!
//! What runs in the two children is a copy of one thread of a process with others, so: no allocation, no lock, no panic; only system calls
//! through `libc::syscall`, and memory that was made before. In order:
//! 1. The guardian is cloned with the harness's own descriptor table and exchanges it for an empty one in a single call, as
//!    [`child`](crate::linux::child) does and for the same reason: it must never hold a copy of another worker's sockets.
//! 2. The guardian clones the server, which takes a process group of its own, for it may signal all of its group, in the harness's session
//!    if that is a worker's ([`session`](crate::linux::session)) and else in one of its own, puts every signal to its default, opens its standard
//!    descriptors and, if asked, the listener, and installs the filter. From then on it makes no call that the filter knows.
//! 3. It says so on the page that both share, and waits for the harness to fetch the other end of the filter: the descriptor is
//!    close-on-exec.
//! 4. It becomes the server by `execve`.

use super::filter;
use super::notify::Notify;
use super::sys::{clone_process, pidfd_open};
use crate::linux::error::KernelError;
use crate::linux::fd_table::{self, Copying};
use crate::linux::limit;
use crate::linux::session;
use crate::linux::sys::{self, futex_wait, futex_wake};
use crate::scenario::Errno;
use libc::{c_char, c_int, c_long};
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicI32, AtomicU32};
use std::time::{Duration, Instant};

/// How long the steps before the `execve` may take together, on however busy a machine. They wait for nothing.
const START_BOUND: Duration = Duration::from_secs(60);
const DOING: &str = "start the server";

/// With which disposition of SIGPIPE a server is started. What it makes of it is its own affair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sigpipe {
    /// SIG_DFL: what a shell gives.
    #[default]
    Default,
    /// SIG_IGN, which is kept through `execve`: what a careless parent gives.
    Ignore,
    /// SIG_DFL, and blocked in the mask, which is kept too.
    Blocked,
}

/// What to start, and how.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The program's path, then its arguments; the first of these is its name.
    pub(crate) program: CString,
    pub(crate) arguments: Vec<CString>,
    /// `NAME=value` each.
    pub(crate) environment: Vec<CString>,
    pub(crate) folder: CString,
    /// The file that standard output and error go to.
    pub(crate) output: CString,
    /// Descriptor 3 is a listener on this port, if any.
    pub(crate) listener: Option<u16>,
    pub(crate) sigpipe: Sigpipe,
    pub(crate) gate: bool,
}

/// The page that harness, guardian and server share.
#[derive(Debug)]
pub(super) struct Page {
    /// What has been reached: one of the constants below.
    stage: AtomicU32,
    /// With what the step after it failed.
    errno: AtomicI32,
    /// The descriptor of the filter's other end, in the server's table.
    listener: AtomicI32,
    /// Set by the harness: the server may go on.
    go: AtomicU32,
    /// Set by the guardian when it has reaped the server, and how that ended, as `waitpid(2)` has it.
    ended: AtomicU32,
    status: AtomicI32,
    /// The signal mode of the filter: 1 if a call that has been received is not cut short by signals.
    killable: AtomicU32,
    /// How many processes the guardian has reaped; the last of them are in `reaped`.
    count: AtomicU32,
    reaped: [Reaped; REAPED],
}

/// How many ends are kept: those of many more processes than end between two looks.
const REAPED: usize = 256;

/// A process that the guardian has reaped: its number, as the guardian has it, and how it ended.
#[derive(Debug)]
struct Reaped {
    pid: AtomicI32,
    status: AtomicI32,
}

/// The guardian has a table of its own.
const ALONE: u32 = 1;
/// The server waits to become another program.
const READY: u32 = 2;
/// Something failed; the stages after this one say what.
const FAILED: u32 = 100;
const STEPS: [&str; 7] = ["clone", "open", "socket, bind or listen", "chdir", "prctl", "seccomp", "execve"];
const CLONE: u32 = 0;
const OPEN: u32 = 1;
const LISTEN: u32 = 2;
const CHDIR: u32 = 3;
const PRCTL: u32 = 4;
const SECCOMP: u32 = 5;
const EXEC: u32 = 6;

/// A mapping of one page.
#[derive(Debug)]
pub(super) struct Shared(NonNull<Page>);

const PAGE: usize = 4096;
const _: () = assert!(size_of::<Page>() <= PAGE);

impl Shared {
    fn new() -> Result<Shared, Errno> {
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, of which nobody else knows; all zeros is a valid page.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, protection, flags, -1, 0) };
        match NonNull::new(page.cast::<Page>()) {
            Some(shared) if page != libc::MAP_FAILED => Ok(Shared(shared)),
            _ => Err(sys::last_error()),
        }
    }

    fn page(&self) -> &Page {
        // SAFETY: mapped as long as we are, and all of it is atomic.
        unsafe { self.0.as_ref() }
    }

    /// How the server has ended, as `waitpid(2)` has it, if the guardian has reaped it.
    pub(super) fn status(&self) -> Option<i32> {
        (self.page().ended.load(Acquire) == 1).then(|| self.page().status.load(Relaxed))
    }

    /// How a process ended that the guardian has reaped, by its number as the guardian has it: its latest bearer's. `None` if the guardian
    /// has reaped none of that number, or so many others since that its end is no longer kept.
    pub(super) fn reaped(&self, pid: i32) -> Option<i32> {
        let page = self.page();
        let count = page.count.load(Acquire) as usize;
        let kept = (count.saturating_sub(REAPED)..count).rev().map(|i| &page.reaped[i % REAPED]);
        kept.into_iter().find(|end| end.pid.load(Relaxed) == pid).map(|end| end.status.load(Relaxed))
    }

    /// Whether a call that has been received at the gate is not cut short by signals (`SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`).
    pub(super) fn is_killable(&self) -> bool {
        self.page().killable.load(Relaxed) == 1
    }

    /// With what `execve` failed, if it did.
    pub(super) fn not_executed(&self) -> Option<Errno> {
        let failed = self.page().stage.load(Acquire) == FAILED + EXEC;
        failed.then(|| Errno::from_raw(self.page().errno.load(Relaxed)))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`; what the children have is their own.
        unsafe { libc::munmap(self.0.as_ptr().cast(), PAGE) };
    }
}

/// A guardian with its server, which is about to become the program of the plan.
#[derive(Debug)]
pub(super) struct Launched {
    pub(super) guardian: Guardian,
    pub(super) pid: i32,
    pub(super) pidfd: OwnedFd,
    pub(super) notify: Option<Notify>,
}

/// The guardian. Dropped, it ends and all of its tree with it.
#[derive(Debug)]
pub(super) struct Guardian {
    pub(super) pid: i32,
    pidfd: OwnedFd,
    pub(super) shared: Shared,
    /// Whether the kernel ends the tree.
    namespace: bool,
}

impl Drop for Guardian {
    fn drop(&mut self) {
        if !self.namespace {
            super::tasks::kill_below(self.pid);
        }
        // Errors mean that it is gone already.
        let _ = sys::pidfd_kill(self.pidfd.as_fd(), libc::SIGKILL);
        let _ = sys::reap(self.pidfd.as_fd());
    }
}

/// What the children read. All of it is made before the clone.
struct Prepared<'p> {
    plan: &'p Plan,
    arguments: Vec<*const c_char>,
    environment: Vec<*const c_char>,
    /// Where the digits of LISTEN_PID go.
    listen_pid: *mut u8,
    filter: Vec<libc::sock_filter>,
    namespace: bool,
    /// Whether calls at the gate are kept from being cut short by signals, where the kernel can do that.
    killable: bool,
    /// Whether the harness's session is the server's too.
    in_session: bool,
    /// The server's limits of descriptors, if they are not the harness's.
    descriptors: Option<libc::rlimit>,
    page: &'p Page,
}

/// Set in the harness's environment, this variable has the gate behave as on kernels before 5.19, for tests.
const NOT_KILLABLE: &str = "BROKENPIPE_NO_WAIT_KILLABLE";

/// Starts the guardian and the server; when this returns the server has been told to become the program.
pub(super) fn launch(plan: &Plan, namespace: bool) -> Result<Launched, KernelError> {
    let shared = Shared::new().map_err(KernelError::call(DOING, "mmap"))?;
    // Room for the digits, written by the server, who alone knows its number in its namespace.
    let mut listen_pid = b"LISTEN_PID=\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    let pointers = |strings: &[CString]| strings.iter().map(|s| s.as_ptr()).collect::<Vec<_>>();
    let mut environment = pointers(&plan.environment);
    if plan.listener.is_some() {
        environment.push(listen_pid.as_ptr().cast());
    }
    environment.push(std::ptr::null());
    let mut arguments = pointers(&plan.arguments);
    arguments.push(std::ptr::null());
    let prepared = Prepared {
        plan,
        arguments,
        environment,
        listen_pid: listen_pid["LISTEN_PID=".len()..].as_mut_ptr(),
        filter: if plan.gate { filter::program()? } else { Vec::new() },
        namespace,
        killable: std::env::var_os(NOT_KILLABLE).is_none(),
        in_session: session::is_led(),
        descriptors: limit::raise(),
        page: shared.page(),
    };
    fd_table::fill().map_err(KernelError::call(DOING, "eventfd"))?;
    let copying = Copying::new();
    let flags = libc::CLONE_FILES | if namespace { libc::CLONE_NEWPID } else { 0 };
    let blocked = crate::linux::spawn::SignalsBlocked::new();
    // SAFETY: the child goes on with `guardian`, which never returns and keeps to what the head of this file says.
    let cloned = unsafe {
        match clone_process(flags) {
            Ok(None) => guardian(&prepared),
            Ok(Some(child)) => Ok(child),
            Err(errno) => Err(errno),
        }
    };
    drop(blocked);
    let (pid, pidfd) = cloned.map_err(KernelError::call(DOING, "clone"))?;
    let guardian = Guardian { pid, pidfd, shared, namespace };
    guardian.reach(ALONE)?;
    drop(copying);
    guardian.reach(READY)?;
    let server = super::tasks::children(pid, pid).first().copied().ok_or(KernelError::StillBorn)?;
    let pidfd = pidfd_open(server).map_err(KernelError::call(DOING, "pidfd_open"))?;
    let page = guardian.shared.page();
    let notify = match plan.gate {
        false => None,
        true => {
            let fd = sys::pidfd_getfd(pidfd.as_fd(), page.listener.load(Relaxed)).and_then(fd_table::beyond);
            Some(Notify::new(fd.map_err(KernelError::call(DOING, "pidfd_getfd"))?))
        }
    };
    page.go.store(1, Release);
    futex_wake(&page.go);
    Ok(Launched { guardian, pid: server, pidfd, notify })
}

impl Guardian {
    /// Waits until this stage is reached.
    fn reach(&self, wanted: u32) -> Result<(), KernelError> {
        let page = self.shared.page();
        let deadline = Instant::now() + START_BOUND;
        loop {
            let stage = page.stage.load(Acquire);
            if stage >= FAILED {
                let call = STEPS.get((stage - FAILED) as usize).copied().unwrap_or("clone");
                return Err(KernelError::Call { doing: DOING, call, errno: Errno::from_raw(page.errno.load(Relaxed)) });
            }
            if stage >= wanted {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(KernelError::Late { doing: DOING, bound: START_BOUND });
            }
            futex_wait(&page.stage, stage, left);
        }
    }
}

/// The result of a system call, which is negative, or minus one with the error in `errno`.
macro_rules! call {
    ($($argument:expr),+) => { libc::syscall($($argument),+) };
}

fn reached(page: &Page, stage: u32) {
    page.stage.store(stage, Release);
    futex_wake(&page.stage);
}

/// Says what failed, and ends.
unsafe fn failed(page: &Page, step: u32) -> ! {
    // SAFETY: errno is this thread's own.
    page.errno.store(unsafe { *libc::__errno_location() }, Relaxed);
    reached(page, FAILED + step);
    // SAFETY: it does not return.
    unsafe { libc::_exit(127) }
}

/// # Safety
///
/// Only in a child that `clone_process` has made.
unsafe fn guardian(prepared: &Prepared<'_>) -> ! {
    let page = prepared.page;
    // SAFETY: system calls that take no memory but of this stack.
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
                // This process is the only one that writes here.
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
                // Nobody is left, and nobody can come: it stays to be asked until the harness ends it, or is gone before it was to die
                // with it.
                if page.go.load(Acquire) == 0 {
                    libc::_exit(0);
                }
                // There is no such word: it waits for ever, and any signal but the last only has it wait again.
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
            // Linux 5.19 or later; before, a signal makes a call at the gate return EINTR without having run.
            let mut flags = if prepared.killable { libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV } else { 0 };
            let mut fd = install(flags);
            if fd < 0 && *libc::__errno_location() == libc::EINVAL {
                flags = 0;
                fd = install(flags);
            }
            if fd < 0 && *libc::__errno_location() == libc::EACCES {
                // Without CAP_SYS_ADMIN a filter takes the promise that no privilege is ever gained.
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
            libc::_exit(127);
        }
        libc::execve(plan.program.as_ptr(), prepared.arguments.as_ptr(), prepared.environment.as_ptr());
        failed(page, EXEC)
    }
}

/// Every signal to its default, none blocked; SIGPIPE as asked for.
///
/// # Safety
///
/// Only in the server's process.
unsafe fn signals(sigpipe: Sigpipe) {
    /// The kernel's `struct sigaction`, which the C library's function would not take for signals of its own.
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
        // SAFETY: the kernel reads the struct. Of two signals it refuses to change anything.
        unsafe { call!(libc::SYS_rt_sigaction, signal as c_long, &raw const action, 0usize, 8usize) };
    }
    let mask = if sigpipe == Sigpipe::Blocked { 1u64 << (libc::SIGPIPE - 1) } else { 0 };
    // SAFETY: the kernel reads the 64 bits.
    unsafe { call!(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK as c_long, &raw const mask, 0usize, 8usize) };
}

/// Makes the listener, which is descriptor 3 for the first three are taken. False if it cannot be.
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

/// Writes a number and the end of a string.
///
/// # Safety
///
/// There is room for eleven bytes.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_end_of_a_process_is_that_of_the_latest_bearer_of_its_number() {
        let shared = Shared::new().unwrap();
        let reap = |pid, status| {
            let page = shared.page();
            let count = page.count.fetch_add(1, Relaxed) as usize;
            page.reaped[count % REAPED].pid.store(pid, Relaxed);
            page.reaped[count % REAPED].status.store(status, Relaxed);
        };
        assert_eq!(shared.reaped(0), None);
        reap(7, libc::SIGPIPE);
        reap(8, 0);
        assert_eq!([7, 8, 9].map(|pid| shared.reaped(pid)), [Some(libc::SIGPIPE), Some(0), None]);
        reap(7, 1 << 8);
        assert_eq!(shared.reaped(7), Some(1 << 8));
        // Of those that ended long before nothing is known.
        (0..REAPED).for_each(|_| reap(8, 0));
        assert_eq!([7, 8].map(|pid| shared.reaped(pid)), [None, Some(0)]);
    }

    /// Waits until a word of the page is this.
    fn wait_for(word: &AtomicU32, wanted: u32) {
        let deadline = Instant::now() + START_BOUND;
        loop {
            let (now, left) = (word.load(Acquire), deadline.saturating_duration_since(Instant::now()));
            if now == wanted {
                return;
            }
            assert!(!left.is_zero(), "{now}, not {wanted}, after {START_BOUND:?}");
            futex_wait(word, now, left);
        }
    }

    #[test]
    fn the_guardian_knows_how_a_process_ended_that_has_lost_its_parent() {
        let dir = tempfile::tempdir().unwrap();
        let (pipe, output) = (dir.path().join("pipe"), dir.path().join("output"));
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let c = |text: &str| CString::new(text).unwrap();
        // The daemon goes on when it is written to, and that is when whoever started it has ended.
        let script = "sh -c 'read -r line < pipe; kill -PIPE $$' & echo $!";
        let plan = Plan {
            program: c("/bin/sh"),
            arguments: ["sh", "-c", script].map(c).to_vec(),
            environment: vec![c("PATH=/usr/bin:/bin")],
            folder: c(dir.path().to_str().unwrap()),
            output: c(output.to_str().unwrap()),
            listener: None,
            sigpipe: Sigpipe::Default,
            gate: false,
        };
        let launched = launch(&plan, false).unwrap();
        let shared = &launched.guardian.shared;
        wait_for(&shared.page().ended, 1);
        assert_eq!(shared.status(), Some(0));
        let daemon = std::fs::read_to_string(output).unwrap().trim().parse().unwrap();
        assert_eq!(shared.reaped(daemon), None);
        // Whoever opens both ends of a pipe waits for nobody.
        let mut to = std::fs::File::options().read(true).write(true).open(pipe).unwrap();
        to.write_all(b"go on\n").unwrap();
        wait_for(&shared.page().count, 2);
        assert_eq!(shared.reaped(daemon), Some(libc::SIGPIPE));
    }
}
