//! Makes text safe to print on a terminal.

/// Replaces each character that changes how a terminal shows text: control characters, which begin escape sequences, and bidirectional
/// formatting characters. The replacement has as many bytes as the character, so byte offsets into the text stay valid.
///
/// A server's output and text from files pass through this function before they are printed. The result is one line, because line ends are
/// control characters too.
///
/// ```
/// use brokenpipe::report::printable;
///
/// assert_eq!(printable("no \x1b[31mconfiguration\u{9b}0m"), "no ?[31mconfiguration¿0m");
/// ```
pub fn printable(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let replace = |c: char| match c.len_utf8() {
        1 if c.is_control() => '?',
        2 if c.is_control() => '¿',
        3 if turns(c) => '\u{fffd}',
        _ => c,
    };
    text.chars().map(replace).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_that_a_terminal_acts_on_and_no_byte_is_moved() {
        let text = "é\x1b]0;title\x07\r\n\t\u{85}\u{9b}31m\u{202e}gnp\u{2069}\u{7f}日本";
        let shown = printable(text);
        assert_eq!(shown, "é?]0;title????¿¿31m\u{fffd}gnp\u{fffd}?日本");
        assert_eq!(shown.len(), text.len());
        assert!(text.char_indices().map(|(i, _)| i).eq(shown.char_indices().map(|(i, _)| i)));
    }
}
