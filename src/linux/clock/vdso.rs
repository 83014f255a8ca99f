//! Makes a process read the server's clock in place of the machine's.
//!
//! Programs read the time by functions of the *vDSO* (`vdso(7)`), code that the kernel maps into each process. At an `execve` the harness
//! puts code of its own ([`hook.S`](self)) into the slack behind that code, and lets the vDSO's symbols name it. It calls the function that
//! was there and adds an offset, which lies beside it. A `fork` copies all of it. When the clock jumps, the offset in each process is
//! written.

use super::real_time::RealTime;
use crate::linux::sys::memory::Memory;
use crate::scenario::Errno;
use std::time::Duration;

/// The beginning of the code, by which it is known.
const MARK: &[u8; 8] = b"brokenp1";
/// The alignment of the code.
const ALIGN: usize = 64;
/// The longest vDSO that is looked at, in bytes. That of Linux 6.18 has 8 KiB.
const MOST: u64 = 64 << 10;

/// The functions that are redirected, each with the names that it has.
const FUNCTIONS: [(Function, [&[u8]; 2]); 3] = [
    (Function::ClockGettime, [b"__vdso_clock_gettime", b"clock_gettime"]),
    (Function::Gettimeofday, [b"__vdso_gettimeofday", b"gettimeofday"]),
    (Function::Time, [b"__vdso_time", b"time"]),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    ClockGettime,
    Gettimeofday,
    Time,
}

/// Where a process has its vDSO, and the offset in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    start: u64,
    length: u64,
    /// The address of the offset.
    offset: u64,
}

impl Place {
    /// Whether an instruction is one of the vDSO's, whose own system calls read the machine's clock.
    pub(crate) const fn contains(&self, instruction: u64) -> bool {
        self.start <= instruction && instruction - self.start <= self.length
    }

    /// Sets by how much the clock of the process is ahead.
    pub(crate) fn write(&self, memory: &Memory, ahead: Duration) -> Result<(), Errno> {
        memory.write(self.offset, &words(ahead))
    }
}

/// The offset as the code has it.
fn words(ahead: Duration) -> [u8; 16] {
    let [seconds, rest] = [ahead.as_secs(), ahead.subsec_nanos().into()].map(u64::to_ne_bytes);
    let mut both = [0; 16];
    both[..8].copy_from_slice(&seconds);
    both[8..].copy_from_slice(&rest);
    both
}

/// Redirects the clock functions of a process that has made no instruction of its program yet.
pub(crate) fn redirect(pid: i32, memory: &Memory, ahead: Duration) -> Result<Place, RealTime> {
    let (start, mut image) = read(pid, memory)?;
    let hook = hook()?;
    let base = slack(&image, hook.code.len())?;
    let symbols = symbols(&image)?;
    let target = |function| base + hook.entries[function as usize];
    let mut own = [None; FUNCTIONS.len()];
    for symbol in symbols.all(&image) {
        let named = FUNCTIONS.iter().find(|(_, names)| names.contains(&symbol.name));
        if let Some((function, _)) = named {
            own[*function as usize] = Some(symbol.value);
            image[symbol.value_at..symbol.value_at + 8].copy_from_slice(&(target(*function) as u64).to_ne_bytes());
        }
    }
    let mut code = hook.code.to_vec();
    for (function, call) in [(Function::ClockGettime, hook.calls[0]), (Function::Gettimeofday, hook.calls[1])] {
        let own = own[function as usize].ok_or(RealTime::NoVdso)?;
        // The displacement is relative to the instruction behind its four bytes.
        let displacement = own as i64 - (base + call + 4) as i64;
        code[call..call + 4].copy_from_slice(&(displacement as i32).to_ne_bytes());
    }
    code[hook.offset..hook.offset + 16].copy_from_slice(&words(ahead));
    let table = symbols.start..symbols.start + symbols.count * SYMBOL;
    memory
        .write(start + base as u64, &code)
        .and_then(|()| memory.write(start + table.start as u64, &image[table]))
        .map_err(RealTime::NotWritable)?;
    Ok(Place { start, length: image.len() as u64, offset: start + (base + hook.offset) as u64 })
}

/// The place of a process whose clock functions have been redirected, itself or one that it was forked from.
pub(crate) fn place(pid: i32, memory: &Memory) -> Result<Place, RealTime> {
    let (start, image) = read(pid, memory)?;
    let hook = hook()?;
    let base = (0..image.len()).step_by(ALIGN).rev().find(|at| image[*at..].starts_with(MARK));
    let base = base.ok_or(RealTime::NotSeen)?;
    Ok(Place { start, length: image.len() as u64, offset: start + (base + hook.offset) as u64 })
}

/// The address and the bytes of a process's vDSO.
fn read(pid: i32, memory: &Memory) -> Result<(u64, Vec<u8>), RealTime> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).map_err(|_| RealTime::NoVdso)?;
    let (start, end) = mapped(&maps).filter(|(start, end)| end - start <= MOST).ok_or(RealTime::NoVdso)?;
    let mut image = vec![0; (end - start) as usize];
    memory.read(start, &mut image).map_err(RealTime::NotWritable)?;
    Ok((start, image))
}

/// The addresses between which the vDSO lies, from `/proc/PID/maps`.
fn mapped(maps: &str) -> Option<(u64, u64)> {
    let line = maps.lines().find(|line| line.ends_with("[vdso]"))?;
    let (start, end) = line.split_whitespace().next()?.split_once('-')?;
    Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
}

/// A little-endian number of `N` bytes; 0 beyond the end.
fn number<const N: usize>(image: &[u8], at: usize) -> usize {
    let bytes = image.get(at..at + N).unwrap_or_default();
    bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// The parts of the header (`elf(5)`) that are read: where the tables of segments and of sections are, how long an entry is, and how many
/// there are.
const SEGMENTS: (usize, usize, usize) = (0x20, 0x36, 0x38);
const SECTIONS: (usize, usize, usize) = (0x28, 0x3a, 0x3c);
const PT_DYNAMIC: usize = 2;
/// An entry of the dynamic section has two words, and a symbol 24 bytes, of which the last 16 are its value and its size.
const DYNAMIC: usize = 16;
const SYMBOL: usize = 24;

/// The offset of a table of the header, the length of an entry, and the number of entries.
fn table(image: &[u8], (at, length, count): (usize, usize, usize)) -> (usize, usize, usize) {
    (number::<8>(image, at), number::<2>(image, length), number::<2>(image, count))
}

/// The offset at which this many bytes of the image are unused.
fn slack(image: &[u8], length: usize) -> Result<usize, RealTime> {
    const ELF64: &[u8] = b"\x7fELF\x02\x01";
    if !image.starts_with(ELF64) {
        return Err(RealTime::Bits);
    }
    let (sections, size, count) = table(image, SECTIONS);
    let (segments, each, segment_count) = table(image, SEGMENTS);
    let ends = (0..segment_count).map(|i| segments + i * each);
    // The offset in the file and the size there.
    let ends = ends.map(|at| number::<8>(image, at + 8).saturating_add(number::<8>(image, at + 0x20)));
    let end = ends.chain([sections + size * count]).max().unwrap_or(0).next_multiple_of(ALIGN);
    match image.get(end..end.saturating_add(length)) {
        Some(free) if free.iter().all(|byte| *byte == 0) => Ok(end),
        _ => Err(RealTime::NoSlack),
    }
}

/// The table of dynamic symbols: offsets in the image.
struct Symbols {
    start: usize,
    count: usize,
    names: usize,
}

struct Symbol<'i> {
    name: &'i [u8],
    value: usize,
    value_at: usize,
}

impl Symbols {
    fn all<'i>(&self, image: &[u8]) -> Vec<Symbol<'i>>
    where
        Self: 'i,
    {
        let known = FUNCTIONS.iter().flat_map(|(_, names)| names);
        let mut found = Vec::new();
        for at in (0..self.count).map(|i| self.start + i * SYMBOL) {
            let name = image.get(self.names + number::<4>(image, at)..).unwrap_or_default();
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            let known = known.clone().find(|known| **known == name);
            found.extend(known.map(|name| Symbol { name, value: number::<8>(image, at + 8), value_at: at + 8 }));
        }
        found
    }
}

fn symbols(image: &[u8]) -> Result<Symbols, RealTime> {
    /// Kinds of entries of the dynamic section.
    const HASH: usize = 4;
    const STRTAB: usize = 5;
    const SYMTAB: usize = 6;
    let (segments, each, count) = table(image, SEGMENTS);
    let mut dynamic = (0..count).map(|i| segments + i * each).filter(|at| number::<4>(image, *at) == PT_DYNAMIC);
    let dynamic = dynamic.next().map(|at| number::<8>(image, at + 8)).ok_or(RealTime::NoVdso)?;
    let entries = (dynamic..image.len()).step_by(DYNAMIC).take_while(|at| number::<8>(image, *at) != 0);
    let entries: Vec<usize> = entries.collect();
    let of = |kind| {
        let found = entries.iter().find(|at| number::<8>(image, **at) == kind);
        found.map(|at| number::<8>(image, at + 8)).ok_or(RealTime::NoVdso)
    };
    let (start, names, hash) = (of(SYMTAB)?, of(STRTAB)?, of(HASH)?);
    // The second word of the hash table is the number of symbols.
    let count = number::<4>(image, hash + 4);
    if start + count * SYMBOL > image.len() { Err(RealTime::NoVdso) } else { Ok(Symbols { start, count, names }) }
}

/// The code of `hook.S`: the positions in it are offsets from its beginning.
struct Hook {
    code: &'static [u8],
    offset: usize,
    /// The entry of each of [`FUNCTIONS`].
    entries: [usize; FUNCTIONS.len()],
    /// The displacements of the calls of the first two of them.
    calls: [usize; 2],
}

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(include_str!("vdso/hook.S"), options(att_syntax));

#[cfg(target_arch = "x86_64")]
fn hook() -> Result<Hook, RealTime> {
    unsafe extern "C" {
        static brokenpipe_hook: u8;
        static brokenpipe_hook_offset: u8;
        static brokenpipe_hook_clock_gettime: u8;
        static brokenpipe_hook_clock_gettime_call: u8;
        static brokenpipe_hook_gettimeofday: u8;
        static brokenpipe_hook_gettimeofday_call: u8;
        static brokenpipe_hook_time: u8;
        static brokenpipe_hook_end: u8;
    }
    let start = &raw const brokenpipe_hook;
    let at = |symbol: *const u8| symbol.addr() - start.addr();
    // SAFETY: the code lies between these two symbols, in read-only memory of this program.
    let code = unsafe { std::slice::from_raw_parts(start, at(&raw const brokenpipe_hook_end)) };
    Ok(Hook {
        code,
        offset: at(&raw const brokenpipe_hook_offset),
        entries: [
            at(&raw const brokenpipe_hook_clock_gettime),
            at(&raw const brokenpipe_hook_gettimeofday),
            at(&raw const brokenpipe_hook_time),
        ],
        calls: [at(&raw const brokenpipe_hook_clock_gettime_call), at(&raw const brokenpipe_hook_gettimeofday_call)],
    })
}

/// No such code has been written for this architecture.
#[cfg(not(target_arch = "x86_64"))]
fn hook() -> Result<Hook, RealTime> {
    Err(RealTime::Architecture)
}
