//! Removes parts of libFuzzer's own coverage that would outweigh the states of the server ([`feedback`](crate::feedback)).
//!
//! *The harness.* libFuzzer counts the branches of all linked code, so also those of the kernel world: how often it polled, whether a
//! look-up had to be repeated, whether a wait was over before it began. These depend on timing and not on the input, and each new branch
//! would add an input to the corpus. The kernel's behaviour is taken from the trace instead, which is the same each time.
//!
//! *How often.* For each branch libFuzzer distinguishes eight ranges of counts, and each new range counts as new coverage. In the model a
//! higher count mostly means that the scenario is longer, and such inputs would be most of the corpus.

use std::io;

// The linker's symbols for the start and the end of the section of counters. If they were declared in Rust, the compiler would take them
// for its own, and the section would stay empty. Without instrumentation there is no section, and both are null.
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
// SAFETY: the declaration matches the definition above.
unsafe extern "C" {
    safe static brokenpipe_counters: [usize; 2];
}

/// libFuzzer's counters of branches.
#[derive(Debug, Default)]
pub struct Counters {
    kept: Vec<u8>,
}

impl Counters {
    /// Calls `harness` and returns its result. The branches that it takes are not counted.
    pub fn without<T>(&mut self, harness: impl FnOnce() -> T) -> T {
        let saved = self.save();
        let result = harness();
        // If process_vm_readv is not allowed, the branches are counted, and the search is less efficient.
        let _ = saved.and_then(|()| self.restore());
        result
    }

    /// Reduces each counter to 1 if it is higher: whether a branch was taken is kept, how often is not.
    pub fn once(&mut self) {
        if self.save().is_ok() {
            self.kept.iter_mut().for_each(|counter| *counter = (*counter).min(1));
            let _ = self.restore();
        }
    }

    fn save(&mut self) -> io::Result<()> {
        let [start, stop] = brokenpipe_counters;
        self.kept.resize(stop - start, 0);
        copy(start, self.kept.as_mut_ptr().expose_provenance(), self.kept.len())
    }

    fn restore(&mut self) -> io::Result<()> {
        copy(self.kept.as_mut_ptr().expose_provenance(), brokenpipe_counters[0], self.kept.len())
    }
}

/// Copies memory of this process by a system call. A sanitizer regards each counter as a variable of one byte, and would report an
/// ordinary copy of all counters as an overrun.
#[allow(unsafe_code)]
fn copy(from: usize, to: usize, len: usize) -> io::Result<()> {
    let span = |start: usize| libc::iovec { iov_base: std::ptr::with_exposed_provenance_mut(start), iov_len: len };
    let (from, to) = (span(from), span(to));
    // SAFETY: both are memory of `len` bytes. One is the counters, which any code may write at any time; the other is the vector's.
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
