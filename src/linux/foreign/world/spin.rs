//! Recognises and measures busy loops: a server in a busy loop never blocks.

use super::{Foreign, Quiet};
use crate::linux::error::KernelError;
use crate::linux::foreign::history::Last;
use crate::linux::foreign::server::Server;
use std::time::{Duration, Instant};

/// A suspected busy loop is confirmed when the server has used this much processor time, or has made [`MEASURED_CALLS`] calls in a row
/// without progress, and has not blocked meanwhile. If neither happens within [`MEASURED_AT_MOST`] of wall-clock time, it is no busy loop.
const MEASURED: Duration = Duration::from_secs(1);
const MEASURED_CALLS: u32 = 10_000;
/// The same for a server that is short of descriptors: many servers make a log entry of each call that fails.
const MEASURED_CALLS_WHILE_SHORT: u32 = 2_000;
const MEASURED_AT_MOST: Duration = Duration::from_secs(60);
/// By how much the clock of a server that is watched for longer is put forward: a server that leaves a client alone for less, in a busy loop,
/// comes to rest then.
const LEAP: Duration = Duration::from_secs(60);

/// A server that is short of descriptors may leave its listener alone for some seconds, in a busy loop. So it is watched for at least this time.
const WHILE_SHORT: Duration = Duration::from_secs(3);

/// What a server did while it was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Circle {
    pub(crate) calls: u32,
    pub(crate) processor: Duration,
    /// Whether the server was blocked at any moment, or [`MEASURED_AT_MOST`] passed.
    pub(crate) rested: bool,
}

/// A suspected busy loop: the server makes calls without progress again and again, or uses processor time without an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spin {
    /// What the server did while no client acted, if that was measured.
    pub(crate) measured: Option<Circle>,
    /// The process or thread that is in the loop.
    pub(crate) task: i32,
    /// The call that the task makes again and again, and the call's descriptor; `None` if no call can be seen.
    pub(crate) call: Option<(&'static str, Option<i32>)>,
    /// The call that identifies the loop ([`History::of_a_loop`](super::History::of_a_loop)); `None` if no call can be seen.
    pub(crate) known_by: Option<Last>,
}

impl Foreign {
    /// Forgets the busy loop that was seen while a client of the harness's own was there, which has left. If the server is in it all the same,
    /// that is seen again.
    pub(crate) fn spins_on(&mut self) -> Result<(), KernelError> {
        if self.spin.take().is_some() {
            self.server.disturb();
            self.settle()?;
        }
        Ok(())
    }

    /// Records a suspected busy loop, and measures it if `measures` is set.
    pub(super) fn spins(&mut self, task: i32, call: Option<(&'static str, Option<i32>)>) -> Result<(), KernelError> {
        // A loop that goes on after the limit is lifted is seen again then.
        let is_short = self.server.is_limited();
        let known = if is_short { self.spin_while_short } else { self.spin };
        let known_by = call.and_then(|_| self.history.of_a_loop());
        let mut spin = known.unwrap_or(Spin { measured: None, task, call, known_by });
        if self.measures && spin.measured.is_none() {
            let (watched, leap) = match is_short {
                true => (WHILE_SHORT, WHILE_SHORT),
                false => (self.measured_for, LEAP.max(self.measured_for)),
            };
            spin.measured = Some(self.measure(watched, leap)?);
        }
        *(if is_short { &mut self.spin_while_short } else { &mut self.spin }) = Some(spin);
        Ok(())
    }

    /// Lets the server run until it is blocked, or until the suspicion is confirmed ([`MEASURED`]). The result does not depend on the speed
    /// of the machine, because a busy loop never blocks. A server that neither makes calls nor uses processor time is not in a busy loop.
    /// If `watched` is not zero, it is watched again afterwards: for that time, or after such a leap of its clock.
    fn measure(&mut self, watched: Duration, leap: Duration) -> Result<Circle, KernelError> {
        let begun = self.server.processor_time();
        let mut circle = self.circle(Duration::ZERO)?;
        if !circle.rested && !watched.is_zero() {
            let real = if self.server.leap(leap)? { Duration::ZERO } else { watched };
            let Circle { calls, rested, .. } = self.circle(real)?;
            circle = Circle { calls: circle.calls + calls, rested, ..circle };
        }
        Ok(Circle { processor: self.server.processor_time().saturating_sub(begun), ..circle })
    }

    /// The same once, for `least` of real time at least.
    fn circle(&mut self, least: Duration) -> Result<Circle, KernelError> {
        let before = self.server.processor_time();
        let start = Instant::now();
        let (mut calls, mut rested) = (0, false);
        let most = if self.server.is_limited() { MEASURED_CALLS_WHILE_SHORT } else { MEASURED_CALLS };
        let busy = |server: &Server| server.processor_time().saturating_sub(before) >= MEASURED;
        while !rested && !self.is_stopped() && (start.elapsed() < least || (calls < most && !busy(&self.server))) {
            rested = start.elapsed() >= MEASURED_AT_MOST;
            match self.server.step(&mut self.injection)? {
                Some((passed, _)) if passed.gets_on() => calls = 0,
                Some(_) => calls += 1,
                None => rested = self.server.quiet()? == Quiet::Yes,
            }
        }
        Ok(Circle { calls, processor: self.server.processor_time().saturating_sub(before), rested })
    }
}
