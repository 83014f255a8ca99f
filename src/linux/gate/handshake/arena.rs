//! The memory that a server and the harness share: the server's thread-locals, buffer and stack, and the page through which
//! the two communicate.
//!
//! A server runs in the harness's own address space ([`spawn`](crate::linux::gate::handshake::spawn)), so an arena is a
//! plain mapping that both see. What keeps the two apart is that the server touches no memory but its arena.

use crate::linux::gate::handshake::wrong_end::WrongEnd;
use crate::linux::sys::last_error;
use crate::scenario::{Call, Errno};
use crate::subject::{MAX_OPS, Op, Policy, Setup};
use crate::trace::WINDOW;
use std::cell::UnsafeCell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, AtomicU64};

/// Size of an arena in bytes, and its alignment: the signal handler finds the page by rounding its stack pointer down.
pub(crate) const ARENA: usize = 256 * 1024;
const KIB: usize = 1024;
/// Offset of the thread pointer. The C library's thread-locals (`errno` among them) lie below it, the thread's own header
/// lies above it. Both areas are larger than needed: the C library uses a few KiB.
const THREAD_POINTER: usize = 68 * KIB;
const BUFFER: usize = 132 * KIB;
const GUARD: usize = 164 * KIB;
const STACK: usize = 168 * KIB;

/// The value of [`Page::turn`] while the server runs.
pub(crate) const RUNNING: u32 = 2;

/// A call before which the server is parked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parked {
    pub(crate) call: Call,
    /// The descriptor in the server's table.
    pub(crate) fd: i32,
    /// Bytes that a `send` passes; 0 for other calls.
    pub(crate) len: u32,
}

/// What harness and server write to each other. Fields that both may access at the same time are atomic. Each other field is
/// written by one side only while the other is known to wait.
#[derive(Debug)]
pub(crate) struct Page {
    /// Written by the harness before the server exists.
    pub(crate) ops: UnsafeCell<[Op; MAX_OPS]>,
    pub(crate) ops_len: UnsafeCell<usize>,
    pub(crate) policy: UnsafeCell<Policy>,
    /// The planted wrong end of the server, if any.
    pub(crate) wrong_end: UnsafeCell<Option<WrongEnd>>,
    /// The harness's process.
    pub(crate) harness: UnsafeCell<libc::pid_t>,
    /// The futex word of the handshake: whose turn it is. `parked` and `refusal` belong to the handshake too: see
    /// [`park`](crate::linux::gate::handshake::park).
    pub(crate) turn: AtomicU32,
    pub(crate) parked: UnsafeCell<Parked>,
    pub(crate) refusal: AtomicI32,
    /// The port of the listener.
    pub(crate) port: AtomicU32,
    /// The step of the setup that failed, as its index in `child::STAGES` plus one, and its errno. 0 if none failed.
    pub(crate) failed: AtomicU32,
    pub(crate) errno: AtomicI32,
    /// How many calls have returned. `result` is that of the last one: a count, or a negated errno.
    pub(crate) returned: AtomicU64,
    pub(crate) result: AtomicI64,
    /// The address that `accept4` filled in last.
    pub(crate) peer: UnsafeCell<libc::sockaddr_in>,
    /// How often the SIGPIPE handler has run.
    pub(crate) handled: AtomicU32,
    /// Whether a SIGPIPE was pending after the last broken send.
    pub(crate) pending: AtomicU32,
}

/// One server's memory. It outlives every server that runs in it.
#[derive(Debug)]
pub(crate) struct Arena {
    base: NonNull<u8>,
}

impl Arena {
    /// Maps an arena: all zeros, with the guard page below the stack in place.
    pub(crate) fn new() -> Result<Arena, Errno> {
        let anywhere = std::ptr::null_mut();
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping of twice the size, so that an aligned arena lies in it. The parts outside the arena are
        // unmapped again, and no other code has a pointer into the mapping.
        unsafe {
            let start = libc::mmap(anywhere, 2 * ARENA, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
            if start == libc::MAP_FAILED {
                return Err(last_error());
            }
            let before = start.addr().next_multiple_of(ARENA) - start.addr();
            let base = start.byte_add(before);
            if before > 0 {
                libc::munmap(start, before);
            }
            libc::munmap(base.byte_add(ARENA), ARENA - before);
            if libc::mprotect(base.byte_add(GUARD), STACK - GUARD, libc::PROT_NONE) != 0 {
                return Err(last_error());
            }
            // The thread's header begins with a pointer to itself, through which code finds the header on x86-64. The C
            // library expects a second copy in the third word.
            let header = base.byte_add(THREAD_POINTER).cast::<usize>();
            header.write(header.addr());
            header.add(2).write(header.addr());
            Ok(Arena { base: NonNull::new_unchecked(base.cast()) })
        }
    }

    /// Initialises the page for a new server of this setup.
    pub(crate) fn prepare(&mut self, setup: &Setup) {
        let mut ops = [Op::Close; MAX_OPS];
        let given = setup.program.ops();
        ops[..given.len()].copy_from_slice(given);
        // SAFETY: the page lies at the base, is aligned, and no server runs in an arena that is borrowed mutably.
        unsafe {
            self.base.cast::<Page>().write(Page {
                ops: UnsafeCell::new(ops),
                ops_len: UnsafeCell::new(given.len()),
                policy: UnsafeCell::new(setup.policy),
                wrong_end: UnsafeCell::new(WrongEnd::planted()),
                harness: UnsafeCell::new(libc::getpid()),
                turn: AtomicU32::new(RUNNING),
                parked: UnsafeCell::new(Parked { call: Call::Accept, fd: 0, len: 0 }),
                refusal: AtomicI32::new(0),
                port: AtomicU32::new(0),
                failed: AtomicU32::new(0),
                errno: AtomicI32::new(0),
                returned: AtomicU64::new(0),
                result: AtomicI64::new(0),
                peer: UnsafeCell::new(std::mem::zeroed()),
                handled: AtomicU32::new(0),
                pending: AtomicU32::new(0),
            });
        }
    }

    /// The page.
    pub(crate) fn page(&self) -> &Page {
        // SAFETY: `prepare` has written the page, or it is still all zeros, which is a valid page too.
        unsafe { self.base.cast::<Page>().as_ref() }
    }

    /// The address of the page: the argument of the server's entry function.
    pub(crate) fn argument(&self) -> *mut libc::c_void {
        self.base.as_ptr().cast()
    }

    /// The value of the thread pointer.
    pub(crate) fn thread_pointer(&self) -> *mut libc::c_void {
        self.base.as_ptr().wrapping_add(THREAD_POINTER).cast()
    }

    /// The upper end of the stack.
    pub(crate) fn stack_top(&self) -> *mut libc::c_void {
        self.base.as_ptr().wrapping_add(ARENA).cast()
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`; the server that ran in it has been reaped before its arena is dropped.
        unsafe { libc::munmap(self.base.as_ptr().cast(), ARENA) };
    }
}

/// The arena's page from any address within the arena, for code that runs in the server.
pub(crate) fn page_of(address: *const u8) -> *const Page {
    address.map_addr(|a| a & !(ARENA - 1)).cast()
}

/// The lowest byte of the guard page below the server's stack, from the address of the arena's page. The guard page cannot
/// be read.
pub(crate) fn guard_of(page: *const Page) -> *const u8 {
    page.cast::<u8>().wrapping_add(GUARD)
}

/// The server's buffer, from the address of the arena's page. The buffer has room for [`WINDOW`] bytes.
pub(crate) fn buffer_of(page: *const Page) -> *mut u8 {
    page.cast::<u8>().cast_mut().wrapping_add(BUFFER)
}

const _: () = assert!(size_of::<Page>() <= 4 * KIB);
const _: () = assert!(GUARD - BUFFER >= WINDOW as usize);
