//! Standard output.

use super::exit::Exit;
use super::failure::Failure;
use std::io::{self, BufWriter, StdoutLock, Write};

/// Standard output, with one buffer. [`Out::end`] flushes it. Commands flush earlier only where a reader may be waiting for a line.
#[derive(Debug)]
pub(super) struct Out {
    to: BufWriter<StdoutLock<'static>>,
    found: bool,
}

impl Out {
    pub(super) fn new() -> Out {
        Out { to: BufWriter::with_capacity(64 * 1024, io::stdout().lock()), found: false }
    }

    /// Records that a finding is about to be printed. The exit code then reports it even if the reader closes the pipe first.
    pub(super) fn found(&mut self) {
        self.found = true;
    }

    /// Flushes the buffer, and gives the exit code for the result of a command.
    ///
    /// Rust sets SIGPIPE to SIG_IGN before `main`, so a write to a pipe without a reader fails with EPIPE. Such an error is not printed,
    /// because it is the normal end of `brokenpipe … | head`: the command stops quietly, with the exit code for what it had found until
    /// then.
    pub(super) fn end(mut self, result: Result<u8, Failure>) -> u8 {
        let flushed = self.to.flush();
        // `into_parts` discards what could not be flushed. Dropping the buffer would try to write it again.
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
