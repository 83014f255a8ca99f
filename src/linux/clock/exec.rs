//! Follows a thread through an `execve(2)`, to redirect the clock of the program before its first instruction.
//!
//! The call waits at the gate. The harness attaches to the thread, releases the call and asks the thread to stop before it goes on in its
//! program. If the call succeeds, the thread stops within it. If it fails, as it does for each folder of PATH without the program, it stops
//! behind it. One of the two comes, so the harness can wait for it.

use super::real_time::RealTime;
use super::vdso::{self, Place};
use crate::linux::sys::memory::Memory;
use crate::linux::sys::trace::{Stop, Traced};
use crate::linux::sys::{pidfd_open, poll};
use crate::scenario::Errno;
use std::os::fd::AsFd;
use std::time::Duration;

/// How an `execve` went.
#[derive(Debug)]
pub(crate) enum Executed {
    /// It succeeded, and the clock of the process is redirected; or why it is not.
    Yes(Result<(Memory, Place), RealTime>),
    /// It failed, or the thread has ended.
    No,
}

/// How long a thread that shares its process with others is waited for before it is looked for under the number of its process too.
const LOOK_AGAIN: Duration = Duration::from_micros(200);

/// Follows thread `tid` of process `pid` through the call that `release` releases. `ahead` is by how much its clock is to be ahead.
pub(crate) fn follow<E>(
    pid: i32,
    tid: i32,
    ahead: Duration,
    release: impl FnOnce() -> Result<(), E>,
) -> Result<Executed, E> {
    let traced = Traced::seize(tid);
    release()?;
    let followed = traced.and_then(|traced| {
        traced.interrupt()?;
        stopped(traced, pid)
    });
    Ok(match followed {
        Ok(None) => Executed::No,
        Ok(Some(traced)) => {
            let place = Memory::open(pid)
                .map_err(RealTime::NotWritable)
                .and_then(|memory| vdso::redirect(pid, &memory, ahead).map(|place| (memory, place)));
            match traced.release() {
                Ok(()) => Executed::Yes(place),
                Err(errno) => Executed::Yes(Err(RealTime::NotTraced(errno))),
            }
        }
        // It has ended at once.
        Err(Errno::ESRCH | Errno::ECHILD) => Executed::No,
        Err(errno) => Executed::Yes(Err(RealTime::NotTraced(errno))),
    })
}

/// The thread, stopped within a successful `execve`; `None` if the call has failed, and the thread is let go, or has ended.
fn stopped(mut traced: Traced, pid: i32) -> Result<Option<Traced>, Errno> {
    let process = pidfd_open(pid)?;
    loop {
        // A thread that is the only one of its process keeps its number.
        let stop = if traced.is(pid) { Some(traced.wait()?) } else { traced.poll(pid)? };
        match stop {
            Some(Stop::Executed) => return Ok(Some(traced)),
            Some(Stop::Interrupted) => return traced.release().map(|()| None),
            Some(Stop::Signalled(signal)) => traced.go_on(signal)?,
            Some(Stop::Gone) => return Ok(None),
            None => drop(poll([process.as_fd()], LOOK_AGAIN)?),
        }
    }
}
