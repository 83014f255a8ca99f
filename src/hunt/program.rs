//! The hunt of a program: random scenarios are played on the kernel and in the model, until one fails.

use super::baseline::HuntError;
use super::how::HuntOptions;
use super::report::{HuntEvent, HuntReport};
use crate::detect::{Finding, Kind, judge};
use crate::linux::{Kernel, KernelError};
use crate::model::Model;
use crate::scenario::Scenario;
use crate::search::jobs::{Bounds, Job, Jobs};
use crate::search::{Hunted, Random, Shape, hunt, reduce};
use crate::subject::{Setup, Subject};
use crate::trace::Trace;
use crate::world::{certain, play};
use std::ops::{ControlFlow, Range};
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

impl Setup {
    /// Hunts a program: plays random scenarios on the kernel and in the model, until the server dies, the two disagree, or something else
    /// goes wrong ([`judge`]). That scenario is minimised, and is the only finding of the report. The same seed gives the same finding,
    /// whatever the number of jobs. If a scenario failed in a worker and does not fail again, the finding is a [`Kind::Nondeterminism`].
    ///
    /// Of the options, `first`, `strict` and `activity` have no effect.
    ///
    /// ```no_run
    /// use brokenpipe::{HuntOptions, Policy, Setup};
    ///
    /// let setup = Setup::new("accept; send 26; close".parse()?, Policy::Ignore);
    /// setup.hunt(&HuntOptions::default().cases(10_000), |_| {})?.assert_clean();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`HuntError::Kernel`] or [`HuntError::Worker`] if the kernel world fails on this machine before the first scenario, or if there are to
    /// be worker processes and this process has several threads. A later error is in [`HuntReport::ended`].
    pub fn hunt(&self, how: &HuntOptions, watch: impl FnMut(HuntEvent<'_>)) -> Result<HuntReport, HuntError> {
        ProgramHunt::new(self, how)?.run(watch)
    }
}

/// A hunt of a program whose workers are there.
#[derive(Debug)]
pub(super) struct ProgramHunt<'h> {
    playing: Playing,
    how: &'h HuntOptions,
    /// `None` if this process plays itself.
    jobs: Option<Jobs>,
    start: Instant,
}

impl<'h> ProgramHunt<'h> {
    pub(super) fn new(setup: &Setup, how: &'h HuntOptions) -> Result<ProgramHunt<'h>, HuntError> {
        let start = Instant::now();
        let random = Random::new(how.seed, shape(how));
        let playing = Playing { setup: setup.clone(), random };
        let jobs = (how.jobs > 0).then(|| Jobs::fork(how.jobs, |job| playing.work(job))).transpose()?;
        Ok(ProgramHunt { playing, how, jobs, start })
    }

    pub(super) fn run(self, mut watch: impl FnMut(HuntEvent<'_>)) -> Result<HuntReport, HuntError> {
        let ProgramHunt { playing, how, jobs, start } = self;
        let bounds = Bounds {
            limit: how.time.map_or(how.cases, |_| u64::MAX),
            // A time that an `Instant` cannot represent is no deadline.
            deadline: how.time.and_then(|time| start.checked_add(time)),
            stop: &how.stop,
        };
        let mut report = HuntReport::of(Subject::Program(playing.setup.clone()), None);
        let ended = match jobs {
            None => playing.here(bounds, &mut report, &mut watch),
            Some(jobs) => playing.merged(jobs, bounds, &mut report, &mut watch),
        };
        match ended {
            Err(error) if report.played == 0 => return Err(error),
            ended => report.ended = ended.err(),
        }
        report.findings.iter().for_each(|finding| watch(HuntEvent::Found(finding)));
        report.stopped = how.stop.load(Relaxed);
        Ok(report)
    }
}

/// What random scenarios of a program look like.
fn shape(how: &HuntOptions) -> Shape {
    let HuntOptions { clients, max_events, faults, .. } = *how;
    let shape = Shape::default();
    Shape { clients, max_events, faults, min_events: shape.min_events.min(max_events), ..shape }
}

/// What is played.
#[derive(Debug)]
pub(crate) struct Playing {
    pub(crate) setup: Setup,
    pub(crate) random: Random,
}

impl Playing {
    /// Plays the scenarios with these numbers until one fails. `watch` is as in [`hunt()`].
    pub(crate) fn play(
        &self,
        kernel: &mut Kernel,
        numbers: Range<u64>,
        watch: impl FnMut(u64) -> ControlFlow<()>,
    ) -> Result<Hunted<Finding>, KernelError> {
        let numbered = numbers.map(|k| (k, self.random.scenario(k)));
        hunt(kernel, &self.setup, numbered, |scenario, real, model| judge(scenario, &self.setup, real, model), watch)
    }

    /// Plays in this process.
    fn here(
        &self,
        bounds: Bounds<'_>,
        report: &mut HuntReport,
        watch: &mut impl FnMut(HuntEvent<'_>),
    ) -> Result<(), HuntError> {
        let mut kernel = Kernel::new()?;
        let so_far = &mut report.played;
        let mut tell = |played: u64| {
            if let Some(last) = played.checked_sub(1).filter(|_| played > *so_far) {
                *so_far = played;
                watch(HuntEvent::Played(played, Some(&self.random.scenario(last))));
            }
        };
        let hunted = self.play(&mut kernel, 0..bounds.limit, |played| {
            tell(played);
            let late = bounds.deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if late || bounds.stop.load(Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        tell(hunted.played);
        let Some(found) = hunted.found else { return Ok(()) };
        report.number = Some(found.number);
        let reduced = reduce(&mut kernel, found.finding.clone());
        let error = reduced.as_ref().err().cloned();
        // What was found is reported, although it could not be minimised.
        report.findings.push(reduced.unwrap_or(found.finding));
        error.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Plays in workers.
    fn merged(
        &self,
        jobs: Jobs,
        bounds: Bounds<'_>,
        report: &mut HuntReport,
        watch: &mut impl FnMut(HuntEvent<'_>),
    ) -> Result<(), HuntError> {
        let merged = jobs.play(bounds, |played| watch(HuntEvent::Played(played, None)))?;
        report.played = merged.played;
        if let Some((number, minimised)) = merged.failed {
            report.number = Some(number);
            let small = minimised.and_then(|text| text.parse().ok());
            report.findings.push(self.again(&mut Kernel::new()?, small.as_ref(), &self.random.scenario(number))?);
        }
        merged.error.map_or(Ok(()), |error| Err(HuntError::Worker(error)))
    }

    /// Runs a worker.
    fn work(&self, job: &mut Job) -> Result<(), KernelError> {
        let mut kernel = Kernel::new()?;
        let mut failed = None;
        while let Some(numbers) = job.next() {
            let first = numbers.start;
            let hunted = self.play(&mut kernel, numbers, |played| match job.wants(first + played) {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            })?;
            job.played(hunted.played, hunted.found.as_ref().map(|found| found.number));
            failed = hunted.found.or(failed);
        }
        if let Some(failed) = failed.filter(|_| job.minimises()) {
            job.minimised(&reduce(&mut kernel, failed.finding)?.scenario);
        }
        Ok(())
    }

    /// The finding of a scenario that has failed: that of its minimised form if this fails too, else that of the scenario itself. If neither
    /// fails again, the finding is that two runs differ.
    fn again(
        &self,
        kernel: &mut Kernel,
        minimised: Option<&Scenario>,
        scenario: &Scenario,
    ) -> Result<Finding, KernelError> {
        let (mut real, mut expected) = (Trace::default(), Trace::default());
        for scenario in minimised.into_iter().chain([scenario]) {
            play(kernel, &self.setup, scenario, &mut real)?;
            certain(play(&mut Model::default(), &self.setup, scenario, &mut expected));
            if let Some(finding) = judge(scenario, &self.setup, &real, &expected) {
                return Ok(finding);
            }
        }
        Ok(Finding::of_program(Kind::Nondeterminism, scenario, &self.setup, [&real, &expected], None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Severity;
    use crate::report;

    #[test]
    fn errors_are_injected_unless_that_is_switched_off() {
        let faults = |how: &HuntOptions| {
            let random = Random::new(0, shape(how));
            (0..1000).filter(|k| random.scenario(*k).to_string().contains("fault ")).count()
        };
        assert!(faults(&HuntOptions::default()) > 0);
        assert_eq!(faults(&HuntOptions::default().faults(false)), 0);
    }

    #[test]
    fn what_does_not_fail_again_is_a_finding_about_two_runs() {
        let playing = Playing { setup: Setup::default(), random: Random::new(0, Shape::default()) };
        let mut kernel = Kernel::new().unwrap();
        let [clean, deadly]: [Scenario; 2] =
            ["a connect; a close", "a connect; b connect; b fin; b rst; a fin"].map(|text| text.parse().unwrap());
        let mut again = |small, scenario| playing.again(&mut kernel, small, scenario).unwrap();
        let finding = again(Some(&clean), &clean);
        assert_eq!((finding.kind(), finding.severity()), (Kind::Nondeterminism, Severity::Finding));
        let text = report::finding(&finding);
        assert!(
            text.starts_with("nondeterminism: survived") && text.contains("two runs of the same scenario"),
            "{text}"
        );
        // What was minimised wrongly, or not at all, does not hide the failure.
        assert_eq!(again(Some(&clean), &deadly).scenario, deadly);
        assert_eq!(again(None, &deadly).kind(), Kind::Death);
    }
}
