//! The text form of scenarios.

mod error;
pub(crate) mod headers;
mod scan;

pub use error::ParseError;
pub(crate) use scan::{Scanner, Statement, Word, unquoted, write_quoted};

use super::table::{Form, OneOf, Row, words};
use super::{
    Action, BadName, Call, Client, Errno, Event, Fault, HarmlessSignal, Limit, ROUNDS, Repeat, Scenario, Wait,
};
use std::collections::BTreeSet;

/// Reads a whole scenario.
pub(super) fn scenario(text: &str) -> Result<Scenario, ParseError> {
    let mut scanner = Scanner::new(text);
    let mut events = Vec::new();
    let mut clients = BTreeSet::new();
    while let Some(mut statement) = scanner.statement()? {
        let first = statement.word("an event")?;
        match first.word {
            "repeat" => events.push(Event::Repeat(repeat(statement, &mut scanner, &mut clients)?)),
            "}" => return Err(first.error("a `}` that closes nothing", "an event")),
            _ => events.push(single(&first, statement, &mut clients)?),
        }
    }
    Ok(Scenario::from_valid(events))
}

/// Reads a block, from after its first word to after its `}`.
fn repeat<'t>(
    mut statement: Statement<'t>,
    scanner: &mut Scanner<'t>,
    clients: &mut BTreeSet<Client>,
) -> Result<Repeat, ParseError> {
    let expected = format!("a number of rounds, {} to {}", ROUNDS.start(), ROUNDS.end());
    let word = statement.word(&expected)?;
    let times = match word.word.parse() {
        Ok(times) if ROUNDS.contains(&times) => times,
        _ => return Err(word.error(format!("`{}` is no such number", word.word), &expected)),
    };
    const OPEN: &str = "`{`, then events, then `}`";
    let open = statement.word(OPEN)?;
    if open.word != "{" {
        return Err(open.error(format!("`{}` where a block should begin", open.word), OPEN));
    }
    statement.end()?;
    let mut events = Vec::new();
    while let Some(mut statement) = scanner.statement()? {
        let first = statement.word("an event")?;
        match first.word {
            "repeat" => return Err(first.error("a block in a block", "any other event, or `}`")),
            "}" => {
                statement.end()?;
                return Repeat::new(times, &events).ok_or_else(|| first.error("a block of no events", "an event"));
            }
            _ => events.push(single(&first, statement, clients)?),
        }
    }
    Err(open.error("a `{` that is never closed", "a `}` after the last event of the block"))
}

/// Reads the rest of an event that is not a block.
fn single(first: &Word<'_>, mut statement: Statement<'_>, clients: &mut BTreeSet<Client>) -> Result<Event, ParseError> {
    let event = event(first, &mut statement)?;
    if let Some(client) = event.client() {
        clients.insert(client);
        if clients.len() > super::MAX_CLIENTS {
            let problem = format!("`{client}` is one client too many");
            return Err(first.error(problem, &format!("at most {} clients", super::MAX_CLIENTS)));
        }
    }
    statement.end()?;
    Ok(event)
}

fn event(first: &Word<'_>, statement: &mut Statement<'_>) -> Result<Event, ParseError> {
    if let Some(row) = Row::of_word(first.word, false) {
        return match &row.form {
            Form::Fault => fault(statement).map(Event::Fault),
            Form::Limit => limit(statement).map(Event::Limit),
            Form::Signal => signal(statement).map(Event::Signal),
            Form::Wait => wait(statement).map(Event::Wait),
            Form::Harness(event) => Ok(event.clone()),
            Form::Client(_) | Form::Send | Form::Repeat => {
                Err(first.error("a block in a block", "any other event, or `}`"))
            }
        };
    }
    match first.word.parse() {
        Ok(client) => action(client, first, statement).map(|action| Event::Client(client, action)),
        Err(why) => {
            let reserved = if why == BadName::Reserved { ": it is a word of the language" } else { "" };
            let problem = format!("`{}` names no client{reserved}", first.word);
            let others: Vec<_> = words(false).collect();
            let expected = format!(
                "a client's name (a lower-case letter, then up to seven of a-z, 0-9 and _), or {}",
                OneOf(&others)
            );
            Err(first.error(problem, &expected).near(first.word, words(false)))
        }
    }
}

fn action(client: Client, first: &Word<'_>, statement: &mut Statement<'_>) -> Result<Action, ParseError> {
    let all: Vec<_> = words(true).map(|word| if word == "send" { "send N" } else { word }).collect();
    let expected = OneOf(&all).to_string();
    let word = statement.word(&expected).map_err(|e| {
        // A single word that looks like a client's name may be a misspelt word of a harness event.
        let problem = format!("nothing follows the client `{client}`");
        if e.len == 0 { ParseError { problem, ..e }.near(first.word, words(false)) } else { e }
    })?;
    match Row::of_word(word.word, true).map(|row| &row.form) {
        Some(Form::Client(action)) => Ok(action.clone()),
        Some(_) => statement.payload().map(Action::Send),
        None => {
            let error =
                word.error(format!("unknown client action `{}`", word.word), &expected).near(word.word, words(true));
            // The word that looks like a client's name may also be a misspelt word of a harness event that takes an argument.
            Err(if error.nearest.is_some() { error } else { error.near(first.word, words(false)) })
        }
    }
}

fn wait(statement: &mut Statement<'_>) -> Result<Wait, ParseError> {
    let expected = "a time: 1ms to 24h, in ms, s, m or h";
    let word = statement.word(expected)?;
    let no_unit = word.word.bytes().all(|byte| byte.is_ascii_digit());
    let problem = if no_unit { "has no unit" } else { "is no time to wait" };
    Wait::from_text(word.word).ok_or_else(|| word.error(format!("`{}` {problem}", word.word), expected))
}

fn limit(statement: &mut Statement<'_>) -> Result<Limit, ParseError> {
    let expected = OneOf(&Limit::ALL.map(Limit::word)).to_string();
    let word = statement.word(&expected)?;
    Limit::ALL.into_iter().find(|limit| limit.word() == word.word).ok_or_else(|| {
        let error = word.error(format!("`{}` cannot be limited", word.word), &expected);
        error.near(word.word, Limit::ALL.map(Limit::word))
    })
}

fn signal(statement: &mut Statement<'_>) -> Result<HarmlessSignal, ParseError> {
    let expected = OneOf(&HarmlessSignal::ALL.map(HarmlessSignal::name)).to_string();
    let word = statement.word(&expected)?;
    HarmlessSignal::ALL.into_iter().find(|signal| signal.name() == word.word).ok_or_else(|| {
        let error = word.error(format!("`{}` is no signal that can be sent", word.word), &expected);
        error.near(word.word, HarmlessSignal::ALL.map(HarmlessSignal::name))
    })
}

fn fault(statement: &mut Statement<'_>) -> Result<Fault, ParseError> {
    const CALLS: &str = "accept, send or recv";
    let word = statement.word(CALLS)?;
    let faultable = || Call::ALL.into_iter().filter(|c| !c.faults().is_empty());
    let call = match Call::ALL.into_iter().find(|c| c.name() == word.word) {
        Some(call) if !call.faults().is_empty() => call,
        Some(call) => return Err(word.error(format!("faults on `{call}` are not supported"), CALLS)),
        None => {
            let error = word.error(format!("`{}` is no call of the server's", word.word), CALLS);
            return Err(error.near(word.word, faultable().map(Call::name)));
        }
    };
    let names: Vec<String> = call.faults().iter().map(Errno::to_string).collect();
    let expected = format!("one of {}", names.join(", "));
    let word = statement.word(&expected)?;
    match word.word.parse().ok().and_then(|errno| Fault::new(call, errno)) {
        Some(fault) => Ok(fault),
        None => {
            let error = word.error(format!("`{}` is no error that {call} can be given", word.word), &expected);
            let known: Vec<&'static str> = call.faults().iter().filter_map(|e| e.name()).collect();
            Err(error.near(word.word, known))
        }
    }
}

#[cfg(test)]
mod tests;
