//! Options that commands share, and how their values are read.

use super::failure::{BadText, Failure};
use brokenpipe::{MAX_CLIENTS, PRESETS, ParseError, Policy, Scenario, Setup};
use clap::builder::{PossibleValue, RangedU64ValueParser, StringValueParser, TypedValueParser};
use clap::{Arg, Args, Command};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::str::FromStr;

/// The server.
#[derive(Debug, Args)]
pub(super) struct Server {
    /// What the server does with each connection: ops joined by `;`, or a preset
    #[arg(long, short = 'p', value_name = "PROGRAM", help = program_help())]
    program: Option<String>,
    /// What the server does about SIGPIPE [default: default]
    #[arg(long, short = 'P', value_name = "POLICY", value_parser = Name(|| Policy::ALL.map(Policy::name).to_vec()))]
    policy: Option<String>,
}

impl Server {
    /// Whether one of the options was given.
    pub(super) const fn is_given(&self) -> bool {
        self.program.is_some() || self.policy.is_some()
    }

    /// The server that the options describe. What was not given is taken from `otherwise`. Fails if a value does not
    /// parse.
    pub(super) fn setup(&self, otherwise: Setup) -> Result<Setup, Failure> {
        Ok(Setup::new(
            self.program.as_deref().map_or(Ok(otherwise.program), |text| value("--program", text))?,
            self.policy.as_deref().map_or(Ok(otherwise.policy), |text| value("--policy", text))?,
        ))
    }
}

fn program_help() -> String {
    let mut help = "What the server does with each connection: ops (accept, send N, recv, recv-all, echo, \
                    recv-or-close, shutdown, close) joined by `;`, or one of these names [default: greeter]"
        .to_owned();
    for (name, text) in PRESETS {
        // Writing to a string does not fail.
        let _ = write!(help, "\n- {name}: {text}");
    }
    help
}

/// Parses a number of clients, 1 to [`MAX_CLIENTS`].
pub(super) fn clients() -> RangedU64ValueParser<u16> {
    RangedU64ValueParser::new().range(1..=MAX_CLIENTS as u64)
}

/// Parses the value of an option. The error shows the faulty place.
pub(super) fn value<T: FromStr<Err = ParseError>>(name: &str, text: &str) -> Result<T, Failure> {
    text.parse().map_err(|error| BadText::new(name, text, error).into())
}

/// Parses a scenario that was given as an argument.
pub(super) fn scenario(text: &str) -> Result<Scenario, Failure> {
    value("the scenario", text)
}

/// A parser that accepts every name, because the error of the later parser is better than clap's. It tells clap the
/// valid names for help and completion.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name(pub(super) fn() -> Vec<&'static str>);

impl TypedValueParser for Name {
    type Value = String;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<String, clap::Error> {
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new((self.0)().into_iter().map(PossibleValue::new)))
    }
}
