//! How a polite client asks: by a command, as a protocol says, or with what clients say, if the server was seen to answer that.

use super::{EXAMINING, Lab};
use crate::hunt::baseline::HuntError;
use crate::hunt::health_check::{Answered, PoliteClient};
use crate::linux::KernelError;
use crate::linux::foreign::world::Foreign;
use crate::protocol::{Answer, Exchange, Protocol};
use crate::scenario::{Client, Payload};
use crate::subject::{Polite, Target};
use crate::trace::End;
use std::path::Path;
use std::time::Duration;

/// How many times a server must answer what clients say before it is expected to.
const LEARNT: usize = 2;

/// How a polite client asks that comes while others are connected or afterwards.
#[derive(Clone, Debug)]
pub(super) struct Manner<'t> {
    target: &'t Target,
    protocol: Protocol,
    /// What it says to a server whose protocol is not known, and what answers it expects.
    questions: Vec<Exchange>,
}

impl Manner<'_> {
    /// Makes one request while others are connected. Their connections are kept.
    pub(super) fn ask(&self, world: &mut Foreign, bound: Duration) -> Result<Answered, KernelError> {
        if let Polite::Command(command) = &self.target.polite {
            // A server whose command does not contain {port} listens on a port of its own choice.
            let command = Target::filled(command, world.address().port(), Path::new("."));
            return crate::hunt::shell::ask(&command, world, bound.max(EXAMINING));
        }
        let mut client = PoliteClient::new(Client::PROBE, self.protocol, bound);
        let answered = self.ask_as(&mut client, world, false)?;
        client.leave(world)?;
        Ok(answered)
    }

    /// Makes one request as this client, which is not connected yet. If `greets`, a server that is asked nothing has to say something.
    pub(super) fn ask_as(
        &self,
        client: &mut PoliteClient,
        world: &mut Foreign,
        greets: bool,
    ) -> Result<Answered, KernelError> {
        let mut answered = client.connect(world)?;
        if answered.is_full() {
            answered = client.ask(world)?;
        }
        if !answered.is_full() || self.protocol != Protocol::None {
            return Ok(answered);
        }
        if self.questions.is_empty() {
            return client.let_in(world, greets);
        }
        for question in &self.questions {
            answered = client.says(world, question)?;
            if !answered.is_full() {
                break;
            }
        }
        Ok(answered)
    }

    /// Whether the polite client that has asked may stay connected and be asked for again.
    pub(super) fn may_stay(&self) -> bool {
        self.questions.is_empty()
    }
}

impl<'t> Lab<'t> {
    /// How a polite client asks.
    pub(super) fn manner(&self) -> Manner<'t> {
        Manner { target: self.target, protocol: self.protocol(), questions: self.questions.clone() }
    }

    /// If the server's protocol is not known: whether it answers the first thing that clients say. Then polite clients say that from here
    /// on, and expect an answer.
    pub(super) fn learn_question(&mut self) -> Result<Option<Payload>, HuntError> {
        let is_known =
            self.protocol() != Protocol::None || matches!(self.target.polite, Polite::Command(_) | Polite::Dialogue(_));
        let Some(payload) = self.target.says.first().filter(|_| !is_known) else { return Ok(None) };
        let Some(said) = payload.given() else { return Ok(None) };
        let question = Exchange { send: said.to_vec(), answer: Answer::Bytes };
        for _ in 0..LEARNT {
            let world = &mut self.running()?.world;
            let mut client = PoliteClient::new(Client::PROBE, Protocol::None, EXAMINING);
            let connected = client.connect(world)?.is_full() && client.let_in(world, false)?.is_full();
            // Without what it says by itself.
            let answers =
                connected && world.drain(Client::PROBE)? == End::Open && client.says(world, &question)?.is_full();
            client.leave(world)?;
            world.clear(None)?;
            if self.running()?.world.main_ended().is_some() {
                self.begin()?;
                return Ok(None);
            }
            if !answers {
                return Ok(None);
            }
        }
        self.questions = vec![question];
        Ok(Some(payload.clone()))
    }
}
