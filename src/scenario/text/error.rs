//! Parse errors: what is wrong with a text, where, and what would be right.

use std::fmt;

/// A parse error: the text is not a valid scenario, program, policy or case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// Where the faulty piece begins, in bytes from the start of the text.
    pub offset: usize,
    /// The length of the faulty piece in bytes; 0 if something is missing.
    pub len: usize,
    /// What was wrong.
    pub problem: String,
    /// What would be right there.
    pub expected: String,
    /// The known word that is most similar to the unknown word, if one is similar enough.
    pub nearest: Option<&'static str>,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}; expected {}", self.line, self.column, self.problem, self.expected)?;
        match self.nearest {
            Some(word) => write!(f, "; did you mean `{word}`?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ParseError {}

impl ParseError {
    /// An error about `len` bytes at `offset` of `text`.
    pub(crate) fn at(text: &str, offset: usize, len: usize, problem: String, expected: &str) -> ParseError {
        let before = &text[..offset];
        let start = before.rfind('\n').map_or(0, |n| n + 1);
        ParseError {
            line: before.matches('\n').count() + 1,
            column: before[start..].chars().count() + 1,
            offset,
            len,
            problem,
            expected: expected.to_owned(),
            nearest: None,
        }
    }

    /// The same error with the word of `known` that is most similar to `word`, if one is similar enough.
    pub(crate) fn near(mut self, word: &str, known: impl IntoIterator<Item = &'static str>) -> ParseError {
        self.nearest = known
            .into_iter()
            .map(|k| (strsim::damerau_levenshtein(&word.to_lowercase(), &k.to_lowercase()), k))
            .filter(|(distance, k)| *distance <= 1 + k.len() / 4)
            .min()
            .map(|(_, k)| k);
        self
    }

    /// The same error with its position in `whole`: the parsed text is the piece of `whole` that begins at `offset`.
    pub(crate) fn within(self, whole: &str, offset: usize) -> ParseError {
        let nearest = self.nearest;
        ParseError { nearest, ..ParseError::at(whole, offset + self.offset, self.len, self.problem, &self.expected) }
    }
}
