//! Error numbers by their POSIX names.

use std::fmt;
use std::str::FromStr;

/// An error number of a system call, shown by its POSIX name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errno(i32);

/// Declares the constants and the one table from which names are read and printed.
macro_rules! errnos {
    ($($name:ident $text:literal)*) => {
        impl Errno {
            $(#[doc = concat!("`", stringify!($name), "`: ", $text, ".")]
            pub const $name: Errno = Errno(libc::$name);)*

            /// Every number that has a name here, with its name and its text in English.
            const NAMED: &'static [(Errno, &'static str, &'static str)] = &[$((Errno::$name, stringify!($name), $text)),*];
        }
    };
}

errnos! {
    EPERM "operation not permitted"
    ENOENT "no such file, or no such thing"
    EINTR "interrupted by a signal"
    EIO "input/output error"
    EBADF "bad file descriptor"
    EAGAIN "would block"
    ENOMEM "out of memory"
    EACCES "permission denied"
    EFAULT "bad address"
    EINVAL "invalid argument"
    ENFILE "too many open files in the system"
    EMFILE "too many open files in the process"
    EPIPE "broken pipe"
    ENOSYS "function not implemented"
    EPROTO "protocol error"
    ENOTSOCK "not a socket"
    ENOPROTOOPT "no such option"
    EADDRNOTAVAIL "address not available"
    ENETDOWN "network is down"
    ECONNABORTED "connection aborted"
    ECONNRESET "connection reset by peer"
    ENOBUFS "no buffer space"
    ENOTCONN "not connected"
    ETIMEDOUT "connection timed out"
    ECONNREFUSED "connection refused"
    EHOSTUNREACH "host is unreachable"
}

impl Errno {
    /// Stands for the result of a call that nobody has seen: one of a server that cannot be asked.
    pub const UNSEEN: Errno = Errno(0);

    /// The error of this number, as in `<errno.h>`.
    pub const fn from_raw(number: i32) -> Errno {
        Errno(number)
    }

    /// The number, as in `<errno.h>`.
    pub const fn raw(self) -> i32 {
        self.0
    }

    /// What the error says, in English and lower case.
    pub fn text(self) -> &'static str {
        self.named().map_or("an error without a name here", |n| n.2)
    }

    /// Its POSIX name, if it has one here.
    pub fn name(self) -> Option<&'static str> {
        self.named().map(|n| n.1)
    }

    /// Every name there is here.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        Self::NAMED.iter().map(|n| n.1)
    }

    fn named(self) -> Option<&'static (Errno, &'static str, &'static str)> {
        Self::NAMED.iter().find(|n| n.0 == self)
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.named() {
            Some(named) => f.pad(named.1),
            None => write!(f, "errno {}", self.0),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A word that is the name of no error known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no error of that name")]
pub struct UnknownErrno;

impl FromStr for Errno {
    type Err = UnknownErrno;

    fn from_str(name: &str) -> Result<Errno, UnknownErrno> {
        Self::NAMED.iter().find(|n| n.1 == name).map(|n| n.0).ok_or(UnknownErrno)
    }
}
