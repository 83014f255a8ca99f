//! Runs the user's shell commands: the setup command of a server, and a polite client that is a program.
//!
//! A command's standard error goes to an unnamed file and not to a pipe. A pipe holds 64 KiB: a command that writes more would block until
//! the harness reads. And a program that the command leaves in the background would be killed by SIGPIPE once the harness has closed the
//! pipe.

use super::health_check::Answered;
use crate::linux::foreign::server::LOOK_UP;
use crate::linux::foreign::world::Foreign;
use crate::linux::sys::limit;
use crate::linux::{KernelError, pidfd, readable};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// How long a setup command may take.
const SETUP_BOUND: Duration = Duration::from_secs(60);
/// Maximum number of bytes shown from the end of a command's standard error.
const MOST_SHOWN: u64 = 4096;

/// A command that was started. If this is dropped before the command has ended, the command's process group is killed.
struct Running {
    child: Child,
    /// Readable when the command has ended.
    pidfd: OwnedFd,
    stderr: File,
    ended: bool,
}

impl Running {
    fn start(command: &OsStr, folder: &Path) -> io::Result<Running> {
        let stderr = tempfile::tempfile()?;
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(command).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
        // A process group of its own, so that the whole group can be killed.
        shell.stderr(stderr.try_clone()?).process_group(0);
        let child = limit::give_back(&mut shell).spawn()?;
        // The child's pid stays valid until the child is waited for.
        let pidfd = pidfd(child.id() as i32).map_err(io::Error::other)?;
        Ok(Running { child, pidfd, stderr, ended: false })
    }

    /// How the command has ended, called once the pidfd is readable. The inner error is a text: the exit status, and the end of standard
    /// error.
    fn ended(&mut self) -> io::Result<Result<(), String>> {
        let status = self.child.wait()?;
        self.ended = true;
        Ok(if status.success() { Ok(()) } else { Err(self.failure(status)) })
    }

    fn failure(&mut self, status: ExitStatus) -> String {
        let mut bytes = Vec::new();
        let length = self.stderr.seek(SeekFrom::End(0)).unwrap_or(0);
        let end = self.stderr.seek(SeekFrom::Start(length.saturating_sub(MOST_SHOWN)));
        // The exit status is always reported. Standard error is added if it can be read.
        let _ = end.and_then(|_| (&self.stderr).take(MOST_SHOWN).read_to_end(&mut bytes));
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_end();
        if text.is_empty() { status.to_string() } else { format!("{status}: {text}") }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            let group = nix::unistd::Pid::from_raw(self.child.id() as i32);
            let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// Runs a command in `folder` until it ends, at most for [`SETUP_BOUND`] and until `stop` is set. The error says how the command failed.
pub(super) fn run(command: &OsStr, folder: &Path, stop: &AtomicBool) -> Result<(), String> {
    let mut running = Running::start(command, folder).map_err(|e| e.to_string())?;
    let deadline = Instant::now() + SETUP_BOUND;
    while !readable(&running.pidfd, LOOK_UP) {
        if Instant::now() >= deadline || stop.load(Relaxed) {
            return Err(format!("it did not end within {SETUP_BOUND:?}"));
        }
    }
    running.ended().map_err(|e| e.to_string())?
}

/// Runs a command as a polite client for at most `bound`. Meanwhile the server's calls are released.
pub(super) fn ask(command: &OsStr, world: &mut Foreign, bound: Duration) -> Result<Answered, KernelError> {
    let mut running = match Running::start(command, Path::new(".")) {
        Ok(running) => running,
        Err(error) => return Ok(Answered::Wrong(error.to_string())),
    };
    // The command has the machine's clock, so the server's does not jump meanwhile.
    let deadline = world.server.now() + bound;
    while !readable(&running.pidfd, Duration::ZERO) {
        let now = world.server.now();
        if now >= deadline || world.is_stopped() {
            return Ok(Answered::Silent(0));
        }
        if world.main_ended().is_some() {
            // The server has ended, so there are no calls to release. The command notices the end by itself.
            readable(&running.pidfd, LOOK_UP.min(deadline - now));
        } else {
            world.idle_or(deadline, running.pidfd.as_fd())?;
        }
    }
    Ok(match running.ended() {
        Ok(Ok(())) => Answered::Full { open: false },
        Ok(Err(how)) => Answered::Wrong(how),
        Err(error) => Answered::Wrong(error.to_string()),
    })
}
