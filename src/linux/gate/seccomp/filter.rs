//! The filter that hands the calls in [`CALLS`] to the harness.

use super::calls::CALLS;
use crate::linux::error::KernelError;

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
    use super::super::calls::call;
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
