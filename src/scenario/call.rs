//! The server's calls, and the errors with which a harness can answer them.

use super::Errno;
use std::fmt;

/// A call that the server makes on a socket.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// `accept4(2)` on the listener.
    Accept,
    /// `send(2)`.
    Send,
    /// `recv(2)`.
    Recv,
    /// `shutdown(2)` with `SHUT_WR`.
    Shutdown,
    /// `close(2)` of a connection.
    Close,
    /// A system call of a server that is no program of ours, by its name.
    Other(&'static str),
}

impl Call {
    /// Every call that a program is made of, in order.
    pub const ALL: [Call; 5] = [Call::Accept, Call::Send, Call::Recv, Call::Shutdown, Call::Close];

    /// The name of the call, as the text form and the JSON have it.
    pub const fn name(self) -> &'static str {
        match self {
            Call::Accept => "accept",
            Call::Send => "send",
            Call::Recv => "recv",
            Call::Shutdown => "shutdown",
            Call::Close => "close",
            Call::Other(name) => name,
        }
    }

    /// The errors with which a `fault` may answer this call.
    ///
    /// `send` has no EPIPE: the kernel never reports it without the signal that goes with it, so a made-up one would show a
    /// death that cannot be. `shutdown` and `close` have none: what a program does about their errors is nothing.
    pub const fn faults(self) -> &'static [Errno] {
        match self {
            Call::Accept => &[
                Errno::EMFILE,
                Errno::ENFILE,
                Errno::ECONNABORTED,
                Errno::EINTR,
                Errno::ENOBUFS,
                Errno::ENOMEM,
                Errno::EPROTO,
                Errno::EPERM,
            ],
            Call::Send => &[Errno::EINTR, Errno::ECONNRESET, Errno::ENOBUFS, Errno::ENOMEM, Errno::ETIMEDOUT],
            Call::Recv => &[Errno::EINTR, Errno::ECONNRESET, Errno::ENOMEM, Errno::ETIMEDOUT],
            Call::Shutdown | Call::Close | Call::Other(_) => &[],
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An answer that the harness gives in the kernel's place: the server's next `call` fails with `errno`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fault {
    call: Call,
    errno: Errno,
}

impl Fault {
    /// A fault, or `None` if [`Call::faults`] of `call` does not have `errno`.
    pub fn new(call: Call, errno: Errno) -> Option<Fault> {
        call.faults().contains(&errno).then_some(Fault { call, errno })
    }

    /// Every fault there is: the calls in order, the errors of each in the order of [`Call::faults`].
    pub fn all() -> impl Iterator<Item = Fault> {
        Call::ALL.into_iter().flat_map(|call| call.faults().iter().map(move |&errno| Fault { call, errno }))
    }

    /// Which call is answered.
    pub const fn call(self) -> Call {
        self.call
    }

    /// What it is answered with.
    pub const fn errno(self) -> Errno {
        self.errno
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fault {} {}", self.call, self.errno)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
