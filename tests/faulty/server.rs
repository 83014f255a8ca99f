//! A faulty server that runs, without brokenpipe: started with a listener that it is handed, asked as a polite client asks, and
//! looked at for what an order of events has left.

use crate::build::Built;
use crate::compile::fail_calls;
use crate::order::Played;
use crate::run::{spawn, unforked};
use crate::scene::numbers;
use crate::table::{Clients, Protocol};
use crate::tasks::{Settled, Tasks, resident, settle, tasks};
use nix::sys::resource::Resource;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

/// Whoever gets no answer within this time is not served.
const PATIENCE: Duration = Duration::from_secs(5);
/// What two readings of the memory of a server that keeps nothing may differ by, in KiB: buffers that it needs more of at times.
const MEMORY: u64 = 3 * 1024;

/// So many more zombies than before are not those of polite clients.
const MANY: usize = 8;

/// The states of a socket in the kernel's table.
const LISTEN: &str = "0A";
const CLOSE_WAIT: &str = "08";

/// The names of findings, and of the process that died.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) kinds: BTreeSet<&'static str>,
    pub(crate) process: Option<&'static str>,
}

/// A running server. It is killed with all its children when it is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    folder: PathBuf,
    protocol: Protocol,
    pub(crate) address: SocketAddr,
    /// A polite client that is there throughout, unless nobody else is served beside it.
    bystander: Option<TcpStream>,
    baseline: Residue,
    spins: bool,
    spins_while_short: bool,
    /// Whether nobody was served while clients were connected.
    shut_out: bool,
    /// Whether it is to serve others beside several clients too. An honest server may have a limit.
    pub(crate) judges_crowds: bool,
    is_limited: bool,
}

/// What a server holds when it is quiet.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Residue {
    /// The number of threads and of descriptors of each process.
    processes: BTreeMap<u32, (usize, usize)>,
    zombies: usize,
    close_waits: usize,
    memory: u64,
}

impl Server {
    /// Starts it in its folder, with what may fail its calls, and lets polite clients see that it serves.
    pub(crate) fn start(built: &Built, folder: &Path) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let mut shell = Command::new("sh");
        // The listener comes as standard input, and the shell makes a descriptor 3 of it.
        let script = "export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$@\" 3<&0 </dev/null";
        shell.args(["-c", script, "sh"]).args(&built.command).current_dir(folder).stdin(OwnedFd::from(listener));
        shell.env("LD_PRELOAD", fail_calls(folder));
        let output = |name| File::create(folder.join(name)).expect("a scratch file");
        let child = spawn(shell.stdout(output("stdout")).stderr(output("stderr")));
        let (protocol, folder) = (built.protocol, folder.to_owned());
        let empty = Residue { processes: BTreeMap::new(), zombies: 0, close_waits: 0, memory: 0 };
        let mut server = Server {
            child,
            folder,
            protocol,
            address,
            bystander: None,
            baseline: empty,
            spins: false,
            spins_while_short: false,
            shut_out: false,
            judges_crowds: false,
            is_limited: false,
        };
        server.is_polite_to_strangers().expect("a server that serves");
        server.bystander = (built.clients == Clients::Many).then(|| server.stays().expect("a server that listens"));
        server.settle();
        server.baseline = server.residue();
        server
    }

    /// What is wrong with it, now that all clients of an order are gone.
    pub(crate) fn look(&mut self) -> Seen {
        self.settle();
        let mut seen = Seen::default();
        if self.shut_out {
            seen.kinds.insert("shut-out");
        }
        if self.spins {
            seen.kinds.insert("spin");
        }
        if std::mem::take(&mut self.spins_while_short) {
            seen.kinds.insert("spin-while-short");
        }
        let said = fs::read_to_string(self.folder.join("stderr")).unwrap_or_default();
        if said.contains("a child was killed by SIGPIPE") {
            seen.kinds.insert("sigpipe");
            seen.process = Some("child");
        }
        if said.contains("a worker exited") {
            seen.kinds.insert("exit");
            seen.process = Some("child");
        }
        if said.contains(": runtime error: ") {
            seen.kinds.insert("sanitizer-report");
        }
        if let Some(status) = self.child.try_wait().expect("it can be waited for") {
            seen.kinds.insert(death(status, &said));
            seen.process = Some("main");
            return seen;
        }
        if !self.listens() {
            seen.kinds.insert("not-listening");
            return seen;
        }
        // What waits for an error of `accept` to pass has waited when the polite client, who came later, is served.
        let zombies = self.zombies();
        let is_served = self.is_polite_to_strangers().is_ok();
        if zombies > self.baseline.zombies + MANY && self.zombies() < zombies {
            seen.kinds.insert("late-reaping");
        }
        if let Some(bystander) = self.bystander.take() {
            if self.is_polite(bystander).is_err() {
                seen.kinds.insert("collateral");
            }
            // If that was one client too many, the next one is served.
            let is_served_now = is_served || self.is_polite_to_strangers().is_ok();
            if !is_served && is_served_now {
                seen.kinds.insert("slot-leak");
            } else if !is_served_now {
                seen.kinds.insert("unresponsive");
            }
            // The next order may be looked at in the same way.
            self.bystander = self.stays().ok();
        } else if !is_served {
            seen.kinds.insert("unresponsive");
        }
        if self.has_heirs() {
            seen.kinds.insert("withheld-fin");
        }
        if !seen.kinds.contains("unresponsive") {
            self.settle();
            self.residue().more_than(&self.baseline, &mut seen.kinds);
        }
        seen
    }

    /// Whether another program that it has started has a socket that it did not make.
    fn has_heirs(&self) -> bool {
        let program = |pid| fs::read_link(format!("/proc/{pid}/exe")).ok();
        let own = program(self.child.id());
        let has_socket = |pid: u32| {
            let all = numbers(&format!("/proc/{pid}/fd"));
            let links = all.into_iter().filter_map(|fd| fs::read_link(format!("/proc/{pid}/fd/{fd}")).ok());
            links.into_iter().any(|link| link.to_string_lossy().starts_with("socket:"))
        };
        let pids: BTreeSet<u32> = self.tasks().keys().map(|(pid, _)| *pid).collect();
        pids.into_iter().any(|pid| program(pid).is_some() && program(pid) != own && has_socket(pid))
    }

    /// A client that stays, which has asked where it may ask again.
    fn stays(&self) -> std::io::Result<TcpStream> {
        let mut stream = self.connect()?;
        if self.protocol == Protocol::Echo {
            ask(self.protocol, &mut stream)?;
        }
        Ok(stream)
    }

    fn is_polite_to_strangers(&self) -> std::io::Result<()> {
        self.is_polite(self.connect()?)
    }

    fn is_polite(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let answer = ask(self.protocol, &mut stream);
        let _unforked = unforked();
        drop(stream);
        answer
    }

    fn listens(&self) -> bool {
        self.sockets(LISTEN) > 0
    }

    /// The number of its sockets in this state.
    fn sockets(&self, state: &str) -> usize {
        let table = fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
        let port = format!(":{:04X}", self.address.port());
        let fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        fields.filter(|of| of.len() > 3 && of[1].ends_with(&port) && of[3] == state).count()
    }

    fn zombies(&self) -> usize {
        self.tasks().values().filter(|task| task.state == 'Z').count()
    }

    fn tasks(&self) -> Tasks {
        tasks(self.child.id())
    }

    fn residue(&self) -> Residue {
        let tasks = self.tasks();
        let (zombies, alive): (Vec<_>, Vec<_>) = tasks.iter().partition(|(_, task)| task.state == 'Z');
        let mut processes = BTreeMap::new();
        for ((pid, _), _) in alive {
            let (threads, descriptors) = processes.entry(*pid).or_insert((0, 0));
            *threads += 1;
            *descriptors = numbers(&format!("/proc/{pid}/fd")).len();
        }
        let memory = resident(self.child.id());
        Residue { processes, zombies: zombies.len(), close_waits: self.sockets(CLOSE_WAIT), memory }
    }
}

impl Played for Server {
    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).expect("it is there");
    }

    fn limit_descriptors(&mut self, limited: bool) {
        self.is_limited = limited;
        let (own, most) = nix::sys::resource::getrlimit(Resource::RLIMIT_NOFILE).expect("the limit");
        let pids: BTreeSet<u32> = self.tasks().keys().map(|(pid, _)| *pid).collect();
        for pid in pids {
            let open = numbers(&format!("/proc/{pid}/fd"));
            let free = (0..).find(|n| !open.contains(n)).expect("a number that is free");
            let limit = libc::rlimit { rlim_cur: if limited { free.into() } else { own }, rlim_max: most };
            // SAFETY: the kernel reads the struct. A process that has ended needs no limit.
            unsafe { libc::prlimit(pid as i32, libc::RLIMIT_NOFILE, &raw const limit, std::ptr::null_mut()) };
        }
    }

    fn connect(&self) -> std::io::Result<TcpStream> {
        let stream = TcpStream::connect(self.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// Waits until it sleeps; that it spins instead is remembered.
    fn is_held_by(&mut self, clients: usize) {
        // One that has ended, or that is short of descriptors, is looked at later.
        let is_fit = self.listens() && !self.is_limited && matches!(self.child.try_wait(), Ok(None));
        let serves_several = self.bystander.is_some();
        let is_judged = clients == 1 || (clients > 1 && self.judges_crowds);
        self.shut_out |= is_judged && serves_several && is_fit && self.is_polite_to_strangers().is_err();
    }

    fn settle(&mut self) {
        let spins = settle(self.child.id()) == Settled::Spins;
        *(if self.is_limited { &mut self.spins_while_short } else { &mut self.spins }) |= spins;
    }

    fn hold(&mut self, held: bool) {
        let pids: BTreeSet<u32> = self.tasks().keys().map(|(pid, _)| *pid).collect();
        for pid in pids {
            kill(Pid::from_raw(pid as i32), if held { Signal::SIGSTOP } else { Signal::SIGCONT }).expect("it is there");
        }
        self.settle();
    }

    fn fail(&self, call: &str, errno: i32) {
        // Made under another name, so that nobody reads half of it.
        let [made, read] = ["new".to_owned(), format!("fail-{call}")].map(|name| self.folder.join(name));
        fs::write(&made, errno.to_string()).and_then(|()| fs::rename(made, read)).expect("a scratch file");
    }
}

impl Residue {
    /// The findings for what there is more of than there was.
    fn more_than(&self, before: &Residue, kinds: &mut BTreeSet<&'static str>) {
        // Of a process that is new all is new: that is one finding, not three. And of several that share a listener, now one
        // has a client and now another: only all together have more.
        let both = |pid: &&u32| self.processes.contains_key(pid) && before.processes.contains_key(pid);
        let grown = |count: fn(&(usize, usize)) -> usize| {
            let sum =
                |of: &Residue| of.processes.keys().filter(both).map(|pid| count(&of.processes[pid])).sum::<usize>();
            sum(self) > sum(before)
        };
        let findings = [
            ("close-wait-leak", self.close_waits > before.close_waits),
            ("fd-leak", grown(|(_, descriptors)| *descriptors)),
            ("process-leak", self.processes.len() > before.processes.len()),
            ("thread-leak", grown(|(threads, _)| *threads)),
            ("zombie", self.zombies > before.zombies),
            ("memory-growth", self.memory > before.memory + MEMORY),
        ];
        kinds.extend(findings.iter().filter(|(_, found)| *found).map(|(kind, _)| *kind));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The children first: when their parent is gone nobody knows any more whose they were.
        let pids: BTreeSet<u32> = self.tasks().keys().map(|(pid, _)| *pid).collect();
        for pid in pids.iter().rev() {
            let _ = kill(Pid::from_raw(*pid as i32), Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}

/// How a main process has ended.
fn death(status: ExitStatus, said: &str) -> &'static str {
    match status.signal() {
        Some(signal) if signal == Signal::SIGPIPE as i32 => "sigpipe",
        Some(_) => "crash",
        None if said.contains("ERROR: AddressSanitizer") => "crash",
        None => "exit",
    }
}

/// Asks as a polite client does, and reads the answer to its end.
fn ask(protocol: Protocol, stream: &mut TcpStream) -> std::io::Result<()> {
    let mut got = Vec::new();
    match protocol {
        Protocol::None => stream.read_exact(&mut [0])?,
        Protocol::Echo => {
            stream.write_all(b"hello\n")?;
            got.resize(6, 0);
            stream.read_exact(&mut got)?;
            is_answer(got == b"hello\n", &got)?;
        }
        Protocol::Http => {
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
            stream.read_to_end(&mut got)?;
            let text = String::from_utf8_lossy(&got);
            let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")?.parse::<usize>().ok());
            let is_whole = head.starts_with("HTTP/1.") && head.contains(" 200 ") && length == Some(body.len());
            is_answer(is_whole, &got)?;
        }
    }
    Ok(())
}

/// An error with the beginning of what came, if that is no answer.
fn is_answer(is_answer: bool, got: &[u8]) -> std::io::Result<()> {
    let beginning = || got[..got.len().min(100)].escape_ascii();
    if is_answer { Ok(()) } else { Err(std::io::Error::other(format!("no answer: {}", beginning()))) }
}
