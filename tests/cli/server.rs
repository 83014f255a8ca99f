//! The servers that are hunted here: this test binary once more, with the name of the one test below and a word on what to be.

use crate::util::{Folder, Said, brokenpipe};
use socket2::{Domain, Socket, Type};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// The variables by which a process knows that it is a server: which, and on which port. Without a port, descriptor 3 is its listener.
const SERVER: &str = "CLI_SERVER";
const PORT: &str = "CLI_SERVER_PORT";
/// The variable with the path of the file by which some servers know how often they were started.
pub(crate) const STATE: &str = "CLI_STATE";

const GREETING: &[u8] = b"hello, this is a greeting\n";

/// After so many clients a server is tired: more than come to one that is started for one scenario.
const TIRED: usize = 100;
/// So many threads do nothing.
pub(crate) const CROWD: usize = 100;

/// A server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// It greets, and dies of SIGPIPE where nobody is there any more.
    Greeter,
    /// It greets, and takes care of SIGPIPE.
    Careful,
    /// It keeps something of every connection.
    Hoarder,
    /// It takes care of SIGPIPE, and ends if a client was gone before it was accepted.
    Aborted,
    /// It takes care of SIGPIPE, and ends after so many clients as come to one that serves scenario after scenario.
    Tired,
    /// It complains, and ends before it listens.
    Broken,
    /// It ignores SIGPIPE, and tells of a broken pipe with an escape sequence, by which it ends.
    Escaping,
    /// It listens on a port of its own choice, whatever it was given.
    Alone,
    /// It closes what it was given, and waits.
    Closing,
    /// It listens on a Unix socket in its folder.
    Unix,
    /// It waits for good, and does not listen.
    Silent,
    /// It listens after a while, if it is the first start of those that the file in `CLI_STATE` counts.
    Late,
    /// It serves one client, and then nobody.
    Once,
    /// It exits when the first client comes.
    Brittle,
    /// It closes each connection as soon as it has accepted it.
    Closer,
    /// A greeter that closes first, on a port that it does not take over from connections in TIME_WAIT.
    Possessive,
    /// A greeter whose third start of those that the file in `CLI_STATE` counts fails.
    FailsOnce,
    /// The same, and it serves nobody when it is started for the third time.
    SilentOnce,
    /// A greeter that cannot be started more than thirty times.
    WearsOut,
    /// It takes care of SIGPIPE, and has the kernel keep clients that say nothing for a second before it may take them.
    Deferring,
    /// It takes care of SIGPIPE, and has threads beside that do nothing.
    Crowded,
}

impl Server {
    const ALL: [Server; 21] = [
        Server::Greeter,
        Server::Careful,
        Server::Hoarder,
        Server::Aborted,
        Server::Tired,
        Server::Broken,
        Server::Escaping,
        Server::Alone,
        Server::Closing,
        Server::Unix,
        Server::Silent,
        Server::Late,
        Server::Once,
        Server::Brittle,
        Server::Closer,
        Server::Possessive,
        Server::FailsOnce,
        Server::SilentOnce,
        Server::WearsOut,
        Server::Deferring,
        Server::Crowded,
    ];

    /// The options of `hunt` by which this test binary becomes this server.
    pub(crate) fn options(self) -> [String; 2] {
        ["--env".to_owned(), format!("{SERVER}={self:?}")]
    }

    /// Whether it takes care of SIGPIPE by MSG_NOSIGNAL.
    fn is_careful(self) -> bool {
        use Server::{Aborted, Careful, Crowded, Deferring, Late, Tired};
        matches!(self, Aborted | Careful | Crowded | Deferring | Late | Tired)
    }

    fn serve(self) -> ! {
        match self {
            Server::Broken => {
                eprintln!("no \x1b[31mconfiguration\x1b[0m");
                std::process::exit(7);
            }
            Server::Silent => wait_for_good(),
            Server::Late if started() == 1 => std::thread::sleep(Duration::from_secs(12)),
            Server::Crowded => (0..CROWD).for_each(|_| drop(std::thread::spawn(|| wait_for_good()))),
            Server::FailsOnce if started() == 3 => std::process::exit(8),
            Server::WearsOut if started() > 30 => std::process::exit(9),
            _ => {}
        }
        if self == Server::Unix {
            let listener = UnixListener::bind("socket").expect("a folder to listen in");
            listener.incoming().for_each(drop);
        }
        if self == Server::Closing {
            // SAFETY: nobody here has descriptor 3, but for whoever started this server.
            drop(unsafe { OwnedFd::from_raw_fd(3) });
            wait_for_good();
        }
        let third = self == Server::SilentOnce && started() == 3;
        let sigpipe = if self == Server::Escaping { libc::SIG_IGN } else { libc::SIG_DFL };
        // SAFETY: neither is a handler; Rust's runtime has SIGPIPE ignored.
        unsafe { libc::signal(libc::SIGPIPE, sigpipe) };
        let listener = match std::env::var(PORT) {
            _ if self == Server::Alone => self.listen(0),
            Ok(port) => self.listen(port.parse().expect("a port")),
            // SAFETY: whoever sets the one variable and not the other has put a listener there.
            Err(_) => TcpListener::from(unsafe { OwnedFd::from_raw_fd(3) }),
        };
        if third {
            wait_for_good();
        }
        let mut hoard = Vec::new();
        let mut served = 0;
        for client in listener.incoming() {
            let mut client = match client {
                Ok(client) => client,
                Err(error) if self == Server::Aborted && error.kind() == io::ErrorKind::ConnectionAborted => {
                    std::process::exit(1)
                }
                Err(_) => continue,
            };
            served += 1;
            match self {
                Server::Tired if served == TIRED => std::process::exit(0),
                Server::Brittle => std::process::exit(3),
                Server::Closer => continue,
                _ => {}
            }
            let flags = if self.is_careful() { libc::MSG_NOSIGNAL } else { 0 };
            // SAFETY: the kernel reads the greeting.
            let sent = unsafe { libc::send(client.as_raw_fd(), GREETING.as_ptr().cast(), GREETING.len(), flags) };
            match self {
                Server::Escaping if sent < 0 => {
                    eprintln!("==7==ERROR: AddressSanitizer: \x1b[31mSEGV\x1b[0m on unknown address 0x000000000000");
                    std::process::exit(1);
                }
                Server::Possessive => continue,
                _ => {}
            }
            if self == Server::Hoarder {
                hoard.push(vec![1u8; 128 * 1024]);
            }
            while client.read(&mut [0; 512]).is_ok_and(|bytes| bytes > 0) {}
            if self == Server::Once {
                wait_for_good();
            }
        }
        unreachable!("a listener has no end")
    }

    fn listen(self, port: u16) -> TcpListener {
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_reuse_address(self != Server::Possessive).expect("an option");
        socket.bind(&address.into()).expect("a port that is free");
        if self == Server::Deferring {
            let seconds: libc::c_int = 1;
            let (value, size) = ((&raw const seconds).cast(), size_of_val(&seconds) as libc::socklen_t);
            // SAFETY: the kernel reads the one int.
            let set =
                unsafe { libc::setsockopt(socket.as_raw_fd(), libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, value, size) };
            assert_eq!(set, 0, "an option");
        }
        socket.listen(128).expect("a listener");
        socket.into()
    }
}

/// How often a server has been started, this time included, by a file that has a byte for each start.
fn started() -> usize {
    static STARTED: OnceLock<usize> = OnceLock::new();
    *STARTED.get_or_init(|| {
        let path = std::env::var(STATE).expect("the path of a file");
        let mut file = File::options().append(true).create(true).open(path).expect("a file");
        file.write_all(b".").expect("a byte more");
        file.metadata().expect("its length").len() as usize
    })
}

fn wait_for_good() -> ! {
    loop {
        nix::unistd::pause();
    }
}

/// The arguments with which this test binary does nothing but the test below.
const ALONE: [&str; 4] = ["server::this_binary_can_be_the_server", "--exact", "--nocapture", "--test-threads=1"];

fn this_binary() -> String {
    std::env::current_exe().expect("a path").into_os_string().into_string().expect("a path in UTF-8")
}

/// The command that starts a server, for after `--`.
pub(crate) fn command() -> Vec<String> {
    std::iter::once(this_binary()).chain(ALONE.map(str::to_owned)).collect()
}

/// `brokenpipe hunt` of a server, in a folder.
pub(crate) fn hunt(dir: &Folder, server: Server, options: &[&str]) -> Command {
    let port = if options.contains(&"--listen-fd") { None } else { Some("{port}".to_owned()) };
    hunt_with(dir, server, port, options)
}

/// The same of a server that has a port of its own, of which the command says nothing.
pub(crate) fn hunt_on(dir: &Folder, server: Server, port: u16, options: &[&str]) -> Command {
    hunt_with(dir, server, Some(port.to_string()), options)
}

fn hunt_with(dir: &Folder, server: Server, port: Option<String>, options: &[&str]) -> Command {
    let mut command = brokenpipe();
    command.arg("hunt").args(options).args(server.options());
    if let Some(port) = port {
        command.args(["--env", &format!("{PORT}={port}")]);
    }
    command.arg("--").args(self::command()).current_dir(dir.path());
    command
}

/// What it says.
pub(crate) fn hunted(dir: &Folder, server: Server, options: &[&str]) -> Said {
    Said::of(hunt(dir, server, options).output().expect("the binary runs"))
}

/// In a server this is where it serves. In a run of the tests it is seen that it does.
#[test]
fn this_binary_can_be_the_server() {
    if let Ok(name) = std::env::var(SERVER) {
        let server = Server::ALL.into_iter().find(|server| format!("{server:?}") == name);
        server.expect("the name of a server").serve();
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let address = listener.local_addr().expect("its address");
    // It comes to be descriptor 3 by way of a shell, which can do that without more ado.
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec 3<&0 0</dev/null \"$0\" \"$@\""]).arg(this_binary()).args(ALONE);
    shell.env(SERVER, "Greeter").stdin(Stdio::from(listener.as_fd().try_clone_to_owned().expect("a copy")));
    let mut child = shell.stdout(Stdio::null()).spawn().expect("a shell");
    let greeted = || -> io::Result<Vec<u8>> {
        let mut client = TcpStream::connect(address)?;
        let mut greeting = vec![0; GREETING.len()];
        client.read_exact(&mut greeting)?;
        client.write_all(b"thanks")?;
        Ok(greeting)
    };
    let greeting = greeted();
    child.kill().and_then(|()| child.wait()).expect("it ends");
    assert_eq!(greeting.expect("a greeting"), GREETING);
}
