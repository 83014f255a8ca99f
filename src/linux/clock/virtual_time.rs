//! The clock of a server whose processes have been made to read it.

use super::real_time::RealTime;
use super::server_clock::ServerClock;
use super::vdso::{self, Place};
use crate::linux::sys::memory::Memory;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

/// The clock of a server, and where each of its processes has it.
#[derive(Debug)]
pub(crate) struct VirtualTime {
    clock: ServerClock,
    /// By pid. A process that was forked is added when it is first needed.
    processes: BTreeMap<i32, (Memory, Place)>,
    /// Why the clock does not jump, if it does not.
    real: Option<RealTime>,
    /// Whether a process reads another clock than the others.
    split: bool,
    /// How often the clock has been put forward.
    jumps: u64,
}

impl VirtualTime {
    /// A clock that shows real time, and may jump unless there is a reason why it may not.
    pub(crate) fn new(real: Option<RealTime>) -> VirtualTime {
        VirtualTime { clock: ServerClock::default(), processes: BTreeMap::new(), real, split: false, jumps: 0 }
    }

    /// The clock.
    pub(crate) const fn clock(&self) -> ServerClock {
        self.clock
    }

    /// Why the clock does not jump, if it does not.
    pub(crate) const fn real(&self) -> Option<&RealTime> {
        self.real.as_ref()
    }

    /// How often the clock has been put forward.
    pub(crate) const fn jumps(&self) -> u64 {
        self.jumps
    }

    /// Whether a process of the server reads another clock than the others, so that what the server does is no evidence against it.
    pub(crate) const fn is_split(&self) -> bool {
        self.split
    }

    /// Records that a process has executed a program: where that has its clock, or why it reads the machine's.
    pub(crate) fn executed(&mut self, pid: i32, place: Result<(Memory, Place), RealTime>) {
        self.processes.remove(&pid);
        match place {
            Ok(place) => drop(self.processes.insert(pid, place)),
            Err(why) => self.stays(why),
        }
    }

    /// From here on the clock does not jump.
    pub(crate) fn stays(&mut self, why: RealTime) {
        self.split |= !self.clock.ahead().is_zero();
        self.real.get_or_insert(why);
    }

    /// Whether a call that reads a clock comes from the vDSO of the process, whose code adds the offset itself.
    pub(crate) fn is_own(&mut self, pid: i32, instruction: u64) -> bool {
        self.find(pid).is_ok_and(|(_, place)| place.contains(instruction))
    }

    /// Whether the clock may jump: the harness can write to each of these processes, which are all of the server's.
    pub(crate) fn may_jump(&mut self, processes: impl Iterator<Item = i32>) -> bool {
        for pid in processes {
            if self.real.is_some() {
                break;
            }
            if let Err(why) = self.find(pid) {
                self.stays(why);
            }
        }
        self.real.is_none()
    }

    fn find(&mut self, pid: i32) -> Result<&(Memory, Place), RealTime> {
        match self.processes.entry(pid) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(vacant) => {
                let memory = Memory::open(pid).map_err(RealTime::NotWritable)?;
                let place = vdso::place(pid, &memory)?;
                Ok(vacant.insert((memory, place)))
            }
        }
    }

    /// Forgets the processes that have ended.
    pub(crate) fn keep(&mut self, runs: impl Fn(i32) -> bool) {
        self.processes.retain(|pid, _| runs(*pid));
    }

    /// Puts the clock forward, in each process that is known. False if it cannot be put that far. To be called while no process runs.
    pub(crate) fn put_forward(&mut self, time: Duration) -> bool {
        if !self.clock.put_forward(time) {
            return false;
        }
        self.jumps += 1;
        for (memory, place) in self.processes.values() {
            if let Err(errno) = place.write(memory, self.clock.ahead()) {
                self.real.get_or_insert(RealTime::NotWritable(errno));
                self.split = true;
            }
        }
        true
    }
}
