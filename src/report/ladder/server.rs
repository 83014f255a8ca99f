//! The server's column: its calls, the times at which it made them, and how it ended.

use crate::scenario::Event;
use crate::trace::{Called, Detail, Outcome, Reply, Step, Trace};
use std::time::Duration;

/// The time is shown before a call that comes so much later than the one before.
const LATER: Duration = Duration::from_millis(100);
/// The most times that are shown in one step. Of more, only the first and the last are.
const MOST_TIMES: usize = 4;

/// Fills the server's column, step by step.
pub(super) struct ServerColumn {
    /// Whether several tasks made calls.
    has_tasks: bool,
    /// When the last call was made, from the beginning of the run.
    time: Duration,
}

impl ServerColumn {
    pub(super) fn of(trace: &Trace) -> ServerColumn {
        let has_tasks = trace.steps().any(|step| step.detailed().any(|(_, detail)| detail.is_some_and(|d| d.task > 0)));
        ServerColumn { has_tasks, time: Duration::ZERO }
    }

    /// The cells of a step: the event, if it is no client's; the server's calls, the last of them marked if the server ended; and how it
    /// ended.
    pub(super) fn cells(&mut self, event: Option<&Event>, step: &Step<'_>, end: Option<Outcome>) -> Vec<String> {
        let mut cells = Vec::new();
        match (event, step.reply) {
            (None | Some(Event::Client(..)), _) => {}
            (Some(event), Reply::Nothing(reason)) => cells.push(format!("  [{event}: {}]", reason.words())),
            (Some(event), _) => cells.push(format!("  [{event}]")),
        }
        let words = |(called, detail): (Called, Option<Detail>)| match detail {
            Some(detail) if self.has_tasks => format!("  {}: {called}", detail.task),
            _ => format!("  {called}"),
        };
        let calls: Vec<String> = step.detailed().map(words).collect();
        // The call in which the server ended is never part of a repetition.
        let apart = calls.len() - usize::from(end.is_some() && !calls.is_empty());
        let mut from = 0;
        for (at, time) in self.times(step) {
            call_cells(&calls[from..at.min(apart)], &mut cells);
            cells.push(format!("  (at {:.1} s)", time.as_secs_f64()));
            from = at.min(apart);
        }
        call_cells(&calls[from..apart], &mut cells);
        cells.extend_from_slice(&calls[apart..]);
        if let Some(outcome) = end {
            if let (Some(last), false) = (cells.last_mut(), step.calls.is_empty()) {
                last.replace_range(..1, "✗");
            }
            cells.push(match outcome {
                Outcome::Killed { signal, .. } => format!("✗ killed by {signal}"),
                Outcome::Exited { code, .. } => format!("✗ exited with {code}"),
                outcome => format!("✗ {}", outcome.kind()),
            });
        }
        cells
    }

    /// The calls of a step before which the time is shown, by their position, with the time.
    fn times(&mut self, step: &Step<'_>) -> Vec<(usize, Duration)> {
        let mut later = Vec::new();
        for (i, (_, detail)) in step.detailed().enumerate() {
            let Some(Detail { time, .. }) = detail else { continue };
            if time.saturating_sub(self.time) >= LATER {
                later.push((i, time));
            }
            self.time = time;
        }
        if later.len() > MOST_TIMES {
            later.drain(1..later.len() - 1);
        }
        later
    }
}

/// Adds the calls, one per line. A sequence of at most 8 calls that is repeated 3 times or more is shown once, with the number of
/// repetitions.
fn call_cells(mut calls: &[String], cells: &mut Vec<String>) {
    const LONGEST: usize = 8;
    const FEWEST: usize = 3;
    while !calls.is_empty() {
        let times = |len: usize| calls.chunks(len).take_while(|chunk| *chunk == &calls[..len]).count();
        let again = (1..=LONGEST.min(calls.len())).map(|len| (len, times(len))).find(|(_, times)| *times >= FEWEST);
        let (len, times) = again.unwrap_or((1, 1));
        cells.extend_from_slice(&calls[..len]);
        if times > 1 {
            cells.push(format!("  … ×{times}"));
        }
        calls = &calls[len * times..];
    }
}
