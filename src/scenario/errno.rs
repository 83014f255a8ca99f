//! Error numbers and their names, as in errno(3).

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

/// An error number of a system call, shown by its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errno(i32);

/// Declares constants of these names.
macro_rules! errnos {
    ($($name:ident)*) => {
        impl Errno {
            $(#[doc = concat!("`", stringify!($name), "`, as in errno(3).")]
            pub const $name: Errno = Errno(libc::$name);)*
        }
    };
}

errnos! {
    EPERM ENOENT ESRCH EINTR EIO EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT EINVAL ENFILE EMFILE EPIPE ENOSYS EPROTO ENOTSOCK ENOPROTOOPT EADDRNOTAVAIL
    ENETDOWN ECONNABORTED ECONNRESET ENOBUFS ENOTCONN ETIMEDOUT ECONNREFUSED EHOSTUNREACH
}

/// The largest number that the kernel returns as an error (`MAX_ERRNO`).
const LARGEST: i32 = 4095;

/// The name and the description of an error number.
struct Known {
    errno: Errno,
    name: String,
    text: String,
}

/// Every number that has a name, in order. nix has all names, but no list of them, and no function that gives a `&'static str`.
static KNOWN: LazyLock<Vec<Known>> = LazyLock::new(|| {
    let all = (1..=LARGEST).map(nix::errno::Errno::from_raw).filter(|e| *e != nix::errno::Errno::UnknownErrno);
    all.map(|e| Known { errno: Errno(e as i32), name: format!("{e:?}"), text: lower_case(e.desc()) }).collect()
});

/// The text with its first letter in lower case, unless the first word is an abbreviation.
fn lower_case(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if letters.clone().next().is_some_and(char::is_lowercase) => {
            first.to_lowercase().chain(letters).collect()
        }
        _ => text.to_owned(),
    }
}

impl Errno {
    /// The error with this number, as in `<errno.h>`.
    pub const fn from_raw(number: i32) -> Errno {
        Errno(number)
    }

    /// The number, as in `<errno.h>`.
    pub const fn raw(self) -> i32 {
        self.0
    }

    /// The description of the error, in English, with a lower-case first letter.
    pub fn text(self) -> &'static str {
        self.known().map_or("unknown error", |known| &known.text)
    }

    /// The name, if the number has one.
    pub fn name(self) -> Option<&'static str> {
        self.known().map(|known| known.name.as_str())
    }

    /// Every name, in the order of the numbers.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        KNOWN.iter().map(|known| known.name.as_str())
    }

    fn known(self) -> Option<&'static Known> {
        KNOWN.binary_search_by_key(&self, |known| known.errno).ok().map(|i| &KNOWN[i])
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "errno {}", self.0),
        }
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A word that is the name of no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no error of that name")]
pub struct UnknownErrno;

impl FromStr for Errno {
    type Err = UnknownErrno;

    fn from_str(name: &str) -> Result<Errno, UnknownErrno> {
        KNOWN.iter().find(|known| known.name == name).map(|known| known.errno).ok_or(UnknownErrno)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_older_cases_may_have_are_read_as_they_were() {
        for (name, number) in [
            ("EPERM", 1),
            ("ENOENT", 2),
            ("EINTR", 4),
            ("EIO", 5),
            ("EBADF", 9),
            ("EAGAIN", 11),
            ("ENOMEM", 12),
            ("EACCES", 13),
            ("EFAULT", 14),
            ("EINVAL", 22),
            ("ENFILE", 23),
            ("EMFILE", 24),
            ("EPIPE", 32),
            ("ENOSYS", libc::ENOSYS),
            ("EPROTO", libc::EPROTO),
            ("ENOTSOCK", libc::ENOTSOCK),
            ("ENOPROTOOPT", libc::ENOPROTOOPT),
            ("EADDRNOTAVAIL", libc::EADDRNOTAVAIL),
            ("ENETDOWN", libc::ENETDOWN),
            ("ECONNABORTED", libc::ECONNABORTED),
            ("ECONNRESET", libc::ECONNRESET),
            ("ENOBUFS", libc::ENOBUFS),
            ("ENOTCONN", libc::ENOTCONN),
            ("ETIMEDOUT", libc::ETIMEDOUT),
            ("ECONNREFUSED", libc::ECONNREFUSED),
            ("EHOSTUNREACH", libc::EHOSTUNREACH),
        ] {
            assert_eq!(name.parse(), Ok(Errno::from_raw(number)));
            assert_eq!(Errno::from_raw(number).to_string(), name);
        }
    }

    #[test]
    fn every_error_of_the_kernel_s_has_a_name_that_is_read_back() {
        for number in
            [libc::EADDRINUSE, libc::ENETUNREACH, libc::ENOSPC, libc::EALREADY, libc::EDEADLK, libc::EHWPOISON]
        {
            let errno = Errno::from_raw(number);
            assert_eq!(errno.name().and_then(|name| name.parse().ok()), Some(errno), "{number}");
            assert_ne!(errno.text(), "unknown error");
        }
        assert_eq!(Errno::from_raw(libc::EADDRINUSE).to_string(), "EADDRINUSE");
        assert_eq!(Errno::EMFILE.text(), "too many open files");
        assert!(Errno::names().count() > 120);
    }

    #[test]
    fn what_is_no_error_has_no_name() {
        assert_eq!(Errno::from_raw(0).name(), None);
        assert_eq!(Errno::from_raw(3999).to_string(), "errno 3999");
        for name in ["", "ENOTHING", "epipe", "UnknownErrno"] {
            assert_eq!(name.parse::<Errno>(), Err(UnknownErrno));
        }
    }
}
