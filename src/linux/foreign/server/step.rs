//! Lets a server make one call.

use super::{LOOK_AGAIN, Quiet, Server};
use crate::linux::error::KernelError;
use crate::linux::foreign::injection::Injection;
use crate::linux::gate::seccomp::calls::Class;
use crate::linux::gate::seccomp::notify::Answer;
use crate::linux::gate::seccomp::pending_call::{Foreseen, Owner, PendingCall};
use crate::linux::net::peers::is_of_datagrams;
use crate::linux::process::tasks::Whose;
use crate::linux::sys::process::{self as sys, TcpInfo};
use crate::linux::sys::{fd_table, pidfd_getfd};
use crate::scenario::Errno;
use crate::trace::{Data, TcpState};
use crate::world::schedule::Pending;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

/// A call that was released, or answered by the harness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    /// The name of the system call, or of the C library's function for it.
    pub(crate) name: &'static str,
    pub(crate) class: Class,
    /// The process and the thread that made the call.
    pub(crate) pid: i32,
    pub(crate) tid: i32,
    /// The descriptor that the call was made on; `None` if there is not exactly one.
    pub(crate) fd: Option<i32>,
    /// The cookie of the socket that the call was made on (`SO_COOKIE`).
    pub(crate) cookie: Option<u64>,
    /// The state of that socket just before the call, if it is a TCP socket.
    pub(crate) state: Option<TcpState>,
    /// Whether the call takes data from a socket in which there is some.
    pub(crate) takes: bool,
    /// Whether the call raises SIGPIPE if it fails with EPIPE.
    pub(crate) raises_sigpipe: bool,
    /// Whether the call sends a datagram.
    pub(crate) sends_datagram: bool,
    /// For how long the call may wait although the gate assumes that it never blocks: a `close` of a socket that lingers.
    pub(crate) lingers: Option<Duration>,
    /// What the socket showed of the result before the call.
    pub(crate) foreseen: Foreseen,
    /// The first bytes of what the call sends, if they are recorded.
    pub(crate) data: Data,
    /// The result, where it is known.
    pub(crate) result: Option<Result<u32, Errno>>,
}

impl Passed {
    /// Whether the call takes data or closes a socket. While no client acts, a server cannot make such calls for ever.
    pub(crate) fn gets_on(&self) -> bool {
        self.name == "close" || self.takes
    }

    /// The result of a call that has moved bytes, from the counters of its socket afterwards. `None` if they do not show it.
    fn counted(&self, after: TcpInfo) -> Option<Result<u32, Errno>> {
        let Foreseen::Counted { before, full } = self.foreseen else { return None };
        let reads = self.class.reads();
        let of = |info: TcpInfo| if reads { info.read } else { Some(info.written) };
        // If the state has changed, a FIN may have arrived, which counts as a byte.
        if reads && before.state != after.state {
            return None;
        }
        match of(after)?.wrapping_sub(of(before)?) {
            // At the end of its file `sendfile` moves nothing and does not fail.
            0 if full && self.name != "sendfile" => Some(Err(Errno::EAGAIN)),
            0 => None,
            moved => u32::try_from(moved).ok().map(Ok),
        }
    }
}

impl Server {
    /// Releases the first parked call in the scheduler's order that could finish now, or answers it with an injected error. Then lets the
    /// server run until all tasks that come to the gate are idle. `None` if no call could finish.
    pub(crate) fn step(&mut self, injection: &mut Injection) -> Result<Option<(Passed, Quiet)>, KernelError> {
        let Some((tid, answer)) = self.next(injection)? else {
            return Ok(None);
        };
        let Some(parked) = self.parked.remove(&tid) else { return Ok(None) };
        if !self.told.is_empty() && answer == Answer::Continue {
            self.note_told(&parked)?;
        }
        let mut passed = self.passed(&parked, answer);
        if (parked.connects() || passed.sends_datagram)
            && let (Some(fd), Some(cookie)) = (passed.fd, passed.cookie)
        {
            self.peers.note(passed.pid, fd, cookie);
        }
        self.lingering.extend(passed.lingers.map(|time| (tid, time)));
        let id = parked.id;
        // Drops the harness's duplicate of the socket, because while it is open the server's `close` does not close the socket.
        drop(parked);
        if let Some(notify) = &self.notify {
            notify.answer(id, answer)?;
        }
        // Usually the thread is back at the gate at once, so wait for that before the tasks are scanned.
        self.wait(LOOK_AGAIN)?;
        let quiet = self.quiet_of(Whose::Callers)?;
        // A thread that has not come back to the gate may still be in the call.
        if matches!(passed.foreseen, Foreseen::Counted { .. }) && self.parked.contains_key(&tid) {
            passed.result = self.info(&passed).and_then(|after| passed.counted(after));
        }
        Ok(Some((passed, quiet)))
    }

    /// Records of which of the sockets that are looked for a call tells its thread.
    fn note_told(&mut self, parked: &PendingCall) -> Result<(), KernelError> {
        let Some(process) = self.tree.processes.get(&parked.pid) else { return Ok(()) };
        let owner = Owner { pid: parked.pid, pidfd: process.pidfd.as_fd(), signalfd: process.signalfd, alone: false };
        for cookie in parked.reports(owner)? {
            if let Some(threads) = self.told.get_mut(&cookie) {
                threads.insert(parked.tid, parked.name);
            }
        }
        Ok(())
    }

    /// What TCP reports of the socket that a call was made on. `None` if the process no longer has the socket under that descriptor.
    fn info(&self, passed: &Passed) -> Option<TcpInfo> {
        let process = self.tree.processes.get(&passed.pid)?;
        let socket = pidfd_getfd(process.pidfd.as_fd(), passed.fd?).and_then(fd_table::beyond).ok()?;
        let cookie = sys::option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_COOKIE, 0u64).ok()?;
        if Some(cookie) == passed.cookie { sys::tcp_info(socket.as_fd()) } else { None }
    }

    /// Whether a parked call could finish.
    pub(super) fn has_work(&self) -> Result<bool, KernelError> {
        let now = self.now();
        for parked in self.parked.values() {
            let Some(process) = self.tree.processes.get(&parked.pid) else { continue };
            let owner =
                Owner { pid: parked.pid, pidfd: process.pidfd.as_fd(), signalfd: process.signalfd, alone: false };
            if parked.ready(owner, now)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The thread whose call is to be answered next, and the answer.
    fn next(&mut self, injection: &mut Injection) -> Result<Option<(i32, Answer)>, KernelError> {
        let now = self.now();
        let calls = self.parked.values().filter(|parked| !parked.is_deferred());
        let mut pending: Vec<Pending> =
            calls.map(|parked| Pending { task: parked.tid, arrival: parked.order }).collect();
        self.scheduler.arrange(&mut pending);
        for Pending { task, .. } in pending {
            let Some(parked) = self.parked.get(&task) else { continue };
            let Some(process) = self.tree.processes.get(&parked.pid) else { continue };
            let owner =
                Owner { pid: parked.pid, pidfd: process.pidfd.as_fd(), signalfd: process.signalfd, alone: false };
            if let Some(call) = parked.faultable().filter(|call| injection.is_for(*call))
                && let Some(errno) =
                    parked.with_socket(owner, |socket| injection.take(call, socket.map(|(_, cookie)| cookie)))
            {
                return Ok(Some((parked.tid, Answer::Error(errno))));
            }
            if let Some(answer) = parked.ready(owner, now)? {
                return Ok(Some((parked.tid, answer)));
            }
        }
        Ok(None)
    }

    /// Describes a call that is about to be answered.
    pub(crate) fn passed(&self, parked: &PendingCall, answer: Answer) -> Passed {
        let accepts = parked.class.accepts();
        let foreseen = |socket: Option<BorrowedFd<'_>>, info| match answer {
            Answer::Error(errno) => Foreseen::Result(Err(errno)),
            Answer::Value(value) => Foreseen::Result(Ok(value as u32)),
            Answer::Continue if accepts && self.lacks_descriptors(parked.pid) => Foreseen::Result(Err(Errno::EMFILE)),
            Answer::Continue => socket.map_or(Foreseen::Unknown, |socket| parked.foreseen(socket, info)),
        };
        let (cookie, state, takes, sends_datagram, lingers, foreseen) = match self.tree.processes.get(&parked.pid) {
            None => (None, None, false, false, None, foreseen(None, None)),
            Some(process) => {
                let (pid, pidfd) = (parked.pid, process.pidfd.as_fd());
                let owner = Owner { pid, pidfd, signalfd: process.signalfd, alone: false };
                parked.with_socket(owner, |socket| {
                    let (fd, cookie) = socket.unzip();
                    let info = fd.and_then(sys::tcp_info);
                    let takes = fd.is_some_and(|fd| parked.takes(fd)) && answer == Answer::Continue;
                    let lingers = fd.filter(|_| parked.name == "close").and_then(sys::lingers);
                    let other = fd.filter(|_| info.is_none() && parked.class.sends());
                    let sends_datagram = other.is_some_and(is_of_datagrams);
                    (cookie, info.map(|info| info.state), takes, sends_datagram, lingers, foreseen(fd, info))
                })
            }
        };
        Passed {
            name: parked.name,
            class: parked.class,
            pid: parked.pid,
            tid: parked.tid,
            fd: parked.descriptor(),
            cookie,
            state,
            takes,
            sends_datagram,
            lingers,
            raises_sigpipe: parked.raises_sigpipe(),
            foreseen,
            data: if self.records && parked.class.sends() { parked.data() } else { Data::default() },
            result: if let Foreseen::Result(result) = foreseen { Some(result) } else { None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::gate::seccomp::calls::CALLS;

    impl Passed {
        /// A call of this name, of which nothing else is known.
        pub(crate) fn of(pid: i32, name: &'static str) -> Passed {
            let class = CALLS.iter().find(|call| call.0 == name).map(|call| call.2).expect("a call of the table");
            Passed {
                name,
                class,
                pid,
                tid: pid,
                fd: None,
                cookie: None,
                state: None,
                takes: false,
                sends_datagram: false,
                lingers: None,
                raises_sigpipe: false,
                foreseen: Foreseen::Unknown,
                data: Data::default(),
                result: None,
            }
        }
    }

    const BEFORE: TcpInfo = TcpInfo { state: TcpState::Established, written: u64::MAX, read: Some(7) };

    fn counted(name: &'static str, full: bool, after: TcpInfo) -> Option<Result<u32, Errno>> {
        let foreseen = Foreseen::Counted { before: BEFORE, full };
        Passed { foreseen, ..Passed::of(1, name) }.counted(after)
    }

    #[test]
    fn the_counters_of_the_socket_show_how_much_was_moved() {
        // The counter of written bytes may begin anywhere: it is a difference.
        assert_eq!(counted("send", false, TcpInfo { written: 4, ..BEFORE }), Some(Ok(5)));
        assert_eq!(counted("recv", false, TcpInfo { read: Some(10), ..BEFORE }), Some(Ok(3)));
        // Nothing was written: the call failed for lack of room, or had nothing to write.
        assert_eq!(counted("send", true, BEFORE), Some(Err(Errno::EAGAIN)));
        assert_eq!(counted("send", false, BEFORE), None);
        // A FIN that has arrived meanwhile would count as a byte, and data may have arrived while the counters were read.
        assert_eq!(counted("recv", false, TcpInfo { read: Some(10), state: TcpState::CloseWait, ..BEFORE }), None);
        assert_eq!(counted("recv", false, TcpInfo { read: None, ..BEFORE }), None);
    }
}
