//! Finds out why a server does not listen.

use super::server::Server;
use crate::linux::sys::proc;

/// Whether a signal has stopped this process.
fn is_stopped(pid: i32) -> bool {
    proc::stat(pid).and_then(|stat| stat.state()) == Some('T')
}

/// Whether signals have stopped every process of a server. Then none of them can continue another.
pub(super) fn are_all_stopped(server: &Server) -> bool {
    let mut running = server.tree.threads_by_process().peekable();
    running.peek().is_some() && running.all(|(pid, _)| is_stopped(pid))
}

/// Says what a server does instead of listening on a TCP port, as the end of a sentence; empty if that is not known.
pub(super) fn instead_of_listening(server: &Server) -> String {
    if let Some(pid) = server.tree.processes.keys().find(|pid| is_stopped(**pid)) {
        return format!("; its process {pid} is stopped by a signal (state T), and nobody continues it");
    }
    if let Some(path) = unix_listeners().into_iter().find(|(inode, _)| server.owner_of(*inode).is_some()) {
        return format!(
            "; it listens on the Unix socket {}, which is not supported: have it listen on a TCP port",
            path.1
        );
    }
    server.waits_in().last().map(|(_, call)| format!("; it waits in {call}")).unwrap_or_default()
}

/// The listening Unix sockets in the network namespace of the calling thread: the inode and path of each.
fn unix_listeners() -> Vec<(u32, String)> {
    let table = std::fs::read("/proc/thread-self/net/unix").unwrap_or_default();
    unix_listeners_in(&String::from_utf8_lossy(&table))
}

/// The same, from the text of `/proc/net/unix`: `Num RefCount Protocol Flags Type St Inode Path` (proc_net(5)).
fn unix_listeners_in(table: &str) -> Vec<(u32, String)> {
    /// `__SO_ACCEPTCON`: `listen` has been called on the socket.
    const LISTENS: u32 = 1 << 16;
    let listener = |line: &str| {
        // A path may contain spaces.
        let mut words = line.splitn(8, ' ').skip(3);
        let flags = u32::from_str_radix(words.next()?, 16).ok()?;
        let inode = words.nth(2)?.parse().ok()?;
        (flags & LISTENS != 0).then(|| (inode, words.next().unwrap_or("without a name").to_owned()))
    };
    table.lines().skip(1).filter_map(listener).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unix_sockets_that_listen_are_told_from_those_that_are_connected() {
        let table = "\
Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 21036 /run/a server.sock
0000000000000000: 00000003 00000000 00000000 0001 03 29611
0000000000000000: 00000002 00000000 00010000 0005 01 1700 @abstract
";
        let listeners = unix_listeners_in(table);
        assert_eq!(listeners, [(21036, "/run/a server.sock".to_owned()), (1700, "@abstract".to_owned())]);
    }
}
