//! What sanitizers write when they find something.

/// How the first line of a report is known: LLVM's and GCC's sanitizers, and Rust's and glibc's own words for a crash.
const SIGNS: [&str; 5] =
    ["Sanitizer: ", ": runtime error: ", "*** stack smashing detected ***", "free(): ", "malloc(): "];

/// The first line of a report in this text, if there is one.
pub(super) fn report(output: &str) -> Option<&str> {
    output.lines().find(|line| SIGNS.iter().any(|sign| line.contains(sign))).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_known_by_its_first_line() {
        let text = "listening\n==17==ERROR: AddressSanitizer: heap-use-after-free on address 0x602\n    #0 0x4f\n";
        assert_eq!(report(text), Some("==17==ERROR: AddressSanitizer: heap-use-after-free on address 0x602"));
        assert_eq!(
            report("a.c:3:5: runtime error: signed integer overflow"),
            Some("a.c:3:5: runtime error: signed integer overflow")
        );
        assert_eq!(report("all is well"), None);
    }
}
