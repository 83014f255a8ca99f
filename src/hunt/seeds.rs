//! Known shapes: orders that have killed, hung or leaked servers before, with the payloads of the target in them.
//!
//! They are what a hunt plays first. Where they come from: the rows of the kernel's tables (an RST in each state of a connection, data
//! left unread, the peer gone before the first or the second send), bursts that pile up while a server is held, urgent bytes, clients
//! that vanish or stall, and errors that the harness answers with.

use crate::scenario::{Payload, Scenario};
use std::collections::HashSet;

/// Shapes without a payload.
const BARE: &[&str] = &[
    "a connect; a rst",
    "a connect; a fin; a rst",
    "a connect; a close",
    "a connect; a fin; a close",
    "hold; a connect; a fin; a rst; go",
    "hold; a connect; a rst; go",
    "hold; a connect; a close; go",
    "a connect; b connect; b fin; b rst; a fin",
    "a connect; b connect; b rst; a fin",
    "hold; a connect; step; a fin; a rst; go",
    "hold; a connect; step; a rst; go",
    "hold; a connect; step; step; a rst; go",
    "hold; a connect; step; step; a fin; a rst; go",
    "a connect; a urgent",
    "a connect; a urgent; a rst",
    "a connect; a urgent; a fin",
    "a connect; a vanish",
    "a connect; a fin; a vanish",
    "hold; repeat 20 { a connect; a rst }; go",
    "hold; repeat 20 { a connect; a fin; a rst }; go",
    "repeat 20 { a connect; a rst }",
    "repeat 20 { a connect; a fin; a rst }",
    "fault accept EMFILE; a connect; b connect; b close",
    "fault accept EINTR; a connect; b connect; b close",
    "fault accept ECONNABORTED; a connect; b connect; b close",
    "limit descriptors; a connect; b connect; b close",
    "a connect; wait 300ms; a rst",
    "a connect; wait 300ms; a close",
    "a connect; a fin; wait 300ms; a rst",
];

/// Shapes in which `P` stands for a payload, `H` for the first half of it, and `M` for several in a row.
const TALKING: &[&str] = &[
    "a connect; a send P; a rst",
    "a connect; a send P; a fin; a rst",
    "a connect; a send P; a close",
    "a connect; a send P; a fin; a close",
    "a connect; a send P; a recv; a rst",
    "a connect; a send P; a recv; a fin; a rst",
    "a connect; a send H; a rst",
    "a connect; a send H; a fin; a rst",
    "a connect; a send H; a fin",
    "a connect; a send H; a close",
    "hold; a connect; a send P; a rst; go",
    "hold; a connect; a send P; a fin; a rst; go",
    "hold; a connect; a send P; a close; go",
    "hold; a connect; a send P; step; a rst; go",
    "hold; a connect; a send P; step; step; a rst; go",
    "hold; a connect; a send P; step; step; step; a rst; go",
    "hold; a connect; a send P; step; step; a fin; a rst; go",
    "hold; a connect; a send P; step; step; step; a fin; a rst; go",
    "a connect; hold; a send P; a rst; go",
    "a connect; hold; a send P; a fin; a rst; go",
    "a connect; hold; a send P; step; a rst; go",
    "a connect; hold; a send P; step; step; a rst; go",
    "a connect; a send P; a urgent; a rst",
    "a connect; a urgent; a send P; a fin",
    "a connect; a send P; a vanish",
    "a connect; a send H; a vanish; b connect; b send P; b recv; b close",
    "a connect; a stall; M; a rst",
    "a connect; a stall; M; a fin; a rst",
    "a connect; a stall; M; a close",
    "a connect; M; a rst",
    "a connect; M; a recv; a fin; a rst",
    "a connect; a send P; b connect; b rst",
    "a connect; a send P; b connect; b send P; b rst; b connect; b recv",
    "a connect; b connect; a send P; b send P; a rst; b fin; b rst",
    "repeat 20 { a connect; a send P; a rst }",
    "repeat 20 { a connect; a send H; a fin; a rst }",
    "hold; repeat 20 { a connect; a send P; a rst }; go",
    "fault recv ECONNRESET; a connect; a send P; b connect; b send P; b recv; b close",
    "fault recv EINTR; a connect; a send P; b connect; b send P; b recv; b close",
    "fault send ECONNRESET; a connect; a send P; b connect; b send P; b recv; b close",
    "fault send EINTR; a connect; a send P; b connect; b send P; b recv; b close",
    "a connect; a send P; wait 300ms; a rst",
    "a connect; a send H; wait 300ms; a fin; a rst",
];

/// How many of the same in a row.
const MANY: usize = 8;
/// Of so many payloads every shape is made; of others, the first few.
const ALL_OF: usize = 2;

/// Every shape with each of the payloads, those first that take no time.
pub(super) fn shapes(payloads: &[Payload]) -> Vec<Scenario> {
    let mut texts: Vec<String> = BARE.iter().map(|shape| (*shape).to_owned()).collect();
    for (i, payload) in payloads.iter().enumerate() {
        let half = match payload.given() {
            Some(bytes) => Payload::bytes(&bytes[..bytes.len().div_ceil(2)]),
            None => Payload::filling(payload.len().div_ceil(2)),
        };
        let half = half.unwrap_or_else(|| payload.clone()).to_string();
        let (whole, many) = (payload.to_string(), vec![format!("a send {payload}"); MANY].join("; "));
        let few = if i < ALL_OF { TALKING } else { &TALKING[..MANY * 2] };
        texts.extend(few.iter().map(|shape| {
            // In two steps, for a payload may have any of these words in it, but no control character.
            let marked =
                shape.replace("send P", "send \u{1}").replace("send H", "send \u{2}").replace("; M;", "; \u{3};");
            marked.replace('\u{1}', &whole).replace('\u{2}', &half).replace('\u{3}', &many)
        }));
    }
    let mut known = HashSet::new();
    let mut all: Vec<Scenario> =
        texts.iter().filter_map(|text| text.parse().ok()).filter(|s| known.insert(Scenario::clone(s))).collect();
    all.sort_by_key(|scenario| scenario.to_string().contains("wait "));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_a_scenario() {
        let payload = Payload::bytes(b"P; M; send H\r\n").unwrap();
        for shape in BARE.iter().chain(TALKING) {
            let text = shape.replace("send P", "send 5").replace("send H", "send 2").replace("; M;", "; a send 5;");
            assert!(text.parse::<Scenario>().is_ok(), "{shape}");
        }
        assert_eq!(shapes(std::slice::from_ref(&payload)).len(), BARE.len() + TALKING.len());
        assert_eq!(shapes(&[]).len(), BARE.len());
        assert_eq!(shapes(&[payload.clone(), payload]).len(), BARE.len() + TALKING.len());
    }
}
