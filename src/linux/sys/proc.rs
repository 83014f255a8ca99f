//! Reads `/proc` about processes and threads (`proc(5)`).

use std::path::PathBuf;
use std::time::Duration;

/// The child processes of a thread.
pub(crate) fn children(pid: i32, tid: i32) -> Vec<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// The descriptors that an epoll instance watches, each with its events (`/proc/PID/fdinfo/FD`). A descriptor that was duplicated has the
/// number under which it was added.
pub(crate) fn watched_by_epoll(pid: i32, epoll: i32) -> Vec<(i32, u32)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{epoll}")).unwrap_or_default();
    let watched = |line: &str| {
        let mut words = line.strip_prefix("tfd:")?.split_whitespace();
        let fd = words.next()?.parse().ok()?;
        let events = words.nth(1)?;
        Some((fd, u32::from_str_radix(events, 16).ok()?))
    };
    text.lines().filter_map(watched).collect()
}

/// The threads of a process.
pub(crate) fn tids(pid: i32) -> Vec<i32> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// The pid of a process in its own pid namespace (`NSpid` of `/proc/PID/status`).
pub(crate) fn inner_pid(pid: i32) -> i32 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let numbers = text.lines().find_map(|line| line.strip_prefix("NSpid:"));
    numbers.and_then(|numbers| numbers.split_whitespace().last()?.parse().ok()).unwrap_or(pid)
}

/// The fields of `/proc/PID/stat`, from the third on.
pub(crate) struct Stat(Vec<String>);

pub(crate) fn stat(pid: i32) -> Option<Stat> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let end = text.iter().rposition(|b| *b == b')')?;
    let fields = String::from_utf8_lossy(&text[end + 1..]).split_whitespace().map(str::to_owned).collect();
    Some(Stat(fields))
}

impl Stat {
    /// Field `n`, at least 3, as proc_pid_stat(5) numbers them.
    pub(crate) fn field<T: std::str::FromStr>(&self, n: usize) -> Option<T> {
        self.0.get(n - 3)?.parse().ok()
    }

    pub(crate) fn is_zombie(&self) -> bool {
        self.0.first().is_some_and(|state| state == "Z")
    }

    pub(crate) fn parent(&self) -> Option<i32> {
        self.field(4)
    }

    /// The letter of the process's state.
    pub(crate) fn state(&self) -> Option<char> {
        self.field(3)
    }

    /// The wait status of a zombie; 0 if this process has no permission to read it.
    pub(crate) fn exit_code(&self) -> Option<i32> {
        self.field(52)
    }

    /// Processor time of all threads, ended ones included, in clock ticks.
    pub(crate) fn ticks(&self) -> Option<u64> {
        Some(self.field::<u64>(14)? + self.field::<u64>(15)?)
    }

    /// Resident memory in pages.
    pub(crate) fn resident(&self) -> Option<u64> {
        self.field(24)
    }
}

/// The target of each link in `/proc/PID/fd`: `socket:[4711]`, `anon_inode:[eventpoll]`, a path.
pub(crate) fn descriptors(pid: i32) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
    entries.filter_map(|entry| Some(std::fs::read_link(entry.ok()?.path()).ok()?.to_string_lossy().into_owned()))
}

pub(crate) fn has_signalfd(pid: i32) -> bool {
    descriptors(pid).any(|link| link == "anon_inode:[signalfd]")
}

/// The command name of a process (`/proc/PID/comm`).
pub(crate) fn name(pid: i32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

/// Processor time that tasks have received, and time that they have waited for a processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scheduled {
    /// Time during which the tasks ran.
    pub(crate) ran: Duration,
    /// Time during which the tasks were runnable and did not run.
    pub(crate) waited: Duration,
}

impl Scheduled {
    /// Parses the contents of `/proc/PID/task/TID/schedstat`.
    pub(crate) fn parse(text: &str) -> Option<Scheduled> {
        let mut numbers = text.split_whitespace().map(|word| word.parse().map(Duration::from_nanos));
        Some(Scheduled { ran: numbers.next()?.ok()?, waited: numbers.next()?.ok()? })
    }

    pub(crate) fn plus(self, other: Scheduled) -> Scheduled {
        Scheduled { ran: self.ran + other.ran, waited: self.waited + other.waited }
    }

    /// The increase since `before`, at least 0. Tasks that have ended meanwhile are no longer counted.
    pub(crate) fn since(self, before: Scheduled) -> Scheduled {
        Scheduled { ran: self.ran.saturating_sub(before.ran), waited: self.waited.saturating_sub(before.waited) }
    }
}

/// The program that a process runs; `None` if it has ended or may not be looked at.
pub(crate) fn program(pid: i32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// The words of a process's `cmdline` or `environ`.
pub(crate) fn words(pid: i32, file: &str) -> Vec<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    bytes.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}
