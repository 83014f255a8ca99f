//! What `/proc` says of processes and threads (`proc(5)`).

use std::time::Duration;

/// The children of a thread.
pub(crate) fn children(pid: i32, tid: i32) -> Vec<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{tid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// The threads of a process.
pub(crate) fn tids(pid: i32) -> Vec<i32> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// The number of a process in its own namespace (`NSpid` of `/proc/PID/status`).
pub(crate) fn inner_pid(pid: i32) -> i32 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let numbers = text.lines().find_map(|line| line.strip_prefix("NSpid:"));
    numbers.and_then(|numbers| numbers.split_whitespace().last()?.parse().ok()).unwrap_or(pid)
}

/// `/proc/PID/stat` of a whole process.
pub(crate) struct Stat(Vec<String>);

pub(crate) fn stat(pid: i32) -> Option<Stat> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let end = text.iter().rposition(|b| *b == b')')?;
    let fields = String::from_utf8_lossy(&text[end + 1..]).split_whitespace().map(str::to_owned).collect();
    Some(Stat(fields))
}

impl Stat {
    /// Field `n` of proc(5), which counts from 1; the first after the name is 3.
    pub(crate) fn field<T: std::str::FromStr>(&self, n: usize) -> Option<T> {
        self.0.get(n - 3)?.parse().ok()
    }

    pub(crate) fn is_zombie(&self) -> bool {
        self.0.first().is_some_and(|state| state == "Z")
    }

    pub(crate) fn parent(&self) -> Option<i32> {
        self.field(4)
    }

    /// The letter of its state.
    pub(crate) fn state(&self) -> Option<char> {
        self.field(3)
    }

    /// How it ended, for a zombie whose parent we may look at.
    pub(crate) fn exit_code(&self) -> Option<i32> {
        self.field(52)
    }

    /// Processor time of all its threads, those that have ended too, in clock ticks.
    pub(crate) fn ticks(&self) -> Option<u64> {
        Some(self.field::<u64>(14)? + self.field::<u64>(15)?)
    }

    /// Resident memory in pages.
    pub(crate) fn resident(&self) -> Option<u64> {
        self.field(24)
    }
}

/// What each descriptor of a process is, as the link to it says: `socket:[4711]`, `anon_inode:[eventpoll]`, a path.
pub(crate) fn descriptors(pid: i32) -> impl Iterator<Item = String> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten();
    entries.filter_map(|entry| Some(std::fs::read_link(entry.ok()?.path()).ok()?.to_string_lossy().into_owned()))
}

pub(crate) fn has_signalfd(pid: i32) -> bool {
    descriptors(pid).any(|link| link == "anon_inode:[signalfd]")
}

/// The first line of its command, as `ps` shows it in brackets.
pub(crate) fn name(pid: i32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

/// What a server has been given of the processors, and what it waited for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scheduled {
    /// For how long its tasks ran.
    pub(crate) ran: Duration,
    /// For how long they could have run, and did not.
    pub(crate) waited: Duration,
}

impl Scheduled {
    /// From the contents of a `schedstat`.
    pub(crate) fn parse(text: &str) -> Option<Scheduled> {
        let mut numbers = text.split_whitespace().map(|word| word.parse().map(Duration::from_nanos));
        Some(Scheduled { ran: numbers.next()?.ok()?, waited: numbers.next()?.ok()? })
    }

    pub(crate) fn plus(self, other: Scheduled) -> Scheduled {
        Scheduled { ran: self.ran + other.ran, waited: self.waited + other.waited }
    }

    /// What was added since; tasks that have ended meanwhile took theirs with them.
    pub(crate) fn since(self, before: Scheduled) -> Scheduled {
        Scheduled { ran: self.ran.saturating_sub(before.ran), waited: self.waited.saturating_sub(before.waited) }
    }
}
