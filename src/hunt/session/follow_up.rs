//! Confirms a suspected failure on fresh servers, minimises it, and replaces an injected error by a real cause if there is one.

use super::{HuntEvent, Hunting, for_real};
use crate::detect::outcome::{Outcome, Seen};
use crate::detect::{CONFIRMATIONS, Finding, Gate, Kind, Signature};
use crate::hunt::activity::Activity;
use crate::hunt::baseline::HuntError;
use crate::hunt::lab::Lab;
use crate::scenario::{Event, Fault, Repeat, Scenario};
use crate::search::minimise;
use std::time::{Duration, Instant};

/// How long, and over how many scenarios, a failure is minimised at most.
const MINIMISING: Duration = Duration::from_secs(4);
const MOST_ASKED: u32 = 400;
/// The number of rounds in which a scenario that fails now and then is repeated.
const OFTEN: usize = 20;
/// How many more times a failure must reproduce if the order of the server's calls is left to chance.
const RACES: u32 = 9;

/// A suspected failure: a scenario showed it on a server that had served others before.
pub(super) struct Suspicion {
    pub(super) scenario: Scenario,
    pub(super) seen: Seen,
    /// The injected errors that were returned to the server's calls.
    pub(super) injected: Vec<Fault>,
    /// The scenarios that the server had been through before.
    pub(super) before: Vec<Scenario>,
}

impl Suspicion {
    /// The finding that is reported if fresh servers do not show the failure.
    pub(super) fn unconfirmed(&self, lab: &Lab<'_>) -> Finding {
        let Suspicion { scenario, seen, .. } = self;
        Finding { evidence: seen.evidence.clone(), ..lab.finding(seen.signature, scenario) }
    }
}

/// What a scenario is to show.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    /// Any failure of this kind.
    Kind(Kind),
    /// A failure that is like this one ([`Signature::is_like`]).
    Like(Signature),
    /// A failure that is like this one, in a run without injected errors.
    Real(Signature),
}

impl Wanted {
    pub(super) fn of(suspicion: &Suspicion) -> Wanted {
        let signature = suspicion.seen.signature;
        if suspicion.injected.is_empty() { Wanted::Real(signature) } else { Wanted::Like(signature) }
    }

    const fn signature(self) -> Signature {
        match self {
            Wanted::Kind(kind) => Signature::of(kind),
            Wanted::Like(signature) | Wanted::Real(signature) => signature,
        }
    }

    /// The failure in an outcome that matches: one with the same signature if there is one, else one that is like it.
    pub(super) fn among(self, outcome: &Outcome) -> Option<&Seen> {
        let signature = self.signature();
        match self {
            Wanted::Kind(kind) => outcome.seen.iter().find(|seen| seen.signature.kind == kind),
            Wanted::Real(_) if !outcome.injected.is_empty() => None,
            Wanted::Like(_) | Wanted::Real(_) => {
                let like = outcome.seen.iter().filter(|seen| seen.signature.is_like(&signature));
                like.min_by_key(|seen| seen.signature != signature)
            }
        }
    }

    /// Whether an outcome shows a failure with the same signature.
    fn is_shown_by(self, outcome: &Outcome) -> bool {
        self.among(outcome).is_some_and(|seen| seen.signature == self.signature())
    }
}

/// Plays a scenario on fresh servers, [`CONFIRMATIONS`] times, and counts how often the failure shows.
pub(super) fn confirm(lab: &mut Lab<'_>, scenario: &Scenario, wanted: Wanted) -> Result<Finding, HuntError> {
    let mut finding = lab.finding(wanted.signature(), scenario);
    for _ in 0..CONFIRMATIONS {
        let outcome = once(lab, scenario, wanted, false)?;
        if let Some(Seen { signature, evidence }) = wanted.among(&outcome).cloned() {
            finding.confirmed += 1;
            let Outcome { trace, injected, output, doubt, .. } = outcome;
            let doubt = finding.doubt.or(doubt);
            finding = Finding { signature, evidence, trace, injected, output, doubt, ..finding };
        }
    }
    Ok(finding)
}

/// Plays a scenario on a fresh server, and looks for one symptom.
pub(super) fn once(
    lab: &mut Lab<'_>,
    scenario: &Scenario,
    wanted: Wanted,
    patient: bool,
) -> Result<Outcome, HuntError> {
    match wanted.signature().kind {
        Kind::MemoryGrowth => lab.grows_in_memory(scenario, false),
        kind => lab.examine(scenario, kind, patient),
    }
}

/// Whether the server ran short of a resource in a finding's scenario, by an injected error or a limit.
fn is_short(finding: &Finding) -> bool {
    let mut events = finding.scenario.events().iter().flat_map(Event::parts);
    finding.is_injected() || events.any(|event| matches!(event, Event::Limit(_)))
}

/// The whole scenario in a block of [`OFTEN`] rounds. A scenario that contains blocks gets more rounds in each instead. `None` if they have
/// as many already.
fn repeated(scenario: &Scenario) -> Option<Scenario> {
    let events = scenario.events();
    if let Some(repeat) = Repeat::new(OFTEN, events) {
        return Some(Scenario::from_valid(vec![Event::Repeat(repeat)]));
    }
    let more = |event: &Event| match event {
        Event::Repeat(block) if block.times() < OFTEN => Repeat::new(OFTEN, block.events()).map(Event::Repeat),
        _ => None,
    };
    let often: Vec<Event> = events.iter().map(|event| more(event).unwrap_or_else(|| event.clone())).collect();
    (often != events).then(|| Scenario::from_valid(often))
}

impl<W: FnMut(HuntEvent<'_>)> Hunting<'_, W> {
    /// Confirms a suspected failure, without its injected error if it shows without one. `None` if the failure is known already.
    pub(super) fn followed_up(&mut self, mut suspicion: Suspicion) -> Result<Option<Finding>, HuntError> {
        let _doing = self.lab.activity.enter(Activity::Confirms);
        if !suspicion.injected.is_empty() {
            let real = suspicion.scenario.filtered(|event| !matches!(event, Event::Fault(_)));
            if let Some(real) = self.suspected(real, suspicion.seen.signature)? {
                suspicion = real;
            }
            if self.is_known(&suspicion) {
                return Ok(None);
            }
        }
        let finding = self.confirmed(&suspicion)?;
        if finding.confirmed == 0 && finding.doubt.is_none() {
            self.put_off(suspicion);
        }
        if finding.is_confirmed() && finding.signature.role.is_main() && finding.kind().ends_the_server() {
            self.deadly.extend(&finding.injected);
        }
        if !finding.is_confirmed() || !finding.is_injected() {
            return Ok(Some(finding));
        }
        for scenario in for_real::variants(&finding.scenario) {
            let Some(real) = self.suspected(scenario, finding.signature)? else { continue };
            if real.seen.signature.call != finding.signature.call {
                continue;
            }
            if self.is_known(&real) {
                return Ok(None);
            }
            let real = self.confirmed(&real)?;
            if real.is_confirmed() {
                return Ok(Some(real));
            }
        }
        Ok(Some(finding))
    }

    /// Screens a scenario without injected errors. Returns the suspected failure if it is like `signature`.
    fn suspected(&mut self, scenario: Scenario, signature: Signature) -> Result<Option<Suspicion>, HuntError> {
        let outcome = self.lab.screen(&scenario)?;
        let seen = Wanted::Real(signature).among(&outcome).cloned();
        Ok(seen.map(|seen| Suspicion { scenario, seen, injected: Vec::new(), before: Vec::new() }))
    }

    /// Confirms a suspected failure on fresh servers and minimises it.
    pub(super) fn confirmed(&mut self, suspicion: &Suspicion) -> Result<Finding, HuntError> {
        let Suspicion { scenario, seen, .. } = suspicion;
        let (wanted, kind) = (Wanted::of(suspicion), seen.signature.kind);
        // The failure has to show only once before it is minimised, because the result is then confirmed. A busy loop is watched for
        // longer, and need not show again before it is minimised.
        let mut finding = suspicion.unconfirmed(&self.lab);
        let outcome = match kind {
            // A busy loop that needs an injected error is a warning at most, so it is not watched.
            Kind::Spin if suspicion.injected.is_empty() => self.lab.watch(scenario)?,
            Kind::Spin => Outcome::default(),
            _ => once(&mut self.lab, scenario, wanted, true)?,
        };
        if let Some(doubt) = outcome.doubt {
            // A smaller scenario does not remove the doubt.
            finding.evidence += &format!("; but {doubt}");
            return Ok(Finding { doubt: Some(doubt), ..finding });
        }
        let sure = kind == Kind::Spin || wanted.among(&outcome).is_some();
        if !sure && kind.takes_time() {
            return Ok(finding);
        }
        // A scenario that was minimised on servers that had served others before may be too small for fresh servers. Then it is minimised
        // on fresh ones.
        for fresh in [false, true] {
            if sure && !finding.is_confirmed() {
                let (small, cut_short) = self.reduced(suspicion, fresh)?;
                finding = Finding { cut_short, ..confirm(&mut self.lab, &small, wanted)? };
            }
        }
        if !finding.is_confirmed() && (finding.scenario != *scenario || !sure) {
            finding = confirm(&mut self.lab, scenario, wanted)?;
        }
        // A race that fails now and then fails each time if the scenario is repeated often enough. A race that fails most of the time may
        // have failed three times by chance.
        if finding.confirmed > 0 && !(finding.is_confirmed() && self.comes_true_often(&finding, wanted)?) {
            finding = self.tried_often(finding, suspicion)?;
        }
        if finding.confirmed > 0 && matches!(kind, Kind::Unresponsive | Kind::NotListening) {
            let mut recovery = self.lab.recovery(&finding.scenario, false)?;
            if recovery.is_recovered() && is_short(&finding) {
                // Some servers wait until one of their clients leaves. If none is connected, they wait for ever.
                recovery = self.lab.recovery(&finding.scenario, true)?;
            }
            if recovery.is_recovered() && is_short(&finding) {
                // A server that ran short of a resource may stop accepting until it has enough again.
                return Ok(suspicion.unconfirmed(&self.lab));
            }
            finding.evidence += &recovery.words();
            if let Some(Seen { signature, evidence }) = recovery.throttling() {
                finding = Finding { signature, evidence, ..finding };
            }
        }
        if finding.confirmed > 0 && kind == Kind::Spin && finding.injected.is_empty() && finding.scenario != *scenario {
            // The minimised scenario may show a busy loop that ends by itself.
            finding.doubt = self.lab.watch(&finding.scenario)?.doubt;
        }
        if let Some(doubt) = &finding.doubt {
            finding.evidence += &format!("; but {doubt}");
        }
        self.lab.end();
        Ok(if finding.confirmed == 0 { suspicion.unconfirmed(&self.lab) } else { finding })
    }

    /// Repeats the scenario of a failure that shows now and then, so often that the failure shows each time, and minimises the result.
    /// Until a failure shows each time, it cannot be decided which events make no difference. Returns `finding` if the repeated scenario
    /// does not fail each time.
    fn tried_often(&mut self, finding: Finding, suspicion: &Suspicion) -> Result<Finding, HuntError> {
        let wanted = Wanted::of(suspicion);
        let Some(scenario) = repeated(&finding.scenario) else { return Ok(finding) };
        let often = confirm(&mut self.lab, &scenario, wanted)?;
        if !often.is_confirmed() {
            return Ok(finding);
        }
        let (seen, injected) = (suspicion.seen.clone(), suspicion.injected.clone());
        let (fewer, cut_short) = self.reduced(&Suspicion { scenario, seen, injected, before: Vec::new() }, true)?;
        let fewer = repeated(&fewer).unwrap_or(fewer);
        if fewer == often.scenario {
            return Ok(often);
        }
        let fewer = Finding { cut_short, ..confirm(&mut self.lab, &fewer, wanted)? };
        Ok(if fewer.is_confirmed() { fewer } else { often })
    }

    /// Whether a failure that showed each time shows [`RACES`] more times. Checked only if the order of the server's calls was left to
    /// chance.
    fn comes_true_often(&mut self, finding: &Finding, wanted: Wanted) -> Result<bool, HuntError> {
        match finding.gate {
            // The failure did not show with the gate, so it is a race.
            Gate::Lifted if self.lab.is_parallel() => return Ok(false),
            Gate::Off if self.lab.is_parallel() => {}
            _ => return Ok(true),
        }
        for _ in 0..RACES {
            if wanted.among(&once(&mut self.lab, &finding.scenario, wanted, false)?).is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A smaller scenario that shows the same failure in screening, on fresh servers if `fresh`, else on servers that are used again. Also
    /// returns whether there was no time to try every shorter one.
    fn reduced(&mut self, suspicion: &Suspicion, fresh: bool) -> Result<(Scenario, bool), HuntError> {
        let _doing = self.lab.activity.enter(Activity::Minimises);
        let deadline = Instant::now() + MINIMISING;
        let wanted = Wanted::of(suspicion);
        let (mut asked, mut cut_short) = (0, false);
        let lab = &mut self.lab;
        let small = minimise(&suspicion.scenario, |scenario: &Scenario| -> Result<bool, HuntError> {
            asked += 1;
            // Without events, only the polite client afterwards would be played, and that is no part of the scenario.
            if scenario.events().is_empty() {
                return Ok(false);
            }
            if asked > MOST_ASKED || Instant::now() > deadline {
                cut_short = true;
                return Ok(false);
            }
            if fresh {
                lab.end();
            }
            Ok(wanted.is_shown_by(&lab.screen(scenario)?))
        });
        lab.end();
        Ok((small?, cut_short))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Call, Errno, Fault};
    use crate::trace::{Role, TcpState};

    #[test]
    fn what_is_repeated_is_the_whole_scenario_or_what_is_repeated_in_it_already() {
        let again = |text: &str| repeated(&text.parse().unwrap()).map(|scenario| scenario.to_string());
        assert_eq!(again("a connect; a rst").as_deref(), Some("repeat 20 { a connect; a rst }"));
        assert_eq!(again("hold; a connect; a rst; go").as_deref(), Some("repeat 20 { hold; a connect; a rst; go }"));
        let more = again("b connect; repeat 3 { a connect; a rst }; b rst");
        assert_eq!(more.as_deref(), Some("b connect; repeat 20 { a connect; a rst }; b rst"));
        assert_eq!(again("repeat 20 { a connect; a rst }"), None);
    }

    #[test]
    fn what_is_wanted_is_the_very_same_or_else_one_like_it() {
        let of = |call, state| Signature { call: Some(call), state: Some(state), ..Signature::of(Kind::Exit) };
        let (accept, recv) = (of("accept", TcpState::Listen), of("recv", TcpState::Close));
        let child = Signature { role: Role::Worker, ..recv };
        let seen = |signature| Seen { signature, evidence: String::new() };
        let outcome = Outcome { seen: vec![seen(accept), seen(recv)], ..Outcome::default() };
        let among = |wanted: Wanted| wanted.among(&outcome).map(|seen| seen.signature);
        assert_eq!(among(Wanted::Real(recv)), Some(recv));
        assert_eq!(among(Wanted::Real(of("send", TcpState::Close))), Some(accept));
        assert!(!Wanted::Real(of("send", TcpState::Close)).is_shown_by(&outcome));
        assert_eq!(among(Wanted::Like(child)), None);
        assert_eq!(among(Wanted::Kind(Kind::Spin)), None);
        let injected = Fault::new(Call::Accept, Errno::EMFILE).into_iter().collect();
        let outcome = Outcome { injected, ..outcome };
        assert!(Wanted::Like(recv).is_shown_by(&outcome) && !Wanted::Real(recv).is_shown_by(&outcome));
    }
}
