//! `ptrace(2)`, of a thread that is traced for the time of one stop.
//!
//! The kernel's rules: only the thread that has attached can go on with the traced one, and wait for it.

use crate::scenario::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// A thread that this one traces. It must be let go with [`Traced::release`] while it is stopped: the kernel refuses that for one that runs.
#[derive(Debug)]
pub(crate) struct Traced {
    tid: Pid,
}

/// Why a traced thread has stopped, or that it has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It has executed a program, of which no instruction has been made yet.
    Executed,
    /// It was interrupted, or its process is stopped.
    Interrupted,
    /// It is about to get a signal.
    Signalled(Signal),
    /// It has ended.
    Gone,
}

/// `PTRACE_EVENT_STOP` of `linux/ptrace.h`.
const EVENT_STOP: i32 = 128;

impl Traced {
    /// Attaches to a thread, which goes on (`PTRACE_SEIZE`). It will stop at its next `execve`.
    pub(crate) fn seize(tid: i32) -> Result<Traced, Errno> {
        let tid = Pid::from_raw(tid);
        ptrace::seize(tid, Options::PTRACE_O_TRACEEXEC).map_err(converted)?;
        Ok(Traced { tid })
    }

    /// Whether this is the first thread of a process.
    pub(crate) fn is(&self, process: i32) -> bool {
        self.tid.as_raw() == process
    }

    /// Has it stop as soon as it would go on in its program (`PTRACE_INTERRUPT`).
    pub(crate) fn interrupt(&self) -> Result<(), Errno> {
        ptrace::interrupt(self.tid).map_err(converted)
    }

    /// Waits until it stops or ends.
    pub(crate) fn wait(&self) -> Result<Stop, Errno> {
        loop {
            match waitpid(self.tid, Some(WaitPidFlag::__WALL)) {
                Err(nix::errno::Errno::EINTR) => {}
                other => return other.map(stop).map_err(converted),
            }
        }
    }

    /// Why it has stopped, if it has; `None` if it runs. A thread that executes a program takes the number of its process, under which it
    /// then is `self`.
    pub(crate) fn poll(&mut self, process: i32) -> Result<Option<Stop>, Errno> {
        let flags = Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG);
        for tid in [self.tid, Pid::from_raw(process)] {
            match waitpid(tid, flags) {
                Ok(WaitStatus::StillAlive) | Err(nix::errno::Errno::ECHILD | nix::errno::Errno::EINTR) => {}
                other => {
                    self.tid = tid;
                    return other.map(stop).map(Some).map_err(converted);
                }
            }
        }
        Ok(None)
    }

    /// Lets it go on after a stop, still traced, with this signal.
    pub(crate) fn go_on(&self, signal: Signal) -> Result<(), Errno> {
        ptrace::cont(self.tid, signal).map_err(converted)
    }

    /// Lets it go after a stop, no longer traced.
    pub(crate) fn release(self) -> Result<(), Errno> {
        match ptrace::detach(self.tid, None) {
            // It has been killed meanwhile.
            Ok(()) | Err(nix::errno::Errno::ESRCH) => Ok(()),
            Err(error) => Err(converted(error)),
        }
    }

    /// The registers of a stopped thread.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn registers(&self) -> Result<libc::user_regs_struct, Errno> {
        ptrace::getregs(self.tid).map_err(converted)
    }

    /// Sets the registers of a stopped thread.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn set_registers(&self, registers: libc::user_regs_struct) -> Result<(), Errno> {
        ptrace::setregs(self.tid, registers).map_err(converted)
    }
}

fn stop(status: WaitStatus) -> Stop {
    match status {
        WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_EXEC) => Stop::Executed,
        WaitStatus::PtraceEvent(_, _, EVENT_STOP) => Stop::Interrupted,
        WaitStatus::Stopped(_, signal) => Stop::Signalled(signal),
        WaitStatus::Exited(..) | WaitStatus::Signaled(..) => Stop::Gone,
        // No other event is asked for.
        _ => Stop::Interrupted,
    }
}

fn converted(errno: nix::errno::Errno) -> Errno {
    Errno::from_raw(errno as i32)
}
