//! Tries out the features of the machine that servers under test can make use of.

use super::injection::Injection;
use super::server::Server;
use crate::linux::clock::descriptors;
use crate::linux::clock::real_time::RealTime;
use crate::linux::error::KernelError;
use crate::linux::process::guardian::{Plan, launch};
use crate::linux::process::user_namespace::{Maps, in_a_child, unshare};
use crate::linux::sys::process::{clone_process, exit_status};
use crate::linux::sys::reap;
use crate::scenario::Errno;
use crate::subject::Sigpipe;
use std::ffi::CString;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Starts a process behind a filter and fetches the filter's notification descriptor. The program is a folder, so that `execve` fails and
/// the process ends.
pub(crate) fn try_gate() -> Result<(), KernelError> {
    launch(&nothing(), false).map(drop)
}

/// A start whose `execve` fails, behind the gate.
fn nothing() -> Plan {
    Plan {
        program: c"/".to_owned(),
        arguments: vec![c"/".to_owned()],
        environment: Vec::new(),
        folder: c"/".to_owned(),
        output: c"/dev/null".to_owned(),
        listener: None,
        sigpipe: Sigpipe::Default,
        gate: true,
        jumps: false,
    }
}

/// Starts a program that sleeps for an hour, and lets that hour pass on its clock.
pub(crate) fn try_virtual_time() -> Result<(), String> {
    const HOUR: Duration = Duration::from_secs(3600);
    /// How long that may take.
    const BOUND: Duration = Duration::from_secs(10);
    descriptors::try_out().map_err(|errno| RealTime::Descriptor(errno).to_string())?;
    let words = ["/bin/sh", "-c", "exec sleep 3600"].map(|word| CString::new(word).unwrap_or_default());
    let plan = Plan {
        program: words[0].clone(),
        arguments: words.to_vec(),
        environment: vec![c"PATH=/usr/bin:/bin".to_owned()],
        jumps: true,
        ..nothing()
    };
    let start = Instant::now();
    let tried = || -> Result<Option<RealTime>, KernelError> {
        let mut server = Server::start(&plan, false)?;
        while server.main_status().is_none() && start.elapsed() < BOUND {
            server.quiet()?;
            while server.step(&mut Injection::default())?.is_some() {}
            if let Some(why) = server.real_time() {
                return Ok(Some(why.clone()));
            }
            server.pass_time(server.now() + 2 * HOUR, false)?;
        }
        Ok(None)
    };
    match tried() {
        Err(error) => Err(error.to_string()),
        Ok(Some(why)) => Err(why.to_string()),
        Ok(None) if start.elapsed() >= BOUND => Err("an hour of sleep did not pass".to_owned()),
        Ok(None) => Ok(()),
    }
}

/// Creates a namespace of this kind (`CLONE_NEW*`) in a child process. Returns whether that works with the privileges of this process, or
/// only in a user namespace.
pub(crate) fn try_namespace(kind: i32) -> Result<String, Errno> {
    if in_a_child(|| unshare(kind)).is_ok() {
        return Ok("works".to_owned());
    }
    let maps = Maps::here();
    in_a_child(|| maps.enter().and_then(|()| unshare(kind))).map(|()| "works, in a user namespace".to_owned())
}

/// Whether the kernel reports how a process has ended after the process has been reaped.
pub(crate) fn try_exit_status() -> Result<bool, Errno> {
    const CODE: i32 = 7;
    // SAFETY: the child makes one system call.
    let child = unsafe { clone_process(0) }?;
    let Some((_, pidfd)) = child else {
        // SAFETY: `_exit` does not return.
        unsafe { libc::_exit(CODE) }
    };
    reap(pidfd.as_fd())?;
    Ok(exit_status(pidfd.as_fd()) == Some(CODE << 8))
}
