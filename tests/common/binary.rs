//! The tested binary, handles on processes, and scratch folders.

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

/// Deadline for anything that must happen, on however busy a machine. No test waits until it has passed.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

/// Deadline for all processes of a killed harness to end.
pub(crate) const NOTHING_LEFT: Duration = Duration::from_secs(1);

/// Poll interval for conditions that have no notification.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// The core that this program and its child processes are pinned to, if they are.
static CORE: OnceLock<usize> = OnceLock::new();

/// Records that this program was started on this core only, in a session of its own. The binary is then also started in a session of its
/// own, because it must not share one with servers and clients of this program.
#[allow(dead_code, reason = "not every suite that includes this file runs its trials in hosts")]
pub(crate) fn keep_to_this_core(core: usize) {
    CORE.get_or_init(|| core);
}

/// A command for the binary. Its process is killed when the thread that started it ends, so also when the test run is killed.
pub(crate) fn brokenpipe() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_brokenpipe"));
    let own_session = CORE.get().is_some();
    let prepare = move || {
        if own_session {
            setsid()?;
        }
        Ok(set_pdeathsig(Signal::SIGKILL)?)
    };
    // SAFETY: between fork and exec the child makes two system calls, and passes no pointer to either.
    unsafe { command.pre_exec(prepare) };
    // Variables that a developer may have set for the format of error messages must not change the tested output.
    command.env_remove("NO_GRAPHICS").env_remove("FORCE_COLOR").stdin(Stdio::null());
    command
}

/// A scratch folder, removed on drop.
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

/// A process that may end at any time, held by its pidfd: a pid alone could be reused for another process.
#[derive(Debug)]
pub(crate) struct Process(OwnedFd);

impl Process {
    /// `None` if the process does not exist any more.
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

    /// Whether the process ends within the bound.
    pub(crate) fn ends_within(&self, bound: Duration) -> bool {
        let timeout = PollTimeout::try_from(bound).expect("a bound");
        poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], timeout).expect("poll") == 1
    }
}

/// A running binary, killed on drop.
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
