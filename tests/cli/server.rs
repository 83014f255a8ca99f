//! The servers that these tests hunt. A server is this test binary, started again with the name of the test below and a variable that
//! selects the server.

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

/// The environment variables that make this binary a server: its name, and its port. Without a port, descriptor 3 is the listener.
const SERVER: &str = "CLI_SERVER";
const PORT: &str = "CLI_SERVER_PORT";
/// The environment variable with the path of the file in which some servers count their starts.
pub(crate) const STATE: &str = "CLI_STATE";

const GREETING: &[u8] = b"hello, this is a greeting\n";

/// How long the listener is left alone when accept has failed.
const SHORT_OF_DESCRIPTORS: std::time::Duration = std::time::Duration::from_millis(100);
/// The number of clients after which [`Server::Tired`] ends: more than a server gets that is started for one scenario.
const TIRED: usize = 100;
/// The number of idle threads of [`Server::Crowded`].
pub(crate) const CROWD: usize = 100;

/// A server. "Handles SIGPIPE" means that its sends have MSG_NOSIGNAL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// Sends a greeting. SIGPIPE kills it if the connection is broken.
    Greeter,
    /// Sends a greeting, and handles SIGPIPE.
    Careful,
    /// Leaks memory with every connection.
    Hoarder,
    /// Handles SIGPIPE, and exits if `accept` fails with ECONNABORTED.
    Aborted,
    /// Handles SIGPIPE, and exits after [`TIRED`] clients, which only a server gets that serves scenario after scenario.
    Tired,
    /// Prints an error, and exits before it listens.
    Broken,
    /// Ignores SIGPIPE. If the connection is broken, it prints a report with an escape sequence, and exits.
    Escaping,
    /// Listens on a port of its own choice, and ignores the given one.
    Alone,
    /// Closes the listener that it was given, and blocks.
    Closing,
    /// Listens on a Unix socket in its folder.
    Unix,
    /// Blocks for ever without listening.
    Silent,
    /// Listens after 12 s, if it is the first start counted in the file in `CLI_STATE`.
    Late,
    /// Serves one client, and then no other.
    Once,
    /// Exits when the first client comes.
    Brittle,
    /// Closes each connection as soon as it has accepted it.
    Closer,
    /// A greeter that closes connections first. It listens without SO_REUSEADDR, so connections in TIME_WAIT keep its port occupied.
    Possessive,
    /// A greeter whose third start fails, counted in the file in `CLI_STATE`.
    FailsOnce,
    /// A greeter that serves no client after its third start, counted in the same file.
    SilentOnce,
    /// A greeter that cannot be started more than thirty times, counted in the same file.
    WearsOut,
    /// Handles SIGPIPE, and sets TCP_DEFER_ACCEPT: a client that sends nothing is accepted after a second.
    Deferring,
    /// Handles SIGPIPE, and has [`CROWD`] idle threads.
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

    /// Whether its sends have MSG_NOSIGNAL.
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
            // SAFETY: no code in this process owns descriptor 3, which was given at the start.
            drop(unsafe { OwnedFd::from_raw_fd(3) });
            wait_for_good();
        }
        let third = self == Server::SilentOnce && started() == 3;
        let sigpipe = if self == Server::Escaping { libc::SIG_IGN } else { libc::SIG_DFL };
        // Rust's runtime has set SIGPIPE to SIG_IGN.
        // SAFETY: SIG_IGN and SIG_DFL are no handlers.
        unsafe { libc::signal(libc::SIGPIPE, sigpipe) };
        let listener = match std::env::var(PORT) {
            _ if self == Server::Alone => self.listen(0),
            Ok(port) => self.listen(port.parse().expect("a port")),
            // SAFETY: a process that is started with `CLI_SERVER` and without a port was given a listener as descriptor 3.
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
                // Without a descriptor for it the next client waits, and accept would fail again at once.
                Err(_) => {
                    std::thread::sleep(SHORT_OF_DESCRIPTORS);
                    continue;
                }
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

/// How often a server has been started, this time included. The file in `CLI_STATE` has a byte for each start.
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

/// The arguments with which this test binary runs only the test below.
const ALONE: [&str; 4] = ["server::this_binary_can_be_the_server", "--exact", "--nocapture", "--test-threads=1"];

fn this_binary() -> String {
    std::env::current_exe().expect("a path").into_os_string().into_string().expect("a path in UTF-8")
}

/// The command that starts a server, as it is given to `hunt` after `--`.
pub(crate) fn command() -> Vec<String> {
    std::iter::once(this_binary()).chain(ALONE.map(str::to_owned)).collect()
}

/// `brokenpipe hunt` of a server, in a folder.
pub(crate) fn hunt(dir: &Folder, server: Server, options: &[&str]) -> Command {
    let port = if options.contains(&"--listen-fd") { None } else { Some("{port}".to_owned()) };
    hunt_with(dir, server, port, options)
}

/// As `hunt`, for a server on a fixed port that its command does not name.
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

/// The output of `brokenpipe hunt` of a server.
pub(crate) fn hunted(dir: &Folder, server: Server, options: &[&str]) -> Said {
    Said::of(hunt(dir, server, options).output().expect("the binary runs"))
}

/// In a server process this function serves. In a test run it checks that such a process serves.
#[test]
fn this_binary_can_be_the_server() {
    if let Ok(name) = std::env::var(SERVER) {
        let server = Server::ALL.into_iter().find(|server| format!("{server:?}") == name);
        server.expect("the name of a server").serve();
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let address = listener.local_addr().expect("its address");
    // A shell makes the listener descriptor 3 of the server.
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
