//! Checks whether this machine can play scenarios, by trying the system calls that this takes.

use super::error::errno;
use super::sys;
use super::{Kernel, KernelError, foreign, net::sock_diag::SockDiag};
use crate::linux::sys::fd_table;
use crate::scenario::Errno;
use socket2::{Domain, Socket, Type};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::AsFd;

/// A feature of the machine that brokenpipe needs or can make use of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Requirement {
    /// The name of the feature.
    pub name: &'static str,
    /// The purpose for which brokenpipe uses it.
    pub purpose: &'static str,
    /// Whether brokenpipe cannot work without it.
    pub needed: bool,
    /// The result of the check: `Ok` with a detail, or `Err` with the reason why the feature is missing.
    pub state: Result<String, String>,
    /// How to provide it if it is missing.
    pub remedy: &'static str,
}

/// Checks all requirements on this machine. Everything that is created for this is removed again.
pub(crate) fn requirements() -> Vec<Requirement> {
    let words = |e: Errno| format!("{e} ({})", e.text());
    vec![
        Requirement {
            name: "Linux 5.9 or later",
            purpose: "pidfds, pidfd_getfd and close_range, all in one kernel",
            needed: true,
            state: kernel_since((5, 9)),
            remedy: "run it on a newer kernel; a container uses its host's",
        },
        Requirement {
            name: "pidfd_getfd",
            purpose: "asks whether the parked call could finish",
            needed: true,
            state: own_descriptor().map(|()| "works".to_owned()).map_err(words),
            remedy: "a seccomp profile that allows pidfd_getfd; kernel.yama.ptrace_scope at most 1, or --cap-add SYS_PTRACE",
        },
        Requirement {
            name: "sock_diag",
            purpose: "shows the TCP state of every socket",
            needed: true,
            state: SockDiag::open().map(|_| "works".to_owned()).map_err(|e| e.to_string()),
            remedy: "a kernel with CONFIG_INET_DIAG; modprobe tcp_diag",
        },
        Requirement {
            name: "a gated server",
            purpose: "starts and ends one server, which needs all of the above",
            needed: true,
            state: Kernel::fresh()
                .and_then(|mut k| k.try_out())
                .map(|()| "works".to_owned())
                .map_err(|e| e.to_string()),
            remedy: "see what failed above",
        },
        Requirement {
            name: "TCP_MD5SIG",
            purpose: "cuts off a client that vanishes; without it a filter on the client's socket does that",
            needed: false,
            state: cut_off().map(|()| "works".to_owned()).map_err(words),
            remedy: "a kernel with CONFIG_TCP_MD5SIG",
        },
        Requirement {
            name: "SOCK_DESTROY",
            purpose: "removes sockets in TIME_WAIT during long runs; without it such runs pause now and then",
            needed: false,
            state: may_destroy().map_err(|e| e.to_string()).and_then(|can| match can {
                true => Ok("allowed".to_owned()),
                false => Err("not allowed".to_owned()),
            }),
            remedy: "CAP_NET_ADMIN, and a kernel with CONFIG_INET_DIAG_DESTROY",
        },
        Requirement {
            name: "Linux 5.16 or later",
            purpose: "a core dump of a server that a program describes ends that server alone; before, brokenpipe too, whose memory \
                      it shares, and whatever the limit for core files is",
            needed: false,
            state: kernel_since(ONE_DUMPED),
            remedy: "none is needed unless such a server crashes, which would be a fault of brokenpipe",
        },
        Requirement {
            name: "seccomp user notification",
            purpose: "releases the calls of any server one by one; without it `hold` stops its processes, as with `--no-gate`",
            needed: false,
            state: foreign::try_gate().map(|()| "works".to_owned()).map_err(|e| e.to_string()),
            remedy: "Linux 5.0 or later, and under a strict profile: --security-opt seccomp=unconfined",
        },
        Requirement {
            name: "virtual time",
            purpose: "lets the time for which any server waits pass at once; without it a timeout takes as long as it says, as with \
                      `--real-time`",
            needed: false,
            state: foreign::try_virtual_time().map(|()| "works".to_owned()),
            remedy: "x86-64; kernel.yama.ptrace_scope at most 1, or --cap-add SYS_PTRACE; proc_mem.force_override not `never`; a kernel with \
                     CONFIG_CHECKPOINT_RESTORE",
        },
        Requirement {
            name: "network namespace",
            purpose: "gives any server a network of its own; without it {port} is one of this machine's, as with `--no-netns`",
            needed: false,
            state: foreign::try_namespace(libc::CLONE_NEWNET).map_err(words),
            remedy: NAMESPACES,
        },
        Requirement {
            name: "pid namespace",
            purpose: "ends all processes of a server at once; without it they are searched for and ended one by one",
            needed: false,
            state: foreign::try_namespace(libc::CLONE_NEWPID).map_err(words),
            remedy: NAMESPACES,
        },
        Requirement {
            name: "PIDFD_GET_INFO",
            purpose: "tells how a child of any server ended after the server has reaped it; without it a child's signal can only be \
                      read while it is a zombie",
            needed: false,
            state: match foreign::try_exit_status() {
                Ok(true) => Ok("works".to_owned()),
                Ok(false) => Err("this kernel does not tell".to_owned()),
                Err(errno) => Err(words(errno)),
            },
            remedy: "Linux 6.15 or later",
        },
    ]
}

/// The remedy where namespaces are not permitted.
const NAMESPACES: &str = "run as root, or allow user namespaces: user.max_user_namespaces above 0, \
                          kernel.unprivileged_userns_clone=1 and kernel.apparmor_restrict_unprivileged_userns=0 where there are such";

/// Since this kernel version a core dump ends only one process ("signal/coredump: Limit coredumps to a single thread group"). In earlier
/// versions `zap_threads` of `fs/coredump.c` killed all processes that shared its memory, before the limit for core files was checked.
const ONE_DUMPED: (u32, u32) = (5, 16);

/// Whether a core dump of one process ends all processes that share its memory.
pub(super) fn core_dumps_spread() -> bool {
    kernel_since(ONE_DUMPED).is_err()
}

/// The release of the running kernel: `Ok` if it is of version `wanted` or later, else `Err`.
fn kernel_since(wanted: (u32, u32)) -> Result<String, String> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").map_err(|e| e.to_string())?;
    let release = release.trim().to_owned();
    if is_since(&release, wanted) { Ok(release) } else { Err(release) }
}

/// Whether a release is of version `wanted` or later.
fn is_since(release: &str, wanted: (u32, u32)) -> bool {
    version(release).is_some_and(|version| version >= wanted)
}

/// The first two numbers of a release such as `6.1.0-18-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse().ok());
    Some((numbers.next()?, numbers.next()?))
}

fn own_descriptor() -> Result<(), Errno> {
    let pidfd = sys::pidfd_open(nix::unistd::getpid().as_raw())?;
    let one = fd_table::fill().and_then(|()| sys::pidfd_getfd(pidfd.as_fd(), 0));
    // EBADF: standard input is closed. The check is that the call exists and is permitted, and EBADF shows this too.
    one.map(drop).or_else(|e| if e == Errno::EBADF { Ok(()) } else { Err(e) })
}

/// Tries TCP_MD5SIG on a socket that is not connected.
fn cut_off() -> Result<(), Errno> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).map_err(|e| errno(&e))?;
    sys::md5_sign(socket.as_fd(), SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1), true)
}

/// Whether SOCK_DESTROY is permitted: tries to destroy a connection that is made for this. The kernel checks the privilege only after it
/// has found the socket (`sock_diag_destroy`), so the socket must exist.
fn may_destroy() -> Result<bool, KernelError> {
    const DOING: &str = "make a connection to destroy";
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(KernelError::io(DOING, "bind"))?;
    let address = listener.local_addr().map_err(KernelError::io(DOING, "getsockname"))?;
    // The server-side socket stays in the accept queue: it need not be accepted.
    let client = TcpStream::connect(address).map_err(KernelError::io(DOING, "connect"))?;
    let own = client.local_addr().map_err(KernelError::io(DOING, "getsockname"))?;
    match (own, address) {
        (SocketAddr::V4(own), SocketAddr::V4(address)) => SockDiag::open()?.destroy_own((own, address)),
        _ => Err(KernelError::Garbled { what: "an address of the loopback" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(version("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(version("5.10.230"), Some((5, 10)));
        assert_eq!(version("4.4"), Some((4, 4)));
        assert_eq!(version("six"), None);
        assert!(["5.16-rc1", "5.16.0", "6.1.0-18-amd64"].iter().all(|release| is_since(release, ONE_DUMPED)));
        assert!(!["5.9.1", "5.15.179-generic", "six"].iter().any(|release| is_since(release, ONE_DUMPED)));
    }

    #[test]
    fn a_destroyed_connection_is_one_of_our_own() {
        // Without CAP_NET_ADMIN, SOCK_DESTROY must not be permitted.
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
        const NET_ADMIN: u64 = 1 << 12;
        let privileged = u64::from_str_radix(effective.trim(), 16).unwrap() & NET_ADMIN != 0;
        assert!(privileged || !may_destroy().unwrap());
    }
}
