//! Shards: parts of a numbered whole.

use std::fmt;
use std::str::FromStr;

/// One of several parts of a numbered whole: number k belongs to the part whose index is k modulo the count of parts. So each
/// number belongs to exactly one part.
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

/// The environment variables in which job schedulers pass the index and the count of jobs, and the index of the first job.
const SCHEDULERS: [(&str, &str, usize); 5] = [
    ("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS", 0),
    ("CLOUD_RUN_TASK_INDEX", "CLOUD_RUN_TASK_COUNT", 0),
    ("BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT", 0),
    ("CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL", 0),
    ("CI_NODE_INDEX", "CI_NODE_TOTAL", 1),
];

/// Why a shard is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadShard {
    /// The text is not two numbers with a slash between them.
    #[error("`{0}` is no shard; expected I/N, two numbers, as in 0/4")]
    Shape(String),
    /// The count of parts is 0.
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
    /// [`BadShard`] if `count` is 0, or `index` is not below `count`.
    pub const fn new(index: usize, count: usize) -> Result<Shard, BadShard> {
        match count {
            0 => Err(BadShard::NoShards),
            _ if index >= count => Err(BadShard::Index { index, count }),
            _ => Ok(Shard { index, count }),
        }
    }

    /// The shard of this process, read from the environment; the whole if the process is not one of several jobs.
    ///
    /// `BROKENPIPE_SHARD` is read first, as `I/N`. Then the variables that schedulers of indexed jobs set: `JOB_COMPLETION_INDEX`
    /// (Kubernetes; the job's own definition must pass its completions as `JOB_COMPLETIONS`), `CLOUD_RUN_TASK_INDEX` and
    /// `CLOUD_RUN_TASK_COUNT`, `BUILDKITE_PARALLEL_JOB` and `BUILDKITE_PARALLEL_JOB_COUNT`, `CIRCLE_NODE_INDEX` and
    /// `CIRCLE_NODE_TOTAL`, `CI_NODE_INDEX` and `CI_NODE_TOTAL` (GitLab, from 1). An index without a count is ignored: each job
    /// then plays the whole, so that no part is left out.
    ///
    /// # Errors
    ///
    /// [`BadShard`] if the variables that are set do not name a shard.
    pub fn from_env() -> Result<Shard, BadShard> {
        Shard::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Shard, BadShard> {
        if let Some(text) = variable("BROKENPIPE_SHARD") {
            return text.parse();
        }
        for (index, count, first) in SCHEDULERS {
            if let (Some(index), Some(count)) = (variable(index), variable(count)) {
                let shape = || BadShard::Shape(format!("{index}/{count}"));
                let number = |text: &str| text.trim().parse::<usize>().map_err(|_| shape());
                return Shard::new(number(&index)?.checked_sub(first).ok_or_else(shape)?, number(&count)?);
            }
        }
        Ok(Shard::WHOLE)
    }

    /// The index of this part, from 0.
    pub const fn index(self) -> usize {
        self.index
    }

    /// The count of parts.
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

    /// The items of `whole`, numbered from 0, that belong to this part.
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
    fn the_environment_says_which_shard_a_job_is() {
        let shard = |set: &[(&str, &str)]| {
            let found = |name: &str| set.iter().find(|v| v.0 == name).map(|v| v.1.to_owned());
            Shard::from_variables(found).map(|shard| shard.to_string()).map_err(|error| error.to_string())
        };
        assert_eq!(shard(&[]), Ok("0/1".to_owned()));
        assert_eq!(shard(&[("JOB_COMPLETION_INDEX", "2"), ("JOB_COMPLETIONS", "5")]), Ok("2/5".to_owned()));
        assert_eq!(shard(&[("JOB_COMPLETION_INDEX", "2")]), Ok("0/1".to_owned()));
        assert_eq!(shard(&[("CI_NODE_INDEX", "1"), ("CI_NODE_TOTAL", "3")]), Ok("0/3".to_owned()));
        assert_eq!(
            shard(&[("CI_NODE_INDEX", "1"), ("CI_NODE_TOTAL", "3"), ("BROKENPIPE_SHARD", "1/2")]),
            Ok("1/2".to_owned())
        );
        assert!(shard(&[("CI_NODE_INDEX", "0"), ("CI_NODE_TOTAL", "3")]).is_err());
        assert!(shard(&[("BROKENPIPE_SHARD", "x")]).is_err_and(|e| e.contains("expected I/N")));
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
