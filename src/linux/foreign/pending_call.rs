//! Calls at the gate, and whether they could finish now.
//!
//! What a call would wait for is asked of the kernel with `poll(2)` and no timeout, on a duplicate of the descriptor in question. As long
//! as the duplicate is there, the server's own `close` closes nothing: so it is dropped before the call is let in, and kept until then
//! only if there is no other thread that could close the descriptor meanwhile.

use super::blocked_call::{Pid, from_now, time_limit};
use super::filter::{self, Class};
use super::notify::{Answer, Notification};
use super::signals::{self, Masks};
use super::sys;
use crate::linux::error::KernelError;
use crate::linux::fd_table;
use crate::linux::sys as kernel_sys;
use crate::scenario::{Call, Errno};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

const DOING: &str = "look at what the server waits for";

/// A call that waits at the gate.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) id: u64,
    pub(super) pid: i32,
    pub(super) tid: i32,
    pub(super) name: &'static str,
    class: Class,
    number: i32,
    args: [u64; 6],
    /// When the server would have been told that the time it gave is up.
    pub(super) deadline: Option<Instant>,
    /// Where it lies in the order in which calls came.
    pub(super) order: u64,
    /// The socket or the epoll that it is made on, and the kernel's number of it if it is a socket (`SO_COOKIE`).
    kept: Option<(OwnedFd, Option<u64>)>,
}

/// A process whose call it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner<'p> {
    pub(super) pid: i32,
    pub(super) pidfd: BorrowedFd<'p>,
    /// Whether it has descriptors that tell of signals.
    pub(super) signalfd: bool,
    /// Whether it has no other thread: none that could close a descriptor while a call waits.
    pub(super) alone: bool,
}

/// How many words of eight bytes a timespec or a timeval has.
const TIME: usize = 2;

/// What becomes of a call that has come to the gate.
pub(super) enum Arrival {
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
    pub(super) fn arrive(call: &Notification, owner: Owner<'_>, order: u64) -> Arrival {
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
    pub(super) fn faultable(&self) -> Option<Call> {
        match self.class {
            Class::Accept => Some(Call::Accept),
            Class::In(_) => Some(Call::Recv),
            Class::Out(_) => Some(Call::Send),
            _ => None,
        }
    }

    /// Whether it takes data from a socket.
    pub(super) fn reads(&self) -> bool {
        matches!(self.class, Class::In(_))
    }

    /// What a call that takes something will come to, as far as its socket shows it beforehand. Only for one that is about to be let in.
    pub(super) fn foreseen(&self, socket: BorrowedFd<'_>) -> Option<Result<u32, Errno>> {
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
    pub(super) fn accepts(&self) -> bool {
        self.class == Class::Accept
    }

    /// The descriptor that it is made on.
    pub(super) fn descriptor(&self) -> Option<i32> {
        match self.class {
            Class::In(i) | Class::Out(i) | Class::Now(i) => Some(self.args[i] as i32),
            Class::Accept | Class::Epoll => Some(self.args[0] as i32),
            _ => None,
        }
    }

    /// Its arguments, as the kernel has them.
    pub(super) const fn arguments(&self) -> &[u64; 6] {
        &self.args
    }

    /// Whether it is let in by itself once everything else is blocked: it waits for nothing, and is no step of the server's. It ends the
    /// process or sends a signal, so that signals come to tasks that are blocked and known to be.
    pub(super) const fn is_deferred(&self) -> bool {
        matches!(self.class, Class::Exit | Class::Signal)
    }

    /// Whether it never waits, so that no signal can cut it short without the gate.
    pub(super) fn never_fails(&self) -> bool {
        matches!(self.class, Class::Now(_))
    }

    /// Whether it ends its process.
    pub(super) fn ends(&self) -> bool {
        self.class == Class::Exit
    }

    /// Whether it sends a signal.
    pub(super) fn sends_signal(&self) -> bool {
        self.class == Class::Signal
    }

    /// Whether it connects the server to something.
    pub(super) fn connects(&self) -> bool {
        self.name == "connect"
    }

    /// Whether a signal that waits is to be delivered to its thread in this call. Only where the call could not finish now is it let in for
    /// that, so that it does nothing but return. `None` if no signal waits.
    pub(super) fn is_interrupted(&self, owner: Owner<'_>) -> Result<Option<bool>, KernelError> {
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
    pub(super) fn with_socket<T>(&self, owner: Owner<'_>, what: impl FnOnce(Option<(BorrowedFd<'_>, u64)>) -> T) -> T {
        let asked = if self.kept.is_some() || !self.is_on_socket() { None } else { self.socket(owner) };
        let socket = self.kept.as_ref().or(asked.as_ref());
        what(socket.and_then(|(fd, cookie)| Some((fd.as_fd(), (*cookie)?))))
    }

    /// Whether it is made on a socket, and not on what waits for several.
    fn is_on_socket(&self) -> bool {
        !matches!(self.class, Class::Poll | Class::Select | Class::Epoll) && !self.is_deferred()
    }

    /// Whether it could finish now, and with what it is to be answered.
    pub(super) fn ready(&self, owner: Owner<'_>, now: Instant) -> Result<Option<Answer>, KernelError> {
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

    /// The list of a `poll`; `None` if it cannot be read.
    fn poll_list(&self) -> Option<Vec<libc::pollfd>> {
        let mut list =
            vec![libc::pollfd { fd: -1, events: 0, revents: 0 }; self.args[1].min(MOST_DESCRIPTORS) as usize];
        if !list.is_empty() {
            sys::read_memory(self.pid, self.args[0], &mut list).ok()?;
        }
        Some(list)
    }

    /// How many words each set of a `select` has.
    fn set_words(&self) -> usize {
        (self.args[0].min(MOST_DESCRIPTORS) as usize).div_ceil(64)
    }

    /// The descriptors of a `select`, each with what is asked of it; `None` if they cannot be read.
    fn select_list(&self) -> Option<Vec<(i32, i16)>> {
        let mut list: Vec<(i32, i16)> = Vec::new();
        // What `select` means by its three sets (`fs/select.c`).
        let meanings = [libc::POLLIN | libc::POLLHUP | libc::POLLERR, libc::POLLOUT | libc::POLLERR, libc::POLLPRI];
        for (set, events) in self.args[1..4].iter().zip(meanings) {
            let mut words = vec![0u64; self.set_words()];
            if *set == 0 || words.is_empty() {
                continue;
            }
            sys::read_memory(self.pid, *set, &mut words).ok()?;
            let fds =
                (0..self.args[0].min(MOST_DESCRIPTORS) as usize).filter(|fd| words[fd / 64] >> (fd % 64) & 1 == 1);
            list.extend(fds.map(|fd| (fd as i32, events)));
        }
        Some(list)
    }

    /// Whether one of the descriptors that it waits for is a socket, or may stand for some. True if there is none at all: then nothing
    /// but time ends it, or nothing.
    fn is_steered(&self, owner: Owner<'_>) -> bool {
        let fds: Option<Vec<i32>> = match self.class {
            Class::Poll => self.poll_list().map(|list| list.iter().map(|p| p.fd).filter(|fd| *fd >= 0).collect()),
            _ => self.select_list().map(|list| list.iter().map(|(fd, _)| *fd).collect()),
        };
        let is_socket = |fd| {
            let link = std::fs::read_link(format!("/proc/{}/fd/{fd}", owner.pid)).unwrap_or_default();
            let link = link.to_string_lossy();
            link.starts_with("socket:") || link.ends_with("[eventpoll]")
        };
        fds.is_some_and(|fds| fds.is_empty() || fds.into_iter().any(is_socket))
    }

    /// Whether a `poll` would find something. One whose list is gone meanwhile fails, which is an end too.
    fn polled(&self, owner: Owner<'_>) -> Result<bool, KernelError> {
        let Some(list) = self.poll_list() else { return Ok(true) };
        any(owner, list.iter().filter(|p| p.fd >= 0).map(|p| (p.fd, p.events)))
    }

    /// Whether a `select` would find something.
    fn selected(&self, owner: Owner<'_>) -> Result<bool, KernelError> {
        let Some(list) = self.select_list() else { return Ok(true) };
        for (fd, events) in list {
            let Some(duplicate) = duplicate(owner, fd) else { return Ok(true) };
            if poll_one(duplicate.as_fd(), events)? & events != 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a signal waits that a signalfd tells of: `poll` of a duplicate asks about the signals of whoever polls. To be asked first: an
    /// epoll that is polled by somebody without such a signal takes the signalfd off the list of what is ready (`ep_item_poll`).
    fn signalled(&self, owner: Owner<'_>) -> bool {
        if !owner.signalfd {
            return false;
        }
        let masks = Masks::of(self.pid, self.tid);
        masks.any() && masks.waiting(signals::told_by_descriptors(self.pid)) != 0
    }
}

/// A duplicate of a descriptor of the server's; `None` if it has no such.
fn duplicate(owner: Owner<'_>, fd: i32) -> Option<OwnedFd> {
    kernel_sys::pidfd_getfd(owner.pidfd, fd).and_then(fd_table::beyond).ok()
}

/// What one descriptor has to say of these events and the conditions that need not be asked for.
fn poll_one(fd: BorrowedFd<'_>, events: i16) -> Result<i16, KernelError> {
    let mut polled = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    loop {
        // SAFETY: one pollfd.
        match kernel_sys::check(unsafe { libc::poll(&raw mut polled, 1, 0) }.into()) {
            Ok(_) => return Ok(polled.revents),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(KernelError::call(DOING, "poll")(errno)),
        }
    }
}

/// Whether any of these descriptors has what is asked of it; one that is none has, for the call says so.
fn any(owner: Owner<'_>, list: impl Iterator<Item = (i32, i16)>) -> Result<bool, KernelError> {
    for (fd, events) in list {
        let Some(duplicate) = duplicate(owner, fd) else { return Ok(true) };
        if poll_one(duplicate.as_fd(), events)? != 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// SO_RCVTIMEO or SO_SNDTIMEO, if it is set.
pub(super) fn socket_timeout(socket: BorrowedFd<'_>, option: i32) -> Option<Duration> {
    let none = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let time = sys::option(socket, libc::SOL_SOCKET, option, none).ok()?;
    let time = Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64);
    (!time.is_zero()).then_some(time)
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
