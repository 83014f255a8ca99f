//! What is said to a server of which nothing is known.

use super::talk::Talk;
use super::{Answer, Exchange};
use crate::scenario::Payload;

pub(super) const NAME: &str = "none";

pub(super) fn talk() -> Talk {
    // That the server says something, or closes, is not asked for: it may wait for a word that is not known here.
    let polite = vec![Exchange::new(b"", Answer::Nothing)];
    Talk { say: vec![Payload::FIVE], opening: vec![], polite, closing: vec![] }
}
