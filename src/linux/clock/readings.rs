//! Answers the system calls that read a clock. Programs read the time by the vDSO; such a call comes from one that does not, or from the
//! vDSO itself where it cannot read the machine's clock. In that case the code in front of it adds the offset.

use super::server_clock::ServerClock;
use crate::linux::gate::seccomp::notify::Answer;
use crate::linux::sys::process::write_memory;
use crate::scenario::Errno;
use std::time::Duration;

/// The answer to a call of this name of process `pid`. `own`: it comes from the vDSO.
pub(crate) fn answer(clock: ServerClock, pid: i32, name: &str, arguments: &[u64; 6], own: bool) -> Answer {
    let clock = if own { ServerClock::default() } else { clock };
    let [first, second, ..] = *arguments;
    match name {
        "clock_gettime" => match clock.reading(first as libc::clockid_t) {
            Some(shown) => told(write_memory(pid, second, &pair(shown, shown.subsec_nanos()))),
            // The kernel knows what is wrong with the clock.
            None => Answer::Continue,
        },
        // The time zone is the kernel's.
        "gettimeofday" if first != 0 && second == 0 => match clock.reading(libc::CLOCK_REALTIME) {
            Some(shown) => told(write_memory(pid, first, &pair(shown, shown.subsec_micros()))),
            None => Answer::Continue,
        },
        "time" => match clock.reading(libc::CLOCK_REALTIME_COARSE) {
            Some(shown) if first == 0 => Answer::Value(shown.as_secs() as i64),
            Some(shown) => match told(write_memory(pid, first, &[shown.as_secs() as i64])) {
                Answer::Value(_) => Answer::Value(shown.as_secs() as i64),
                other => other,
            },
            None => Answer::Continue,
        },
        "sysinfo" => {
            // SAFETY: all zeros is a valid value of each field.
            let mut info: libc::sysinfo = unsafe { std::mem::zeroed() };
            // SAFETY: the kernel fills the struct.
            if unsafe { libc::sysinfo(&raw mut info) } < 0 {
                return Answer::Continue;
            }
            info.uptime += clock.ahead().as_secs() as libc::c_long;
            told(write_memory(pid, first, &[info]))
        }
        _ => Answer::Continue,
    }
}

fn told(written: Result<(), Errno>) -> Answer {
    written.map_or(Answer::Error(Errno::EFAULT), |()| Answer::Value(0))
}

fn pair(shown: Duration, rest: u32) -> [i64; 2] {
    [shown.as_secs() as i64, rest.into()]
}
