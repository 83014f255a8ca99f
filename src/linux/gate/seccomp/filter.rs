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
/// That of the lower half of the first argument. Both architectures are little-endian.
const FIRST_ARGUMENT: u32 = 16;
/// The highest of the clocks that all machines have (`linux/time.h`).
const LAST_CLOCK: u32 = libc::CLOCK_TAI as u32;

/// The filter, as classic BPF. A call of another architecture passes, a call in [`CALLS`] is handed over, any other call passes. The calls
/// that the server's clock alone needs are handed over if it `jumps`; of those that read a clock, only those of clocks that jump.
///
/// # Errors
///
/// [`KernelError::Architecture`] on an architecture that the gate does not know: the filter would let every call pass.
pub(crate) fn program(jumps: bool) -> Result<Vec<libc::sock_filter>, KernelError> {
    ARCH.map(|architecture| program_for(architecture, jumps)).ok_or(KernelError::Architecture)
}

fn program_for(architecture: u32, jumps: bool) -> Vec<libc::sock_filter> {
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let compare = |how: u32, k: u32, jt: u8, jf: u8| libc::sock_filter {
        code: (libc::BPF_JMP | how | libc::BPF_K) as u16,
        jt,
        jf,
        k,
    };
    let jump = |k: u32, jt: u8, jf: u8| compare(libc::BPF_JEQ, k, jt, jf);
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let give = libc::BPF_RET | libc::BPF_K;
    let (pass, hand_over) = (libc::SECCOMP_RET_ALLOW, libc::SECCOMP_RET_USER_NOTIF);
    let handed: Vec<_> = CALLS.iter().filter(|call| jumps || !call.2.is_for_the_clock()).collect();
    let count = handed.len() as u8;
    let mut program = vec![statement(load, ARCHITECTURE), jump(architecture, 0, count + 1), statement(load, NUMBER)];
    program.extend((0..count).zip(handed).map(|(i, (_, number, _))| {
        // Past the other calls and the first verdict, and for a clock past the second one too.
        let past = if *number == libc::SYS_clock_gettime { 1 } else { 0 };
        jump(*number as u32, count - i + past, 0)
    }));
    program.extend([statement(give, pass), statement(give, hand_over)]);
    // A negative clock, of the processor time of others, is above the last as an unsigned number. The words are those of `jumps` of
    // `linux/clock/server_clock.rs`.
    program.extend([
        statement(load, FIRST_ARGUMENT),
        compare(libc::BPF_JGT, LAST_CLOCK, 3, 0),
        jump(libc::CLOCK_PROCESS_CPUTIME_ID as u32, 2, 0),
        jump(libc::CLOCK_THREAD_CPUTIME_ID as u32, 1, 0),
        statement(give, hand_over),
        statement(give, pass),
    ]);
    program
}

#[cfg(test)]
mod tests {
    use super::super::calls::call;
    use super::*;

    /// An example architecture, independent of the machine's.
    const OWN: u32 = 0xc000_003e;

    /// Runs the program as the kernel would.
    fn verdict(arch: u32, number: u32, first: u32, jumps: bool) -> u32 {
        let (program, mut at, mut a) = (program_for(OWN, jumps), 0, 0);
        loop {
            let step = &program[at];
            at += 1;
            match u32::from(step.code) {
                code if code == libc::BPF_RET | libc::BPF_K => return step.k,
                code if code == libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K => {
                    at += usize::from(if a == step.k { step.jt } else { step.jf });
                }
                code if code == libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K => {
                    at += usize::from(if a > step.k { step.jt } else { step.jf });
                }
                _ => a = [number, arch, 0, 0, first][step.k as usize / 4],
            }
        }
    }

    #[test]
    fn the_calls_of_the_table_are_handed_over_and_no_others() {
        for number in 0..600u32 {
            for jumps in [false, true] {
                let known = call(number as i32).is_some_and(|(_, class)| jumps || !class.is_for_the_clock());
                let expected = if known { libc::SECCOMP_RET_USER_NOTIF } else { libc::SECCOMP_RET_ALLOW };
                assert_eq!(verdict(OWN, number, 0, jumps), expected, "{number}");
                assert_eq!(verdict(OWN ^ 1, number, 0, jumps), libc::SECCOMP_RET_ALLOW);
            }
        }
    }

    #[test]
    fn of_the_clocks_those_that_jump_are_handed_over() {
        for clock in (-8..20).filter(|clock| *clock != 10) {
            let handed = verdict(OWN, libc::SYS_clock_gettime as u32, clock as u32, true);
            assert_eq!(
                handed == libc::SECCOMP_RET_USER_NOTIF,
                crate::linux::clock::server_clock::jumps(clock),
                "{clock}"
            );
        }
    }

    #[test]
    fn there_is_a_filter_for_known_architectures_and_for_others_an_error() {
        let known = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"));
        assert_eq!(program(true).is_ok(), known);
        let error = KernelError::Architecture.to_string();
        assert!(error.contains(std::env::consts::ARCH) && error.contains("--no-gate"), "{error}");
    }
}
