//! The binary that is tested, and processes that are held and waited for.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, setsid};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// Within this time happens whatever must happen, on however busy a machine. Nothing waits for it to pass.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// Within this time nothing may be left of a killed harness.
pub(crate) const NOTHING_LEFT: Duration = Duration::from_secs(1);

/// How often it is looked whether something is so of which nothing tells.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// The core that this program is kept to, if it is, with all that it starts.
static CORE: OnceLock<usize> = OnceLock::new();

/// Is told that this program has been started on this core alone, in a session of its own. The binary is then given a session too: it must
/// not share one with servers and clients of this program.
#[allow(dead_code, reason = "not every suite that includes this file runs its trials in hosts")]
pub(crate) fn keep_to_this_core(core: usize) {
    CORE.get_or_init(|| core);
}

/// The binary. Started, it ends with the thread that started it: with a killed test run, however it was killed.
pub(crate) fn brokenpipe() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_brokenpipe"));
    let own_session = CORE.get().is_some();
    let prepare = move || {
        if own_session {
            setsid()?;
        }
        Ok(set_pdeathsig(Signal::SIGKILL)?)
    };
    // SAFETY: between fork and exec it makes two system calls, of which neither is given a pointer.
    unsafe { command.pre_exec(prepare) };
    // What a developer may have set for error messages must not show in the tests.
    command.env_remove("NO_GRAPHICS").env_remove("FORCE_COLOR").stdin(Stdio::null());
    command
}

/// An empty folder, gone when it is dropped.
#[derive(Debug)]
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Folder {
        Folder(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A process that may be gone at any time, held by its pidfd: its number cannot become another's behind our back.
#[derive(Debug)]
pub(crate) struct Process(OwnedFd);

impl Process {
    /// `None` if it is gone already.
    pub(crate) fn open(pid: u32) -> Option<Process> {
        // SAFETY: the call takes no pointer, and makes a new descriptor that nobody else owns.
        let fd = unsafe {
            match libc::syscall(libc::SYS_pidfd_open, pid, 0) {
                -1 => return None,
                fd => OwnedFd::from_raw_fd(fd as i32),
            }
        };
        Some(Process(fd))
    }

    /// Whether it ends within the bound.
    pub(crate) fn ends_within(&self, bound: Duration) -> bool {
        let timeout = PollTimeout::try_from(bound).expect("a bound");
        poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], timeout).expect("poll") == 1
    }
}

/// A running binary. It is killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) child: Child,
}

impl Running {
    #[allow(dead_code, reason = "not every suite that includes this file ends a run early")]
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("it is there to be signalled");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
