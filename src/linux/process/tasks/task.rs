//! One thread, as `/proc/PID/task/TID` shows it.

use crate::linux::clock::blocked_call::{self, Call, Pid, Wait};
use crate::linux::clock::server_clock::ServerClock;
use crate::linux::error::{KernelError, errno};
use crate::linux::sys::proc::Scheduled;
use crate::scenario::Errno;
use crate::world::quiescence::TaskState;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use super::{DOING, GONE};

/// One thread.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) stat: File,
    pub(super) schedstat: Option<File>,
    /// `None` for a task of a process that the harness may not trace.
    pub(super) syscall: Option<File>,
    /// The count of switches at the last scan.
    pub(super) switches: u64,
    /// Whether the task was blocked at the last scan. A blocked task stays in the same call until it is given a core, which changes `switches`.
    pub(super) slept: bool,
    /// The call outside the gate in which the task was last seen blocked.
    pub(super) blocked: Option<Blocked>,
}

/// A call in which a task is blocked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocked {
    pub(super) call: Call,
    pub(super) wait: Wait,
    /// How often the task had been given a core by then.
    pub(super) switches: u64,
    /// When the task was first seen in this call, on the server's clock. A time limit of the call began no later than this.
    pub(super) since: Instant,
}

/// The numbers of two fields of `/proc/PID/stat`, as proc_pid_stat(5) counts them.
const STATE: usize = 3;
const FLAGS: usize = 9;
/// The flag of a task that is about to end (`linux/sched.h`).
const PF_EXITING: u32 = 4;

impl Task {
    /// `None` if the task is gone.
    ///
    /// # Errors
    ///
    /// If the task's files cannot be opened for another reason, such as the limit of open files.
    pub(super) fn open(pid: i32, tid: i32) -> Result<Option<Task>, KernelError> {
        let open = |name| match File::open(format!("/proc/{pid}/task/{tid}/{name}")) {
            Ok(file) => Ok(Some(file)),
            // A kernel without CONFIG_SCHED_INFO has no schedstat.
            Err(error) if matches!(errno(&error), Errno::ENOENT | Errno::EACCES | GONE) => Ok(None),
            Err(error) => Err(KernelError::io(DOING, "open")(error)),
        };
        let Some(stat) = open("stat")? else { return Ok(None) };
        let (schedstat, syscall) = (open("schedstat")?, open("syscall")?);
        Ok(Some(Task { stat, schedstat, syscall, switches: 0, slept: false, blocked: None }))
    }

    /// Whether this process may trace it, as far as its files tell.
    pub(super) fn may_be_traced(&self) -> bool {
        self.syscall.is_some()
    }

    /// The call in which the task is blocked; `None` if the task runs or is gone.
    pub(super) fn call(&self) -> Option<Call> {
        // The file has a number of at most three digits, and eight numbers of at most sixteen digits with their prefix.
        let mut buffer = [0; 192];
        let read = self.syscall.as_ref()?.read_at(&mut buffer, 0).ok()?;
        blocked_call::parse(std::str::from_utf8(&buffer[..read]).ok()?)
    }

    /// Whether the task was blocked at the last scan and has been since, as far as its own count tells.
    pub(super) fn still_sleeps(&self) -> bool {
        // A task that has been woken and waits for a core is in no call.
        self.slept && self.schedstat.is_some() && self.switches() == self.switches && self.call().is_some()
    }

    /// Whether the task is blocked outside the gate, and what can end that call.
    pub(super) fn blocked_state(
        &mut self,
        pid: i32,
        tid: i32,
        clock: ServerClock,
        lingers: Option<Duration>,
    ) -> TaskState {
        let Some(call) = self.call() else { return TaskState::Running(tid) };
        let switches = self.switches();
        let known = self.blocked.filter(|known| known.call == call && known.switches == switches);
        let blocked = known.unwrap_or_else(|| {
            let wait = match lingers {
                Some(time) if call.0 == libc::SYS_close => blocked_call::lingers(time),
                _ => blocked_call::decode(call, &Pid(pid)),
            };
            Blocked { call, wait, switches, since: clock.now() }
        });
        self.blocked = Some(blocked);
        TaskState::Blocked { wakes: blocked.wait.wakes, deadline: blocked.wait.deadline(blocked.since, clock) }
    }

    /// The call in which the task was last seen blocked, if its time is up.
    pub(super) fn overslept(&self, clock: ServerClock) -> Option<Call> {
        let blocked = self.blocked?;
        let deadline = blocked.wait.deadline(blocked.since, clock)?;
        (deadline <= clock.now()).then_some(blocked.call)
    }

    /// Whether the task has not been given a core since it was last seen blocked. Without a count that cannot be told.
    pub(super) fn sleeps_on(&self) -> bool {
        self.schedstat.is_some() && self.blocked.is_some_and(|blocked| self.switches() == blocked.switches)
    }

    /// The letter of the task's state; `R` for a task that is about to end and sleeps. `None` if the task is gone.
    pub(super) fn state(&self) -> Option<u8> {
        // A name has at most 64 bytes with its escapes, and may contain a parenthesis.
        let mut buffer = [0; 192];
        let read = self.stat.read_at(&mut buffer, 0).ok()?;
        Task::state_in(&buffer[..read])
    }

    /// The same as [`Task::state`], from the beginning of the text of `stat`.
    pub(super) fn state_in(text: &[u8]) -> Option<u8> {
        let end = text.iter().rposition(|b| *b == b')')?;
        let mut fields = std::str::from_utf8(&text[end + 1..]).ok()?.split_ascii_whitespace();
        let state = *fields.next()?.as_bytes().first()?;
        let flags: u32 = fields.nth(FLAGS - STATE - 1)?.parse().ok()?;
        // A task may sleep while it ends, as the first process of a pid namespace does until all others have ended.
        let ends = flags & PF_EXITING != 0 && matches!(state, b'S' | b'D' | b'I');
        Some(if ends { b'R' } else { state })
    }

    /// How long the task has run, and has waited for a core.
    pub(super) fn scheduled(&self) -> Option<Scheduled> {
        let mut buffer = [0; 96];
        let read = self.schedstat.as_ref()?.read_at(&mut buffer, 0).ok()?;
        Scheduled::parse(std::str::from_utf8(&buffer[..read]).ok()?)
    }

    /// How often the task has been given a core; 0 if that cannot be read.
    pub(super) fn switches(&self) -> u64 {
        let mut buffer = [0; 96];
        let read = self.schedstat.as_ref().and_then(|file| file.read_at(&mut buffer, 0).ok()).unwrap_or(0);
        let text = std::str::from_utf8(&buffer[..read]).unwrap_or_default();
        text.split_whitespace().nth(2).and_then(|n| n.parse().ok()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_is_about_to_end_is_awake_though_it_sleeps() {
        let state = |state, flags: u32| {
            let text = format!("7 (a) S (b) {state} 1 7 7 0 -1 {flags} 104 0 0 0 0 0 0 0 20 0 1 0 9 2\n");
            Task::state_in(text.as_bytes()).map(char::from)
        };
        const PF_FORKNOEXEC: u32 = 0x40;
        assert_eq!(['S', 'D', 'R', 'T', 'Z'].map(|s| state(s, PF_FORKNOEXEC)), ['S', 'D', 'R', 'T', 'Z'].map(Some));
        let ends = ['S', 'D', 'I', 'R', 'Z', 'X'].map(|s| state(s, PF_FORKNOEXEC | PF_EXITING));
        assert_eq!(ends, ['R', 'R', 'R', 'R', 'Z', 'X'].map(Some));
        assert_eq!(Task::state_in(b""), None);
    }
}
