//! The command line: one file per command, and what the commands share.
//!
//! Commands write to standard output through one buffered writer, and return their exit code. An error that ends a
//! command is a [`Failure`], which is printed here or in [`Out::end`].

mod corpus;
mod doctor;
mod enumerate;
mod exit;
mod explain;
mod failure;
mod hunt;
mod input;
mod interrupt;
mod options;
mod out;
mod record;
mod replay;
mod run;
mod session;
mod store;
mod triage;
mod user;
mod worlds;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};
use exit::Exit;
use failure::Failure;
use out::Out;
use std::io;
use std::process::ExitCode;

/// Find the order of connects, FINs and RSTs that kills your server.
///
/// brokenpipe plays orders of what TCP clients can do against a server on the real kernel, one server call at a time and without a
/// sleep. A model of TCP's rules says what must happen. If something else happens, brokenpipe reports the shortest order that shows it.
#[derive(Debug, Parser)]
#[command(
    name = "brokenpipe",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    after_help = exit::HELP,
    after_long_help = format!("{EXAMPLES}\n\n{}", exit::HELP)
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// The examples of `--help`.
const EXAMPLES: &str = "\
Examples:
  brokenpipe hunt                                    find the order that kills the greeter
  brokenpipe hunt --protocol http -- ./server {port} the same for any server
  brokenpipe hunt --program echo --policy ignore     see whether anything goes wrong with this one
  brokenpipe run 'a connect; a fin; a rst'           play one scenario in both worlds
  brokenpipe replay tests/cases                      play the cases that were kept
  brokenpipe enumerate --events 4 --clients 2 | brokenpipe run --world model -";

#[derive(Debug, Subcommand)]
enum Command {
    Hunt(Box<hunt::Hunt>),
    Run(run::Run),
    Replay(replay::Replay),
    Explain(explain::Explain),
    Record(record::Record),
    Enumerate(enumerate::Enumerate),
    Triage(triage::Triage),
    Corpus(corpus::Corpus),
    Doctor(doctor::Doctor),
}

/// Runs the command line.
pub(crate) fn main() -> ExitCode {
    failure::set_style();
    ExitCode::from(match Cli::try_parse() {
        Ok(cli) => cli.run(),
        // Help and version are errors with exit code 0 too. clap prints them to standard output, and other errors to
        // standard error.
        Err(error) => match error.print() {
            Err(closed) if closed.kind() == io::ErrorKind::BrokenPipe => Exit::HELD,
            Err(failed) => Failure::Output(failed).show(),
            Ok(()) => {
                let is_hunt = std::env::args().nth(1).is_some_and(|command| command == "hunt");
                let is_word = |argument: &ContextValue| !argument.to_string().starts_with('-');
                let unknown = error.kind() == ErrorKind::UnknownArgument;
                if is_hunt && unknown && error.get(ContextKind::InvalidArg).is_some_and(is_word) {
                    failure::say("\nA server's command goes after `--`: brokenpipe hunt -- ./server --port {port}");
                }
                error.exit_code().try_into().unwrap_or(Exit::USAGE)
            }
        },
    })
}

impl Command {
    /// Whether this process itself plays on the kernel, and so needs a session of its own.
    fn plays(&self) -> bool {
        match self {
            Command::Hunt(command) => command.plays(),
            Command::Run(command) => command.plays(),
            Command::Explain(command) => command.plays(),
            Command::Replay(_) | Command::Triage(_) => true,
            // `doctor` only starts a server or two, which end at once.
            Command::Record(_) | Command::Enumerate(_) | Command::Corpus(_) | Command::Doctor(_) => false,
        }
    }
}

impl Cli {
    /// Runs the command. What it has written is flushed even if it fails.
    fn run(self) -> u8 {
        if self.command.plays() {
            match session::enter() {
                Ok(None) => {}
                Ok(Some(code)) => return code,
                Err(failure) => return failure.show(),
            }
        }
        let mut out = Out::new();
        let result = match self.command {
            Command::Hunt(command) => command.run(&mut out),
            Command::Run(command) => command.run(&mut out),
            Command::Replay(command) => command.run(&mut out),
            Command::Explain(command) => command.run(&mut out),
            Command::Record(command) => command.run(&mut out),
            Command::Enumerate(command) => command.run(&mut out),
            Command::Triage(command) => command.run(&mut out),
            Command::Corpus(command) => command.run(&mut out),
            Command::Doctor(command) => command.run(&mut out),
        };
        out.end(result)
    }
}
