//! A user namespace of one's own: the way to a network and process numbers of one's own for who has no privilege.
//!
//! In it the process has every capability over what it then makes there, and none over anything else; its user and group stay the same.
//! What it executes has none of them. It can be entered by a process of a single thread only, and never be left: so it is tried in a child
//! first, for on some machines it can be entered and is then good for nothing.

use crate::linux::error::KernelError;
use crate::linux::sys::process::clone_process;
use crate::linux::sys::{Exit, check, reap};
use crate::scenario::Errno;
use std::ffi::{CStr, CString};
use std::os::fd::AsFd;

const DOING: &str = "make a user namespace";

/// Moves the process into a user namespace of its own, unless it may make networks without. It must have but one thread.
///
/// # Errors
///
/// If the machine does not allow it. The process is then where it was before.
pub fn enter_user_namespace() -> Result<(), KernelError> {
    let words = Maps::here();
    if in_a_child(|| unshare(libc::CLONE_NEWNET)).is_ok() {
        return Ok(());
    }
    in_a_child(|| words.enter().and_then(|()| unshare(libc::CLONE_NEWNET)))
        .map_err(KernelError::call(DOING, "unshare"))?;
    words.enter().map_err(KernelError::call(DOING, "unshare"))
}

/// What is to be written about the users and groups in there. Made before the child is, which may not allocate.
pub(crate) struct Maps {
    users: CString,
    groups: CString,
}

impl Maps {
    pub(crate) fn here() -> Maps {
        let same = |id: u32| CString::new(format!("{id} {id} 1\n")).unwrap_or_default();
        // SAFETY: these two cannot fail, and touch nothing.
        let (user, group) = unsafe { (libc::geteuid(), libc::getegid()) };
        Maps { users: same(user), groups: same(group) }
    }

    /// System calls and nothing else.
    pub(crate) fn enter(&self) -> Result<(), Errno> {
        unshare(libc::CLONE_NEWUSER)?;
        // Without it the kernel takes no map of groups from who has no privilege.
        write(c"/proc/self/setgroups", c"deny")?;
        write(c"/proc/self/uid_map", &self.users)?;
        write(c"/proc/self/gid_map", &self.groups)
    }
}

pub(crate) fn unshare(what: i32) -> Result<(), Errno> {
    // SAFETY: it takes no pointer.
    check(unsafe { libc::unshare(what) }.into()).map(drop)
}

fn write(path: &CStr, text: &CStr) -> Result<(), Errno> {
    // SAFETY: the kernel reads the two strings, and the descriptor is closed by whom it was made for.
    unsafe {
        let fd = check(libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC).into())? as i32;
        let written = check(libc::write(fd, text.as_ptr().cast(), text.to_bytes().len()) as libc::c_long);
        libc::close(fd);
        written.map(drop)
    }
}

/// Tries something out in a child that does nothing else. `attempt` makes system calls and nothing else.
pub(crate) fn in_a_child(attempt: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
    // SAFETY: the child makes the system calls of `attempt`, and is gone.
    let child = unsafe { clone_process(0) }?;
    let Some((_, pidfd)) = child else {
        let code = attempt().map_or_else(Errno::raw, |()| 0);
        // SAFETY: it does not return.
        unsafe { libc::_exit(code) }
    };
    match reap(pidfd.as_fd())? {
        Exit::Code(0) => Ok(()),
        Exit::Code(errno) => Err(Errno::from_raw(errno)),
        Exit::Signal(_) => Err(Errno::EIO),
    }
}
