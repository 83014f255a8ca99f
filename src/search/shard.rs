//! A part of the work.

use std::fmt;
use std::str::FromStr;

/// One of several parts of a numbered whole: number k belongs to part k modulo their count. Together the parts are the
/// whole, each number once.
///
/// ```
/// use brokenpipe::{Action, Shard, enumerate};
///
/// let shard: Shard = "1/3".parse()?;
/// let scenarios = enumerate(2, 2, vec![Action::Connect, Action::Rst], vec![]);
/// let part: Vec<String> = shard.part(scenarios).map(|s| s.to_string()).collect();
/// assert_eq!(part, ["a connect; a connect"]);
/// assert_eq!(shard.to_string(), "1/3");
/// # Ok::<(), brokenpipe::BadShard>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shard {
    index: usize,
    count: usize,
}

/// Why this is no shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadShard {
    /// It is not two numbers with a slash between them.
    #[error("`{0}` is no shard; expected I/N, two numbers, as in 0/4")]
    Shape(String),
    /// The whole is divided into no parts.
    #[error("there must be at least one shard")]
    NoShards,
    /// The index is not below the count.
    #[error("there is no shard {index} of {count}: shards are counted from 0, the last one is {}/{count}", .count - 1)]
    Index {
        /// The index.
        index: usize,
        /// The count.
        count: usize,
    },
}

impl Shard {
    /// The whole, in one part.
    pub const WHOLE: Shard = Shard { index: 0, count: 1 };

    /// Part `index`, from 0, of `count`.
    ///
    /// # Errors
    ///
    /// [`BadShard`] if there are no parts, or no part of that index.
    pub const fn new(index: usize, count: usize) -> Result<Shard, BadShard> {
        match count {
            0 => Err(BadShard::NoShards),
            _ if index >= count => Err(BadShard::Index { index, count }),
            _ => Ok(Shard { index, count }),
        }
    }

    /// Which part, from 0.
    pub const fn index(self) -> usize {
        self.index
    }

    /// How many parts there are.
    pub const fn count(self) -> usize {
        self.count
    }

    /// Whether number `k` belongs to this part.
    pub const fn holds(self, k: u64) -> bool {
        k % self.count as u64 == self.index as u64
    }

    /// The numbers that belong to this part.
    pub fn numbers(self) -> impl Iterator<Item = u64> {
        (self.index as u64..).step_by(self.count)
    }

    /// This part of what `whole` gives, numbered from 0.
    pub fn part<I: IntoIterator>(self, whole: I) -> impl Iterator<Item = I::Item> {
        whole.into_iter().skip(self.index).step_by(self.count)
    }
}

impl Default for Shard {
    fn default() -> Shard {
        Shard::WHOLE
    }
}

impl FromStr for Shard {
    type Err = BadShard;

    fn from_str(text: &str) -> Result<Shard, BadShard> {
        let numbers = text.trim().split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
        let (index, count) = numbers.ok_or_else(|| BadShard::Shape(text.to_owned()))?;
        Shard::new(index, count)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Enumerate, enumerate};
    use std::collections::HashSet;

    #[test]
    fn the_union_of_all_shards_is_the_whole_and_each_comes_once() {
        let whole = || enumerate(3, 2, Enumerate::plain_actions(), vec![]);
        let texts: HashSet<String> = whole().map(|s| s.to_string()).collect();
        for count in [1, 2, 3, 7, 1000] {
            let mut parts = Vec::new();
            for index in 0..count {
                let shard = Shard::new(index, count).unwrap();
                let part: Vec<String> = shard.part(whole()).map(|s| s.to_string()).collect();
                assert!(
                    part.iter()
                        .cloned()
                        .eq(shard.numbers().map_while(|k| whole().nth(k as usize)).map(|s| s.to_string()))
                );
                parts.extend(part);
            }
            assert_eq!(parts.len(), texts.len());
            assert_eq!(parts.into_iter().collect::<HashSet<_>>(), texts);
        }
    }

    #[test]
    fn a_number_belongs_to_exactly_one_shard() {
        for k in 0..100 {
            assert_eq!((0..7).filter(|i| Shard::new(*i, 7).unwrap().holds(k)).count(), 1);
        }
    }

    #[test]
    fn what_is_no_shard_is_refused_with_the_reason() {
        let error = |text: &str| text.parse::<Shard>().unwrap_err().to_string();
        assert_eq!(error("2"), "`2` is no shard; expected I/N, two numbers, as in 0/4");
        assert!(error("-1/4").contains("no shard"));
        assert!(error("1/4/2").contains("no shard"));
        assert_eq!(error("0/0"), "there must be at least one shard");
        assert_eq!(error("4/4"), "there is no shard 4 of 4: shards are counted from 0, the last one is 3/4");
        assert_eq!("3/4".parse::<Shard>().unwrap().to_string(), "3/4");
    }
}
