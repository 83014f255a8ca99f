//! Scenarios on standard input, one per line.

use super::failure::{BadText, Failure};
use super::interrupt::Interrupt;
use brokenpipe::{ParseError, Scenario};
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::fd::AsFd;

/// Longest line, in bytes. The limit bounds the memory that input without line ends can use.
const MAX_LINE: usize = 64 << 20;

/// The name of this input in error messages.
const NAME: &str = "standard input";

/// Reads scenarios as they come.
#[derive(Debug)]
pub(super) struct Scenarios<'i> {
    interrupt: &'i Interrupt,
    input: BufReader<File>,
    line: Vec<u8>,
    number: usize,
}

/// What was read.
pub(super) enum Input {
    /// A scenario.
    Scenario(Scenario),
    /// The end of the input.
    End,
    /// Ctrl-C.
    Interrupted,
}

impl<'i> Scenarios<'i> {
    /// Reads from standard input until its end or an interruption.
    pub(super) fn new(interrupt: &'i Interrupt) -> Result<Scenarios<'i>, Failure> {
        // A duplicate of the descriptor, with only one buffer: what is not in that buffer is still in the kernel, where
        // `poll` sees it.
        let stdin = io::stdin().as_fd().try_clone_to_owned().map_err(unreadable)?;
        let input = BufReader::with_capacity(64 * 1024, File::from(stdin));
        Ok(Scenarios { interrupt, input, line: Vec::new(), number: 0 })
    }

    /// The number of the line that was read last, from 1.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// The next scenario. Empty lines and lines with only a comment are skipped. `idle` is called before each wait for
    /// more input. It flushes the output, so that a program at the other end has the answers to all that it has sent.
    pub(super) fn next(&mut self, mut idle: impl FnMut() -> io::Result<()>) -> Result<Input, Failure> {
        loop {
            if self.interrupt.asked() {
                return Ok(Input::Interrupted);
            }
            match self.read_line(&mut idle)? {
                None => return Ok(Input::Interrupted),
                Some(false) => return Ok(Input::End),
                Some(true) => {}
            }
            let text = std::str::from_utf8(&self.line).map_err(|e| self.not_utf8(e))?;
            if text.trim_start().starts_with('#') || text.trim().is_empty() {
                continue;
            }
            return match text.parse() {
                Ok(scenario) => Ok(Input::Scenario(scenario)),
                Err(error) => Err(BadText::new(NAME, text, ParseError { line: self.number, ..error }).into()),
            };
        }
    }

    /// Reads a line without its line end. Gives false at the end of the input, and `None` after an interruption.
    fn read_line(&mut self, idle: &mut impl FnMut() -> io::Result<()>) -> Result<Option<bool>, Failure> {
        self.line.clear();
        self.number += 1;
        loop {
            if self.input.buffer().is_empty() {
                idle()?;
                if !self.interrupt.wait_for(self.input.get_ref()).map_err(unreadable)? {
                    return Ok(None);
                }
                if self.input.fill_buf().map_err(unreadable)?.is_empty() {
                    return Ok(Some(!self.line.is_empty()));
                }
            }
            let buffer = self.input.buffer();
            let end = buffer.iter().position(|byte| *byte == b'\n');
            self.line.extend_from_slice(&buffer[..end.unwrap_or(buffer.len())]);
            let used = end.map_or(buffer.len(), |end| end + 1);
            self.input.consume(used);
            if end.is_some() {
                return Ok(Some(true));
            }
            if self.line.len() > MAX_LINE {
                let problem = format!("line {} of {NAME} is longer than {} MiB", self.number, MAX_LINE >> 20);
                return Err(Failure::Usage(problem));
            }
        }
    }

    fn not_utf8(&self, error: std::str::Utf8Error) -> Failure {
        let good = String::from_utf8_lossy(&self.line[..error.valid_up_to()]);
        let error = ParseError {
            line: self.number,
            column: good.chars().count() + 1,
            offset: good.len(),
            len: '\u{FFFD}'.len_utf8(),
            problem: "this is no UTF-8".to_owned(),
            expected: "text; other bytes of a payload are written as in \"\\xff\"".to_owned(),
            nearest: None,
        };
        BadText::new(NAME, &String::from_utf8_lossy(&self.line), error).into()
    }
}

fn unreadable(source: io::Error) -> Failure {
    Failure::Read { what: NAME.to_owned(), source }
}
