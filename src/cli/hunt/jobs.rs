//! The jobs of a hunt: worker processes that are handed scenarios by their numbers, and what they answer.
//!
//! Numbers are handed out in order, in chunks of about a tenth of a second's work. The lowest number that failed is the finding: a worker
//! that has found something goes no further, the others play what lies below it, and nothing else is handed out. So what is found does
//! not depend on how many workers there are, nor on which was first.
//!
//! A worker keeps what it has found. It is told in the end whether that is to be shown, and then does all that is left to do.

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

/// Number of the finding before there is one.
const NONE: u64 = u64::MAX;

/// How many chunks a worker has, so that it need not wait for the next. If the parent is stopped (Ctrl-Z), workers come to the end of these
/// and wait.
const AHEAD: usize = 2;
/// Scenarios of the first chunk of a worker, and the most of any.
const FIRST_CHUNK: u64 = 8;
const MOST: u64 = 4096;
/// What a chunk should take. One that took less is followed by one twice as large, one that took four times as much by a smaller one.
const CHUNK_TIME: Duration = Duration::from_millis(50);

/// What a worker is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// Play these.
    Play { from: u64, to: u64 },
    /// Play nothing from this number on.
    Below(u64),
    /// Show what you have found, or what kept you from going on; so many were played by all.
    Tell { played: u64 },
}

/// What a worker says, once for each chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// So many of the chunk were played, and held.
    Held { played: u64 },
    /// So many were played, and the last of them, which has this number, failed.
    Found { played: u64, number: u64 },
    /// The machine cannot go on.
    Failed,
}

/// A message: what it is, and two numbers. Short enough to be written and read in one piece.
type Message = (u8, u64, u64);
const LENGTH: usize = 17;

fn send(mut to: &UnixStream, (kind, one, other): Message) -> io::Result<()> {
    let mut bytes = [kind; LENGTH];
    bytes[1..9].copy_from_slice(&one.to_ne_bytes());
    bytes[9..].copy_from_slice(&other.to_ne_bytes());
    to.write_all(&bytes)
}

/// The next message; `None` if the other side is gone.
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

/// A worker's side.
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

    /// The next numbers to play; `None` when there will be no more.
    pub(super) fn next(&mut self) -> Option<Range<u64>> {
        while self.chunks.is_empty() && self.told.is_none() && !self.gone {
            self.read();
        }
        self.chunks.pop_front()
    }

    /// Whether number `k` is still to be played.
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

    /// So many of a chunk were played, and held.
    pub(super) fn held(&self, played: u64) {
        // Nobody may be there any more, which the next look shows.
        let _ = Answer::Held { played }.send(&self.stream);
    }

    /// So many of a chunk were played, and the last of them failed.
    pub(super) fn found(&mut self, played: u64, number: u64) {
        self.below = number;
        let _ = Answer::Found { played, number }.send(&self.stream);
    }

    /// The machine cannot go on.
    pub(super) fn failed(&mut self) {
        self.below = 0;
        let _ = Answer::Failed.send(&self.stream);
    }

    /// How many were played by all, if this worker is to show what it has to show. To be asked when there are no more numbers.
    pub(super) const fn told(&self) -> Option<u64> {
        self.told
    }
}

/// How far a hunt goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The number at which it ends.
    pub(super) limit: u64,
    pub(super) deadline: Option<Instant>,
}

/// What came of a hunt.
#[derive(Debug)]
pub(super) enum Merged {
    /// Nothing failed in so many scenarios.
    Held { played: u64 },
    /// A worker had something to show, and has shown it: a finding, or what kept it from going on. Its exit code.
    Shown(u8),
}

/// A worker as the parent knows it.
struct Hand {
    worker: Worker,
    /// How many chunks it has that it has not answered.
    waiting: usize,
    chunk: u64,
    last: Instant,
    gone: bool,
}

/// The parent's side.
struct Hunt<'h> {
    hands: Vec<Hand>,
    bounds: Bounds,
    next: u64,
    played: u64,
    /// The lowest number that failed, and whose it is.
    lowest: u64,
    finder: Option<usize>,
    failed: Option<usize>,
    stopped: bool,
    bar: &'h ProgressBar,
}

/// Hands out numbers until something is found or the bounds are reached, or somebody interrupts, and merges what comes of it.
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
    /// Waits for an answer, an interruption or the end of the time.
    fn wait(&mut self, interrupt: &Interrupt) -> Result<(), Failure> {
        // Once something is found, the time that is up does not matter: the few scenarios below it are played to the end.
        let deadline = self.bounds.deadline.filter(|_| !self.stopped && self.lowest == NONE);
        let timeout = deadline.map_or(PollTimeout::NONE, |deadline| {
            // Rounded up, so that it is not asked again and again in the last millisecond.
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

    /// Takes note of what a worker answers.
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

    /// Gives a worker the next chunk, if there is one.
    fn hand_out(&mut self, i: usize) {
        let end = self.bounds.limit.min(self.lowest);
        let hand = &mut self.hands[i];
        if self.stopped || hand.gone || self.next >= end {
            return;
        }
        let (from, to) = (self.next, self.next.saturating_add(hand.chunk).min(end));
        // If it is gone, that shows when its answer is waited for.
        let _ = Order::Play { from, to }.send(hand.worker.stream());
        hand.waiting += 1;
        self.next = to;
    }

    /// Has the workers come to an end after the scenario that each is at.
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

    /// Has the worker that has something to show do so, and waits for the end of all.
    fn end(self, interrupt: &Interrupt) -> Result<Merged, Failure> {
        let shows = self.failed.or(self.finder);
        let mut shown = None;
        // All of them clear away at once.
        let mut workers: Vec<_> = self.hands.into_iter().map(|hand| hand.worker).collect();
        if let Some(shows) = shows {
            let worker = workers.swap_remove(shows);
            let _ = Order::Tell { played: self.played }.send(worker.stream());
            let status = worker.wait()?;
            // Who interrupts a hunt may well do it by killing all that belongs to it.
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
