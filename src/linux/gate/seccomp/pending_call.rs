//! Calls that wait at the gate, and whether they could finish now.
//!
//! To find out whether a call would block, the harness calls `poll(2)` with a zero timeout on a duplicate of the call's descriptor. While
//! that duplicate is open, the server's own `close` does not close the socket. So the harness drops the duplicate before it releases the
//! call. It keeps the duplicate until then only if the process has no other thread, which could close the descriptor meanwhile.

mod data;
mod descriptors;
mod foreseen;
mod reports;

use crate::linux::clock::blocked_call::{Call as RawCall, Pid, time_limit};
use crate::linux::clock::server_clock::ServerClock;
use crate::linux::error::KernelError;
use crate::linux::gate::seccomp::calls::{self, Buffers, Class, LimitForm, Mask, Receiver, Sends};
use crate::linux::gate::seccomp::notify::{Answer, Notification};
use crate::linux::sys::process::{self as sys, socket_timeout};
use crate::linux::sys::signals::Masks;
use crate::scenario::{Call, Errno};
use descriptors::{duplicate, poll_one};
pub(crate) use foreseen::Foreseen;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Instant;

const DOING: &str = "look at what the server waits for";

/// A call that waits at the gate.
#[derive(Debug)]
pub(crate) struct PendingCall {
    pub(crate) id: u64,
    pub(crate) pid: i32,
    pub(crate) tid: i32,
    pub(crate) name: &'static str,
    pub(crate) class: Class,
    args: [u64; 6],
    /// When the time limit of the call expires, on the server's clock; `None` if the call has none.
    pub(crate) deadline: Option<Instant>,
    /// The call's position in the order in which calls came to the gate.
    pub(crate) order: u64,
    /// A duplicate of the socket or epoll descriptor that the call is made on, and the socket's cookie (`SO_COOKIE`) if it is a socket.
    kept: Option<(OwnedFd, Option<u64>)>,
}

/// The process that made a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'p> {
    pub(crate) pid: i32,
    pub(crate) pidfd: BorrowedFd<'p>,
    /// Whether the process has descriptors that report signals (`signalfd(2)`).
    pub(crate) signalfd: bool,
    /// Whether the process has no other thread, which could close a descriptor while a call is pending.
    pub(crate) alone: bool,
}

/// How many eight-byte words a timespec or a timeval has.
const TIME: usize = 2;

/// How the gate treats a call that has come to it.
pub(crate) enum Arrival {
    /// The gate does not control this call, and lets it pass.
    Pass,
    /// The call makes a task.
    Tasks,
    /// The call sets up an io_uring.
    Ring,
    /// The call arms, disarms or reads a timer.
    Timer(PendingCall),
    /// The call makes a timer descriptor.
    TimerDescriptor,
    /// The call arms or disarms a timer descriptor.
    ArmsDescriptor(PendingCall),
    /// The call executes a program.
    Execute,
    /// The call reads a clock.
    Reading(PendingCall),
    /// The call makes a watch on files.
    FileWatch,
    /// The call sends a signal to one thread. It is not held back, because runtimes wake their own threads in this way.
    ThreadSignal(PendingCall),
    /// The call waits at the gate.
    PendingCall(PendingCall),
}

/// The longest list of descriptors that the harness reads: as many as a process may have open, unless an administrator has raised that
/// number (`fs.nr_open`).
const MOST_DESCRIPTORS: u64 = 1 << 20;

impl PendingCall {
    /// Classifies a call that has just come to the gate. The call waits there if it is made on a socket, waits for events that may be those
    /// of a socket, ends its process, or sends a signal to a process.
    pub(crate) fn arrive(call: &Notification, owner: Owner<'_>, order: u64, clock: ServerClock) -> Arrival {
        let Some((name, class)) = calls::call(call.number) else {
            return Arrival::Pass;
        };
        let mut parked = PendingCall {
            id: call.id,
            pid: owner.pid,
            tid: call.tid,
            name,
            class,
            args: call.args,
            deadline: None,
            order,
            kept: None,
        };
        match class {
            Class::Tasks => return Arrival::Tasks,
            Class::Ring => return Arrival::Ring,
            Class::Timer => return Arrival::Timer(parked),
            Class::TimerDescriptor => return Arrival::TimerDescriptor,
            Class::ArmsDescriptor => return Arrival::ArmsDescriptor(parked),
            Class::Execute => return Arrival::Execute,
            Class::Reading => return Arrival::Reading(parked),
            Class::FileWatch => return Arrival::FileWatch,
            Class::Signal(Sends { to: Receiver::Thread, .. }) => return Arrival::ThreadSignal(parked),
            Class::Exit | Class::Signal(_) => {}
            Class::Now | Class::Connect | Class::Accept | Class::In(_) | Class::Out(_) => {
                let Some(kept) = parked.socket(owner) else { return Arrival::Pass };
                let limit = class.timeout_option().and_then(|option| socket_timeout(kept.0.as_fd(), option));
                parked.deadline = limit.and_then(|limit| clock.after(limit));
                parked.kept = Some(kept).filter(|_| owner.alone);
            }
            Class::Poll(waits) | Class::Select(waits) | Class::Epoll(waits) => {
                if let Class::Epoll(_) = class {
                    let epoll = owner.alone.then(|| duplicate(owner, parked.args[0] as i32)).flatten();
                    parked.kept = epoll.map(|epoll| (epoll, None));
                } else if !parked.is_steered(owner) {
                    return Arrival::Pass;
                }
                let limit = time_limit(waits, &parked.args, &Pid(parked.pid));
                parked.deadline = limit.and_then(|limit| clock.after(limit));
            }
        }
        Arrival::PendingCall(parked)
    }

    /// A call that waits for events, and that the gate has let in; `None` if it is another one.
    pub(crate) fn let_in(pid: i32, tid: i32, (number, args): RawCall) -> Option<PendingCall> {
        let (name, class) = calls::call(i32::try_from(number).ok()?)?;
        class.waits()?;
        Some(PendingCall { id: 0, pid, tid, name, class, args, deadline: None, order: 0, kept: None })
    }

    /// The call of a `fault` event that applies to this call, if there is one.
    pub(crate) fn faultable(&self) -> Option<Call> {
        match self.class {
            Class::Accept => Some(Call::Accept),
            Class::In(_) => Some(Call::Recv),
            Class::Out(_) => Some(Call::Send),
            _ => None,
        }
    }

    /// The descriptor that the call is made on; `None` if there is not exactly one.
    pub(crate) fn descriptor(&self) -> Option<i32> {
        match self.class {
            Class::In(moves) | Class::Out(moves) => Some(self.args[moves.socket] as i32),
            Class::Accept | Class::Connect | Class::Now | Class::Epoll(_) => Some(self.args[0] as i32),
            _ => None,
        }
    }

    /// The raw arguments of the call.
    pub(crate) const fn arguments(&self) -> &[u64; 6] {
        &self.args
    }

    /// Whether the call ends its process or sends a signal. Such a call waits for nothing and does not count as a step of the server. The
    /// harness releases it once everything else is blocked, so that signals come to tasks that are known to be blocked.
    pub(crate) const fn is_deferred(&self) -> bool {
        matches!(self.class, Class::Exit | Class::Signal(_))
    }

    /// Whether the call never blocks, so that without the gate no signal could make it fail with EINTR.
    pub(crate) fn never_fails(&self) -> bool {
        self.class.is_instant()
    }

    /// Whether the call ends its process.
    pub(crate) fn ends(&self) -> bool {
        self.class == Class::Exit
    }

    /// How the call sends a signal, if it does.
    pub(crate) const fn sends_signal(&self) -> Option<Sends> {
        match self.class {
            Class::Signal(sends) => Some(sends),
            _ => None,
        }
    }

    /// Whether the call connects the server to a peer.
    pub(crate) fn connects(&self) -> bool {
        self.class == Class::Connect
    }

    /// Whether a pending signal of the thread would be delivered in this call. True only if the call could not finish now: released for the
    /// signal, it then does nothing but return. `None` if no signal is pending.
    pub(crate) fn is_interrupted(&self, owner: Owner<'_>) -> Result<Option<bool>, KernelError> {
        let masks = Masks::of(self.pid, self.tid);
        if !masks.any() {
            return Ok(None);
        }
        let waits = !self.class.is_instant() && !self.is_deferred();
        let interrupted = waits && masks.deliverable(self.mask()) != 0;
        Ok(Some(interrupted && !self.could_finish(owner)?))
    }

    /// The signal mask that the call sets while it waits; `None` if it sets none.
    fn mask(&self) -> Option<u64> {
        let address = match self.class.waits()?.mask {
            Mask::None => 0,
            Mask::At(i) => self.args[i],
            Mask::Within(i) => {
                let mut pair = [0u64; 2];
                sys::read_memory(self.pid, self.args[i], &mut pair).ok()?;
                pair[0]
            }
        };
        let mut mask = [0u64];
        (address != 0 && sys::read_memory(self.pid, address, &mut mask).is_ok()).then_some(mask[0])
    }

    /// A duplicate of the socket that the call is made on, and the socket's cookie; `None` if the call is made on no socket.
    fn socket(&self, owner: Owner<'_>) -> Option<(OwnedFd, Option<u64>)> {
        let alternative = (self.class.buffers() == Some(Buffers::EitherEnd)).then_some(self.args[0] as i32);
        let mut all = self.descriptor().into_iter().chain(alternative).filter_map(|fd| duplicate(owner, fd));
        // A descriptor that is not a socket has no SO_COOKIE.
        all.find_map(|fd| Some((sys::option(fd.as_fd(), libc::SOL_SOCKET, libc::SO_COOKIE, 0u64).ok()?, fd)))
            .map(|(cookie, fd)| (fd, Some(cookie)))
    }

    /// Calls `what` with the socket that the call is made on and the socket's cookie, or with `None` if there is no socket.
    pub(crate) fn with_socket<T>(&self, owner: Owner<'_>, what: impl FnOnce(Option<(BorrowedFd<'_>, u64)>) -> T) -> T {
        let asked = if self.kept.is_some() || !self.is_on_socket() { None } else { self.socket(owner) };
        let socket = self.kept.as_ref().or(asked.as_ref());
        what(socket.and_then(|(fd, cookie)| Some((fd.as_fd(), (*cookie)?))))
    }

    /// Whether the call acts on one descriptor, rather than waiting for several, ending its process or sending a signal.
    fn is_on_socket(&self) -> bool {
        self.class.waits().is_none() && !self.is_deferred()
    }

    /// The answer to the call, if it could finish now or its time limit has expired; `None` if it has to stay pending.
    pub(crate) fn ready(&self, owner: Owner<'_>, now: Instant) -> Result<Option<Answer>, KernelError> {
        if self.could_finish(owner)? {
            return Ok(Some(Answer::Continue));
        }
        Ok(self.deadline.filter(|deadline| *deadline <= now).map(|_| self.time_is_up()))
    }

    /// Whether the call could finish now.
    fn could_finish(&self, owner: Owner<'_>) -> Result<bool, KernelError> {
        Ok(match self.class {
            Class::Accept | Class::In(_) | Class::Out(_) => self.with_socket(owner, |socket| {
                // Another thread has closed the descriptor: the call finishes too, with an error.
                let Some((socket, _)) = socket else { return Ok(true) };
                let events = if matches!(self.class, Class::Out(_)) { libc::POLLOUT } else { libc::POLLIN };
                Ok(self.never_waits(socket) || poll_one(socket, events)? != 0)
            })?,
            Class::Epoll(_) => {
                let asked = if self.kept.is_some() { None } else { duplicate(owner, self.args[0] as i32) };
                match self.kept.as_ref().map(|(epoll, _)| epoll).or(asked.as_ref()) {
                    None => true,
                    Some(epoll) => self.signalled(owner) || poll_one(epoll.as_fd(), libc::POLLIN)? != 0,
                }
            }
            Class::Poll(_) => self.signalled(owner) || self.polled(owner)?,
            Class::Select(_) => self.signalled(owner) || self.selected(owner)?,
            _ => true,
        })
    }

    /// The `MSG_*` flags of the call; 0 for a call that takes none.
    fn flags(&self) -> i32 {
        self.class.moves().and_then(|moves| moves.flags).map_or(0, |at| self.args[at] as i32)
    }

    /// Whether the call returns at once rather than block, by its flags or by O_NONBLOCK.
    fn never_waits(&self, socket: BorrowedFd<'_>) -> bool {
        if self.flags() & (libc::MSG_DONTWAIT | libc::MSG_OOB | libc::MSG_ERRQUEUE) != 0 {
            return true;
        }
        // SAFETY: it takes no pointer.
        let status = unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_GETFL) };
        status & libc::O_NONBLOCK != 0
    }

    /// The kernel's answer when a call's time limit has expired. It also writes to the server's memory what the kernel would write: no
    /// events, and no time left (`select(2)`).
    pub(crate) fn time_is_up(&self) -> Answer {
        // Errors are ignored: the server itself has unmapped the memory meanwhile.
        let clear = |address: u64, words: usize| {
            if address != 0 {
                let _ = sys::write_memory(self.pid, address, &vec![0u64; words]);
            }
        };
        match self.class {
            Class::Accept | Class::In(_) | Class::Out(_) => return Answer::Error(Errno::EAGAIN),
            Class::Poll(waits) => {
                let mut list = self.poll_list().unwrap_or_default();
                list.iter_mut().for_each(|p| p.revents = 0);
                let _ = sys::write_memory(self.pid, self.args[0], &list);
                clear(if waits.form == LimitForm::Timespec { self.args[waits.limit] } else { 0 }, TIME);
            }
            Class::Select(waits) => {
                self.args[1..4].iter().for_each(|set| clear(*set, self.set_words()));
                clear(self.args[waits.limit], TIME);
            }
            _ => {}
        }
        Answer::Value(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A call of this process, waiting at the gate.
    pub(super) fn parked(name: &'static str, args: [u64; 6]) -> PendingCall {
        let class = calls::class(name);
        let (pid, tid) = (nix::unistd::getpid().as_raw(), nix::unistd::gettid().as_raw());
        PendingCall { id: 0, pid, tid, name, class, args, deadline: None, order: 0, kept: None }
    }

    #[test]
    fn the_signal_mask_of_a_call_is_found_where_its_manual_page_says() {
        let mask = 1u64 << 16;
        let pair = [&raw const mask as u64, 8];
        let at = |position: usize, value: u64| std::array::from_fn(|i| if i == position { value } else { 0 });
        let direct = [("ppoll", 3), ("epoll_pwait", 4), ("epoll_pwait2", 4)];
        for (name, position) in direct {
            assert_eq!(parked(name, at(position, pair[0])).mask(), Some(mask), "{name}");
            assert_eq!(parked(name, [0; 6]).mask(), None, "{name}");
        }
        assert_eq!(parked("pselect6", at(5, pair.as_ptr() as u64)).mask(), Some(mask));
        for name in ["pselect6", "accept", "recv", "exit_group"] {
            assert_eq!(parked(name, [0; 6]).mask(), None, "{name}");
        }
    }

    #[test]
    fn of_a_long_list_of_descriptors_all_are_looked_at() {
        const LONG: usize = 10_000;
        let (read, write) = std::io::pipe().unwrap();
        let pidfd = crate::linux::sys::pidfd_open(nix::unistd::getpid().as_raw()).unwrap();
        let owner = Owner { pid: nix::unistd::getpid().as_raw(), pidfd: pidfd.as_fd(), signalfd: false, alone: false };
        // `poll(2)` ignores all entries but the last, because their descriptors are negative.
        let mut list = vec![libc::pollfd { fd: -1, events: libc::POLLIN, revents: 0 }; LONG];
        list[LONG - 1].fd = read.as_raw_fd();
        let poll = parked("ppoll", [list.as_ptr() as u64, LONG as u64, 0, 0, 0, 0]);
        assert_eq!(poll.poll_list().map(|list| list.len()), Some(LONG));
        assert!(!poll.polled(owner).unwrap());
        drop(write);
        assert!(poll.polled(owner).unwrap());

        let mut words = vec![0u64; LONG.div_ceil(64)];
        words[(LONG - 1) / 64] |= 1 << ((LONG - 1) % 64);
        let select = parked("pselect6", [LONG as u64, words.as_ptr() as u64, 0, 0, 0, 0]);
        let last = (LONG as i32 - 1, libc::POLLIN | libc::POLLHUP | libc::POLLERR);
        assert_eq!(select.select_list(), Some(vec![last]));
    }
}
