//! Calls at the gate, and whether they could finish now.
//!
//! What a call would wait for is asked of the kernel with `poll(2)` and no timeout, on a duplicate of the descriptor in question. As long
//! as the duplicate is there, the server's own `close` closes nothing: so it is dropped before the call is let in, and kept until then
//! only if there is no other thread that could close the descriptor meanwhile.

mod descriptors;

use crate::linux::clock::blocked_call::{Pid, from_now, time_limit};
use crate::linux::error::KernelError;
use crate::linux::gate::seccomp::filter::{self, Class};
use crate::linux::gate::seccomp::notify::{Answer, Notification};
use crate::linux::sys::process::{self as sys, socket_timeout};
use crate::linux::sys::signals::{self, Masks};
use crate::scenario::{Call, Errno};
use descriptors::{duplicate, poll_one};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Instant;

const DOING: &str = "look at what the server waits for";

/// A call that waits at the gate.
#[derive(Debug)]
pub(crate) struct Parked {
    pub(crate) id: u64,
    pub(crate) pid: i32,
    pub(crate) tid: i32,
    pub(crate) name: &'static str,
    class: Class,
    number: i32,
    args: [u64; 6],
    /// When the server would have been told that the time it gave is up.
    pub(crate) deadline: Option<Instant>,
    /// Where it lies in the order in which calls came.
    pub(crate) order: u64,
    /// The socket or the epoll that it is made on, and the kernel's number of it if it is a socket (`SO_COOKIE`).
    kept: Option<(OwnedFd, Option<u64>)>,
}

/// A process whose call it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'p> {
    pub(crate) pid: i32,
    pub(crate) pidfd: BorrowedFd<'p>,
    /// Whether it has descriptors that tell of signals.
    pub(crate) signalfd: bool,
    /// Whether it has no other thread: none that could close a descriptor while a call waits.
    pub(crate) alone: bool,
}

/// How many words of eight bytes a timespec or a timeval has.
const TIME: usize = 2;

/// What becomes of a call that has come to the gate.
pub(crate) enum Arrival {
    /// It is none that is steered.
    Pass,
    /// It makes tasks.
    Tasks,
    /// It sets up an io_uring.
    Ring,
    /// It arms, disarms or reads a timer.
    Timer(Parked),
    /// It makes a timer descriptor.
    TimerDescriptor,
    /// It makes a watch on files.
    FileWatch,
    /// It sends a signal to one thread, which is not held back: runtimes wake their own threads so.
    ThreadSignal(Parked),
    /// It waits at the gate.
    Parked(Parked),
}

/// The longest list of descriptors that is looked at: the most that a process may have open, unless an administrator says otherwise
/// (`fs.nr_open`).
const MOST_DESCRIPTORS: u64 = 1 << 20;

impl Parked {
    /// What a call that has just come is. It parks if it is made on a socket, or waits for events that may be of one.
    pub(crate) fn arrive(call: &Notification, owner: Owner<'_>, order: u64) -> Arrival {
        let Some((name, class)) = filter::call(call.number) else {
            return Arrival::Pass;
        };
        let mut parked = Parked {
            id: call.id,
            pid: owner.pid,
            tid: call.tid,
            name,
            class,
            number: call.number,
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
            Class::FileWatch => return Arrival::FileWatch,
            Class::Signal if ["tkill", "tgkill", "rt_tgsigqueueinfo"].contains(&name) => {
                return Arrival::ThreadSignal(parked);
            }
            Class::Exit | Class::Signal => {}
            Class::Now(_) => match parked.socket(owner) {
                None => return Arrival::Pass,
                Some(kept) => parked.kept = Some(kept).filter(|_| owner.alone),
            },
            // `accept` is given the limit of the listener's reads (`inet_csk_accept`).
            Class::Accept | Class::In(_) | Class::Out(_) => match parked.socket(owner) {
                None => return Arrival::Pass,
                Some(kept) => {
                    let option = if matches!(class, Class::Out(_)) { libc::SO_SNDTIMEO } else { libc::SO_RCVTIMEO };
                    parked.deadline = socket_timeout(kept.0.as_fd(), option).and_then(from_now);
                    parked.kept = Some(kept).filter(|_| owner.alone);
                }
            },
            Class::Epoll => {
                parked.deadline = time_limit(parked.name, &parked.args, &Pid(parked.pid)).and_then(from_now);
                if owner.alone {
                    parked.kept = duplicate(owner, parked.args[0] as i32).map(|epoll| (epoll, None));
                }
            }
            Class::Poll | Class::Select => {
                if !parked.is_steered(owner) {
                    return Arrival::Pass;
                }
                parked.deadline = time_limit(parked.name, &parked.args, &Pid(parked.pid)).and_then(from_now);
            }
        }
        Arrival::Parked(parked)
    }

    /// The kind of call that a `fault` names, if one does.
    pub(crate) fn faultable(&self) -> Option<Call> {
        match self.class {
            Class::Accept => Some(Call::Accept),
            Class::In(_) => Some(Call::Recv),
            Class::Out(_) => Some(Call::Send),
            _ => None,
        }
    }

    /// Whether it takes data from a socket.
    pub(crate) fn reads(&self) -> bool {
        matches!(self.class, Class::In(_))
    }

    /// What a call that takes something will come to, as far as its socket shows it beforehand. Only for one that is about to be let in.
    pub(crate) fn foreseen(&self, socket: BorrowedFd<'_>) -> Option<Result<u32, Errno>> {
        let found = poll_one(socket, libc::POLLIN | libc::POLLRDHUP).ok()?;
        if found == 0 {
            return Some(Err(Errno::EAGAIN));
        }
        if self.accepts() {
            return (found & libc::POLLIN != 0).then_some(Ok(0));
        }
        let most = match self.number as libc::c_long {
            libc::SYS_read | libc::SYS_recvfrom => u32::try_from(self.args[2]).unwrap_or(u32::MAX),
            _ => u32::MAX,
        };
        match sys::unread(socket).ok()? {
            // The end of what came, or an error: which it is shows only in what the server makes of it.
            0 if found & libc::POLLERR != 0 => None,
            0 if found & libc::POLLRDHUP != 0 => Some(Ok(0)),
            0 => None,
            n => Some(Ok(n.min(most))),
        }
    }

    /// Whether it takes a connection from a listener.
    pub(crate) fn accepts(&self) -> bool {
        self.class == Class::Accept
    }

    /// The descriptor that it is made on.
    pub(crate) fn descriptor(&self) -> Option<i32> {
        match self.class {
            Class::In(i) | Class::Out(i) | Class::Now(i) => Some(self.args[i] as i32),
            Class::Accept | Class::Epoll => Some(self.args[0] as i32),
            _ => None,
        }
    }

    /// Its arguments, as the kernel has them.
    pub(crate) const fn arguments(&self) -> &[u64; 6] {
        &self.args
    }

    /// Whether it is let in by itself once everything else is blocked: it waits for nothing, and is no step of the server's. It ends the
    /// process or sends a signal, so that signals come to tasks that are blocked and known to be.
    pub(crate) const fn is_deferred(&self) -> bool {
        matches!(self.class, Class::Exit | Class::Signal)
    }

    /// Whether it never waits, so that no signal can cut it short without the gate.
    pub(crate) fn never_fails(&self) -> bool {
        matches!(self.class, Class::Now(_))
    }

    /// Whether it ends its process.
    pub(crate) fn ends(&self) -> bool {
        self.class == Class::Exit
    }

    /// Whether it sends a signal.
    pub(crate) fn sends_signal(&self) -> bool {
        self.class == Class::Signal
    }

    /// Whether it connects the server to something.
    pub(crate) fn connects(&self) -> bool {
        self.name == "connect"
    }

    /// Whether a signal that waits is to be delivered to its thread in this call. Only where the call could not finish now is it let in for
    /// that, so that it does nothing but return. `None` if no signal waits.
    pub(crate) fn is_interrupted(&self, owner: Owner<'_>) -> Result<Option<bool>, KernelError> {
        let masks = Masks::of(self.pid, self.tid);
        if !masks.any() {
            return Ok(None);
        }
        let waits = !matches!(self.class, Class::Now(_)) && !self.is_deferred();
        let interrupted = waits && masks.deliverable(signals::mask_during(self.pid, self.name, &self.args)) != 0;
        Ok(Some(interrupted && !self.could_finish(owner)?))
    }

    /// A duplicate of the socket that it is made on, and the socket's number; `None` if it is made on no socket.
    fn socket(&self, owner: Owner<'_>) -> Option<(OwnedFd, Option<u64>)> {
        // Data can also be moved from a socket to something else.
        let alternative = if self.name == "splice" { Some(self.args[0] as i32) } else { None };
        let mut all = self.descriptor().into_iter().chain(alternative).filter_map(|fd| duplicate(owner, fd));
        // What is no socket has no such number.
        all.find_map(|fd| Some((sys::option(fd.as_fd(), libc::SOL_SOCKET, libc::SO_COOKIE, 0u64).ok()?, fd)))
            .map(|(cookie, fd)| (fd, Some(cookie)))
    }

    /// Does something with the socket that it is made on and the socket's number.
    pub(crate) fn with_socket<T>(&self, owner: Owner<'_>, what: impl FnOnce(Option<(BorrowedFd<'_>, u64)>) -> T) -> T {
        let asked = if self.kept.is_some() || !self.is_on_socket() { None } else { self.socket(owner) };
        let socket = self.kept.as_ref().or(asked.as_ref());
        what(socket.and_then(|(fd, cookie)| Some((fd.as_fd(), (*cookie)?))))
    }

    /// Whether it is made on a socket, and not on what waits for several.
    fn is_on_socket(&self) -> bool {
        !matches!(self.class, Class::Poll | Class::Select | Class::Epoll) && !self.is_deferred()
    }

    /// Whether it could finish now, and with what it is to be answered.
    pub(crate) fn ready(&self, owner: Owner<'_>, now: Instant) -> Result<Option<Answer>, KernelError> {
        if self.could_finish(owner)? {
            return Ok(Some(Answer::Continue));
        }
        Ok(self.deadline.filter(|deadline| *deadline <= now).map(|_| self.time_is_up()))
    }

    /// Whether it could finish now.
    fn could_finish(&self, owner: Owner<'_>) -> Result<bool, KernelError> {
        Ok(match self.class {
            Class::Accept | Class::In(_) | Class::Out(_) => self.with_socket(owner, |socket| {
                // Closed by another thread: the call fails, which is an end too.
                let Some((socket, _)) = socket else { return Ok(true) };
                let events = if matches!(self.class, Class::Out(_)) { libc::POLLOUT } else { libc::POLLIN };
                Ok(self.never_waits(socket) || poll_one(socket, events)? != 0)
            })?,
            Class::Epoll => {
                let asked = if self.kept.is_some() { None } else { duplicate(owner, self.args[0] as i32) };
                match self.kept.as_ref().map(|(epoll, _)| epoll).or(asked.as_ref()) {
                    None => true,
                    Some(epoll) => self.signalled(owner) || poll_one(epoll.as_fd(), libc::POLLIN)? != 0,
                }
            }
            Class::Poll => self.signalled(owner) || self.polled(owner)?,
            Class::Select => self.signalled(owner) || self.selected(owner)?,
            _ => true,
        })
    }

    /// Whether the call gives EAGAIN rather than wait.
    fn never_waits(&self, socket: BorrowedFd<'_>) -> bool {
        let flags = match self.number as libc::c_long {
            libc::SYS_recvfrom | libc::SYS_sendto => self.args[3],
            libc::SYS_recvmsg | libc::SYS_sendmsg => self.args[2],
            libc::SYS_recvmmsg | libc::SYS_sendmmsg => self.args[3],
            _ => 0,
        } as i32;
        if flags & (libc::MSG_DONTWAIT | libc::MSG_OOB | libc::MSG_ERRQUEUE) != 0 {
            return true;
        }
        // SAFETY: it takes no pointer.
        let status = unsafe { libc::fcntl(socket.as_raw_fd(), libc::F_GETFL) };
        status & libc::O_NONBLOCK != 0
    }

    /// What the kernel answers when the time is up, with what it leaves in the server's memory: no event, and no time left (`select(2)`).
    fn time_is_up(&self) -> Answer {
        // Memory that has gone meanwhile is the server's own fault, and no more is done to it than the kernel does.
        let clear = |address: u64, words: usize| {
            if address != 0 {
                let _ = sys::write_memory(self.pid, address, &vec![0u64; words]);
            }
        };
        match self.class {
            Class::Accept | Class::In(_) | Class::Out(_) => return Answer::Error(Errno::EAGAIN),
            Class::Poll => {
                let mut list = self.poll_list().unwrap_or_default();
                list.iter_mut().for_each(|p| p.revents = 0);
                let _ = sys::write_memory(self.pid, self.args[0], &list);
                clear(if self.name == "ppoll" { self.args[2] } else { 0 }, TIME);
            }
            Class::Select => {
                self.args[1..4].iter().for_each(|set| clear(*set, self.set_words()));
                clear(self.args[4], TIME);
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
    fn parked(name: &'static str, class: Class, args: [u64; 6]) -> Parked {
        let (pid, tid) = (nix::unistd::getpid().as_raw(), nix::unistd::gettid().as_raw());
        Parked { id: 0, pid, tid, name, class, number: 0, args, deadline: None, order: 0, kept: None }
    }

    #[test]
    fn of_a_long_list_of_descriptors_all_are_looked_at() {
        const LONG: usize = 10_000;
        let (read, write) = std::io::pipe().unwrap();
        let pidfd = sys::pidfd_open(nix::unistd::getpid().as_raw()).unwrap();
        let owner = Owner { pid: nix::unistd::getpid().as_raw(), pidfd: pidfd.as_fd(), signalfd: false, alone: false };
        // All but the last are passed over, as poll(2) has it.
        let mut list = vec![libc::pollfd { fd: -1, events: libc::POLLIN, revents: 0 }; LONG];
        list[LONG - 1].fd = read.as_raw_fd();
        let poll = parked("poll", Class::Poll, [list.as_ptr() as u64, LONG as u64, 0, 0, 0, 0]);
        assert_eq!(poll.poll_list().map(|list| list.len()), Some(LONG));
        assert!(!poll.polled(owner).unwrap());
        drop(write);
        assert!(poll.polled(owner).unwrap());

        let mut words = vec![0u64; LONG.div_ceil(64)];
        words[(LONG - 1) / 64] |= 1 << ((LONG - 1) % 64);
        let select = parked("select", Class::Select, [LONG as u64, words.as_ptr() as u64, 0, 0, 0, 0]);
        let last = (LONG as i32 - 1, libc::POLLIN | libc::POLLHUP | libc::POLLERR);
        assert_eq!(select.select_list(), Some(vec![last]));
    }
}
