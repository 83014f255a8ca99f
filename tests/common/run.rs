//! Runs brokenpipe, waits for its end, and sees that nothing of it is left.

use crate::binary::{BOUND, LOOK_AGAIN, Process, Running, brokenpipe};
use crate::scene::Scene;
use libtest_mimic::Failed;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

/// How often that is looked at which must hold while brokenpipe runs. Its end is seen at once.
const LOOK: Duration = Duration::from_millis(10);

/// What a run of brokenpipe has said, and how it has ended.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A failure with all that was said.
pub(crate) fn wrong(what: impl std::fmt::Display, said: &Said) -> Failed {
    format!("{what}\n--- out\n{}\n--- err\n{}", said.out, said.err).into()
}

/// Starts `brokenpipe` with these arguments.
#[allow(dead_code, reason = "not every suite that includes this file uses it")]
pub(crate) fn start(scene: &Scene, args: &[&str]) -> Running {
    start_in(scene, &[], args)
}

/// The same, with these variables in its environment.
fn start_in(scene: &Scene, environment: &[(&str, &str)], args: &[&str]) -> Running {
    let output = |name| File::create(scene.path().join(name)).expect("a scratch file");
    let mut command = scene.marked(brokenpipe());
    command.args(args).envs(environment.iter().copied()).stdout(output("out")).stderr(output("err")).process_group(0);
    Running { child: spawn(&mut command) }
}

/// Waits for its end, and looks what is left of it. `meanwhile` is asked again and again.
pub(crate) fn end(
    scene: &Scene,
    mut running: Running,
    bound: Duration,
    mut meanwhile: impl FnMut() -> Result<(), Failed>,
) -> Result<Said, Failed> {
    let start = Instant::now();
    let process = Process::open(running.child.id());
    let ends_within = |bound| process.as_ref().is_none_or(|process| process.ends_within(bound));
    let mut ended = ends_within(Duration::ZERO);
    while !ended && start.elapsed() < bound {
        ended = ends_within(LOOK);
        meanwhile()?;
    }
    let code = if ended { running.child.wait()?.code() } else { None };
    drop(running);
    let read = |name| fs::read(scene.path().join(name)).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let said = Said { code, out: read("out")?, err: read("err")? };
    if !ended {
        return Err(wrong(format!("it still runs after {bound:?}"), &said));
    }
    scene.is_empty().map_err(|left| wrong(left, &said))?;
    Ok(said)
}

#[allow(dead_code, reason = "not every suite that includes this file uses it")]
pub(crate) fn run(scene: &Scene, args: &[&str], bound: Duration) -> Result<Said, Failed> {
    run_in(scene, &[], args, bound)
}

/// The same, with these variables in the environment of brokenpipe.
pub(crate) fn run_in(
    scene: &Scene,
    environment: &[(&str, &str)],
    args: &[&str],
    bound: Duration,
) -> Result<Said, Failed> {
    end(scene, start_in(scene, environment, args), bound, || Ok(()))
}

/// That a hunt of so many scenarios has reported nothing at all.
pub(crate) fn nothing_found(said: &Said, scenarios: u32) -> Result<(), Failed> {
    let last = said.err.lines().last().unwrap_or_default();
    let well = said.code == Some(0) && said.out.is_empty();
    // What looked bad on a server that had served others, and held on fresh ones, is no finding: a busy machine makes answers late.
    let found = ["flaky", "warning"].iter().any(|word| last.contains(word));
    if well && !found && last.starts_with(&format!("{scenarios} scenarios, 0 findings")) {
        return Ok(());
    }
    Err(wrong(format!("the code is {:?}", said.code), said))
}

/// Before it has become the new program, a child holds copies of every socket of this process, so that a close of one of them
/// sends nothing yet. Whoever starts a program has this for writing until that is over, and whoever closes for reading.
static FORKS: RwLock<()> = RwLock::new(());

/// Starts a program.
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

/// Whether a child has come so far as to sleep in a call of its own, or has ended. `execve` lets the parent go on before the
/// copies are closed, and they are closed for good only on the way out of it.
fn is_itself(child: u32) -> bool {
    let call = fs::read_to_string(format!("/proc/{child}/syscall")).unwrap_or_default();
    let number = call.split(' ').next().and_then(|number| number.parse().ok());
    let ended = || {
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
    };
    number.map_or_else(ended, |number: libc::c_long| number != libc::SYS_execve)
}

/// Until this is dropped no program is started.
pub(crate) fn unforked() -> RwLockReadGuard<'static, ()> {
    FORKS.read().unwrap_or_else(PoisonError::into_inner)
}
