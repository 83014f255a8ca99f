//! Recognises reports of memory errors in a server's output: those of the sanitizers, of the C library and of Go's runtime.
//!
//! A server may log anything, so a line counts only if it is in the exact format of such a report:
//! - `==PID==ERROR: AddressSanitizer: …` and the like from the other sanitizers (compiler-rt's
//!   `sanitizer_common/sanitizer_report_decorator.h` and each tool's `*_report.cpp`), `WARNING: ThreadSanitizer: … (pid=PID)`,
//!   `FILE:LINE:COLUMN: runtime error: …` of UBSan;
//! - whole lines that glibc writes before it aborts (`malloc_printerr` in `malloc/malloc.c`, `__fortify_fail` in `debug/fortify_fail.c`);
//! - `panic: …` or `fatal error: …`, with a `goroutine N [running]:` after it (`runtime/panic.go`).

/// The writer of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reporter {
    /// A sanitizer, with the exit code by which it ends the process by default. It may also let the process go on.
    Sanitizer {
        /// The default of its option `exitcode`.
        code: i32,
    },
    /// The C library or Go's runtime, which end the process.
    Runtime,
}

/// A report that was found in a server's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Report<'o> {
    /// The first line of the report.
    pub(crate) line: &'o str,
    pub(crate) reporter: Reporter,
}

impl Reporter {
    /// Whether a process with this exit code was ended by the reporter, if that is a sanitizer.
    pub(crate) fn ends_with(self, code: i32) -> bool {
        self == Reporter::Sanitizer { code }
    }
}

/// The sanitizers that name themselves, each with its default exit code (`*_flags.inc` in compiler-rt).
const SANITIZERS: [(&str, i32); 6] = [
    ("AddressSanitizer", 1),
    ("HWAddressSanitizer", 99),
    ("LeakSanitizer", 23),
    ("MemorySanitizer", 77),
    ("ThreadSanitizer", 66),
    ("UndefinedBehaviorSanitizer", 1),
];

/// Whole lines of glibc. The first two are of the stack protector, the third is of `_FORTIFY_SOURCE`, and the others are of the allocator.
const GLIBC: [&str; 9] = [
    "*** stack smashing detected ***: terminated",
    "*** stack smashing detected ***: <unknown> terminated",
    "*** buffer overflow detected ***: terminated",
    "double free or corruption (out)",
    "double free or corruption (!prev)",
    "double free or corruption (fasttop)",
    "double free or corruption (top)",
    "corrupted double-linked list",
    "corrupted size vs. prev_size",
];

/// How a line of glibc's allocator begins: with the name of a function, and one of these complaints.
const ALLOCATOR: [&str; 7] = [
    "free(): ",
    "malloc(): ",
    "realloc(): ",
    "calloc(): ",
    "munmap_chunk(): ",
    "malloc_consolidate(): ",
    "_int_memalign(): ",
];
const COMPLAINTS: [&str; 7] = [
    "invalid ",
    "corrupted ",
    "unaligned ",
    "double free detected in tcache ",
    "memory corruption",
    "mismatching ",
    "unsorted ",
];

/// The first report in this text, if there is one.
pub(crate) fn report(output: &str) -> Option<Report<'_>> {
    let mut lines = output.lines().map(str::trim_end).peekable();
    while let Some(line) = lines.next() {
        let reporter = of_sanitizer(line).or_else(|| is_undefined_behaviour(line).then_some(UBSAN));
        let runtime = || is_glibc(line) || (is_go(line) && goroutine_follows(lines.clone()));
        if let Some(reporter) = reporter.or_else(|| runtime().then_some(Reporter::Runtime)) {
            return Some(Report { line, reporter });
        }
    }
    None
}

const UBSAN: Reporter = Reporter::Sanitizer { code: 1 };

/// `==17==ERROR: AddressSanitizer: …`, `==17==WARNING: MemorySanitizer: …`, `WARNING: ThreadSanitizer: … (pid=17)`.
fn of_sanitizer(line: &str) -> Option<Reporter> {
    let (text, numbered) = match line.strip_prefix("==").and_then(|rest| rest.split_once("==")) {
        Some((pid, text)) if is_number(pid) => (text, true),
        _ => (line, false),
    };
    let text = ["ERROR: ", "WARNING: ", "FATAL: "].iter().find_map(|level| text.strip_prefix(level))?;
    let (name, what) = text.split_once(": ")?;
    let (_, code) = SANITIZERS.into_iter().find(|(known, _)| *known == name)?;
    // ThreadSanitizer is the only one that may leave out the pid at the beginning. It then has the pid at the end.
    let named = name == "ThreadSanitizer" && what.rsplit_once(" (pid=").is_some_and(|(_, pid)| pid.ends_with(')'));
    (numbered || named).then_some(Reporter::Sanitizer { code })
}

/// `FILE:LINE:COLUMN: runtime error: …`.
fn is_undefined_behaviour(line: &str) -> bool {
    let Some((place, what)) = line.split_once(": runtime error: ") else { return false };
    let mut parts = place.rsplitn(3, ':');
    let (column, line, file) = (parts.next(), parts.next(), parts.next());
    column.is_some_and(is_number)
        && line.is_some_and(is_number)
        // A time of day has two colons as well. And a program that logs the error of another program puts words before it.
        && file.is_some_and(|file| is_source(file) && !file.contains(": "))
        && !what.is_empty()
}

/// Whether this is the name of a source file: it has an extension such as `.c` or `.hpp`.
fn is_source(file: &str) -> bool {
    const LONGEST: usize = 4;
    let ending = file.rsplit_once('.').map_or("", |(_, ending)| ending);
    ending.len() <= LONGEST
        && ending.starts_with(|first: char| first.is_ascii_alphabetic())
        && ending.chars().all(|c| c.is_ascii_alphanumeric() || c == '+')
}

fn is_glibc(line: &str) -> bool {
    let of_allocator = || {
        let complaint = ALLOCATOR.iter().find_map(|name| line.strip_prefix(name));
        complaint.is_some_and(|text| COMPLAINTS.iter().any(|begin| text.starts_with(begin)))
    };
    GLIBC.contains(&line) || line.starts_with("corrupted size vs. prev_size ") || of_allocator()
}

fn is_go(line: &str) -> bool {
    line.starts_with("panic: ") || line.starts_with("fatal error: ")
}

/// Whether the stack of a goroutine begins in one of the next lines. The value and the signal of a panic may come before it.
fn goroutine_follows<'o>(mut lines: impl Iterator<Item = &'o str>) -> bool {
    const BETWEEN: usize = 8;
    let is_stack = |line: &str| line.starts_with("goroutine ") && line.ends_with("]:");
    lines.by_ref().take(BETWEEN).any(is_stack)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Option<i32> {
        match report(text)?.reporter {
            Reporter::Sanitizer { code } => Some(code),
            Reporter::Runtime => None,
        }
    }

    #[test]
    fn a_report_is_known_by_its_first_line() {
        let text = "listening\n==17==ERROR: AddressSanitizer: heap-use-after-free on address 0x602\n    #0 0x4f\n";
        let found = report(text).expect("a report");
        assert_eq!(found.line, "==17==ERROR: AddressSanitizer: heap-use-after-free on address 0x602");
        assert!(found.reporter.ends_with(1) && !found.reporter.ends_with(66));
        assert_eq!(report("all is well"), None);
    }

    #[test]
    fn every_sanitizer_has_its_format_and_its_exit_code() {
        assert_eq!(code("==9==WARNING: MemorySanitizer: use-of-uninitialized-value"), Some(77));
        assert_eq!(code("WARNING: ThreadSanitizer: data race (pid=4711)"), Some(66));
        assert_eq!(code("==4711==ERROR: ThreadSanitizer: SEGV on unknown address"), Some(66));
        assert_eq!(code("==1==ERROR: LeakSanitizer: detected memory leaks"), Some(23));
        assert_eq!(code("==1==ERROR: HWAddressSanitizer: tag-mismatch on address 0x1"), Some(99));
        assert_eq!(code("/src/a b.c:3:5: runtime error: signed integer overflow"), Some(1));
        assert_eq!(code("==1==ERROR: UndefinedBehaviorSanitizer: SEGV on unknown address"), Some(1));
    }

    #[test]
    fn what_glibc_writes_before_it_aborts_is_a_whole_line() {
        for line in [
            "free(): invalid pointer",
            "free(): double free detected in tcache 2",
            "malloc(): corrupted top size",
            "malloc(): unaligned tcache chunk detected",
            "munmap_chunk(): invalid pointer",
            "double free or corruption (!prev)",
            "corrupted size vs. prev_size while consolidating",
            "*** stack smashing detected ***: terminated",
        ] {
            assert_eq!(report(line).map(|found| found.reporter), Some(Reporter::Runtime), "{line}");
            assert_eq!(report(&format!("12:00 {line}")), None, "{line}");
        }
    }

    #[test]
    fn a_panic_of_go_has_a_goroutine_below_it() {
        let panic =
            "panic: runtime error: index out of range [5] with length 3\n\ngoroutine 1 [running]:\nmain.main()\n";
        assert_eq!(
            report(panic).map(|found| found.line),
            Some("panic: runtime error: index out of range [5] with length 3")
        );
        assert_eq!(report("panic: runtime error: it was only logged\n"), None);
        assert_eq!(
            report("http: panic serving 127.0.0.1:1234: runtime error: index out of range\ngoroutine 5 [running]:\n"),
            None
        );
    }

    #[test]
    fn what_a_healthy_server_logs_is_no_report() {
        for line in [
            "pool_free(): ok",
            "free(): ok",
            "entry aborted: runtime error: x",
            "worker 3:4: runtime error: x",
            "upstream: a.c:3:5: runtime error: overflow",
            "10:20:30: runtime error: x",
            "[01/Jan/2026:10:20:30: runtime error: x",
            ": runtime error: ",
            "built with AddressSanitizer: yes",
            "ERROR: AddressSanitizer: is not available",
            "==x==ERROR: AddressSanitizer: heap-use-after-free",
            "WARNING: ThreadSanitizer: not built in",
            "client sent: ==17==ERROR: AddressSanitizer: heap-use-after-free on address 0x602",
            "got *** stack smashing detected ***: terminated",
        ] {
            assert_eq!(report(line), None, "{line}");
        }
    }
}
