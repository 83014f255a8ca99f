//! A scenario in the worlds that were asked for.

use super::failure::Failure;
use super::interrupt::Interrupt;
use super::stoppable::Stoppable;
use brokenpipe::{Difference, Kernel, Model, Scenario, Setup, Trace, compare, play};
use clap::ValueEnum;

/// Where to play.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum World {
    /// A real server on the real kernel
    Kernel,
    /// By the book, without any sockets
    Model,
    /// Both, compared with each other
    Both,
}

/// The worlds that were asked for, and the traces of the last run.
#[derive(Debug)]
pub(super) struct Worlds {
    world: World,
    /// There unless only the model was asked for: the machine may not be able to.
    kernel: Option<Stoppable<Kernel>>,
    model: Stoppable<Model>,
    real: Trace,
    foreseen: Trace,
}

/// What came of a run.
#[derive(Debug)]
pub(super) struct Played<'w> {
    /// The world whose trace it is.
    pub(super) world: &'static str,
    /// The trace: the kernel's, unless only the model was asked for.
    pub(super) trace: &'w Trace,
    /// The model's trace.
    pub(super) model: &'w Trace,
    /// Whether the worlds agree, and if not where they first differ; `None` if only one was asked for.
    pub(super) compared: Option<Result<(), Difference>>,
}

impl Worlds {
    /// Makes them. They play until somebody interrupts.
    ///
    /// # Errors
    ///
    /// If the kernel world is asked for, and not to be had.
    pub(super) fn new(world: World, interrupt: &Interrupt) -> Result<Worlds, Failure> {
        let kernel = if world == World::Model { None } else { Some(Stoppable::new(Kernel::new()?, interrupt)) };
        let model = Stoppable::new(Model::default(), interrupt);
        Ok(Worlds { world, kernel, model, real: Trace::default(), foreseen: Trace::default() })
    }

    /// Plays.
    ///
    /// # Errors
    ///
    /// The kernel world's, or [`Failure::Interrupted`].
    pub(super) fn play(&mut self, setup: &Setup, scenario: &Scenario) -> Result<Played<'_>, Failure> {
        if let Some(kernel) = &mut self.kernel {
            play(kernel, setup, scenario, &mut self.real)?;
        }
        if self.world != World::Kernel {
            play(&mut self.model, setup, scenario, &mut self.foreseen)?;
        }
        let (world, trace) = match self.world {
            World::Model => ("model", &self.foreseen),
            World::Kernel | World::Both => ("kernel", &self.real),
        };
        let compared = (self.world == World::Both).then(|| compare(&self.real, &self.foreseen).map_or(Ok(()), Err));
        Ok(Played { world, trace, model: &self.foreseen, compared })
    }
}
