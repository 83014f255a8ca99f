//! The jobs of a hunt: the parent hands out scenarios to worker processes by their numbers, and merges the answers.
//!
//! Numbers are handed out in order, in chunks of about 50 ms. The result is the failed scenario with the lowest
//! number: a worker whose scenario failed stops, the others play only lower numbers, and no more numbers are handed out. What is found
//! therefore depends neither on the number of workers nor on their speed. The worker that played this scenario minimises it, and the
//! parent gets the minimised scenario as text.

use crate::linux::{KernelError, Worker};
use crate::scenario::{Errno, Scenario};
use crate::trace::Signal;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

/// Stands for the number of the failed scenario while there is none.
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
    /// Minimise the scenario that failed, and play nothing more.
    Minimise,
}

/// A worker's message to the parent: one for each chunk, and one for [`Order::Minimise`].
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    /// `played` scenarios of the chunk were played, and none failed.
    Held { played: u64 },
    /// `played` scenarios were played. The last of them, scenario `number`, failed.
    Found { played: u64, number: u64 },
    /// The minimised scenario.
    Minimised(String),
    /// The worker cannot go on, for this reason.
    Failed(String),
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
        match self {
            Order::Play { from, to: end } => send(to, (0, from, end)),
            Order::Below(number) => send(to, (1, number, 0)),
            Order::Minimise => send(to, (2, 0, 0)),
        }
    }

    fn receive(from: &UnixStream) -> Option<Order> {
        Some(match receive(from)? {
            (0, from, to) => Order::Play { from, to },
            (1, number, _) => Order::Below(number),
            _ => Order::Minimise,
        })
    }
}

impl Answer {
    fn send(self, mut to: &UnixStream) -> io::Result<()> {
        // A text follows the message, which has its length.
        let mut with_text =
            |kind, text: &str| send(to, (kind, text.len() as u64, 0)).and_then(|()| to.write_all(text.as_bytes()));
        match self {
            Answer::Held { played } => send(to, (0, played, 0)),
            Answer::Found { played, number } => send(to, (1, played, number)),
            Answer::Minimised(scenario) => with_text(2, &scenario),
            Answer::Failed(why) => with_text(3, &why),
        }
    }

    fn receive(mut from: &UnixStream) -> Option<Answer> {
        Some(match receive(from)? {
            (0, played, _) => Answer::Held { played },
            (1, played, number) => Answer::Found { played, number },
            (kind, length, _) => {
                let mut text = vec![0; length as usize];
                from.read_exact(&mut text).ok()?;
                let text = String::from_utf8(text).ok()?;
                if kind == 2 { Answer::Minimised(text) } else { Answer::Failed(text) }
            }
        })
    }
}

/// The worker's side of the connection.
#[derive(Debug)]
pub(crate) struct Job {
    stream: UnixStream,
    chunks: VecDeque<Range<u64>>,
    below: u64,
    minimises: bool,
    gone: bool,
}

impl Job {
    fn new(stream: UnixStream) -> Job {
        Job { stream, chunks: VecDeque::new(), below: NONE, minimises: false, gone: false }
    }

    /// Waits for the next chunk of numbers; `None` if there will be no more.
    pub(crate) fn next(&mut self) -> Option<Range<u64>> {
        while self.chunks.is_empty() && !self.minimises && !self.gone {
            self.read();
        }
        self.chunks.pop_front()
    }

    /// Reads the orders that have arrived, and says whether number `k` is still to be played.
    pub(crate) fn wants(&mut self, k: u64) -> bool {
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
            Some(Order::Minimise) => self.minimises = true,
            None => self.gone = true,
        }
    }

    /// Reports that `played` scenarios of a chunk were played, and that the last of them failed, if `failed` is its number.
    pub(crate) fn played(&mut self, played: u64, failed: Option<u64>) {
        self.below = failed.unwrap_or(NONE).min(self.below);
        let answer = failed.map_or(Answer::Held { played }, |number| Answer::Found { played, number });
        // An error means that the parent has ended; the next read shows that too.
        let _ = answer.send(&self.stream);
    }

    /// Whether this worker is to minimise the scenario that failed. Valid once [`Job::next`] has given `None`.
    pub(crate) const fn minimises(&self) -> bool {
        self.minimises
    }

    /// Reports the minimised scenario.
    pub(crate) fn minimised(&self, scenario: &Scenario) {
        let _ = Answer::Minimised(scenario.to_string()).send(&self.stream);
    }
}

/// When the hunt ends if no scenario fails.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds<'s> {
    /// The first number that is not played.
    pub(crate) limit: u64,
    pub(crate) deadline: Option<Instant>,
    /// Set to stop. It is looked at after each chunk.
    pub(crate) stop: &'s AtomicBool,
}

/// What all workers together have done.
#[derive(Debug, Default)]
pub(crate) struct Merged {
    /// How many scenarios were played.
    pub(crate) played: u64,
    /// The lowest number of a scenario that failed, and this scenario, minimised; not minimised if its worker failed in that.
    pub(crate) failed: Option<(u64, Option<String>)>,
    /// Why a worker could not go on, if one could not.
    pub(crate) error: Option<String>,
}

/// The workers of a hunt, which wait for scenarios.
#[derive(Debug)]
pub(crate) struct Jobs(Vec<Worker>);

impl Jobs {
    /// Forks `count` workers. Each of them calls `play`, which plays the chunks of its job until there are no more, and then minimises if
    /// it is to. The process must have no other thread.
    ///
    /// # Errors
    ///
    /// If there is a second thread, or a child cannot be made.
    pub(crate) fn fork(count: usize, play: impl Fn(&mut Job) -> Result<(), KernelError>) -> Result<Jobs, KernelError> {
        let workers = Worker::fork(count, |_, stream| {
            let mut job = Job::new(stream);
            if let Err(error) = play(&mut job) {
                let _ = Answer::Failed(error.to_string()).send(&job.stream);
            }
            0
        })?;
        Ok(Jobs(workers))
    }

    /// Hands out numbers until a scenario fails or a bound is reached, and waits for all workers to exit. `watch` is given the number of
    /// scenarios played so far.
    ///
    /// # Errors
    ///
    /// If the workers cannot be waited for.
    pub(crate) fn play(self, bounds: Bounds<'_>, watch: impl FnMut(u64)) -> Result<Merged, KernelError> {
        let now = Instant::now();
        let hand = |worker| Hand { worker, waiting: 0, chunk: FIRST_CHUNK, last: now, gone: false };
        let hands = self.0.into_iter().map(hand).collect();
        let (next, played, lowest, finder, error, stopped) = (0, 0, NONE, None, None, false);
        let mut parent = Parent { hands, bounds, next, played, lowest, finder, error, stopped, watch };
        if bounds.deadline.is_none_or(|deadline| now < deadline) {
            for _ in 0..AHEAD {
                (0..parent.hands.len()).for_each(|i| parent.hand_out(i));
            }
        }
        while parent.hands.iter().any(|hand| !hand.gone && hand.waiting > 0) {
            parent.wait()?;
        }
        parent.end()
    }
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
struct Parent<'s, W> {
    hands: Vec<Hand>,
    bounds: Bounds<'s>,
    next: u64,
    played: u64,
    /// The lowest number that failed, and the index of the worker that played it.
    lowest: u64,
    finder: Option<usize>,
    error: Option<String>,
    stopped: bool,
    watch: W,
}

impl<W: FnMut(u64)> Parent<'_, W> {
    /// Waits for an answer or the deadline, and acts on it.
    fn wait(&mut self) -> Result<(), KernelError> {
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
        match poll(&mut fds, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(errno) => {
                return Err(KernelError::call("wait for the workers", "poll")(Errno::from_raw(errno as i32)));
            }
        }
        let ready: Vec<usize> =
            there.iter().zip(&fds).filter(|(_, fd)| fd.any() == Some(true)).map(|(i, _)| *i).collect();
        if self.bounds.stop.load(Relaxed) || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
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
                (self.watch)(self.played);
                self.hand_out(i);
            }
            Some(Answer::Found { played, number }) => {
                self.played += played;
                if number < self.lowest {
                    (self.lowest, self.finder) = (number, Some(i));
                    self.tell_all(Order::Below(number));
                }
            }
            other => self.lose(i, other),
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

    /// Worker `i` plays no more, for the reason in its last answer if there is one. Then no other plays either.
    fn lose(&mut self, i: usize, answer: Option<Answer>) {
        self.hands[i].gone = true;
        if let Some(Answer::Failed(why)) = answer {
            self.error.get_or_insert(why);
        }
        self.stop();
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

    /// Has the scenario that failed minimised, if there is one, and waits for all workers to exit.
    fn end(mut self) -> Result<Merged, KernelError> {
        let mut minimised = None;
        if let Some(finder) = self.finder.filter(|i| !self.hands[*i].gone) {
            let _ = Order::Minimise.send(self.hands[finder].worker.stream());
            match Answer::receive(self.hands[finder].worker.stream()) {
                Some(Answer::Minimised(scenario)) => minimised = Some(scenario),
                other => self.lose(finder, other),
            }
        }
        let Parent { hands, bounds, played, lowest, mut error, .. } = self;
        for Hand { worker, gone, .. } in hands {
            // How a worker ends matters only if it owed an answer.
            match worker.wait()? {
                status if !gone || status.success() => {}
                // A user may interrupt a hunt by killing all of its processes.
                _ if bounds.stop.load(Relaxed) => {}
                status if [libc::SIGINT, libc::SIGTERM, libc::SIGHUP].map(Some).contains(&status.signal()) => {
                    bounds.stop.store(true, Relaxed);
                }
                status => drop(error.get_or_insert(death(status))),
            }
        }
        Ok(Merged { played, failed: (lowest != NONE).then_some((lowest, minimised)), error })
    }
}

/// How a worker ended, in words.
fn death(status: ExitStatus) -> String {
    match status.signal() {
        Some(signal) => format!("a worker of the hunt was killed by {}", Signal::from_raw(signal)),
        None => format!("a worker of the hunt exited with {}", status.code().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_arrives_as_it_was_said() {
        let (one, other) = UnixStream::pair().unwrap();
        for order in [Order::Play { from: 3, to: NONE }, Order::Below(0), Order::Minimise] {
            order.send(&one).unwrap();
            assert_eq!(Order::receive(&other), Some(order));
        }
        let texts = [Answer::Failed("no sockets".to_owned()), Answer::Minimised("a connect".to_owned())];
        for answer in
            [Answer::Held { played: 7 }, Answer::Found { played: 1, number: 1 << 33 }].into_iter().chain(texts)
        {
            answer.clone().send(&other).unwrap();
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
        assert_eq!(job.next(), None);
    }
}
