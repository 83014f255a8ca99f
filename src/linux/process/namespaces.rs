//! A network namespace for a worker and the servers that it starts.
//!
//! A socket belongs to the network namespace that its thread was in when it made the socket. So only the worker's thread moves into a new
//! namespace. The clients that it connects and the servers that it starts are in that namespace too, and the other threads of the process
//! are not affected.

use crate::linux::error::KernelError;
use crate::linux::sys::process as sys;
use crate::linux::sys::{check, last_error};
use crate::scenario::Errno;
use nix::sched::{CloneFlags, unshare};
use socket2::{Domain, Socket, Type};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsRawFd;

const DOING: &str = "make a network namespace";
/// The second address. It is from a block for documentation (RFC 5737), so that it is no real host's. `getaddrinfo(3)` with AI_ADDRCONFIG
/// leaves out an address family if the host has only the loopback address in it. With no second address, servers that pass that flag would
/// find no address at all.
const SECOND: [u8; 4] = [192, 0, 2, 1];

/// Moves the calling thread into a network namespace of its own, with a loopback and a second address. False if that is not allowed.
pub(crate) fn enter() -> Result<bool, KernelError> {
    match unshare(CloneFlags::CLONE_NEWNET) {
        Ok(()) => {}
        Err(nix::errno::Errno::EPERM | nix::errno::Errno::ENOSYS | nix::errno::Errno::EINVAL) => return Ok(false),
        Err(errno) => return Err(KernelError::call(DOING, "unshare")(Errno::from_raw(errno as i32))),
    }
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).map_err(KernelError::io(DOING, "socket"))?;
    up(&socket).map_err(KernelError::call(DOING, "ioctl SIOCSIFFLAGS"))?;
    add(&socket).map_err(KernelError::call(DOING, "ioctl SIOCSIFADDR"))?;
    // All connections here come from one address, and each leaves a port in TIME_WAIT, so more ports are needed.
    let _ = std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", "1024 65535");
    // TCP then acknowledges at once rather than after 40 ms, so that data which the peer holds back until an acknowledgement comes does not
    // depend on timing. On a kernel without this setting everything works too, but is sometimes slower.
    let _ = std::fs::write("/proc/sys/net/ipv4/tcp_pingpong_thresh", "255");
    Ok(true)
}

fn request(name: &[u8]) -> libc::ifreq {
    // SAFETY: all zeros is a valid ifreq.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name) {
        *to = *from as libc::c_char;
    }
    request
}

fn up(socket: &Socket) -> Result<(), Errno> {
    let mut request = request(b"lo");
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    // SAFETY: the kernel reads the ifreq it is given.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) }.into()).map(drop)
}

/// Gives the loopback a second address, under the name of an alias.
fn add(socket: &Socket) -> Result<(), Errno> {
    let mut request = request(b"lo:1");
    // SAFETY: all zeros is a valid address, and a sockaddr has the size of a sockaddr_in.
    unsafe {
        let address = (&raw mut request.ifr_ifru.ifru_addr).cast::<libc::sockaddr_in>();
        (*address).sin_family = libc::AF_INET as u16;
        (*address).sin_addr.s_addr = u32::from_ne_bytes(SECOND);
        check(libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFADDR, &raw const request).into()).map(drop)
    }
}

/// A port that no socket in the calling thread's namespace uses right now, connections in TIME_WAIT included.
pub(crate) fn free_port() -> Result<u16, KernelError> {
    const DOING: &str = "find a free port";
    // Without SO_REUSEADDR, which the standard library's listeners set, because the server may not set it either.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).map_err(KernelError::io(DOING, "socket"))?;
    let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
    socket.bind(&any.into()).map_err(KernelError::io(DOING, "bind"))?;
    let address = socket.local_addr().map_err(KernelError::io(DOING, "getsockname"))?;
    address.as_socket_ipv4().map(|address| address.port()).ok_or(KernelError::Garbled { what: "a socket's address" })
}

/// Whether this process may start a process in a new pid namespace, found out by starting one.
pub(crate) fn may_have_pid_namespace() -> bool {
    // SAFETY: the child makes one system call.
    let child = unsafe { sys::clone_process(libc::CLONE_NEWPID) };
    match child {
        // SAFETY: the child exits at once and touches nothing of the parent's.
        Ok(None) => unsafe { libc::_exit(0) },
        Ok(Some((_, pidfd))) => crate::linux::sys::reap(std::os::fd::AsFd::as_fd(&pidfd)).is_ok(),
        Err(_) => {
            let _ = last_error();
            false
        }
    }
}
