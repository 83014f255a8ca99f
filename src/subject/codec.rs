//! The binary form of a setup: two bytes (policy, number of ops between `accept` and `close`), then three bytes for each op (its
//! kind, then the length of a send, little-endian).

use super::{MAX_OPS, Op, Policy, Program, Setup};
use crate::scenario::MAX_SEND;

/// Bytes of one op.
const CELL: usize = 3;

/// Decodes an op between `accept` and `close`. All numbers are valid.
fn op(row: u8, n: u16) -> Op {
    match row % 6 {
        0 => Op::Send(if usize::from(n) <= MAX_SEND { n } else { n % 64 }),
        1 => Op::Recv,
        2 => Op::RecvAll,
        3 => Op::Echo,
        4 => Op::RecvOrClose,
        _ => Op::Shutdown,
    }
}

impl Setup {
    /// Decodes the setup at the start of `bytes`, and returns it with the bytes that follow. All inputs are valid.
    pub fn decode(bytes: &[u8]) -> (Setup, &[u8]) {
        let (policy, rest) = bytes.split_first().unwrap_or((&0, &[]));
        let (len, mut rest) = rest.split_first().unwrap_or((&0, &[]));
        let mut ops = Vec::with_capacity(MAX_OPS);
        ops.push(Op::Accept);
        for _ in 0..usize::from(*len) % (MAX_OPS - 1) {
            let Some((cell, tail)) = rest.split_first_chunk::<CELL>() else {
                rest = &[];
                break;
            };
            rest = tail;
            ops.push(op(cell[0], u16::from_le_bytes([cell[1], cell[2]])));
        }
        ops.push(Op::Close);
        let policy = Policy::ALL[usize::from(*policy) % Policy::ALL.len()];
        (Setup { program: Program::new(&ops).unwrap_or_default(), policy }, rest)
    }

    /// The bytes that [`Setup::decode`] turns back into this setup.
    pub fn encode(&self) -> Vec<u8> {
        let ops = self.program.ops();
        let inner = &ops[1..ops.len() - 1];
        let policy = Policy::ALL.iter().position(|p| *p == self.policy).unwrap_or(0);
        let mut bytes = vec![policy as u8, inner.len() as u8];
        for op in inner {
            let (row, n) = match op {
                Op::Send(n) => (0, *n),
                Op::Recv => (1, 0),
                Op::RecvAll => (2, 0),
                Op::Echo => (3, 0),
                Op::RecvOrClose => (4, 0),
                Op::Shutdown | Op::Accept | Op::Close => (5, 0),
            };
            let [lo, hi] = n.to_le_bytes();
            bytes.extend_from_slice(&[row, lo, hi]);
        }
        bytes
    }
}

#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for Setup {
    /// Decodes with [`Setup::decode`], and consumes only the bytes of the setup.
    fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Setup> {
        let bytes = u.peek_bytes(u.len()).unwrap_or_default();
        let (setup, rest) = Setup::decode(bytes);
        let used = bytes.len() - rest.len();
        u.bytes(used)?;
        Ok(setup)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_under_every_policy_survives_the_round_trip() {
        for program in Program::presets().chain(["accept; shutdown; recv-or-close; recv; close".parse().unwrap()]) {
            for policy in Policy::ALL {
                let setup = Setup::new(program.clone(), policy);
                let mut bytes = setup.encode();
                bytes.push(7);
                assert_eq!(Setup::decode(&bytes), (setup, &[7][..]));
            }
        }
    }

    #[test]
    fn any_bytes_are_a_setup() {
        for byte in 0..=255u8 {
            for len in 0..40 {
                Setup::decode(&vec![byte; len]);
            }
        }
    }
}
