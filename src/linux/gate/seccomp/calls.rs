//! The calls of a server that the gate receives: those that can block, use sockets, make or end tasks, send signals or set timers, and those
//! that make descriptors of which the gate has to know. The table says of each call how the gate treats it, and where it has its arguments.

/// How the gate treats a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Takes data from a socket, and may block until there is some.
    In(Moves),
    /// Gives data to a socket, and may block until there is room.
    Out(Moves),
    /// Takes a connection from the listener in the first argument.
    Accept,
    /// Connects the socket in the first argument to a peer. Treated as `Now` ([`Class::is_instant`]).
    Connect,
    /// Acts on the socket in the first argument. The gate assumes that such a call never blocks.
    Now,
    /// Waits for the descriptors in a list: the address of the list and its length are the first two arguments (`poll(2)`).
    Poll(Waits),
    /// Waits for the descriptors in three sets: the first argument is the number of bits of each, the next three are their addresses
    /// (`select(2)`).
    Select(Waits),
    /// Waits for the descriptors of the epoll instance in the first argument.
    Epoll(Waits),
    /// Makes a task. The gate does not hold the call back, but there may be more tasks to watch afterwards.
    Tasks,
    /// Sets up an io_uring, whose operations the gate cannot see.
    Ring,
    /// Ends the process, which may raise SIGCHLD in another process.
    Exit,
    /// Sends a signal.
    Signal(Sends),
    /// Arms, disarms or reads a timer that raises a signal.
    Timer,
    /// Makes a descriptor that becomes readable when a timer expires (`timerfd_create(2)`).
    TimerDescriptor,
    /// Arms or disarms such a descriptor. Received only if the server's clock may jump ([`Class::is_for_the_clock`]).
    ArmsDescriptor,
    /// Executes a program. Received only if the server's clock may jump.
    Execute,
    /// Reads a clock. Received only if the server's clock may jump.
    Reading,
    /// Makes a descriptor that becomes readable when a process accesses or changes a file (`inotify(7)`, `fanotify(7)`).
    FileWatch,
}

/// A call that moves bytes: the positions of its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moves {
    pub(crate) socket: usize,
    /// The `MSG_*` flags.
    pub(crate) flags: Option<usize>,
    pub(crate) buffers: Buffers,
}

/// Where the bytes are that a call moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Buffers {
    /// One buffer: its address and its length are the second and the third argument.
    One,
    /// A list of buffers (`struct iovec`): its address and its length are the second and the third argument.
    List,
    /// A list of buffers in the message (`struct msghdr`) at the address in the second argument.
    Message,
    /// Several messages. The call returns their number, not that of the bytes.
    Messages,
    /// Not in the memory of the server.
    Elsewhere,
    /// The same. The socket may also be in the first argument, and is then the one that is read (`splice(2)`).
    EitherEnd,
}

/// A call that waits for events: the positions of its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waits {
    pub(crate) limit: usize,
    pub(crate) form: LimitForm,
    pub(crate) mask: Mask,
}

/// How a call is told its time limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitForm {
    /// A number of milliseconds; a negative one is no limit.
    Milliseconds,
    /// The address of a `timeval`.
    Timeval,
    /// The address of a `timespec`.
    Timespec,
}

/// The signal mask that a call sets while it waits, in place of its thread's (`ppoll(2)`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mask {
    None,
    /// Its address is in this argument.
    At(usize),
    /// The argument is the address of two words: the mask's address and its size (`pselect6`).
    Within(usize),
}

/// A call that sends a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sends {
    pub(crate) to: Receiver,
    /// The position of the signal.
    pub(crate) signal: usize,
}

/// Whom the first argument of a call names that sends a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Receiver {
    /// A process, by its id, or several.
    Process,
    /// A process, by a descriptor (`pidfd_open(2)`).
    Pidfd,
    /// The process of the thread to which the signal goes; for `tkill(2)` the thread itself.
    Thread,
}

impl Class {
    /// Whether the call takes a connection from a listener.
    pub(crate) const fn accepts(self) -> bool {
        matches!(self, Class::Accept)
    }

    /// Whether the call takes data from a socket.
    pub(crate) const fn reads(self) -> bool {
        matches!(self, Class::In(_))
    }

    /// Whether the call gives data to a socket.
    pub(crate) const fn sends(self) -> bool {
        matches!(self, Class::Out(_))
    }

    /// How the call moves data from or to a socket, if it does.
    pub(crate) const fn moves(self) -> Option<Moves> {
        match self {
            Class::In(moves) | Class::Out(moves) => Some(moves),
            _ => None,
        }
    }

    /// Where the bytes are that the call moves, if it moves any.
    pub(crate) fn buffers(self) -> Option<Buffers> {
        self.moves().map(|moves| moves.buffers)
    }

    /// How the call waits for several descriptors, if it does.
    pub(crate) const fn waits(self) -> Option<Waits> {
        match self {
            Class::Poll(waits) | Class::Select(waits) | Class::Epoll(waits) => Some(waits),
            _ => None,
        }
    }

    /// The option that limits how long the call may block on its socket (`socket(7)`); `None` if the call does not block on a socket. That
    /// of `accept` is the listener's SO_RCVTIMEO (`inet_csk_accept`).
    pub(crate) const fn timeout_option(self) -> Option<i32> {
        match self {
            Class::Accept | Class::In(_) => Some(libc::SO_RCVTIMEO),
            Class::Out(_) => Some(libc::SO_SNDTIMEO),
            _ => None,
        }
    }

    /// Whether the gate needs the call only to let the server's clock jump.
    pub(crate) const fn is_for_the_clock(self) -> bool {
        matches!(self, Class::ArmsDescriptor | Class::Execute | Class::Reading)
    }

    /// Whether the gate assumes that the call never blocks.
    pub(crate) const fn is_instant(self) -> bool {
        matches!(self, Class::Now | Class::Connect)
    }
}

const fn moves(buffers: Buffers) -> Moves {
    Moves { socket: 0, flags: None, buffers }
}

const fn flagged(flags: usize, buffers: Buffers) -> Moves {
    Moves { flags: Some(flags), ..moves(buffers) }
}

const fn waits(limit: usize, form: LimitForm, mask: Mask) -> Waits {
    Waits { limit, form, mask }
}

const fn sends(to: Receiver, signal: usize) -> Sends {
    Sends { to, signal }
}

use Buffers::{EitherEnd, Elsewhere, List, Message, Messages, One};
use LimitForm::{Milliseconds, Timespec, Timeval};
use Receiver::{Pidfd, Process, Thread};

/// Every call that the gate receives: its name, its number, its class.
pub(crate) const CALLS: &[(&str, libc::c_long, Class)] = &[
    ("accept", libc::SYS_accept, Class::Accept),
    ("accept4", libc::SYS_accept4, Class::Accept),
    ("connect", libc::SYS_connect, Class::Connect),
    ("read", libc::SYS_read, Class::In(moves(One))),
    ("readv", libc::SYS_readv, Class::In(moves(List))),
    ("recv", libc::SYS_recvfrom, Class::In(flagged(3, One))),
    ("recvmsg", libc::SYS_recvmsg, Class::In(flagged(2, Message))),
    ("recvmmsg", libc::SYS_recvmmsg, Class::In(flagged(3, Messages))),
    ("write", libc::SYS_write, Class::Out(moves(One))),
    ("writev", libc::SYS_writev, Class::Out(moves(List))),
    ("send", libc::SYS_sendto, Class::Out(flagged(3, One))),
    ("sendmsg", libc::SYS_sendmsg, Class::Out(flagged(2, Message))),
    ("sendmmsg", libc::SYS_sendmmsg, Class::Out(flagged(3, Messages))),
    ("sendfile", libc::SYS_sendfile, Class::Out(moves(Elsewhere))),
    ("splice", libc::SYS_splice, Class::Out(Moves { socket: 2, ..moves(EitherEnd) })),
    ("close", libc::SYS_close, Class::Now),
    ("shutdown", libc::SYS_shutdown, Class::Now),
    #[cfg(target_arch = "x86_64")]
    ("poll", libc::SYS_poll, Class::Poll(waits(2, Milliseconds, Mask::None))),
    ("ppoll", libc::SYS_ppoll, Class::Poll(waits(2, Timespec, Mask::At(3)))),
    #[cfg(target_arch = "x86_64")]
    ("select", libc::SYS_select, Class::Select(waits(4, Timeval, Mask::None))),
    ("pselect6", libc::SYS_pselect6, Class::Select(waits(4, Timespec, Mask::Within(5)))),
    #[cfg(target_arch = "x86_64")]
    ("epoll_wait", libc::SYS_epoll_wait, Class::Epoll(waits(3, Milliseconds, Mask::None))),
    ("epoll_pwait", libc::SYS_epoll_pwait, Class::Epoll(waits(3, Milliseconds, Mask::At(4)))),
    ("epoll_pwait2", libc::SYS_epoll_pwait2, Class::Epoll(waits(3, Timespec, Mask::At(4)))),
    ("clone", libc::SYS_clone, Class::Tasks),
    ("clone3", libc::SYS_clone3, Class::Tasks),
    #[cfg(target_arch = "x86_64")]
    ("fork", libc::SYS_fork, Class::Tasks),
    #[cfg(target_arch = "x86_64")]
    ("vfork", libc::SYS_vfork, Class::Tasks),
    ("io_uring_setup", libc::SYS_io_uring_setup, Class::Ring),
    ("exit_group", libc::SYS_exit_group, Class::Exit),
    ("kill", libc::SYS_kill, Class::Signal(sends(Process, 1))),
    ("tkill", libc::SYS_tkill, Class::Signal(sends(Thread, 1))),
    ("tgkill", libc::SYS_tgkill, Class::Signal(sends(Thread, 2))),
    ("rt_sigqueueinfo", libc::SYS_rt_sigqueueinfo, Class::Signal(sends(Process, 1))),
    ("rt_tgsigqueueinfo", libc::SYS_rt_tgsigqueueinfo, Class::Signal(sends(Thread, 2))),
    ("pidfd_send_signal", libc::SYS_pidfd_send_signal, Class::Signal(sends(Pidfd, 1))),
    #[cfg(target_arch = "x86_64")]
    ("alarm", libc::SYS_alarm, Class::Timer),
    ("setitimer", libc::SYS_setitimer, Class::Timer),
    ("getitimer", libc::SYS_getitimer, Class::Timer),
    ("timer_settime", libc::SYS_timer_settime, Class::Timer),
    ("timer_gettime", libc::SYS_timer_gettime, Class::Timer),
    ("timer_getoverrun", libc::SYS_timer_getoverrun, Class::Timer),
    ("timerfd_create", libc::SYS_timerfd_create, Class::TimerDescriptor),
    ("timerfd_settime", libc::SYS_timerfd_settime, Class::ArmsDescriptor),
    ("execve", libc::SYS_execve, Class::Execute),
    ("execveat", libc::SYS_execveat, Class::Execute),
    ("clock_gettime", libc::SYS_clock_gettime, Class::Reading),
    ("gettimeofday", libc::SYS_gettimeofday, Class::Reading),
    #[cfg(target_arch = "x86_64")]
    ("time", libc::SYS_time, Class::Reading),
    ("sysinfo", libc::SYS_sysinfo, Class::Reading),
    #[cfg(target_arch = "x86_64")]
    ("inotify_init", libc::SYS_inotify_init, Class::FileWatch),
    ("inotify_init1", libc::SYS_inotify_init1, Class::FileWatch),
    ("fanotify_init", libc::SYS_fanotify_init, Class::FileWatch),
];

/// The name and class of a call that the gate receives.
pub(crate) fn call(number: i32) -> Option<(&'static str, Class)> {
    CALLS.iter().find(|c| c.1 == libc::c_long::from(number)).map(|c| (c.0, c.2))
}

#[cfg(test)]
pub(crate) fn class(name: &str) -> Class {
    CALLS.iter().find(|c| c.0 == name).map(|c| c.2).expect("a call of the table")
}
