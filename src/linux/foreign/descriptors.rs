//! What a server's descriptors refer to, in words, to say what is left.

use crate::linux::error::KernelError;
use crate::linux::foreign::server::Server;
use crate::linux::net::tables;
use crate::linux::sys::proc;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How many descriptors refer to what.
pub(crate) type Described = BTreeMap<String, usize>;

impl Server {
    /// What the descriptors of all the server's processes refer to.
    pub(crate) fn described(&self) -> Result<Described, KernelError> {
        let states: HashMap<u32, &str> =
            tables::sockets()?.into_iter().map(|entry| (entry.inode, entry.state.name())).collect();
        let mut described = Described::new();
        for (pid, _) in self.tree.threads_by_process() {
            for link in proc::descriptors(pid) {
                *described.entry(words(&link, |inode| states.get(&inode).copied())).or_insert(0) += 1;
            }
        }
        Ok(described)
    }

    /// What the descriptors of all the server's processes refer to, as far as no two things have the same link: sockets and pipes.
    pub(crate) fn sockets_and_pipes(&self) -> BTreeSet<String> {
        let links = self.tree.threads_by_process().flat_map(|(pid, _)| proc::descriptors(pid));
        links.filter(|link| link.starts_with("socket:[") || link.starts_with("pipe:[")).collect()
    }
}

/// What there is more of in `now`, each with its number, the most first.
pub(crate) fn more(before: &Described, now: &Described) -> Vec<(String, usize)> {
    let more = now.iter().map(|(what, n)| (what.clone(), n.saturating_sub(before.get(what).copied().unwrap_or(0))));
    let mut more: Vec<(String, usize)> = more.filter(|(_, n)| *n > 0).collect();
    more.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    more
}

/// What a link in `/proc/PID/fd` means (`proc_pid_fd(5)`). `state` gives the state of a TCP socket by its inode.
fn words<'s>(link: &str, state: impl Fn(u32) -> Option<&'s str>) -> String {
    let inode = |kind: &str| link.strip_prefix(kind)?.strip_prefix(":[")?.strip_suffix(']')?.parse().ok();
    if let Some(socket) = inode("socket") {
        return match state(socket) {
            Some(state) => format!("socket in {state}"),
            None => "socket without a TCP connection".to_owned(),
        };
    }
    match (inode("pipe"), link.strip_prefix("anon_inode:")) {
        (Some(_), _) => "end of a pipe".to_owned(),
        (None, Some(kind)) => kind.trim_matches(['[', ']']).to_owned(),
        _ => link.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_told_in_words() {
        let told = |link| words(link, |inode| (inode == 7).then_some("CLOSE_WAIT"));
        assert_eq!(told("socket:[7]"), "socket in CLOSE_WAIT");
        assert_eq!(told("socket:[8]"), "socket without a TCP connection");
        assert_eq!(told("pipe:[7]"), "end of a pipe");
        assert_eq!(told("anon_inode:[eventpoll]"), "eventpoll");
        assert_eq!(told("anon_inode:inotify"), "inotify");
        assert_eq!(told("/var/log/a"), "/var/log/a");
    }

    #[test]
    fn what_there_is_more_of_is_told_with_the_most_first() {
        let of = |all: &[(&str, usize)]| all.iter().map(|(what, n)| ((*what).to_owned(), *n)).collect::<Described>();
        let (before, now) = (of(&[("a", 1), ("b", 2)]), of(&[("a", 3), ("b", 2), ("c", 5)]));
        assert_eq!(more(&before, &now), [("c".to_owned(), 5), ("a".to_owned(), 2)]);
    }
}
