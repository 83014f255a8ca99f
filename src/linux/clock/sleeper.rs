//! Ends the sleep of a thread whose time is up on the server's clock, in a call that did not wait at the gate: a timed futex, a sleep.
//!
//! The thread is stopped, which interrupts its call, and gets the result of one whose time is up in place of that of an interrupted one. A
//! wake that has come first wins: then the call has returned, and the thread goes on as if nothing had been. The same holds if it has come
//! back since it was seen asleep and waits in a call that looks the same, which the count of its switches shows.
#![cfg_attr(not(target_arch = "x86_64"), allow(dead_code, unused_imports, reason = "no clock jumps elsewhere"))]

use super::blocked_call::{Call, call_of};
use crate::linux::gate::seccomp::notify::Answer;
use crate::linux::gate::seccomp::pending_call::PendingCall;
use crate::linux::sys::signals::Masks;
use crate::linux::sys::trace::{Stop, Traced};
use crate::scenario::Errno;

/// What the kernel returns within itself for a call that a signal has interrupted (`linux/errno.h`), and EINTR.
const RESTARTS: [i64; 4] = [-512, -513, -514, RESTART_BLOCK];
const RESTART_BLOCK: i64 = -516;
const INTERRUPTED: i64 = -(libc::EINTR as i64);
/// The length of the instruction `syscall`.
#[cfg(target_arch = "x86_64")]
const SYSCALL: u64 = 2;

/// How often a thread has gone to sleep by itself; `None` if it is gone.
fn sleeps(pid: i32, tid: i32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?.trim().parse().ok()
}

/// A thread that is asleep in a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sleeper {
    pub(crate) pid: i32,
    pub(crate) tid: i32,
    pub(crate) call: Call,
}

impl Sleeper {
    /// Ends the sleep. False if the thread was no longer in it. `sleeps_on` says whether the thread has not run since it was seen asleep: one
    /// whose sleep was ended before may have woken it, and it may be in another sleep by now, by a call that looks the same.
    pub(crate) fn end(&self, sleeps_on: impl Fn() -> bool) -> Result<bool, Errno> {
        match self.interrupted(sleeps_on) {
            // It has ended.
            Err(Errno::ESRCH | Errno::ECHILD) => Ok(false),
            other => other,
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn interrupted(&self, sleeps_on: impl Fn() -> bool) -> Result<bool, Errno> {
        let Sleeper { pid, tid, call: (number, arguments) } = *self;
        // Counted first: if it comes back from here on, it has slept once more than it should have.
        let Some(before) = sleeps(pid, tid) else { return Ok(false) };
        if !sleeps_on() || call_of(pid, tid) != Some(self.call) {
            return Ok(false);
        }
        let traced = Traced::seize(tid)?;
        traced.interrupt()?;
        loop {
            match traced.wait()? {
                Stop::Gone => return Ok(false),
                Stop::Signalled(signal) => traced.go_on(signal)?,
                Stop::Executed | Stop::Interrupted => break,
            }
        }
        if number == libc::SYS_close {
            // A `close` that lingers ends in the same way when it is interrupted and when its time is up (`__tcp_close`).
            return traced.release().map(|()| true);
        }
        let mut registers = traced.registers()?;
        let (result, made) = (registers.rax as i64, registers.orig_rax as libc::c_long);
        let is_cut = RESTARTS.contains(&result) || result == INTERRUPTED;
        let given = [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9];
        let same = (made == number || made == libc::SYS_restart_syscall) && given == arguments;
        // The stop itself is the one sleep more.
        let ended = is_cut && same && sleeps(pid, tid) == Some(before + 1);
        if ended {
            registers.rax = self.time_is_up() as u64;
            registers.orig_rax = u64::MAX;
            traced.set_registers(registers)?;
        } else if made >= 0
            && (result == RESTART_BLOCK || result == INTERRUPTED)
            && Masks::of(pid, tid).deliverable(None) == 0
        {
            // No signal has interrupted the call. The kernel would not make it again, or by one of which nobody can tell what it was.
            registers.rax = made as u64;
            registers.rip -= SYSCALL;
            registers.orig_rax = u64::MAX;
            traced.set_registers(registers)?;
        }
        traced.release().map(|()| ended)
    }

    /// The result of the call when its time is up. Also writes what the kernel would write then.
    fn time_is_up(&self) -> i64 {
        match self.call.0 {
            libc::SYS_futex => -i64::from(libc::ETIMEDOUT),
            libc::SYS_rt_sigtimedwait => -i64::from(libc::EAGAIN),
            _ => match PendingCall::let_in(self.pid, self.tid, self.call).map(|call| call.time_is_up()) {
                Some(Answer::Value(value)) => value,
                Some(Answer::Error(errno)) => -i64::from(errno.raw()),
                // A sleep.
                Some(Answer::Continue) | None => 0,
            },
        }
    }

    /// No clock jumps on this architecture.
    #[cfg(not(target_arch = "x86_64"))]
    fn interrupted(&self, _: impl Fn() -> bool) -> Result<bool, Errno> {
        Ok(false)
    }
}
