//! Zombies that do not grow in number with repetitions: they may be reaped only when the next client comes.

use super::follow_up::{Wanted, confirm};
use super::{HuntEvent, Hunting};
use crate::detect::Kind;
use crate::hunt::baseline::{HuntError, Silent};
use crate::hunt::seeds::held;

/// How many clients there are at a time.
const CLIENTS: usize = 16;

impl<W: FnMut(HuntEvent<'_>)> Hunting<'_, W> {
    /// Whether the server reaps its processes only when the next client comes. The first time it does, that is reported.
    pub(super) fn late_reaping(&mut self) -> Result<bool, HuntError> {
        if self.report.findings.iter().any(|finding| finding.kind() == Kind::LateReaping) {
            return Ok(true);
        }
        let Some(scenario) = held(Silent::Connected, CLIENTS, None) else { return Ok(false) };
        let wanted = Wanted::Kind(Kind::LateReaping);
        let finding = self.unhurried(|hunting| confirm(&mut hunting.lab, &scenario, wanted))?;
        if finding.is_confirmed() {
            self.add(finding);
            return Ok(true);
        }
        Ok(false)
    }
}
