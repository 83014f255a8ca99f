//! Commands of the user's: what sets a server up, and a polite client that is a program.
//!
//! A command's standard error goes to a file without a name, and not into a pipe: a pipe holds 64 KiB, past which the command would wait
//! for somebody to read, and a program that the command leaves in the background would be killed by SIGPIPE once the pipe is closed.

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

/// How long a setup may take.
const SETUP_BOUND: Duration = Duration::from_secs(60);
/// So much of the end of what a command has written is shown, in bytes.
const MOST_SHOWN: u64 = 4096;

/// A command that was started. Dropped before its end, it is killed, with all that is in its process group.
struct Running {
    child: Child,
    /// Readable when it has ended.
    pidfd: OwnedFd,
    stderr: File,
    ended: bool,
}

impl Running {
    fn start(command: &OsStr, folder: &Path) -> io::Result<Running> {
        let stderr = tempfile::tempfile()?;
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(command).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null());
        // A group of its own, so that all of it can be killed.
        shell.stderr(stderr.try_clone()?).process_group(0);
        let child = limit::give_back(&mut shell).spawn()?;
        // It is there until it is waited for.
        let pidfd = pidfd(child.id() as i32).map_err(io::Error::other)?;
        Ok(Running { child, pidfd, stderr, ended: false })
    }

    /// How it has ended, once its pidfd has said that it has: nothing on success, else in words, with the end of what it wrote.
    fn ended(&mut self) -> io::Result<Result<(), String>> {
        let status = self.child.wait()?;
        self.ended = true;
        Ok(if status.success() { Ok(()) } else { Err(self.failure(status)) })
    }

    fn failure(&mut self, status: ExitStatus) -> String {
        let mut bytes = Vec::new();
        let length = self.stderr.seek(SeekFrom::End(0)).unwrap_or(0);
        let end = self.stderr.seek(SeekFrom::Start(length.saturating_sub(MOST_SHOWN)));
        // How it ended is what counts; what it wrote comes on top where it can be read.
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

/// Runs a command to its end, or until somebody sets `stop`. The error says how it failed.
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

/// Has a command ask the server as a polite client, while the server is served.
pub(super) fn ask(command: &OsStr, world: &mut Foreign, bound: Duration) -> Result<Answered, KernelError> {
    let mut running = match Running::start(command, Path::new(".")) {
        Ok(running) => running,
        Err(error) => return Ok(Answered::Wrong(error.to_string())),
    };
    let deadline = Instant::now() + bound;
    while !readable(&running.pidfd, Duration::ZERO) {
        let now = Instant::now();
        if now >= deadline || world.is_stopped() {
            return Ok(Answered::Silent(0));
        }
        if world.main_ended().is_some() {
            // Nothing is left to be served; the command notices that by itself.
            readable(&running.pidfd, LOOK_UP.min(deadline - now));
        } else {
            world.idle_or(deadline, Some(running.pidfd.as_fd()))?;
        }
    }
    Ok(match running.ended() {
        Ok(Ok(())) => Answered::Full { open: false },
        Ok(Err(how)) => Answered::Wrong(how),
        Err(error) => Answered::Wrong(error.to_string()),
    })
}
