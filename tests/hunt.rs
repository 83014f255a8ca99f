//! Hunts of programs, as a test calls them.

#[path = "common/workers.rs"]
mod workers;

use brokenpipe::{HuntEvent, HuntOptions, Policy, Setup, Subject, Target};
use std::sync::atomic::Ordering::Relaxed;

#[test]
fn a_hunt_in_this_process_finds_the_greeters_death_and_reports_it_as_an_event() {
    workers::alone(|| {
        let (mut found, mut played) = (Vec::new(), 0);
        let how = HuntOptions::default().cases(2_000).max_events(8);
        let report = Setup::default().hunt(&how, |event| match event {
            HuntEvent::Found(finding) => found.push(finding.clone()),
            HuntEvent::Played(so_far, _) => played = so_far,
            _ => {}
        });
        let report = report.unwrap();
        assert_eq!(report.findings, found);
        assert_eq!(found[0].scenario.to_string(), "a connect; b connect; b fin; b rst; a fin");
        // The scenario that failed was the last one, and numbers count from 0.
        assert_eq!((report.number, played), (Some(report.played - 1), report.played));
        assert!(report.to_string().contains("death: killed by SIGPIPE at event 4"), "{report}");
    });
}

#[test]
fn a_hunt_ends_where_it_is_told_to() {
    workers::alone(|| {
        let careful = Setup { policy: Policy::Ignore, ..Setup::default() };
        let report = Subject::Program(careful.clone()).hunt(&HuntOptions::default().cases(50), |_| {}).unwrap();
        assert_eq!((report.played, report.findings.len(), report.stopped), (50, 0, false));
        let how = HuntOptions::default();
        let report = careful.hunt(&how, |event| {
            how.stop.fetch_or(matches!(event, HuntEvent::Played(7, _)), Relaxed);
        });
        let report = report.unwrap();
        assert_eq!((report.played, report.stopped), (7, true));
    });
}

#[test]
fn workers_that_cannot_be_made_are_an_error() {
    let how = HuntOptions::default().jobs(1);
    // A test has a thread of its own, beside the one that runs all tests, and then no process is forked.
    std::thread::scope(|scope| {
        scope.spawn(|| assert!(Setup::default().hunt(&how, |_| {}).is_err()));
    });
    let error = Subject::Command(Target::command(["true"])).hunt(&how, |_| {}).unwrap_err();
    assert_eq!(error.to_string(), "only the hunt of a program has worker processes");
}
