//! The JSON of a run, described in `docs/json.md`. The format is stable, including the order of the fields.
//!
//! Fields are serialised directly from the trace, without an intermediate tree of JSON values, because `brokenpipe run -` may write
//! millions of runs.

use crate::scenario::{Call, Client, Errno, Event, Scenario};
use crate::subject::Setup;
use crate::trace::{At, Called, End, Hygiene, Outcome, Reply, Signal, Step, TcpState, Trace};
use serde::ser::{Serialize, SerializeMap, SerializeStruct, Serializer};
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

/// A part of a run, in the form that `docs/json.md` gives for it.
struct Piece<T>(T);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut run = to.serialize_struct("Run", 7)?;
        run.serialize_field("scenario", &Text(self.scenario))?;
        run.serialize_field("program", &Text(&self.setup.program))?;
        run.serialize_field("policy", self.setup.policy.name())?;
        run.serialize_field("world", self.world)?;
        run.serialize_field("outcome", &Piece(self.trace.outcome()))?;
        run.serialize_field("steps", &Steps { scenario: self.scenario, trace: self.trace })?;
        if let Some(agrees) = self.agrees {
            run.serialize_field("agrees", &agrees)?;
        }
        run.end()
    }
}

impl Serialize for Piece<Outcome> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut outcome = to.serialize_map(None)?;
        outcome.serialize_entry("kind", self.0.kind())?;
        match self.0 {
            Outcome::Survived(survivor) => {
                if let Some(client) = survivor.waits_on {
                    outcome.serialize_entry("waits_on", &Text(client))?;
                }
                if survivor.pending {
                    outcome.serialize_entry("pending", &Text(Signal::SIGPIPE))?;
                }
                if let Some(hygiene) = survivor.hygiene {
                    outcome.serialize_entry("hygiene", &Piece(hygiene))?;
                }
            }
            Outcome::Killed { signal, .. } => outcome.serialize_entry("signal", &Text(signal))?,
            Outcome::Exited { code, .. } => outcome.serialize_entry("code", &code)?,
            Outcome::Ended { .. } | Outcome::Stuck { .. } => {}
        }
        if let Some(at) = self.0.at() {
            outcome.serialize_entry("at", &Piece(at))?;
        }
        outcome.end()
    }
}

impl Serialize for Piece<Hygiene> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut hygiene = to.serialize_struct("Hygiene", 3)?;
        hygiene.serialize_field("descriptors", &self.0.descriptors)?;
        hygiene.serialize_field("close_wait", &self.0.close_wait)?;
        hygiene.serialize_field("served", &self.0.served)?;
        hygiene.end()
    }
}

impl Serialize for Piece<At> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            At::Event(i) => i.serialize(to),
            other => Text(other).serialize(to),
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
        to.collect_seq(self.trace.steps().map(|step| Piece((step.at.of(self.scenario), step))))
    }
}

impl Serialize for Piece<(Option<&Event>, Step<'_>)> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Piece((event, step)) = self;
        let mut object = to.serialize_struct("Step", 6)?;
        match event {
            Some(event) => object.serialize_field("event", &Text(event))?,
            None => object.serialize_field("event", &Text(step.at))?,
        }
        object.serialize_field("reply", &Piece(step.reply))?;
        object.serialize_field("calls", &Piece(step.calls))?;
        object.serialize_field("sockets", &Piece(step.sockets))?;
        if let At::Round { .. } = step.at {
            object.serialize_field("at", &Piece(step.at))?;
            object.serialize_field("times", &step.times)?;
        }
        object.end()
    }
}

impl Serialize for Piece<Reply> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut reply = to.serialize_map(None)?;
        match self.0 {
            Reply::Ok(n) => reply.serialize_entry("ok", &n)?,
            Reply::Received { bytes, end } => {
                reply.serialize_entry("ok", &bytes)?;
                match end {
                    End::Open => {}
                    End::Eof => reply.serialize_entry("eof", &true)?,
                    End::Error(errno) => reply.serialize_entry("error", &Text(errno))?,
                }
            }
            Reply::Error(errno) => reply.serialize_entry("error", &Text(errno))?,
            Reply::Nothing(reason) => reply.serialize_entry("nothing", reason.words())?,
        }
        reply.end()
    }
}

impl Serialize for Piece<&[Called]> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.iter().map(|called| Piece(*called)))
    }
}

impl Serialize for Piece<Called> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Called { call, client, result, sigpipe } = self.0;
        let mut object = to.serialize_map(None)?;
        object.serialize_entry("call", Call::name(call))?;
        if let Some(client) = client {
            object.serialize_entry("client", &Text(client))?;
        }
        match result {
            Ok(n) => object.serialize_entry("result", &n)?,
            // A call of a target whose result was not observed.
            Err(Errno::UNSEEN) => {}
            Err(errno) => object.serialize_entry("error", &Text::<Errno>(errno))?,
        }
        if sigpipe {
            object.serialize_entry("signal", &Text(Signal::SIGPIPE))?;
        }
        object.end()
    }
}

impl Serialize for Piece<&[(Client, TcpState)]> {
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
