//! A server whose protocol is not known.

use super::talk::Talk;
use super::{Answer, Exchange};
use crate::scenario::Payload;

pub(super) const NAME: &str = "none";

pub(super) fn talk() -> Talk {
    // The server need neither send nor close: it may wait for a request that is not known here.
    let polite = vec![Exchange::new(b"", Answer::Nothing)];
    Talk { say: vec![Payload::FIVE], opening: vec![], polite, closing: vec![], frames: &[] }
}
