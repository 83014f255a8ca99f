//! The interpreter of programs. Both worlds use it: the model and the forked server ask it for the server's next call.
//!
//! The interpreter is `Copy`, allocates nothing and cannot panic, because it also runs in a forked child of a process with other
//! threads.

use super::Op;
use crate::scenario::Call;

/// The call that a server wants to make next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Want {
    Accept,
    /// A send of this many bytes.
    Send(u32),
    Recv,
    Shutdown,
    Close,
}

impl Want {
    pub(crate) const fn call(self) -> Call {
        match self {
            Want::Accept => Call::Accept,
            Want::Send(_) => Call::Send,
            Want::Recv => Call::Recv,
            Want::Shutdown => Call::Shutdown,
            Want::Close => Call::Close,
        }
    }
}

/// A server's position in its program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Machine {
    /// Index of the current op.
    at: u8,
    /// Bytes that `echo` has received and not sent back.
    owed: u32,
}

impl Machine {
    /// The server's next call. `ops` must be the same at every call.
    pub(crate) fn want(self, ops: &[Op]) -> Want {
        match ops.get(usize::from(self.at)) {
            Some(Op::Accept) => Want::Accept,
            Some(Op::Send(n)) => Want::Send(u32::from(*n)),
            Some(Op::Echo) if self.owed > 0 => Want::Send(self.owed),
            Some(Op::Recv | Op::RecvAll | Op::RecvOrClose | Op::Echo) => Want::Recv,
            Some(Op::Shutdown) => Want::Shutdown,
            Some(Op::Close) | None => Want::Close,
        }
    }

    /// Advances after the call has returned. `result` is the number of bytes, or `None` after an error.
    pub(crate) fn done(&mut self, ops: &[Op], result: Option<u32>) {
        let got = result.unwrap_or(0);
        let stay = match ops.get(usize::from(self.at)) {
            Some(Op::Accept) => result.is_none(),
            Some(Op::RecvAll) => got > 0,
            Some(Op::Echo) if self.owed > 0 => {
                self.owed = 0;
                result.is_some()
            }
            Some(Op::Echo) => {
                self.owed = got;
                got > 0
            }
            Some(Op::RecvOrClose) if got == 0 => {
                self.at = ops.len().saturating_sub(1) as u8;
                true
            }
            Some(Op::Close) | None => {
                self.at = 0;
                true
            }
            _ => false,
        };
        if !stay {
            self.at = self.at.saturating_add(1);
        }
    }

    /// Whether the server is at `accept`, with no connection to finish.
    pub(crate) const fn at_accept(self) -> bool {
        self.at == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::Program;

    /// The calls that a program makes when they return `results`, one after the other.
    fn calls(program: &str, results: &[Option<u32>]) -> String {
        let program: Program = program.parse().unwrap();
        let mut machine = Machine::default();
        let mut calls = Vec::new();
        for result in results {
            calls.push(match machine.want(program.ops()) {
                Want::Send(n) => format!("send {n}"),
                want => want.call().to_string(),
            });
            machine.done(program.ops(), *result);
        }
        calls.join(" ")
    }

    #[test]
    fn accept_asks_again_after_an_error() {
        assert_eq!(calls("greeter", &[None, None, Some(0), Some(26)]), "accept accept accept send 26");
    }

    #[test]
    fn recv_all_ends_at_eof_and_at_an_error() {
        assert_eq!(
            calls("farewell", &[Some(0), Some(5), Some(3), Some(0), None, Some(0)]),
            "accept recv recv recv send 26 close"
        );
        assert_eq!(calls("farewell", &[Some(0), None, Some(26), Some(0), None]), "accept recv send 26 close accept");
    }

    #[test]
    fn echo_sends_back_what_came_and_ends_when_either_fails() {
        assert_eq!(
            calls("echo", &[Some(0), Some(5), Some(5), Some(2), None, Some(0)]),
            "accept recv send 5 recv send 2 close"
        );
        assert_eq!(calls("echo", &[Some(0), Some(0), Some(0), None]), "accept recv close accept");
    }

    #[test]
    fn recv_or_close_skips_the_sends_at_eof() {
        assert_eq!(calls("late-greeter", &[Some(0), Some(0), Some(0), None]), "accept recv close accept");
        assert_eq!(
            calls("late-greeter", &[Some(0), Some(1), None, Some(26), Some(0)]),
            "accept recv send 26 send 26 close"
        );
    }
}
