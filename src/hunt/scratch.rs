//! Scratch folders: each start of a server gets a fresh one, which is removed when the server has ended.
//!
//! A scratch folder is a folder with a random name in TMPDIR. It contains a [`MARKER`] file, on which the process that uses the folder
//! holds a lock (`flock(2)`), and the folder that the server gets, which is empty at first. A process that is killed leaves its folders
//! behind, but the kernel releases its locks. So a folder is stale, and may be removed, if it has our marker and the lock on the marker can
//! be taken. The folder's name proves nothing: a user's folder may have the same prefix, process ids repeat in containers, and processes of
//! another pid namespace are not visible in `/proc`. A lock works across all of these.

use nix::fcntl::{Flock, FlockArg, OFlag};
use nix::unistd::geteuid;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Once;

/// The prefix of the names of scratch folders. Only folders with this prefix are checked when stale ones are removed.
const PREFIX: &str = "brokenpipe-";
/// The file that marks a scratch folder and carries the lock.
const MARKER: &str = ".brokenpipe-scratch";
/// The marker's name until it is locked. So a file with the marker's name is never seen without the lock of the process that made it.
const UNLOCKED: &str = ".brokenpipe-scratch-new";
/// The folder in the scratch folder that the server gets.
const INNER: &str = "dir";

/// An empty folder in TMPDIR. When this is dropped, the folder is removed with everything in it. If the process is killed, a later run
/// removes it.
#[derive(Debug)]
pub(super) struct Scratch {
    folder: PathBuf,
    /// Held until the folder has been removed.
    _lock: Flock<File>,
    inner: PathBuf,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // If this fails, a later run tries again.
        let _ = remove(&self.folder);
    }
}

/// Removes a scratch folder, the marker last: what is left if this fails, for example because there are no descriptors left, still has it.
fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder.join(INNER)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::remove_dir_all(folder),
    }
}

impl Scratch {
    /// Makes a scratch folder. The first call in a process removes stale folders first.
    ///
    /// # Errors
    ///
    /// A text that names TMPDIR's folder.
    pub(super) fn new() -> Result<Scratch, String> {
        static STALE: Once = Once::new();
        let parent = parent();
        STALE.call_once(|| remove_stale(&parent));
        Scratch::within(&parent).map_err(|error| {
            let (parent, why) = (parent.display(), error.kind());
            format!("cannot make a scratch folder in {parent}: {why}; TMPDIR names the folder to make it in")
        })
    }

    fn within(parent: &Path) -> io::Result<Scratch> {
        // Other users may read the folder, as any folder that a user makes, because many servers switch to another user.
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        let [unlocked, marker, inner] = [UNLOCKED, MARKER, INNER].map(|name| folder.path().join(name));
        let filled = File::create_new(&unlocked).and_then(lock).and_then(|lock| {
            fs::rename(&unlocked, &marker)?;
            fs::create_dir(&inner)?;
            Ok(lock)
        });
        match filled {
            Ok(lock) => Ok(Scratch { folder: folder.keep(), _lock: lock, inner }),
            Err(error) => {
                // `TempDir` opens the folder in order to empty it, which fails if there are no descriptors left. These calls need none.
                let _ = fs::remove_file(unlocked).or_else(|_| fs::remove_file(marker));
                let _ = fs::remove_dir(folder.path());
                Err(error)
            }
        }
    }

    /// The folder that the server gets.
    pub(super) fn path(&self) -> &Path {
        &self.inner
    }
}

/// The folder in which scratch folders are made. Its path is absolute, because `{dir}` must mean the same to a server that runs in another
/// folder.
fn parent() -> PathBuf {
    std::path::absolute(std::env::temp_dir()).unwrap_or_else(|_| std::env::temp_dir())
}

/// Whether a scratch folder can be made, and where; the error says why not.
pub(super) fn try_scratch() -> Result<String, String> {
    Scratch::new().map(|_| format!("in {}", parent().display()))
}

/// Takes the lock on a file. Fails if another process has it.
fn lock(file: File) -> io::Result<Flock<File>> {
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno.into())
}

/// Removes the folders that killed processes have left behind in this folder. A folder that cannot be removed stays.
fn remove_stale(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let ours = entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes());
        if ours && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            // If this fails, a later run tries again. A folder that stays does no harm.
            let _ = remove_if_stale(&entry.path());
        }
    }
}

fn remove_if_stale(folder: &Path) -> io::Result<()> {
    // Another user who may write here could put a symbolic link or a FIFO in the marker's place.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let marker = File::options().read(true).custom_flags(flags.bits()).open(folder.join(MARKER))?;
    let user = geteuid().as_raw();
    if !marker.metadata()?.is_file() || marker.metadata()?.uid() != user || fs::symlink_metadata(folder)?.uid() != user
    {
        return Ok(());
    }
    let lock = lock(marker)?;
    // Another process may have removed the folder and released its lock between the `open` and the lock.
    if lock.metadata()?.nlink() == 0 {
        return Ok(());
    }
    remove(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A scratch folder of a process that has ended: no process holds its lock.
    fn abandoned(parent: &Path) -> PathBuf {
        let mut scratch = Scratch::within(parent).unwrap();
        fs::write(scratch.inner.join("file"), "of a server").unwrap();
        std::mem::replace(&mut scratch.folder, parent.join("nothing"))
    }

    #[test]
    fn what_cannot_be_removed_keeps_its_marker_for_a_later_run() {
        let parent = tempfile::tempdir().unwrap();
        let scratch = Scratch::within(parent.path()).unwrap();
        let folder = scratch.folder.clone();
        // A file cannot be removed as a folder is.
        fs::remove_dir(&scratch.inner).unwrap();
        fs::write(&scratch.inner, "").unwrap();
        drop(scratch);
        assert_eq!(names(&folder), [MARKER, INNER]);
        fs::remove_file(folder.join(INNER)).unwrap();
        remove_stale(parent.path());
        assert!(names(parent.path()).is_empty());
    }

    #[test]
    fn it_is_empty_and_goes_with_all_that_is_in_it() {
        let parent = tempfile::tempdir().unwrap();
        let [one, other] = [(); 2].map(|()| Scratch::within(parent.path()).unwrap());
        assert_ne!(one.path(), other.path());
        assert!(names(one.path()).is_empty());
        fs::create_dir(one.path().join("more")).unwrap();
        drop((one, other));
        assert!(names(parent.path()).is_empty());
    }

    #[test]
    fn what_is_abandoned_is_stale_and_what_is_in_use_is_not() {
        let parent = tempfile::tempdir().unwrap();
        let used = Scratch::within(parent.path()).unwrap();
        let left = abandoned(parent.path());
        remove_stale(parent.path());
        assert!(used.path().is_dir() && !left.exists(), "{:?}", names(parent.path()));
    }

    #[test]
    fn a_folder_of_somebody_else_s_is_left_alone_whatever_its_name() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["brokenpipe-999999999-0", "brokenpipe-7-notes", "brokenpipe-mine"] {
            fs::create_dir(parent.path().join(name)).unwrap();
            fs::write(parent.path().join(name).join("thesis"), "all of it").unwrap();
        }
        let before = names(parent.path());
        remove_stale(parent.path());
        assert_eq!(names(parent.path()), before);
        assert!(parent.path().join("brokenpipe-7-notes/thesis").is_file());
    }

    #[test]
    fn what_a_run_of_the_same_number_left_is_in_nobodys_way() {
        let parent = tempfile::tempdir().unwrap();
        // As in a container, where each run has the same process id, and with the names that old versions gave.
        let left = (0..100).map(|count| format!("{PREFIX}{}-{count}", std::process::id()));
        left.for_each(|name| fs::create_dir(parent.path().join(name)).unwrap());
        let before = names(parent.path());
        remove_stale(parent.path());
        drop(Scratch::within(parent.path()).unwrap());
        assert_eq!(names(parent.path()), before);
    }

    #[test]
    fn a_marker_that_is_none_is_not_waited_for() {
        let parent = tempfile::tempdir().unwrap();
        let [linked, piped] = ["brokenpipe-link", "brokenpipe-pipe"].map(|name| parent.path().join(name));
        fs::create_dir(&linked).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", linked.join(MARKER)).unwrap();
        fs::create_dir(&piped).unwrap();
        nix::unistd::mkfifo(&piped.join(MARKER), nix::sys::stat::Mode::S_IRWXU).unwrap();
        remove_stale(parent.path());
        assert!(linked.is_dir() && piped.is_dir());
    }

    #[test]
    fn where_none_can_be_made_the_error_names_the_folder() {
        let error = Scratch::within(Path::new("/nowhere")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
