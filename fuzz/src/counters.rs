//! Keeps what the harness itself does out of the coverage.
//!
//! libFuzzer counts the branches of all that is linked, the kernel world's own code too: how often it polled, whether a look-up had to
//! be repeated, whether a wait was over before it began. That depends on the moment and not on the input, and each such novelty would be
//! one more input in the corpus. What the kernel did is told by the [`feedback`](crate::feedback) instead, from the trace, which is the
//! same each time. So the counters are put back to what they were before the kernel world was asked.

use std::io;

// The linker's names for the ends of the section of counters. As symbols in Rust they would be taken for the compiler's own, and the
// section would stay empty. Where nothing is instrumented there is no section, and both are null.
std::arch::global_asm!(
    ".pushsection .data.rel.ro.brokenpipe_counters, \"aw\", @progbits",
    ".weak __start___sancov_cntrs",
    ".weak __stop___sancov_cntrs",
    ".hidden brokenpipe_counters",
    ".globl brokenpipe_counters",
    ".p2align 3",
    "brokenpipe_counters:",
    ".quad __start___sancov_cntrs",
    ".quad __stop___sancov_cntrs",
    ".popsection",
);

#[allow(unsafe_code)]
// SAFETY: declared as it is defined above.
unsafe extern "C" {
    safe static brokenpipe_counters: [usize; 2];
}

/// libFuzzer's counters of branches.
#[derive(Debug, Default)]
pub struct Counters {
    kept: Vec<u8>,
}

impl Counters {
    /// What `harness` gives. The branches that it takes are not counted.
    pub fn without<T>(&mut self, harness: impl FnOnce() -> T) -> T {
        let [start, stop] = brokenpipe_counters;
        self.kept.resize(stop - start, 0);
        let kept = self.kept.as_mut_ptr().expose_provenance();
        let saved = copy(start, kept, self.kept.len());
        let result = harness();
        // Where the call is not allowed, the search is a little less to the point.
        let _ = saved.and_then(|()| copy(kept, start, self.kept.len()));
        result
    }
}

/// Copies memory of this process. By a system call: a sanitizer takes the counters for so many variables of a byte each, and a copy of
/// all of them for one that overruns.
#[allow(unsafe_code)]
fn copy(from: usize, to: usize, len: usize) -> io::Result<()> {
    let span = |start: usize| libc::iovec { iov_base: std::ptr::with_exposed_provenance_mut(start), iov_len: len };
    let (from, to) = (span(from), span(to));
    // SAFETY: both are memory of `len` bytes: the one the counters, which any code may write to at any time, the other the vector's.
    match unsafe { libc::process_vm_readv(libc::getpid(), &raw const to, 1, &raw const from, 1, 0) } {
        n if n == len as isize => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_harness_is_asked_where_nothing_is_counted_too() {
        assert_eq!(Counters::default().without(|| 3), 3);
    }

    #[test]
    fn memory_is_copied() {
        let (from, mut to) = ([1u8, 2, 3], [0u8; 3]);
        copy(from.as_ptr().expose_provenance(), to.as_mut_ptr().expose_provenance(), 3).unwrap();
        assert_eq!(to, from);
    }
}
