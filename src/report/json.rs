//! The JSON of a run, described in `docs/json.md`. The format is stable, including the order of the fields.
//!
//! Fields are serialised directly from the trace, without an intermediate tree of JSON values, because `brokenpipe run -` may write
//! millions of runs.

use crate::scenario::{Client, Errno, Event, Scenario};
use crate::subject::{Program, Setup};
use crate::trace::{self, At, Called, Detail, Hygiene, Outcome, Reply, Signal, Step, Survivor, TcpState, Trace};
use serde::Serialize;
use serde::ser::Serializer;
use std::{fmt, io};

/// A run as one JSON object.
///
/// ```
/// use brokenpipe::report::Json;
/// use brokenpipe::{Model, Scenario, Setup, Trace, play};
///
/// let (scenario, setup): (Scenario, _) = ("a connect; a rst".parse()?, Setup::default());
/// let mut trace = Trace::default();
/// play(&mut Model::default(), &setup, &scenario, &mut trace)?;
/// let run = Json { scenario: &scenario, setup: &setup, world: "model", trace: &trace, agrees: None };
/// let mut line = Vec::new();
/// run.write_line(&mut line)?;
/// assert!(line.starts_with(br#"{"scenario":"a connect; a rst","program":"accept; send 26; recv-all; close","#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Json<'t> {
    /// What the clients did.
    pub scenario: &'t Scenario,
    /// The server.
    pub setup: &'t Setup,
    /// The world that produced the trace: `kernel` or `model`.
    pub world: &'t str,
    /// What happened.
    pub trace: &'t Trace,
    /// Whether the kernel's trace equals the model's; `None` if only one world played.
    pub agrees: Option<bool>,
}

impl Json<'_> {
    /// Writes the object and a newline.
    ///
    /// # Errors
    ///
    /// An error of writing to `out`.
    pub fn write_line(&self, mut out: impl io::Write) -> io::Result<()> {
        serde_json::to_writer(&mut out, self)?;
        out.write_all(b"\n")
    }
}

/// Serialises a value as the string of its `Display`.
pub(super) struct Text<T>(pub(super) T);

impl<T: fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Json { scenario, setup, world, trace, agrees } = *self;
        let (program, policy, outcome) = (Text(&setup.program), setup.policy.name(), trace.outcome().into());
        let steps = Steps { scenario, trace };
        RunObject { scenario: Text(scenario), program, policy, world, outcome, steps, agrees }.serialize(to)
    }
}

#[derive(Serialize)]
struct RunObject<'t> {
    scenario: Text<&'t Scenario>,
    program: Text<&'t Program>,
    policy: &'static str,
    world: &'t str,
    outcome: OutcomeObject,
    steps: Steps<'t>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agrees: Option<bool>,
}

/// How a run ended.
#[derive(Default, Serialize)]
pub(super) struct OutcomeObject {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    waits_on: Option<Text<Client>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pending: Option<Text<Signal>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hygiene: Option<HygieneObject>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<Text<Signal>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Place>,
}

impl From<Outcome> for OutcomeObject {
    fn from(outcome: Outcome) -> OutcomeObject {
        let end = OutcomeObject { kind: outcome.kind(), at: outcome.at().map(Place::from), ..OutcomeObject::default() };
        match outcome {
            Outcome::Survived(Survivor { waits_on, pending, hygiene }) => OutcomeObject {
                waits_on: waits_on.map(Text),
                pending: pending.then_some(Text(Signal::SIGPIPE)),
                hygiene: hygiene.map(HygieneObject::from),
                ..end
            },
            Outcome::Killed { signal, .. } => OutcomeObject { signal: Some(Text(signal)), ..end },
            Outcome::Exited { code, .. } => OutcomeObject { code: Some(code), ..end },
            Outcome::Ended { .. } | Outcome::Stuck { .. } => end,
        }
    }
}

/// What a server that survived has left behind.
#[derive(Serialize)]
struct HygieneObject {
    descriptors: u32,
    close_wait: u32,
    served: bool,
}

impl From<Hygiene> for HygieneObject {
    fn from(Hygiene { descriptors, close_wait, served }: Hygiene) -> HygieneObject {
        HygieneObject { descriptors, close_wait, served }
    }
}

/// A place in a scenario: the index of an event, or text.
#[derive(Serialize)]
#[serde(untagged)]
enum Place {
    Event(usize),
    Other(Text<At>),
}

impl From<At> for Place {
    fn from(at: At) -> Place {
        match at {
            At::Event(i) => Place::Event(i),
            other => Place::Other(Text(other)),
        }
    }
}

/// The steps of a run.
pub(super) struct Steps<'t> {
    pub(super) scenario: &'t Scenario,
    pub(super) trace: &'t Trace,
}

impl Serialize for Steps<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.trace.steps().map(|step| StepObject::of(step, self.scenario)))
    }
}

/// A step.
#[derive(Serialize)]
struct StepObject<'t> {
    event: EventObject<'t>,
    reply: ReplyObject,
    calls: Calls<'t>,
    sockets: Sockets<'t>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Text<At>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<u16>,
}

impl<'t> StepObject<'t> {
    fn of(step: Step<'t>, scenario: &'t Scenario) -> StepObject<'t> {
        let is_round = matches!(step.at, At::Round { .. });
        StepObject {
            event: step
                .at
                .of(scenario)
                .map_or(EventObject::Teardown(Text(step.at)), |event| EventObject::Event(Text(event))),
            reply: step.reply.into(),
            calls: Calls(step),
            sockets: Sockets(step.sockets),
            at: is_round.then_some(Text(step.at)),
            times: is_round.then_some(step.times),
        }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum EventObject<'t> {
    Event(Text<&'t Event>),
    Teardown(Text<At>),
}

/// The result of an event.
#[derive(Default, Serialize)]
struct ReplyObject {
    #[serde(skip_serializing_if = "Option::is_none")]
    ok: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eof: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Text<Errno>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nothing: Option<&'static str>,
}

impl From<Reply> for ReplyObject {
    fn from(reply: Reply) -> ReplyObject {
        let none = ReplyObject::default();
        match reply {
            Reply::Ok(n) => ReplyObject { ok: Some(n), ..none },
            Reply::Received { bytes, end } => ReplyObject {
                ok: Some(bytes),
                eof: (end == trace::End::Eof).then_some(true),
                error: if let trace::End::Error(errno) = end { Some(Text(errno)) } else { None },
                ..none
            },
            Reply::Error(errno) => ReplyObject { error: Some(Text(errno)), ..none },
            Reply::Nothing(reason) => ReplyObject { nothing: Some(reason.words()), ..none },
        }
    }
}

struct Calls<'t>(Step<'t>);

impl Serialize for Calls<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.detailed().map(CallObject::from))
    }
}

/// A call of the server.
#[derive(Serialize)]
struct CallObject {
    call: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<Text<Client>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Text<Errno>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<Text<Signal>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
}

impl From<(Called, Option<Detail>)> for CallObject {
    fn from((Called { call, client, result, sigpipe }, detail): (Called, Option<Detail>)) -> CallObject {
        CallObject {
            call: call.name(),
            client: client.map(Text),
            // A result that is not known is neither.
            result: result.and_then(Result::ok),
            error: result.and_then(Result::err).map(Text),
            signal: sigpipe.then_some(Text(Signal::SIGPIPE)),
            task: detail.map(|detail| detail.task),
            time: detail.map(|detail| detail.time.as_secs_f64()),
            data: detail.map(|detail| detail.data().escape_ascii().to_string()).filter(|data| !data.is_empty()),
        }
    }
}

struct Sockets<'t>(&'t [(Client, TcpState)]);

impl Serialize for Sockets<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(client, state)| (Text(client), state.name())))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{setup, trace};
    use super::*;
    use crate::{Policy, Survivor};

    fn json(scenario: &str, setup: &Setup, outcome: Option<Outcome>) -> String {
        let (scenario, mut trace) = trace(scenario, setup);
        trace.finish(outcome.unwrap_or(trace.outcome()));
        let run = Json { scenario: &scenario, setup, world: "model", trace: &trace, agrees: None };
        serde_json::to_string(&run).unwrap()
    }

    fn outcome(outcome: Outcome) -> String {
        let json = json("", &Setup::default(), Some(outcome));
        json.split_once("\"outcome\":").unwrap().1.split_once(",\"steps\"").unwrap().0.to_owned()
    }

    #[test]
    fn the_greeters_death_is_the_promised_object() {
        let (scenario, setup) = ("a connect; b connect; b fin; b rst; a close", Setup::default());
        let (scenario, trace) = trace(scenario, &setup);
        let run = Json { scenario: &scenario, setup: &setup, world: "kernel", trace: &trace, agrees: Some(true) };
        let mut line = Vec::new();
        run.write_line(&mut line).unwrap();
        assert_eq!(
            String::from_utf8(line).unwrap(),
            concat!(
                r#"{"scenario":"a connect; b connect; b fin; b rst; a close","program":"accept; send 26; recv-all; close","#,
                r#""policy":"default","world":"kernel","outcome":{"kind":"killed","signal":"SIGPIPE","at":4},"steps":["#,
                r#"{"event":"a connect","reply":{"ok":0},"calls":[{"call":"accept","client":"a","result":0},"#,
                r#"{"call":"send","client":"a","result":26}],"sockets":{"a":"ESTABLISHED"}},"#,
                r#"{"event":"b connect","reply":{"ok":0},"calls":[],"sockets":{"a":"ESTABLISHED","b":"ESTABLISHED"}},"#,
                r#"{"event":"b fin","reply":{"ok":0},"calls":[],"sockets":{"a":"ESTABLISHED","b":"CLOSE_WAIT"}},"#,
                r#"{"event":"b rst","reply":{"ok":0},"calls":[],"sockets":{"a":"ESTABLISHED","b":"CLOSE"}},"#,
                r#"{"event":"a close","reply":{"ok":0},"calls":[{"call":"recv","client":"a","error":"ECONNRESET"},"#,
                r#"{"call":"close","client":"a","result":0},{"call":"accept","client":"b","result":0},"#,
                r#"{"call":"send","client":"b","error":"EPIPE","signal":"SIGPIPE"}],"sockets":{"a":"CLOSE","b":"CLOSE"}}"#,
                r#"],"agrees":true}"#,
                "\n"
            )
        );
    }

    #[test]
    fn every_outcome_has_its_form() {
        assert_eq!(outcome(Outcome::Survived(Survivor::default())), r#"{"kind":"survived"}"#);
        let waits = Survivor { waits_on: Some(Client::nth(0)), ..Survivor::default() };
        assert_eq!(outcome(Outcome::Survived(waits)), r#"{"kind":"survived","waits_on":"a"}"#);
        assert_eq!(
            outcome(Outcome::Survived(Survivor::at_accept(true, Hygiene::CLEAN))),
            r#"{"kind":"survived","pending":"SIGPIPE","hygiene":{"descriptors":0,"close_wait":0,"served":true}}"#
        );
        let exited = Outcome::Exited { code: 3, at: At::TeardownGo };
        assert_eq!(outcome(exited), r#"{"kind":"exited","code":3,"at":"teardown go"}"#);
        let stuck = Outcome::Stuck { at: At::Teardown(Client::nth(1)) };
        assert_eq!(outcome(stuck), r#"{"kind":"stuck","at":"teardown b"}"#);
    }

    #[test]
    fn every_reply_has_its_form() {
        let text = json(
            "a send 1; a connect; a connect; a recv; a fin; a recv; a send 1; b connect; hold; fault accept EMFILE; b fin; go",
            &setup("accept; send 26; close", Policy::Default),
            None,
        );
        for part in [
            r#"{"event":"a send 1","reply":{"nothing":"not connected"},"calls":[],"sockets":{}}"#,
            r#"{"event":"a connect","reply":{"nothing":"already connected"}"#,
            r#"{"event":"a recv","reply":{"ok":26,"eof":true}"#,
            r#"{"event":"a recv","reply":{"ok":0,"eof":true}"#,
            r#"{"event":"a send 1","reply":{"error":"EPIPE"}"#,
            r#"{"event":"hold","reply":{"ok":0}"#,
            r#"{"event":"go","reply":{"ok":0},"calls":[{"call":"accept","error":"EMFILE"}]"#,
            r#"{"event":"teardown a","reply":{"ok":0}"#,
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let text = json("a connect; a send 5; a recv", &setup("accept; send 26; close", Policy::Default), None);
        assert!(text.contains(r#"{"event":"a recv","reply":{"ok":26,"eof":true}"#), "{text}");
    }

    #[test]
    fn rounds_that_went_the_same_come_once_with_their_place_and_number() {
        let text = json("repeat 3 { a connect; a fin }", &Setup::default(), None);
        let step = r#"{"event":"a fin","reply":{"ok":0},"calls":[{"call":"recv","client":"a","result":0},{"call":"close","client":"a","result":0}],"sockets":{"a":"CLOSE"},"at":"0.0.1","times":3}"#;
        assert!(text.contains(step), "{text}");
        let stuck = Outcome::Stuck { at: At::Round { event: 2, round: 57, inner: 1 } };
        assert_eq!(outcome(stuck), r#"{"kind":"stuck","at":"2.57.1"}"#);
    }

    #[test]
    fn a_reset_after_some_bytes_shows_both() {
        let text =
            json("hold; a connect; a send 5; go; a recv", &setup("accept; send 26; close", Policy::Default), None);
        assert!(text.contains(r#"{"event":"a recv","reply":{"ok":26,"error":"ECONNRESET"}"#), "{text}");
        let text = json("hold; a connect; a rst", &setup("greeter", Policy::Default), None);
        assert!(text.contains(r#"{"event":"teardown go","reply":{"ok":0}"#), "{text}");
    }

    #[test]
    fn a_signal_is_shown_where_one_was_raised_whatever_the_policy() {
        let broken = |policy| json("hold; a connect; a fin; a rst", &setup("greeter", policy), None);
        for policy in [Policy::Ignore, Policy::Handler, Policy::Blocked] {
            assert!(broken(policy).contains(r#""error":"EPIPE","signal":"SIGPIPE"}"#));
        }
        assert!(broken(Policy::NoSignal).contains(r#""error":"EPIPE"}"#));
    }
}
