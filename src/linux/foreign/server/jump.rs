//! Puts the server's clock forward while the server is idle.

use super::{Quiet, Server};
use crate::linux::clock::descriptors;
use crate::linux::clock::real_time::RealTime;
use crate::linux::clock::server_clock::ServerClock;
use crate::linux::error::KernelError;
use crate::world::quiescence::Quiescence;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

impl Server {
    /// The server's clock.
    pub(crate) const fn clock(&self) -> ServerClock {
        self.time.clock()
    }

    /// The present on the server's clock.
    pub(crate) fn now(&self) -> Instant {
        self.clock().now()
    }

    /// How often the clock has been put forward.
    pub(crate) const fn jumps(&self) -> u64 {
        self.time.jumps()
    }

    /// Why the server's clock does not jump, if it does not.
    pub(crate) const fn real_time(&self) -> Option<&RealTime> {
        self.time.real()
    }

    /// Puts the clock forward to the server's next deadline, at most to `most`, and ends the calls of tasks outside the gate whose time is
    /// up then. False if the clock may not jump, if the server is not idle, if something may wake it before, or if nothing has changed. To
    /// be called when the server has been found idle. A server that is `held` makes none of its calls until it is released, whose time is up
    /// or not.
    pub(super) fn jump(&mut self, most: Instant, held: bool) -> Result<bool, KernelError> {
        if self.time.real().is_some() {
            return Ok(false);
        }
        let target = match self.quiescence() {
            Quiescence::Until(_) if held => most,
            Quiescence::Until(deadline) => deadline.min(most),
            Quiescence::Frozen => most,
            Quiescence::Unknown { .. } | Quiescence::Busy(_) | Quiescence::Exited => return Ok(false),
        };
        // Asked last: a timer may have expired meanwhile.
        if !self.may_jump() || (!held && self.has_work()?) {
            return Ok(false);
        }
        let time = target.saturating_duration_since(self.now());
        if !self.put_forward(time) {
            return Ok(false);
        }
        let ended = self.end_sleeps()?;
        self.disturb();
        Ok(ended || !time.is_zero())
    }

    /// Puts the clock of a server in a busy loop forward, between two of its calls. False if the clock may not jump, or if the loop makes no
    /// calls that come to the gate.
    pub(crate) fn leap(&mut self, time: Duration) -> Result<bool, KernelError> {
        if self.real_time().is_some() || self.quiet()? != Quiet::Yes || !self.has_work()? || !self.may_jump() {
            return Ok(false);
        }
        let leapt = self.put_forward(time);
        self.end_sleeps()?;
        self.disturb();
        Ok(leapt)
    }

    /// Puts the clock forward while no process runs. False if it cannot be put that far.
    fn put_forward(&mut self, time: Duration) -> bool {
        let before = self.clock().ahead();
        if time.is_zero() {
            return true;
        }
        if !self.time.put_forward(time) {
            return false;
        }
        if self.timers.descriptors {
            let tree = &self.tree;
            let running = tree.processes.iter().filter(|(pid, _)| tree.runs(**pid));
            let processes = running.map(|(pid, process)| (*pid, process.pidfd.as_fd()));
            // The clock has been put forward to the microsecond.
            if let Err(errno) = descriptors::put_forward(processes, self.clock().ahead() - before) {
                self.time.stays(RealTime::Descriptor(errno));
            }
        }
        true
    }

    /// Whether the clock of this server, which is idle, jumps; if not, why.
    pub(crate) fn has_virtual_time(&mut self) -> Result<(), String> {
        if !self.may_jump() {
            return Err(self.time.real().map(RealTime::to_string).unwrap_or_default());
        }
        match self.quiescence() {
            Quiescence::Unknown { because } => Err(format!("it also waits for {because}")),
            _ => Ok(()),
        }
    }

    /// Whether the clock may jump: the harness can write to each process, and set each timer.
    pub(crate) fn may_jump(&mut self) -> bool {
        if self.timers.descriptors
            && let Err(errno) = descriptors::try_out()
        {
            self.time.stays(RealTime::Descriptor(errno));
        }
        let tree = &self.tree;
        self.time.keep(|pid| tree.runs(pid));
        self.time.may_jump(tree.processes.keys().copied().filter(|pid| tree.runs(*pid)))
    }

    /// Ends the calls of tasks outside the gate whose time is up. True if there was one.
    pub(super) fn end_sleeps(&mut self) -> Result<bool, KernelError> {
        let mut ended = false;
        for sleeper in self.tree.sleepers(self.clock(), |tid| self.parked.contains_key(&tid)) {
            match sleeper.end(|| self.tree.sleeps_on(&sleeper)) {
                Ok(done) => ended |= done,
                Err(errno) => self.time.stays(RealTime::NotTraced(errno)),
            }
        }
        Ok(ended)
    }

    /// The same while tasks of the server run, if the clock has jumped: the kernel does not know these deadlines.
    pub(super) fn end_due_sleeps(&mut self) -> Result<(), KernelError> {
        if !self.clock().ahead().is_zero() {
            let clock = self.clock();
            self.tree.states(|tid| self.parked.contains_key(&tid), clock, &self.lingering);
            self.end_sleeps()?;
        }
        Ok(())
    }
}
