//! Commands of the user's: what sets a server up, and a polite client that is a program.

use super::polite::Answered;
use crate::kernel::KernelError;
use crate::kernel::foreign::world::{Foreign, LOOK_UP};
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// How long a setup may take.
const SETUP_BOUND: Duration = Duration::from_secs(60);
/// How often somebody who waits for a command looks whether it has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

fn start(command: &OsStr, folder: &Path) -> std::io::Result<Child> {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    // A group of its own, so that all of it can be ended.
    shell.process_group(0).spawn()
}

/// Ends a command with all that is in its group.
fn end(child: &mut Child) {
    let group = nix::unistd::Pid::from_raw(child.id() as i32);
    let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
    let _ = child.wait();
}

/// Runs a command to its end, or until somebody sets `stop`. The error says how it failed.
pub(super) fn run(command: &OsStr, folder: &Path, stop: &AtomicBool) -> Result<(), String> {
    let mut child = start(command, folder).map_err(|e| e.to_string())?;
    let deadline = Instant::now() + SETUP_BOUND;
    let pidfd = crate::kernel::pidfd(child.id() as i32).map_err(|e| e.to_string())?;
    while !crate::kernel::readable(&pidfd, LOOK_UP) {
        if Instant::now() >= deadline || stop.load(Relaxed) {
            end(&mut child);
            return Err(format!("it did not end within {SETUP_BOUND:?}"));
        }
    }
    let status = child.wait().map_err(|e| e.to_string())?;
    if status.success() {
        return Ok(());
    }
    let mut text = String::new();
    // Something that it left in the background may hold the other end for ever: only what is there is read.
    if let Some(mut stderr) = child.stderr.take()
        && crate::kernel::readable(&stderr, Duration::ZERO)
    {
        let mut buffer = [0; 4096];
        let read = stderr.read(&mut buffer).unwrap_or(0);
        text = String::from_utf8_lossy(&buffer[..read]).trim_end().to_owned();
    }
    Err(if text.is_empty() { status.to_string() } else { format!("{status}: {text}") })
}

/// Has a command ask the server as a polite client, while the server is served.
pub(super) fn ask(command: &OsStr, world: &mut Foreign, bound: Duration) -> Result<Answered, KernelError> {
    let mut child = match start(command, Path::new(".")) {
        Ok(child) => child,
        Err(error) => return Ok(Answered::Wrong(error.to_string())),
    };
    let deadline = Instant::now() + bound;
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(Answered::Full { open: false }),
            Ok(Some(status)) => return Ok(Answered::Wrong(status.to_string())),
            Ok(None) if Instant::now() < deadline && !world.is_stopped() => world.idle(Instant::now() + LOOK_AGAIN)?,
            Ok(None) => {
                end(&mut child);
                return Ok(Answered::Silent(0));
            }
            Err(error) => {
                end(&mut child);
                return Ok(Answered::Wrong(error.to_string()));
            }
        }
    }
}
