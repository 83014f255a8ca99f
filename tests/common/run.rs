//! Runs brokenpipe, waits until it has ended, and checks that no process of it is left.

use crate::binary::{BOUND, LOOK_AGAIN, Process, Running, brokenpipe};
use crate::scene::{Scene, numbers};
use libtest_mimic::Failed;
use nix::unistd::{SysconfVar, sysconf};
use std::fs::{self, File};
use std::process::{Child, Command};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

/// How often `meanwhile` is called while brokenpipe runs. The end of brokenpipe is noticed at once.
const LOOK: Duration = Duration::from_millis(10);

/// A run that takes longer than this in wall-clock time has hung. On an idle machine the slowest run takes a tenth of this time.
pub(crate) const HUNG: Duration = Duration::from_secs(20 * 60);

/// The output of a run of brokenpipe and its exit code.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A failure with the whole output.
pub(crate) fn wrong(what: impl std::fmt::Display, said: &Said) -> Failed {
    format!("{what}\n--- out\n{}\n--- err\n{}", said.out, said.err).into()
}

/// Starts `brokenpipe` with these arguments.
#[allow(dead_code, reason = "not every suite that includes this file uses it")]
pub(crate) fn start(scene: &Scene, args: &[&str]) -> Running {
    start_in(scene, &[], args)
}

/// As `start`, with these variables in the environment.
fn start_in(scene: &Scene, environment: &[(&str, &str)], args: &[&str]) -> Running {
    let output = |name| File::create(scene.path().join(name)).expect("a scratch file");
    let mut command = scene.marked(brokenpipe());
    command.args(args).envs(environment.iter().copied()).stdout(output("out")).stderr(output("err"));
    Running { child: spawn(&mut command) }
}

/// Waits until brokenpipe has ended, and checks that no process of it is left. brokenpipe and its servers may use `most` of processor time.
/// On a machine with other load they may take longer in wall-clock time, up to [`HUNG`]. `meanwhile` is called every [`LOOK`].
pub(crate) fn end(
    scene: &Scene,
    mut running: Running,
    most: Duration,
    mut meanwhile: impl FnMut() -> Result<(), Failed>,
) -> Result<Said, Failed> {
    let start = Instant::now();
    let process = Process::open(running.child.id());
    let ends_within = |bound| process.as_ref().is_none_or(|process| process.ends_within(bound));
    let may_go_on = || {
        let elapsed = start.elapsed();
        elapsed < most || elapsed < HUNG && processor_time(running.child.id()) < most
    };
    let mut ended = ends_within(Duration::ZERO);
    while !ended && may_go_on() {
        ended = ends_within(LOOK);
        meanwhile()?;
    }
    let code = if ended { running.child.wait()?.code() } else { None };
    drop(running);
    let read = |name| fs::read(scene.path().join(name)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let said = Said { code, out: read("out")?, err: read("err")? };
    if !ended {
        return Err(wrong(
            format!("it still runs after {:?}, with {most:?} of processor time at most", start.elapsed()),
            &said,
        ));
    }
    scene.is_empty().map_err(|left| wrong(left, &said))?;
    Ok(said)
}

/// The processor time used by a process, its descendants, and the child processes that these have waited for (`proc_pid_stat(5)`).
fn processor_time(process: u32) -> Duration {
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100) as f64;
    let (mut ticks, mut left) = (0, vec![process]);
    while let Some(pid) = left.pop() {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest).split(' ');
        // utime, stime, cutime and cstime.
        ticks += fields.skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>();
        for tid in numbers(&format!("/proc/{pid}/task")) {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{tid}/children")).unwrap_or_default();
            left.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
    }
    Duration::from_secs_f64(ticks as f64 / per_second)
}

#[allow(dead_code, reason = "not every suite that includes this file uses it")]
pub(crate) fn run(scene: &Scene, args: &[&str], most: Duration) -> Result<Said, Failed> {
    run_in(scene, &[], args, most)
}

/// As `run`, with these variables in the environment of brokenpipe.
pub(crate) fn run_in(
    scene: &Scene,
    environment: &[(&str, &str)],
    args: &[&str],
    most: Duration,
) -> Result<Said, Failed> {
    end(scene, start_in(scene, environment, args), most, || Ok(()))
}

/// Checks that a hunt has played so many scenarios and has reported no finding, warning or flaky result.
pub(crate) fn nothing_found(said: &Said, scenarios: u32) -> Result<(), Failed> {
    let last = said.err.lines().last().unwrap_or_default();
    let well = said.code == Some(0) && said.out.is_empty();
    // Unconfirmed results are allowed. A busy machine delays answers, and the delay does not reproduce on fresh servers.
    let found = ["flaky", "warning"].iter().any(|word| last.contains(word));
    if well && !found && last.starts_with(&format!("{scenarios} scenarios, 0 findings")) {
        return Ok(());
    }
    Err(wrong(format!("the code is {:?}", said.code), said))
}

/// Between fork and exec a child process holds copies of every socket of this process, so a `close` of such a socket sends nothing yet. A
/// thread that starts a program holds this lock for writing until the copies are closed. A thread that closes sockets holds it for reading.
static FORKS: RwLock<()> = RwLock::new(());

/// Starts a program, and waits until its process holds no copies of this process's sockets.
pub(crate) fn spawn(command: &mut Command) -> Child {
    let _forks = FORKS.write().unwrap_or_else(PoisonError::into_inner);
    let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let start = Instant::now();
    while !is_itself(child.id()) {
        assert!(start.elapsed() < BOUND, "{command:?} has not begun after {BOUND:?}");
        std::thread::sleep(LOOK_AGAIN);
    }
    child
}

/// Whether a child process is blocked in a call after its `execve`, or has ended. `execve` lets the parent continue before the copies of
/// its sockets are closed. They are certainly closed only when `execve` has returned.
fn is_itself(child: u32) -> bool {
    let call = fs::read_to_string(format!("/proc/{child}/syscall")).unwrap_or_default();
    let number = call.split(' ').next().and_then(|number| number.parse().ok());
    let ended = || {
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
    };
    number.map_or_else(ended, |number: libc::c_long| number != libc::SYS_execve)
}

/// While the returned guard is held, no program is started.
pub(crate) fn unforked() -> RwLockReadGuard<'static, ()> {
    FORKS.read().unwrap_or_else(PoisonError::into_inner)
}
