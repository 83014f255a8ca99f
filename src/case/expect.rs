//! The expected result of a case, and its text form.

use crate::detect::Kind;
use crate::oracle::{is_broken, outcome_words};
use crate::scenario::text::{Scanner, Statement, Word};
use crate::scenario::{Call, Client, Errno, ParseError};
use crate::trace::{At, Called, Outcome, Signal, Survivor, Trace};
use std::fmt;
use std::str::FromStr;

/// The expected result of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// For a program: what a run shows.
    Run(ExpectedRun),
    /// For a command: a finding of this kind, on each of three fresh servers.
    Finding(Kind),
}

impl fmt::Display for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expect::Run(run) => run.fmt(f),
            Expect::Finding(kind) => kind.fmt(f),
        }
    }
}

/// The expected result of a run of a program: the outcome for the server, and calls that the server must make, in this order. Other calls may come
/// between them.
///
/// Its text form is the outcome, then the calls, joined by `; `, each as `Display` gives it:
/// `killed by SIGPIPE at 4; send b EPIPE SIGPIPE`. `survived` means that the server is back at `accept`, and `survived waiting on a` that
/// the server waits on the connection of client `a`. Nothing else about a survivor is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedRun {
    outcome: Outcome,
    calls: Vec<Called>,
}

/// The result of a run that differs from the expected one. `Display` shows the two on consecutive lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The expected result, in the form of the `expect:` header.
    pub expected: String,
    /// The actual result: the outcome with all that is known of a survivor, and every call.
    pub got: String,
    /// The first expected call that the server did not make.
    pub missing: Option<Called>,
}

impl ExpectedRun {
    /// Expects this outcome, and these calls in this order. Of a survivor, only the client that it waits on is compared.
    pub fn new(outcome: Outcome, calls: Vec<Called>) -> ExpectedRun {
        let outcome = match outcome {
            Outcome::Survived(Survivor { waits_on, .. }) => {
                Outcome::Survived(Survivor { waits_on, ..Survivor::default() })
            }
            ended => ended,
        };
        ExpectedRun { outcome, calls }
    }

    /// Expects the outcome of this trace, and its first send that failed with EPIPE, if there is one.
    pub fn of(trace: &Trace) -> ExpectedRun {
        ExpectedRun::new(trace.outcome(), trace.calls().iter().copied().find(is_broken).into_iter().collect())
    }

    /// The expected outcome for the server.
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The calls that the server must make, in order.
    pub fn calls(&self) -> &[Called] {
        &self.calls
    }

    /// Compares `trace` with the expected result.
    ///
    /// # Errors
    ///
    /// A [`Mismatch`] if the outcome differs or an expected call is missing.
    pub fn check(&self, trace: &Trace) -> Result<(), Mismatch> {
        let mut made = trace.calls().iter();
        let missing = self.calls.iter().copied().find(|expected| !made.any(|called| called == expected));
        if missing.is_none() && ExpectedRun::new(trace.outcome(), Vec::new()).outcome == self.outcome {
            return Ok(());
        }
        Err(Mismatch::new(self, trace, missing))
    }
}

impl Mismatch {
    pub(super) fn new(expected: &impl fmt::Display, trace: &Trace, missing: Option<Called>) -> Mismatch {
        let calls = trace.calls().iter().map(|called| format!("; {called}"));
        let got = std::iter::once(outcome_words(trace.outcome())).chain(calls).collect();
        Mismatch { expected: expected.to_string(), got, missing }
    }
}

impl fmt::Display for ExpectedRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.outcome.fmt(f)?;
        self.calls.iter().try_for_each(|called| write!(f, "; {called}"))
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected: {}\n     got: {}", self.expected, self.got)?;
        match self.missing {
            Some(call) => write!(f, "\n missing: {call}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Mismatch {}

const OUTCOME: &str =
    "survived, survived waiting on CLIENT, killed by SIGNAL at WHERE, exited with CODE at WHERE or stuck at WHERE";
const WHERE: &str = "the number of an event from 0, EVENT.ROUND.EVENT in a block, `teardown CLIENT` or `teardown go`";

impl FromStr for ExpectedRun {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<ExpectedRun, ParseError> {
        let mut scanner = Scanner::new(text);
        let Some(mut statement) = scanner.statement()? else {
            return Err(ParseError::at(text, 0, 0, "nothing is expected here".to_owned(), OUTCOME));
        };
        let outcome = outcome(&mut statement)?;
        statement.end()?;
        let mut calls = Vec::new();
        while let Some(mut statement) = scanner.statement()? {
            calls.push(called(&mut statement)?);
            statement.end()?;
        }
        Ok(ExpectedRun { outcome, calls })
    }
}

fn outcome(statement: &mut Statement<'_>) -> Result<Outcome, ParseError> {
    let word = statement.word(OUTCOME)?;
    Ok(match word.word {
        "survived" if statement.more() => {
            keyword(statement, "waiting")?;
            keyword(statement, "on")?;
            let word = statement.word("a client's name")?;
            let client = word.word.parse().map_err(|e| no_client(&word, e))?;
            Outcome::Survived(Survivor { waits_on: Some(client), ..Survivor::default() })
        }
        "survived" => Outcome::Survived(Survivor::default()),
        "killed" => {
            keyword(statement, "by")?;
            Outcome::Killed { signal: signal(statement)?, at: at(statement)? }
        }
        "exited" => {
            keyword(statement, "with")?;
            Outcome::Exited { code: number(&statement.word("an exit code")?, "an exit code")?, at: at(statement)? }
        }
        "ended" => Outcome::Ended { at: at(statement)? },
        "stuck" => Outcome::Stuck { at: at(statement)? },
        other => {
            let error = word.error(format!("`{other}` is no outcome"), OUTCOME);
            return Err(error.near(other, ["survived", "killed", "exited", "ended", "stuck"]));
        }
    })
}

/// Reads this word, and fails at any other.
fn keyword(statement: &mut Statement<'_>, keyword: &'static str) -> Result<(), ParseError> {
    let expected = format!("`{keyword}`");
    let word = statement.word(&expected)?;
    if word.word == keyword {
        return Ok(());
    }
    Err(word.error(format!("`{}` where `{keyword}` should be", word.word), &expected).near(word.word, [keyword]))
}

/// Reads the rest of an outcome: `at`, and the place in the run.
fn at(statement: &mut Statement<'_>) -> Result<At, ParseError> {
    keyword(statement, "at")?;
    let word = statement.word(WHERE)?;
    if word.word != "teardown" {
        return match round(word.word) {
            Some(at) => Ok(at),
            None => number(&word, WHERE).map(At::Event).map_err(|e| e.near(word.word, ["teardown"])),
        };
    }
    let word = statement.word("a client's name, or go")?;
    match word.word {
        "go" => Ok(At::TeardownGo),
        name => name.parse().map(At::Teardown).map_err(|e: crate::BadName| no_client(&word, e)),
    }
}

/// A place in a block, `EVENT.ROUND.EVENT`: the index of the block among the events, the round, and the index in the block, each from 0.
fn round(word: &str) -> Option<At> {
    let mut numbers = word.split('.');
    let (event, round, inner) = (numbers.next()?, numbers.next()?, numbers.next()?);
    let at = At::Round { event: event.parse().ok()?, round: round.parse().ok()?, inner: inner.parse().ok()? };
    // Only the form in which it is printed is accepted: `parse` alone would also accept `+1`.
    (at.to_string() == word).then_some(at)
}

/// Reads a signal by its name, or as `signal N` if it has no name.
fn signal(statement: &mut Statement<'_>) -> Result<Signal, ParseError> {
    const EXPECTED: &str = "the name of a signal, as in SIGPIPE";
    use nix::sys::signal::Signal as Named;
    let word = statement.word(EXPECTED)?;
    match (word.word, word.word.parse::<Named>()) {
        ("signal", _) => number(&statement.word("its number")?, "its number").map(Signal::from_raw),
        (_, Ok(named)) => Ok(Signal::from_raw(named as i32)),
        (unknown, Err(_)) => {
            let error = word.error(format!("`{unknown}` is no signal"), EXPECTED);
            Err(error.near(unknown, Named::iterator().map(Named::as_str)))
        }
    }
}

fn called(statement: &mut Statement<'_>) -> Result<Called, ParseError> {
    const CALL: &str = "a call of the server's: accept, send, recv, shutdown or close";
    let word = statement.word(CALL)?;
    let Some(call) = Call::ALL.into_iter().find(|call| call.name() == word.word) else {
        let error = word.error(format!("`{}` is no call of the server's", word.word), CALL);
        return Err(error.near(word.word, Call::ALL.map(Call::name)));
    };
    let word = statement.word("a client's name")?;
    // Only an accept that failed has no client. The name of an error is in upper case and that of a client in lower case.
    // `accept errno 999` is an error by its number, `accept errno` an accept of the client `errno`.
    let client = match (call, word.word.parse::<Client>()) {
        (Call::Accept, Ok(_)) if word.word == "errno" && statement.more() => None,
        (Call::Accept, Err(_)) if word.word.parse::<Errno>().is_ok() => None,
        (_, client) => Some(client.map_err(|e| no_client(&word, e))?),
    };
    let result = match (call, client) {
        // Not reached: `Call::ALL` does not contain `Other`.
        (Call::Other(_), _) => Ok(0),
        (Call::Accept, None) => Err(errno(&word, statement)?),
        (Call::Accept, Some(_)) => Ok(0),
        (Call::Shutdown | Call::Close, _) if !statement.more() => Ok(0),
        (Call::Shutdown | Call::Close, _) => Err(errno(&statement.word("an error")?, statement)?),
        (Call::Send | Call::Recv, _) => {
            const RESULT: &str = "a number of bytes, or an error";
            let word = statement.word(RESULT)?;
            match word.word.bytes().all(|b| b.is_ascii_digit()) {
                true => Ok(number(&word, RESULT)?),
                false => Err(errno(&word, statement)?),
            }
        }
    };
    let sigpipe = call == Call::Send && result == Err(Errno::EPIPE) && statement.more();
    if sigpipe {
        keyword(statement, "SIGPIPE")?;
    }
    Ok(Called { call, client, result: Some(result), sigpipe })
}

/// Reads an error by its name, or as `errno N` if it has no name.
fn errno(word: &Word<'_>, statement: &mut Statement<'_>) -> Result<Errno, ParseError> {
    const EXPECTED: &str = "the name of an error, as in ECONNRESET";
    if word.word == "errno" {
        return number(&statement.word("its number")?, "its number").map(Errno::from_raw);
    }
    word.word.parse().map_err(|_| {
        let error = word.error(format!("`{}` is no error", word.word), EXPECTED);
        error.near(word.word, Errno::names())
    })
}

fn number<T: FromStr>(word: &Word<'_>, expected: &str) -> Result<T, ParseError> {
    word.word.parse().map_err(|_| word.error(format!("`{}` is no such number", word.word), expected))
}

fn no_client(word: &Word<'_>, why: crate::BadName) -> ParseError {
    word.error(format!("`{}` names no client", word.word), &why.to_string())
}
