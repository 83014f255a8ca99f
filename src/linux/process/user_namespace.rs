//! A user namespace: with it a process without privileges gets a network namespace and a pid namespace of its own.
//!
//! In its user namespace the process has every capability over the namespaces that it makes there, and none over anything else. Its user
//! and group stay the same, and programs that it executes have no capabilities. Only a process of a single thread can enter a user
//! namespace, and it can never leave again. So this is tried in a child process first: on some machines a user namespace can be entered,
//! but gives no capabilities that help.

use crate::linux::error::KernelError;
use crate::linux::sys::process::clone_process;
use crate::linux::sys::{Exit, check, reap};
use crate::scenario::Errno;
use std::ffi::{CStr, CString};
use std::os::fd::AsFd;

const DOING: &str = "make a user namespace";

/// Moves the process into a user namespace of its own, unless it may make network namespaces without one. The process must have only one
/// thread.
///
/// # Errors
///
/// If the machine does not allow it. The process then stays in the user namespace that it was in.
pub fn enter_user_namespace() -> Result<(), KernelError> {
    let words = Maps::here();
    if in_a_child(|| unshare(libc::CLONE_NEWNET)).is_ok() {
        return Ok(());
    }
    in_a_child(|| words.enter().and_then(|()| unshare(libc::CLONE_NEWNET)))
        .map_err(KernelError::call(DOING, "unshare"))?;
    words.enter().map_err(KernelError::call(DOING, "unshare"))
}

/// The user and group maps of the new namespace. They are made before the child process is, because the child may not allocate.
pub(crate) struct Maps {
    users: CString,
    groups: CString,
}

impl Maps {
    pub(crate) fn here() -> Maps {
        let same = |id: u32| CString::new(format!("{id} {id} 1\n")).unwrap_or_default();
        // SAFETY: these two calls cannot fail, and take no pointer.
        let (user, group) = unsafe { (libc::geteuid(), libc::getegid()) };
        Maps { users: same(user), groups: same(group) }
    }

    /// Enters a new user namespace and writes the maps. It makes only system calls, so that a child process may call it.
    pub(crate) fn enter(&self) -> Result<(), Errno> {
        unshare(libc::CLONE_NEWUSER)?;
        // Without this the kernel accepts no group map from a process without privileges (user_namespaces(7)).
        write(c"/proc/self/setgroups", c"deny")?;
        write(c"/proc/self/uid_map", &self.users)?;
        write(c"/proc/self/gid_map", &self.groups)
    }
}

pub(crate) fn unshare(what: i32) -> Result<(), Errno> {
    // SAFETY: the call takes no pointer.
    check(unsafe { libc::unshare(what) }.into()).map(drop)
}

fn write(path: &CStr, text: &CStr) -> Result<(), Errno> {
    // SAFETY: the kernel reads the two strings, and the descriptor is closed here, where it was opened.
    unsafe {
        let fd = check(libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC).into())? as i32;
        let written = check(libc::write(fd, text.as_ptr().cast(), text.to_bytes().len()) as libc::c_long);
        libc::close(fd);
        written.map(drop)
    }
}

/// Tries `attempt` in a child process that does nothing else. `attempt` may make only system calls.
pub(crate) fn in_a_child(attempt: impl FnOnce() -> Result<(), Errno>) -> Result<(), Errno> {
    // SAFETY: the child makes the system calls of `attempt`, and exits.
    let child = unsafe { clone_process(0) }?;
    let Some((_, pidfd)) = child else {
        let code = attempt().map_or_else(Errno::raw, |()| 0);
        // SAFETY: `_exit` does not return.
        unsafe { libc::_exit(code) }
    };
    match reap(pidfd.as_fd())? {
        Exit::Code(0) => Ok(()),
        Exit::Code(errno) => Err(Errno::from_raw(errno)),
        Exit::Signal(_) => Err(Errno::EIO),
    }
}
