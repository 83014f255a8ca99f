//! The exit codes.

/// The exit codes of the commands. Scripts rely on the numbers, so they never change.
pub(super) enum Exit {}

impl Exit {
    /// Everything held, or there was nothing to check.
    pub(super) const HELD: u8 = 0;
    /// A finding: `hunt` found a death or another failure, the worlds disagree, or a case is not as expected.
    pub(super) const FINDING: u8 = 1;
    /// Wrong usage, or input that cannot be read or does not parse. clap uses the same code for wrong usage.
    pub(super) const USAGE: u8 = 2;
    /// The kernel world does not work on this machine; or the output or a case file cannot be written; or a server did not start to listen,
    /// or did not answer a polite client.
    pub(super) const MACHINE: u8 = 3;
    /// Nothing ran: there was no scenario and no case to play.
    pub(super) const NOTHING_RAN: u8 = 4;
    /// Interrupted by Ctrl-C, SIGTERM or SIGHUP before it was done: 128 plus the number of SIGINT, as in shells.
    pub(super) const INTERRUPTED: u8 = 130;
}

/// The exit codes as `--help` shows them.
pub(super) const HELP: &str = "\
Exit codes:
  0    everything held
  1    a finding: hunt found a failure, the worlds disagree, or a case did not give its expected result
  2    wrong usage, or input that cannot be read or is invalid
  3    the kernel world does not work on this machine (see `brokenpipe doctor`), output cannot be written,
       or a server did not listen or did not answer a polite client
  4    nothing ran: there was no scenario or case to play
  130  interrupted

If the reader of a pipe closes it early, as `| head -1` does, the command ends without a message: with 1 if
there was a finding by then, else with 0.";
