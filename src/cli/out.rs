//! Standard output.

use super::exit::Exit;
use super::failure::Failure;
use std::io::{self, BufWriter, StdoutLock, Write};

/// Standard output, in one buffer. Whoever writes to it leaves the flushing to [`Out::end`], unless somebody may be waiting for a line.
#[derive(Debug)]
pub(super) struct Out {
    to: BufWriter<StdoutLock<'static>>,
    found: bool,
}

impl Out {
    pub(super) fn new() -> Out {
        Out { to: BufWriter::with_capacity(64 * 1024, io::stdout().lock()), found: false }
    }

    /// Takes note of a finding that is about to be shown: whoever closes the pipe before it is written has it in the exit code.
    pub(super) fn found(&mut self) {
        self.found = true;
    }

    /// Writes out what is left, and gives the exit code for what a command came to.
    ///
    /// Rust ignores SIGPIPE in what it starts as `main`, so that writing into a pipe that nobody reads any more is an error like any
    /// other, and would be shown as one whenever somebody pipes us to `head`. Who closes the pipe has seen what they wanted to see: the
    /// command stops, quietly, with the exit code for what it had found by then.
    pub(super) fn end(mut self, result: Result<u8, Failure>) -> u8 {
        let flushed = self.to.flush();
        // What could not be flushed stays in the buffer; dropped, it would be tried once more.
        let _ = self.to.into_parts();
        let is_closed = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
        match (result, flushed) {
            (Err(Failure::Output(error)), _) if is_closed(&error) && self.found => Exit::FINDING,
            (Err(Failure::Output(error)), _) if is_closed(&error) => Exit::HELD,
            (Err(failure), _) => failure.show(),
            (Ok(_), Err(error)) if !is_closed(&error) => Failure::Output(error).show(),
            (Ok(code), _) => code,
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
