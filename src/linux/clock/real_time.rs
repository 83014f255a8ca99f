//! Why the clock of a server does not jump.

use crate::scenario::Errno;

/// Why a server runs in real time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RealTime {
    #[error("it was not asked for")]
    NotAsked,
    #[error("its calls do not pass the gate")]
    NoGate,
    #[error("there is no code for the clocks of {}", std::env::consts::ARCH)]
    #[cfg_attr(target_arch = "x86_64", expect(dead_code, reason = "this architecture has the code"))]
    Architecture,
    #[error("ptrace(2) of one of its processes fails with {0} ({text})", text = .0.text())]
    NotTraced(Errno),
    #[error("one of its processes has no vDSO with the functions of the clock")]
    NoVdso,
    #[error("there is no room in the vDSO")]
    NoSlack,
    #[error("one of its programs is not one of 64 bits")]
    Bits,
    #[error("the memory of one of its processes may not be written: {0} ({text})", text = .0.text())]
    NotWritable(Errno),
    #[error("one of its processes has executed a program unseen")]
    NotSeen,
    #[error("this kernel does not count how often a thread is given a processor")]
    NoCounts,
    #[error("a timer descriptor of the server cannot be put forward: {0} ({text})", text = .0.text())]
    Descriptor(Errno),
}
