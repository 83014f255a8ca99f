//! The jobs of a hunt: the parent hands out scenarios to worker processes by their numbers, and merges the answers.
//!
//! Numbers are handed out in order, in chunks of about a tenth of a second's work. The finding is the failed scenario with the lowest
//! number: a worker whose scenario failed stops, the others play only lower numbers, and no more numbers are handed out. What is found
//! therefore depends neither on the number of workers nor on their speed.
//!
//! A worker keeps its finding. At the end the parent tells one worker to report; that worker minimises its finding, prints it and writes
//! the case file.

use crate::cli::failure::Failure;
use crate::cli::interrupt::Interrupt;
use crate::cli::session::exit_code;
use brokenpipe::Worker;
use indicatif::ProgressBar;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Stands for the number of the finding while there is none.
const NONE: u64 = u64::MAX;

/// How many chunks a worker has at a time, so that it need not wait for the next. While the parent is stopped (Ctrl-Z), workers finish
/// these chunks and then wait.
const AHEAD: usize = 2;
/// Number of scenarios in the first chunk of a worker, and the most in any chunk.
const FIRST_CHUNK: u64 = 8;
const MOST: u64 = 4096;
/// How long a chunk should take. After a shorter chunk the worker's next one is twice as large; after one that took more than four times as
/// long, half as large.
const CHUNK_TIME: Duration = Duration::from_millis(50);

/// A message from the parent to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// Play the scenarios from number `from` up to, but not including, `to`.
    Play { from: u64, to: u64 },
    /// Play nothing from this number on.
    Below(u64),
    /// Report the finding, or the error that stopped this worker. All workers together have played `played` scenarios.
    Tell { played: u64 },
}

/// A worker's message to the parent, one for each chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// `played` scenarios of the chunk were played, and none failed.
    Held { played: u64 },
    /// `played` scenarios were played. The last of them, scenario `number`, failed.
    Found { played: u64, number: u64 },
    /// The kernel world failed.
    Failed,
}

/// A message: its kind, and two numbers. It is [`LENGTH`] bytes long.
type Message = (u8, u64, u64);
const LENGTH: usize = 17;

fn send(mut to: &UnixStream, (kind, one, other): Message) -> io::Result<()> {
    let mut bytes = [kind; LENGTH];
    bytes[1..9].copy_from_slice(&one.to_ne_bytes());
    bytes[9..].copy_from_slice(&other.to_ne_bytes());
    to.write_all(&bytes)
}

/// Waits for the next message; `None` if the other side has closed the connection.
fn receive(mut from: &UnixStream) -> Option<Message> {
    let mut bytes = [0; LENGTH];
    from.read_exact(&mut bytes).ok()?;
    let number = |at: usize| bytes[at..at + 8].try_into().map_or(0, u64::from_ne_bytes);
    Some((bytes[0], number(1), number(9)))
}

impl Order {
    fn send(self, to: &UnixStream) -> io::Result<()> {
        let message = match self {
            Order::Play { from, to } => (0, from, to),
            Order::Below(number) => (1, number, 0),
            Order::Tell { played } => (2, played, 0),
        };
        send(to, message)
    }

    fn receive(from: &UnixStream) -> Option<Order> {
        Some(match receive(from)? {
            (0, from, to) => Order::Play { from, to },
            (1, number, _) => Order::Below(number),
            (_, played, _) => Order::Tell { played },
        })
    }
}

impl Answer {
    fn send(self, to: &UnixStream) -> io::Result<()> {
        let message = match self {
            Answer::Held { played } => (0, played, 0),
            Answer::Found { played, number } => (1, played, number),
            Answer::Failed => (2, 0, 0),
        };
        send(to, message)
    }

    fn receive(from: &UnixStream) -> Option<Answer> {
        Some(match receive(from)? {
            (0, played, _) => Answer::Held { played },
            (1, played, number) => Answer::Found { played, number },
            _ => Answer::Failed,
        })
    }
}

/// The worker's side of the connection.
#[derive(Debug)]
pub(super) struct Job {
    stream: UnixStream,
    chunks: VecDeque<Range<u64>>,
    below: u64,
    told: Option<u64>,
    gone: bool,
}

impl Job {
    pub(super) fn new(stream: UnixStream) -> Job {
        Job { stream, chunks: VecDeque::new(), below: NONE, told: None, gone: false }
    }

    /// Waits for the next chunk of numbers; `None` if there will be no more.
    pub(super) fn next(&mut self) -> Option<Range<u64>> {
        while self.chunks.is_empty() && self.told.is_none() && !self.gone {
            self.read();
        }
        self.chunks.pop_front()
    }

    /// Reads the orders that have arrived, and says whether number `k` is still to be played.
    pub(super) fn wants(&mut self, k: u64) -> bool {
        let mut fds = [PollFd::new(self.stream.as_fd(), PollFlags::POLLIN)];
        while !self.gone && poll(&mut fds, PollTimeout::ZERO) == Ok(1) {
            self.read();
            fds = [PollFd::new(self.stream.as_fd(), PollFlags::POLLIN)];
        }
        !self.gone && k < self.below
    }

    fn read(&mut self) {
        match Order::receive(&self.stream) {
            Some(Order::Play { from, to }) => self.chunks.push_back(from..to),
            Some(Order::Below(number)) => self.below = self.below.min(number),
            Some(Order::Tell { played }) => self.told = Some(played),
            None => self.gone = true,
        }
    }

    /// Reports that `played` scenarios of a chunk were played, and none failed.
    pub(super) fn held(&self, played: u64) {
        // An error means that the parent has ended; the next read shows that too.
        let _ = Answer::Held { played }.send(&self.stream);
    }

    /// Reports that `played` scenarios of a chunk were played, and the last of them, scenario `number`, failed.
    pub(super) fn found(&mut self, played: u64, number: u64) {
        self.below = number;
        let _ = Answer::Found { played, number }.send(&self.stream);
    }

    /// The kernel world failed.
    pub(super) fn failed(&mut self) {
        self.below = 0;
        let _ = Answer::Failed.send(&self.stream);
    }

    /// The number of scenarios that all workers played, if this worker is to report; else `None`. Valid once [`Job::next`] has given
    /// `None`.
    pub(super) const fn told(&self) -> Option<u64> {
        self.told
    }
}

/// When a hunt ends without a finding.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The first number that is not played.
    pub(super) limit: u64,
    pub(super) deadline: Option<Instant>,
}

/// The result of a hunt.
#[derive(Debug)]
pub(super) enum Merged {
    /// `played` scenarios were played, and none failed.
    Held { played: u64 },
    /// A worker has reported a finding, or the error that stopped it, and has exited with this code.
    Shown(u8),
}

/// The parent's record of a worker.
struct Hand {
    worker: Worker,
    /// How many chunks the worker has not answered yet.
    waiting: usize,
    chunk: u64,
    last: Instant,
    gone: bool,
}

/// The parent's side of the connections.
struct Hunt<'h> {
    hands: Vec<Hand>,
    bounds: Bounds,
    next: u64,
    played: u64,
    /// The lowest number that failed, and the index of the worker that played it.
    lowest: u64,
    finder: Option<usize>,
    failed: Option<usize>,
    stopped: bool,
    bar: &'h ProgressBar,
}

/// Hands out numbers until a scenario fails, a bound is reached, or the user interrupts. Then has one worker report, if there is anything
/// to report, and waits for all workers to exit.
pub(super) fn merge(
    workers: Vec<Worker>,
    bounds: Bounds,
    bar: &ProgressBar,
    interrupt: &Interrupt,
) -> Result<Merged, Failure> {
    let now = Instant::now();
    let hand = |worker| Hand { worker, waiting: 0, chunk: FIRST_CHUNK, last: now, gone: false };
    let mut hunt = Hunt {
        hands: workers.into_iter().map(hand).collect(),
        bounds,
        next: 0,
        played: 0,
        lowest: NONE,
        finder: None,
        failed: None,
        stopped: false,
        bar,
    };
    if bounds.deadline.is_none_or(|deadline| now < deadline) {
        for _ in 0..AHEAD {
            (0..hunt.hands.len()).for_each(|i| hunt.hand_out(i));
        }
    }
    while hunt.hands.iter().any(|hand| !hand.gone && hand.waiting > 0) {
        hunt.wait(interrupt)?;
    }
    bar.finish_and_clear();
    hunt.end(interrupt)
}

impl Hunt<'_> {
    /// Waits for an answer, an interruption or the deadline, and acts on it.
    fn wait(&mut self, interrupt: &Interrupt) -> Result<(), Failure> {
        // After a failure the deadline does not count: the few scenarios with lower numbers are played to the end, so that the result does
        // not depend on time.
        let deadline = self.bounds.deadline.filter(|_| !self.stopped && self.lowest == NONE);
        let timeout = deadline.map_or(PollTimeout::NONE, |deadline| {
            // Rounded up to avoid a busy loop in the last millisecond.
            let left = deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        let there: Vec<usize> = (0..self.hands.len()).filter(|i| !self.hands[*i].gone).collect();
        let mut fds: Vec<PollFd<'_>> =
            there.iter().map(|i| PollFd::new(self.hands[*i].worker.stream().as_fd(), PollFlags::POLLIN)).collect();
        if !self.stopped {
            fds.push(PollFd::new(interrupt.closed(), PollFlags::empty()));
        }
        match poll(&mut fds, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Failure::Workers(errno.to_string())),
        }
        let ready: Vec<usize> =
            there.iter().zip(&fds).filter(|(_, fd)| fd.any() == Some(true)).map(|(i, _)| *i).collect();
        if interrupt.asked() || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            self.stop();
        }
        ready.into_iter().for_each(|i| self.hear(i));
        Ok(())
    }

    /// Receives an answer of worker `i` and acts on it.
    fn hear(&mut self, i: usize) {
        let answer = Answer::receive(self.hands[i].worker.stream());
        let hand = &mut self.hands[i];
        hand.waiting = hand.waiting.saturating_sub(1);
        let took = hand.last.elapsed();
        hand.last += took;
        match answer {
            Some(Answer::Held { played }) => {
                self.played += played;
                if took < CHUNK_TIME {
                    hand.chunk = (hand.chunk * 2).min(MOST);
                } else if took > CHUNK_TIME * 4 {
                    hand.chunk = (hand.chunk / 2).max(1);
                }
                self.bar.set_position(self.played);
                self.hand_out(i);
            }
            Some(Answer::Found { played, number }) => {
                self.played += played;
                if number < self.lowest {
                    (self.lowest, self.finder) = (number, Some(i));
                    self.tell_all(Order::Below(number));
                }
            }
            Some(Answer::Failed) | None => {
                hand.gone = true;
                self.failed.get_or_insert(i);
                self.stop();
            }
        }
    }

    /// Sends worker `i` the next chunk, if there is one.
    fn hand_out(&mut self, i: usize) {
        let end = self.bounds.limit.min(self.lowest);
        let hand = &mut self.hands[i];
        if self.stopped || hand.gone || self.next >= end {
            return;
        }
        let (from, to) = (self.next, self.next.saturating_add(hand.chunk).min(end));
        // An error means that the worker has ended; reading its answer shows that too.
        let _ = Order::Play { from, to }.send(hand.worker.stream());
        hand.waiting += 1;
        self.next = to;
    }

    /// Tells the workers to stop after the scenario that each of them is playing.
    fn stop(&mut self) {
        if !std::mem::replace(&mut self.stopped, true) {
            self.tell_all(Order::Below(0));
        }
    }

    fn tell_all(&self, order: Order) {
        for hand in self.hands.iter().filter(|hand| !hand.gone) {
            let _ = order.send(hand.worker.stream());
        }
    }

    /// Has one worker report, if one failed or has a finding, and waits for all workers to exit.
    fn end(self, interrupt: &Interrupt) -> Result<Merged, Failure> {
        let shows = self.failed.or(self.finder);
        let mut shown = None;
        let mut workers: Vec<_> = self.hands.into_iter().map(|hand| hand.worker).collect();
        if let Some(shows) = shows {
            let worker = workers.swap_remove(shows);
            let _ = Order::Tell { played: self.played }.send(worker.stream());
            let status = worker.wait()?;
            // A user may interrupt a hunt by killing all of its processes. The death of the worker is then an interruption, not a failure.
            let died = status.code().is_none() && interrupt.asked();
            shown = (!died).then(|| exit_code(status, "a worker of the hunt"));
        }
        for worker in workers {
            worker.wait()?;
        }
        Ok(shown.map_or(Merged::Held { played: self.played }, Merged::Shown))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_arrives_as_it_was_said() {
        let (one, other) = UnixStream::pair().unwrap();
        for order in [Order::Play { from: 3, to: NONE }, Order::Below(0), Order::Tell { played: 1 << 40 }] {
            order.send(&one).unwrap();
            assert_eq!(Order::receive(&other), Some(order));
        }
        for answer in [Answer::Held { played: 7 }, Answer::Found { played: 1, number: 1 << 33 }, Answer::Failed] {
            answer.send(&other).unwrap();
            assert_eq!(Answer::receive(&one), Some(answer));
        }
        drop(one);
        assert_eq!(Order::receive(&other), None);
    }

    #[test]
    fn a_job_stops_where_it_is_told_to_and_ends_when_nobody_is_there() {
        let (parent, its_end) = UnixStream::pair().unwrap();
        let mut job = Job::new(its_end);
        Order::Play { from: 5, to: 9 }.send(&parent).unwrap();
        assert_eq!(job.next(), Some(5..9));
        assert!(job.wants(6) && job.wants(8));
        Order::Below(7).send(&parent).unwrap();
        assert!(job.wants(6) && !job.wants(7));
        drop(parent);
        assert!(!job.wants(6));
        assert_eq!((job.next(), job.told()), (None, None));
    }
}
