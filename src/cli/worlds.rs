//! Plays a scenario in the selected worlds.

use super::failure::Failure;
use super::interrupt::Interrupt;
use brokenpipe::{Difference, Kernel, Model, Scenario, Setup, Stoppable, Trace, compare, play};
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

/// The selected worlds, and the traces of the last run.
#[derive(Debug)]
pub(super) struct Worlds {
    world: World,
    /// `None` if only the model is selected: the kernel world may not work on this machine.
    kernel: Option<Stoppable<Kernel>>,
    model: Stoppable<Model>,
    real: Trace,
    foreseen: Trace,
}

/// The result of a run.
#[derive(Debug)]
pub(super) struct Played<'w> {
    /// The name of the world that produced `trace`.
    pub(super) world: &'static str,
    /// The kernel's trace, or the model's if only the model is selected.
    pub(super) trace: &'w Trace,
    /// The model's trace; empty if only the kernel is selected.
    pub(super) model: &'w Trace,
    /// Whether the worlds agree, and if not, where they first differ; `None` unless both are selected.
    pub(super) compared: Option<Result<(), Difference>>,
}

impl Worlds {
    /// Creates the selected worlds. Their runs end when the user interrupts.
    ///
    /// # Errors
    ///
    /// If the kernel world is selected and does not work.
    pub(super) fn new(world: World, interrupt: &Interrupt) -> Result<Worlds, Failure> {
        let kernel = if world == World::Model { None } else { Some(Stoppable::new(Kernel::new()?, interrupt.flag())) };
        let model = Stoppable::new(Model::default(), interrupt.flag());
        Ok(Worlds { world, kernel, model, real: Trace::default(), foreseen: Trace::default() })
    }

    /// Plays `scenario` against `setup` in each selected world.
    ///
    /// # Errors
    ///
    /// The error of the kernel world, or [`Failure::Interrupted`].
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
