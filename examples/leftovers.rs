//! Runs a command, and fails if it leaves a process running: `leftovers [SIGNAL WORD] COMMAND [ARGUMENT...]`.
//!
//! With `SIGNAL`, `INT` or `KILL`, the command gets that signal as soon as it has printed a line with `WORD` to its standard error and has
//! a child, so that there is something to leave; `INT` goes to all of its process group, as that of a Ctrl-C does. What the command leaves becomes a child of this process (a
//! *subreaper*, prctl(2)), which waits for it: so nothing is missed, whatever it calls itself, and nothing is waited for that has ended.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

/// How long the end of a process that is to die with the command may take, which has been killed by then, and only has to notice; and how
/// long it may take until the command has a child, between one and the next of which there is a moment.
const BOUND: Duration = Duration::from_secs(10);

#[allow(unsafe_code)]
fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments: Vec<String> = env::args().skip(1).collect();
    let signal = match arguments.first().map(String::as_str) {
        Some("INT") => Some(libc::SIGINT),
        Some("KILL") => Some(libc::SIGKILL),
        _ => None,
    };
    let word = signal.map(|_| arguments.drain(..2).nth(1).unwrap_or_default());
    let (command, rest) = arguments.split_first().ok_or("which command?")?;
    // SAFETY: no pointer is passed.
    if unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) } != 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    let mut child = Command::new(command).args(rest).process_group(0).stderr(Stdio::piped()).spawn()?;
    let pid = child.id() as i32;
    let (mut wanted, mut beside) = (signal.zip(word), 0);
    // A server has no copy of the pipe's end: it is closed when the command is gone.
    for line in BufReader::new(child.stderr.take().ok_or("no pipe")?).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        eprintln!("{line}");
        if let Some((signal, _)) = wanted.take_if(|(_, word)| line.contains(word.as_str())) {
            beside = children_of(pid);
            let whom = if signal == libc::SIGINT { -pid } else { pid };
            // SAFETY: no pointer is passed; the process has not been waited for, so the number is still its own.
            unsafe { libc::kill(whom, signal) };
        }
    }
    let status = child.wait()?;
    if let Some((_, word)) = wanted {
        return Err(format!("it never said `{word}`").into());
    }
    let (done, ended) = mpsc::channel();
    thread::spawn(move || {
        // SAFETY: a status need not be asked for.
        while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::__WALL) } > 0 {}
        // Nobody listens any more if it was too late.
        let _ = done.send(());
    });
    ended.recv_timeout(BOUND).map_err(|_| "a process was left running")?;
    eprintln!("leftovers: {beside} ran beside it when it was signalled, none is left");
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(ExitCode::from(code as u8))
}

/// Waits until a process has a child, and counts them (`/proc/PID/task/TID/children`). 0 if it has none within the bound.
fn children_of(pid: i32) -> usize {
    let start = Instant::now();
    while start.elapsed() < BOUND {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().filter_map(Result::ok);
        let lists = threads.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
        let count: usize = lists.map(|list| list.split_whitespace().count()).sum();
        if count > 0 {
            return count;
        }
        thread::yield_now();
    }
    0
}
