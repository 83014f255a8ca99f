//! Tests of the healthy servers without brokenpipe. They prove that the servers are healthy, so that a hunt must find nothing.
//!
//! Plain clients play orders that have killed servers before. A preloaded library makes calls of the server fail. After each order a
//! polite client must be answered, and at the end the server must hold no more resources than before.

use crate::binary::BOUND;
use crate::build::Built;
use crate::compile::fail_calls;
use crate::order::{Played, play};
use crate::run::{spawn, unforked};
use crate::scene::{Scene, children, numbers};
use crate::servers::{Expected, Protocol, Server, THROTTLES};
use libtest_mimic::Failed;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The orders. `P` stands for the payload that the server is sent.
const ORDERS: [&str; 30] = [
    "a connect; a close",
    "a connect; a rst",
    "a connect; a fin; a close",
    "a connect; a fin; a rst",
    "a connect; a urgent; a close",
    "hold; a connect; a rst; go",
    "hold; a connect; a fin; a rst; go",
    "hold; a connect; a close; go",
    "repeat 20 { a connect; a rst }",
    "a connect; b connect; b fin; b rst; a fin",
    "a connect; a send P; a close",
    "a connect; a send P; a rst",
    "a connect; a send P; a fin; a close",
    "a connect; a send P; a fin; a rst",
    "hold; a connect; a send P; a rst; go",
    "hold; a connect; a send P; a fin; a rst; go",
    "a connect; a send P; b connect; b send P; b rst; a close",
    "a connect; a send hel; a close",
    "a connect; a send hel; a fin; a rst",
    "repeat 20 { a connect; a send P; a rst }",
    "fault accept ECONNABORTED; a connect; a close",
    "fault accept EINTR; a connect; a close",
    "fault accept EMFILE; a connect; a close",
    "limit descriptors; a connect; a rst; limit off",
    "limit descriptors; a connect; a send P; a close; limit off",
    "limit descriptors; a connect; b connect; a send P; b rst; a close; limit off",
    "fault recv ECONNRESET; a connect; a send P; a close",
    "fault recv EINTR; a connect; a send P; a close",
    "fault send ECONNRESET; a connect; a send P; a close",
    "fault send EINTR; a connect; a send P; a close",
];
/// The calls that fail in these orders.
const FAULTS: [&str; 3] = ["accept", "recv", "send"];
/// How often all orders are played before the server's resources are measured, and how often between later measurements. Pools grow in
/// the first rounds, which is no leak.
const BEFORE: usize = 2;
const AFTER: usize = 2;
/// After how many measurements in a row with new maxima the test fails. A pool grows now and then; a leak grows each time.
const GROWS: usize = 3;
/// A client that gets no answer within this time is not served.
const PATIENCE: Duration = Duration::from_secs(10);
/// The poll interval, and the time after an event for the server to react. No result depends on this time.
const PACE: Duration = Duration::from_millis(1);

struct Running<'s> {
    scene: &'s Scene,
    child: Child,
    address: SocketAddr,
    /// The original limits of the processes that are limited now.
    limits: RefCell<BTreeMap<u32, libc::rlimit>>,
    server: &'s Server,
}

/// The resources of a server, summed over all its processes.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    processes: usize,
    zombies: usize,
    threads: usize,
    descriptors: usize,
}

impl Held {
    fn is_at_most(self, other: Held) -> bool {
        self.processes <= other.processes
            && self.zombies <= other.zombies
            && self.threads <= other.threads
            && self.descriptors <= other.descriptors
    }

    fn most(self, other: Held) -> Held {
        Held {
            processes: self.processes.max(other.processes),
            zombies: self.zombies.max(other.zombies),
            threads: self.threads.max(other.threads),
            descriptors: self.descriptors.max(other.descriptors),
        }
    }
}

/// Checks that the server survives all orders and leaks nothing.
pub(crate) fn lives(server: &Server, built: &Built, scene: &Scene) -> Result<(), Failed> {
    let mut running = start(server, built, scene)?;
    let mut most = running.held();
    running.lives_through(BEFORE, |running| most = most.most(running.held()))?;
    for _ in 0..GROWS {
        running.lives_through(AFTER, |_| {})?;
        let begin = Instant::now();
        while !running.held().is_at_most(most) && begin.elapsed() <= PATIENCE {
            std::thread::sleep(PACE);
        }
        let held = running.held();
        if held.is_at_most(most) {
            return Ok(());
        }
        most = most.most(held);
    }
    Err(format!("there was more after each time, and {most:?} in the end").into())
}

/// Starts the server as brokenpipe does, and waits until it serves.
fn start<'s>(server: &'s Server, built: &Built, scene: &'s Scene) -> Result<Running<'s>, Failed> {
    let folder = scene.path().join("run");
    fs::create_dir(&folder)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    drop(listener);
    let filled = |word: &String| {
        word.replace("{port}", &address.port().to_string()).replace("{dir}", &folder.display().to_string())
    };
    if let Some(setup) = built.setup() {
        let done = spawn(in_folder(scene, &folder, "sh").args(["-c", &filled(&setup)])).wait()?;
        assert!(done.success(), "the setup: {done}");
    }
    let output = |name| File::create(scene.path().join(name));
    let mut command = in_folder(scene, &folder, &filled(&built.command[0]));
    command.args(built.command[1..].iter().map(filled)).env("LD_PRELOAD", fail_calls(scene.path()));
    let child = spawn(command.stdout(output("stdout")?).stderr(output("stderr")?));
    let running = Running { scene, child, address, limits: RefCell::default(), server };
    running.is_polite(BOUND).map_err(|error| format!("it has not begun to serve: {error}"))?;
    Ok(running)
}

fn in_folder(scene: &Scene, folder: &Path, program: &str) -> Command {
    let mut command = scene.marked(Command::new(program));
    command.current_dir(folder).stdin(Stdio::null());
    command
}

impl Running<'_> {
    /// Plays all orders `rounds` times. After each order a polite client must be served, and `after` is called.
    fn lives_through(&mut self, rounds: usize, mut after: impl FnMut(&Self)) -> Result<(), Failed> {
        let cuts_short = |order: &&str| order.contains("hold") || order.contains("EINTR");
        for order in [&ORDERS[..]].repeat(rounds).concat() {
            if self.server.ends_on_eintr && cuts_short(&order) {
                continue;
            }
            play(&order.replace('P', self.server.protocol.says()), self);
            // A fault that has not been used, because the server was slower than its clients, must not hit the polite client.
            for call in FAULTS {
                let _ = fs::remove_file(self.fault(call));
            }
            self.is_polite(PATIENCE).map_err(|error| format!("after `{order}`: {error}"))?;
            after(self);
        }
        Ok(())
    }

    /// Checks that a polite client is answered within this time. It tries again if its connection is refused, because the server does not
    /// listen yet, and after any failure if the server throttles clients.
    fn is_polite(&self, patience: Duration) -> io::Result<()> {
        let begin = Instant::now();
        loop {
            let asked = self.connect().and_then(|stream| self.ask(stream));
            let again = match &asked {
                Ok(()) => return Ok(()),
                Err(error) => {
                    error.kind() == io::ErrorKind::ConnectionRefused
                        || matches!(self.server.expected, Expected::Warning(THROTTLES))
                }
            };
            if !again || begin.elapsed() > patience {
                return asked;
            }
            std::thread::sleep(PACE);
        }
    }

    /// The file that makes the server's next such call fail.
    fn fault(&self, call: &str) -> PathBuf {
        self.scene.path().join("run").join(format!("fail-{call}"))
    }

    fn ask(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut got = Vec::new();
        let answered = match self.server.protocol {
            Protocol::None => stream.read_exact(&mut [0]),
            Protocol::Echo => stream.write_all(b"hello\n").and_then(|()| {
                got.resize(6, 0);
                stream.read_exact(&mut got)
            }),
            Protocol::Http => {
                stream.write_all(b"GET / HTTP/1.0\r\n\r\n").and_then(|()| stream.read_to_end(&mut got)).map(drop)
            }
        };
        let _unforked = unforked();
        drop(stream);
        answered?;
        let is_answer = match self.server.protocol {
            Protocol::None => true,
            Protocol::Echo => got == b"hello\n",
            Protocol::Http => got.starts_with(b"HTTP/1.") && got[8..].starts_with(b" 200 "),
        };
        let excerpt = || io::Error::other(format!("the answer {:?}", String::from_utf8_lossy(&got)));
        if is_answer { Ok(()) } else { Err(excerpt()) }
    }

    fn held(&self) -> Held {
        let mut held = Held::default();
        let all = self.scene.processes();
        for pid in &all {
            held.processes += 1;
            held.threads += numbers(&format!("/proc/{pid}/task")).len();
            held.descriptors += numbers(&format!("/proc/{pid}/fd")).len();
        }
        let is_zombie = |pid: &u32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))
        };
        held.zombies = children(&all).iter().filter(|pid| is_zombie(pid)).count();
        held
    }
}

/// Returns the limit of descriptors of a process, and sets a new one if `new` is given. `None` if the process has ended.
fn limit_of(pid: u32, new: Option<libc::rlimit>) -> Option<libc::rlimit> {
    let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let new = new.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the kernel reads the new limit, if there is one, and writes the old one.
    let result = unsafe { libc::prlimit(pid as i32, libc::RLIMIT_NOFILE, new, &raw mut before) };
    (result == 0).then_some(before)
}

impl Played for Running<'_> {
    fn limit_descriptors(&mut self, limited: bool) {
        let mut limits = self.limits.borrow_mut();
        for pid in self.scene.processes() {
            if limited {
                let open = numbers(&format!("/proc/{pid}/fd"));
                let free = (0..).find(|n| !open.contains(n)).expect("a number that is free");
                let before = limit_of(pid, None);
                limits.extend(before.map(|before| (pid, before)));
                let lower = before.map(|before| libc::rlimit { rlim_cur: free.into(), ..before });
                limit_of(pid, lower);
            } else if let Some(before) = limits.get(&pid).or_else(|| limits.values().next()) {
                // A process that has started meanwhile gets the original limit of another process.
                limit_of(pid, Some(*before));
            }
        }
        if !limited {
            limits.clear();
        }
    }

    fn signal(&self, signal: Signal) {
        unreachable!("`signal {signal}` is in no order here");
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    fn hold(&mut self, held: bool) {
        for pid in self.scene.processes() {
            // A process may have ended meanwhile.
            let _ = kill(Pid::from_raw(pid as i32), if held { Signal::SIGSTOP } else { Signal::SIGCONT });
        }
    }

    fn settle(&mut self) {
        std::thread::sleep(PACE);
    }

    fn fail(&self, call: &str, errno: i32) {
        // The file is written under another name and then renamed, so that the server never reads a partial file.
        let made = self.scene.path().join("run").join("new");
        fs::write(&made, errno.to_string()).and_then(|()| fs::rename(made, self.fault(call))).expect("a scratch file");
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // Other processes of the server are killed when the scene is dropped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
