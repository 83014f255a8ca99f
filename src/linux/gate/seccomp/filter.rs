//! Which of a server's calls the filter hands to the harness: those that can block, use sockets, make or end tasks, send signals or set
//! timers, and those that make descriptors of which the gate has to know.

use crate::linux::error::KernelError;

/// How the gate treats a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Takes data from the socket in this argument, and may block until there is some.
    In(usize),
    /// Gives data to the socket in this argument, and may block until there is room.
    Out(usize),
    /// Takes a connection from the listener in the first argument.
    Accept,
    /// Acts on the socket in this argument. The gate assumes that such a call never blocks.
    Now(usize),
    /// `poll`, `ppoll`.
    Poll,
    /// `select`, `pselect6`.
    Select,
    /// `epoll_wait` and its like.
    Epoll,
    /// Makes a task. The gate does not hold the call back, but there may be more tasks to watch afterwards.
    Tasks,
    /// Sets up an io_uring, whose operations the gate cannot see.
    Ring,
    /// Ends the process, which may raise SIGCHLD in another process.
    Exit,
    /// Sends a signal.
    Signal,
    /// Arms, disarms or reads a timer that raises a signal.
    Timer,
    /// Makes a descriptor that becomes readable when a timer expires (`timerfd_create(2)`).
    TimerDescriptor,
    /// Makes a descriptor that becomes readable when a process accesses or changes a file (`inotify(7)`, `fanotify(7)`).
    FileWatch,
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

    /// Whether the call moves data from or to a socket.
    pub(crate) const fn moves(self) -> bool {
        self.reads() || self.sends()
    }
}

/// Every call that the filter hands over: its name, its number, its class.
pub(crate) const CALLS: &[(&str, libc::c_long, Class)] = &[
    ("accept", libc::SYS_accept, Class::Accept),
    ("accept4", libc::SYS_accept4, Class::Accept),
    ("connect", libc::SYS_connect, Class::Now(0)),
    ("read", libc::SYS_read, Class::In(0)),
    ("readv", libc::SYS_readv, Class::In(0)),
    ("recv", libc::SYS_recvfrom, Class::In(0)),
    ("recvmsg", libc::SYS_recvmsg, Class::In(0)),
    ("recvmmsg", libc::SYS_recvmmsg, Class::In(0)),
    ("write", libc::SYS_write, Class::Out(0)),
    ("writev", libc::SYS_writev, Class::Out(0)),
    ("send", libc::SYS_sendto, Class::Out(0)),
    ("sendmsg", libc::SYS_sendmsg, Class::Out(0)),
    ("sendmmsg", libc::SYS_sendmmsg, Class::Out(0)),
    ("sendfile", libc::SYS_sendfile, Class::Out(0)),
    ("splice", libc::SYS_splice, Class::Out(2)),
    ("close", libc::SYS_close, Class::Now(0)),
    ("shutdown", libc::SYS_shutdown, Class::Now(0)),
    #[cfg(target_arch = "x86_64")]
    ("poll", libc::SYS_poll, Class::Poll),
    ("ppoll", libc::SYS_ppoll, Class::Poll),
    #[cfg(target_arch = "x86_64")]
    ("select", libc::SYS_select, Class::Select),
    ("pselect6", libc::SYS_pselect6, Class::Select),
    #[cfg(target_arch = "x86_64")]
    ("epoll_wait", libc::SYS_epoll_wait, Class::Epoll),
    ("epoll_pwait", libc::SYS_epoll_pwait, Class::Epoll),
    ("epoll_pwait2", libc::SYS_epoll_pwait2, Class::Epoll),
    ("clone", libc::SYS_clone, Class::Tasks),
    ("clone3", libc::SYS_clone3, Class::Tasks),
    #[cfg(target_arch = "x86_64")]
    ("fork", libc::SYS_fork, Class::Tasks),
    #[cfg(target_arch = "x86_64")]
    ("vfork", libc::SYS_vfork, Class::Tasks),
    ("io_uring_setup", libc::SYS_io_uring_setup, Class::Ring),
    ("exit_group", libc::SYS_exit_group, Class::Exit),
    ("kill", libc::SYS_kill, Class::Signal),
    ("tkill", libc::SYS_tkill, Class::Signal),
    ("tgkill", libc::SYS_tgkill, Class::Signal),
    ("rt_sigqueueinfo", libc::SYS_rt_sigqueueinfo, Class::Signal),
    ("rt_tgsigqueueinfo", libc::SYS_rt_tgsigqueueinfo, Class::Signal),
    ("pidfd_send_signal", libc::SYS_pidfd_send_signal, Class::Signal),
    #[cfg(target_arch = "x86_64")]
    ("alarm", libc::SYS_alarm, Class::Timer),
    ("setitimer", libc::SYS_setitimer, Class::Timer),
    ("getitimer", libc::SYS_getitimer, Class::Timer),
    ("timer_settime", libc::SYS_timer_settime, Class::Timer),
    ("timerfd_create", libc::SYS_timerfd_create, Class::TimerDescriptor),
    #[cfg(target_arch = "x86_64")]
    ("inotify_init", libc::SYS_inotify_init, Class::FileWatch),
    ("inotify_init1", libc::SYS_inotify_init1, Class::FileWatch),
    ("fanotify_init", libc::SYS_fanotify_init, Class::FileWatch),
];

/// The name and class of a call that was handed over.
pub(crate) fn call(number: i32) -> Option<(&'static str, Class)> {
    CALLS.iter().find(|c| c.1 == libc::c_long::from(number)).map(|c| (c.0, c.2))
}

/// `AUDIT_ARCH_*` of the machine's own calls; `None` on an architecture on which the gate has never been tried.
const ARCH: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(0xc000_003e)
} else if cfg!(target_arch = "aarch64") {
    Some(0xc000_00b7)
} else {
    None
};

/// The offsets of the call's number and architecture in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

/// The filter, as classic BPF. A call of another architecture passes, a call in [`CALLS`] is handed over, any other call passes.
///
/// # Errors
///
/// [`KernelError::Architecture`] on an architecture that the gate does not know: the filter would let every call pass.
pub(crate) fn program() -> Result<Vec<libc::sock_filter>, KernelError> {
    ARCH.map(program_for).ok_or(KernelError::Architecture)
}

fn program_for(architecture: u32) -> Vec<libc::sock_filter> {
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let jump = |k: u32, jt: u8, jf: u8| libc::sock_filter {
        code: (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16,
        jt,
        jf,
        k,
    };
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let give = libc::BPF_RET | libc::BPF_K;
    let count = CALLS.len() as u8;
    let mut program = vec![statement(load, ARCHITECTURE), jump(architecture, 0, count + 1), statement(load, NUMBER)];
    program.extend((0..count).zip(CALLS).map(|(i, (_, number, _))| jump(*number as u32, count - i, 0)));
    program.extend([statement(give, libc::SECCOMP_RET_ALLOW), statement(give, libc::SECCOMP_RET_USER_NOTIF)]);
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An example architecture, independent of the machine's.
    const OWN: u32 = 0xc000_003e;

    /// Runs the program as the kernel would.
    fn verdict(arch: u32, number: u32) -> u32 {
        let (program, mut at, mut a) = (program_for(OWN), 0, 0);
        loop {
            let step = &program[at];
            at += 1;
            match u32::from(step.code) {
                code if code == libc::BPF_RET | libc::BPF_K => return step.k,
                code if code == libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K => {
                    at += usize::from(if a == step.k { step.jt } else { step.jf });
                }
                _ => a = if step.k == NUMBER { number } else { arch },
            }
        }
    }

    #[test]
    fn the_calls_of_the_table_are_handed_over_and_no_others() {
        for number in 0..600u32 {
            let known = call(number as i32).is_some();
            let expected = if known { libc::SECCOMP_RET_USER_NOTIF } else { libc::SECCOMP_RET_ALLOW };
            assert_eq!(verdict(OWN, number), expected, "{number}");
            assert_eq!(verdict(OWN ^ 1, number), libc::SECCOMP_RET_ALLOW);
        }
    }

    #[test]
    fn there_is_a_filter_for_known_architectures_and_for_others_an_error() {
        let known = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));
        assert_eq!(program().is_ok(), known);
        let error = KernelError::Architecture.to_string();
        assert!(error.contains(std::env::consts::ARCH) && error.contains("--no-gate"), "{error}");
    }
}
