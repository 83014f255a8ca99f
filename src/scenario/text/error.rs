//! What is wrong with a text, where, and what would be right.

use std::fmt;

/// Text that is no scenario, program, policy or case: where, what was wrong with it, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// Where in the text the faulty piece begins, in bytes from 0.
    pub offset: usize,
    /// How many bytes the faulty piece has; 0 where something is missing.
    pub len: usize,
    /// What was wrong.
    pub problem: String,
    /// What would be right there.
    pub expected: String,
    /// The known word that is nearest to the unknown one, if one is near.
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

    /// The same error, with the one of `known` that is nearest to `word`, if any is near.
    pub(crate) fn near(mut self, word: &str, known: impl IntoIterator<Item = &'static str>) -> ParseError {
        self.nearest = known
            .into_iter()
            .map(|k| (strsim::damerau_levenshtein(&word.to_lowercase(), &k.to_lowercase()), k))
            .filter(|(distance, k)| *distance <= 1 + k.len() / 4)
            .min()
            .map(|(_, k)| k);
        self
    }

    /// The same error for a piece of a larger text, `whole`, in which the piece begins at `offset`.
    pub(crate) fn within(self, whole: &str, offset: usize) -> ParseError {
        let nearest = self.nearest;
        ParseError { nearest, ..ParseError::at(whole, offset + self.offset, self.len, self.problem, &self.expected) }
    }
}
