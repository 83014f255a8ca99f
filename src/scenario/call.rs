//! The server's calls, and the errors that the harness can inject into them.

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
    /// Another system call, by its name, of a server that is not a program.
    Other(&'static str),
}

impl Call {
    /// Every call that a program can make, in the order of the variants.
    pub const ALL: [Call; 5] = [Call::Accept, Call::Send, Call::Recv, Call::Shutdown, Call::Close];

    /// The name of the call, as in the text form and in the JSON.
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

    /// Whether the call moves data, so that its result is a number of bytes.
    pub(crate) fn moves(self) -> bool {
        const MOVE: [&str; 9] = ["read", "readv", "recvmsg", "recv", "write", "writev", "sendmsg", "send", "sendfile"];
        MOVE.contains(&self.name())
    }

    /// The errors that a `fault` may inject into this call.
    ///
    /// `send` has no EPIPE: the kernel raises SIGPIPE together with it, so an injected EPIPE would show a failure that cannot
    /// happen. `shutdown` and `close` have no errors, because programs ignore those.
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

/// An injected error: the server's next `call` fails with `errno`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fault {
    call: Call,
    errno: Errno,
}

impl Fault {
    /// A fault. `None` if `errno` is not one of the [`Call::faults`] of `call`.
    pub fn new(call: Call, errno: Errno) -> Option<Fault> {
        call.faults().contains(&errno).then_some(Fault { call, errno })
    }

    /// Every possible fault: the calls in order, the errors of each in the order of [`Call::faults`].
    pub fn all() -> impl Iterator<Item = Fault> {
        Call::ALL.into_iter().flat_map(|call| call.faults().iter().map(move |&errno| Fault { call, errno }))
    }

    /// The call that fails.
    pub const fn call(self) -> Call {
        self.call
    }

    /// The error that it fails with.
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
