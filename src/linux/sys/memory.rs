//! The memory of another process, by `/proc/PID/mem`: unlike `process_vm_writev(2)` it can also be written where the process itself may not
//! (`FOLL_FORCE`).

use crate::linux::error::errno;
use crate::scenario::Errno;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// The memory that a process had when this was opened. An `execve` gives the process another.
#[derive(Debug)]
pub(crate) struct Memory(File);

impl Memory {
    pub(crate) fn open(pid: i32) -> Result<Memory, Errno> {
        let path = format!("/proc/{pid}/mem");
        File::options().read(true).write(true).open(path).map(Memory).map_err(|e| errno(&e))
    }

    pub(crate) fn read(&self, address: u64, out: &mut [u8]) -> Result<(), Errno> {
        self.0.read_exact_at(out, address).map_err(|e| errno(&e))
    }

    pub(crate) fn write(&self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.0.write_all_at(bytes, address).map_err(|e| errno(&e))
    }
}
