//! Find the order of connects, FINs and RSTs that kills your server.
//!
//! A client that half-closes and then resets while it still waits in the accept queue leaves behind a socket whose error is
//! EPIPE. The server that later accepts it and sends a greeting dies of SIGPIPE, with nothing in its log. brokenpipe plays
//! every such order against a forked server on the real kernel, one server call at a time and without a sleep. It knows
//! beforehand, from a model of TCP's rules, what must happen, and hands back the shortest order that fails.
//!
//! The test of a server author, who says what the server does with a connection and about SIGPIPE:
//!
//! ```no_run
//! use brokenpipe::{Policy, check};
//!
//! # fn main() {
//! // #[test]
//! fn my_server_survives_every_order() {
//!     check("accept; send 26; recv-all; close", Policy::Ignore, 1_000).unwrap();
//! }
//! # my_server_survives_every_order();
//! # }
//! ```
//!
//! Had it been `Policy::Default`, the test would fail with the shortest order that kills the server, why it does, and the
//! picture of it. What a pass does *not* say: that a server which does something else survives, or one whose `accept` fails in
//! ways that were not injected, or that orders longer than those played are harmless.
//!
//! # Where to go from here
//!
//! Start with [`check`]; drop to the pieces when you outgrow it.
//!
//! - *Scenarios* are what clients do, in order: [`Scenario`], its [`Event`]s, their text form, [`enumerate`], and for proptest
//!   [`strategy`].
//! - *Servers* are data: a [`Program`] and a [`Policy`] make a [`Setup`].
//! - *Worlds* play them: the [`Kernel`] with real sockets, the [`Model`] by the book, both through [`play`].
//! - *Traces* are what happened: [`Trace`], its [`Step`]s and its [`Outcome`]. Both worlds make the same type, and `==` is the
//!   oracle.
//! - *Verdicts* read traces: [`judge`] makes a [`Finding`], [`compare`] says where two traces first differ. A finding has a [`Kind`], a
//!   [`Signature`] and a [`Severity`], whatever the server.
//! - *Search* looks for scenarios that fail and makes them small: [`Random`], [`hunt`], [`reduce`].
//! - *Targets* are servers that nobody described, in whatever language: a [`Target`] is a command or a function of a test.
//! - *Hunts* find what goes wrong with a server: [`Setup::hunt`], [`Target::hunt`], or [`Subject::hunt`] of either.
//! - *Cases* are files that a failure is kept in: [`Case`], whatever the server ([`Subject`]).
//! - *Inputs* are what a fuzzer plays and keeps, as bytes: [`Input`]. What it found is sorted by [`triage`] and [`Group`].
//! - *Reports* are for people and programs: [`report`].
#![deny(unsafe_code)]

#[cfg(not(target_os = "linux"))]
compile_error!("brokenpipe plays on the Linux kernel, by seccomp, pidfds and sock_diag: it builds for Linux only");

mod case;
mod check;
mod detect;
mod hunt;
mod input;
mod linux;
mod model;
mod oracle;
mod protocol;
pub mod report;
mod scenario;
mod search;
mod subject;
#[cfg(feature = "serde")]
mod text_serde;
mod trace;
mod triage;
mod world;

pub use case::{Case, CaseError, Expect, ExpectedRun, Mismatch};
pub use check::{CheckError, check};
pub use detect::{CONFIRMATIONS, Compared, Finding, Gate, Kind, Seen, Severity, Signature, UnknownKind, judge};
#[doc(hidden)]
pub use hunt::Hunt;
pub use hunt::{
    Activity, ActivityLog, Baseline, HuntError, HuntEvent, HuntOptions, HuntReport, ObservedRun, Replies, ShutOut,
    Silent, Timeout, requirements,
};
pub use input::Input;
pub use linux::{Kernel, KernelError, Requirement};
#[doc(hidden)]
pub use linux::{Worker, enter_session, enter_user_namespace, keep_nohup};
pub use model::Model;
pub use oracle::{Difference, What, compare, compare_policies, compare_runs};
pub use protocol::{Answer, Dialogue, Exchange, Progress, Protocol, Turn, parse_payload};
#[cfg(feature = "proptest")]
pub use scenario::strategy;
pub use scenario::{
    Action, BadName, Call, Client, Enumerate, Errno, Event, Fault, HarmlessSignal, Limit, MAX_CLIENTS, MAX_SEND,
    MAX_WAIT, ParseError, Payload, ROUNDS, Repeat, Scenario, TooManyClients, UnknownErrno, Wait, enumerate,
};
#[doc(hidden)]
pub use scenario::{event_help, event_table};
pub use search::{
    BadShard, Death, Found, Hunted, Mutator, Random, Shape, Shard, hunt, minimise, minimise_death, reduce,
};
pub use subject::{MAX_OPS, Op, PRESETS, Policy, Polite, Program, ProgramError, Setup, Sigpipe, Subject, Target};
pub use trace::{
    At, Called, Detail, End, Hygiene, Outcome, Reason, Reply, Role, Signal, Step, Survivor, TcpState, Trace, WINDOW,
};
pub use triage::{Group, Triage, triage};
pub use world::{Ending, Stepped, Stoppable, Stopped, World, play};
