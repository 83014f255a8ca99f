//! The servers: what each is made of, and how it is hunted.

/// A healthy server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) source: Source,
    pub(crate) protocol: Protocol,
    /// What else `brokenpipe hunt` is told.
    pub(crate) options: &'static [&'static str],
    /// Variables that brokenpipe is started with.
    pub(crate) environment: &'static [(&'static str, &'static str)],
    /// The words of its command; none is `{server} {port}`.
    pub(crate) command: &'static [&'static str],
    /// What else is compiled: the file, and the program's name.
    pub(crate) beside: &'static [(&'static str, &'static str)],
    pub(crate) expected: Expected,
    /// Whether it ends when a signal cuts a call of its short. It handles none, so that none does unless it is stopped.
    pub(crate) ends_on_eintr: bool,
}

/// What a server is made of: a file in `servers`, without its ending.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source {
    C {
        file: &'static str,
        flags: &'static [&'static str],
    },
    /// The word by which this program is asked to be the server.
    Rust(&'static str),
    Python(&'static str),
    Node(&'static str),
    Go(&'static str),
    /// The name of the class.
    Java(&'static str),
}

/// What a server talks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Protocol {
    Echo,
    Http,
    None,
}

impl Protocol {
    /// As brokenpipe knows it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Protocol::Echo => "echo",
            Protocol::Http => "http",
            Protocol::None => "none",
        }
    }

    /// What plain clients say, as orders have it.
    pub(crate) fn says(self) -> &'static str {
        match self {
            Protocol::Http => r#""GET / HTTP/1.1\r\nHost: localhost\r\n\r\n""#,
            Protocol::Echo | Protocol::None => r#""hello\n""#,
        }
    }
}

/// What a hunt is to report.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expected {
    Nothing,
    /// Warnings of this kind, which are true.
    Warning(&'static str),
}

/// It refuses clients for a while.
pub(crate) const THROTTLES: &str = "throttling";
/// While it is short of descriptors, these libraries ask for the next client again and again.
const SPINS: Expected = Expected::Warning("spin-while-short");

const fn server(name: &'static str, source: Source) -> Server {
    Server {
        name,
        source,
        protocol: Protocol::Echo,
        options: &[],
        environment: &[],
        command: &[],
        beside: &[],
        expected: Expected::Nothing,
        ends_on_eintr: false,
    }
}

const fn c(name: &'static str, file: &'static str, flags: &'static [&'static str]) -> Server {
    server(name, Source::C { file, flags })
}

const fn http(name: &'static str, source: Source) -> Server {
    Server { protocol: Protocol::Http, ..server(name, source) }
}

/// Time limits of calls that wait: none, and one that is up often.
const NEVER: &[&str] = &["-DTIMEOUT=-1"];
const OFTEN: &[&str] = &["-DTIMEOUT=50"];

/// As on kernels that cut calls at the gate short when a signal comes.
const BEFORE_5_19: &[(&str, &str)] = &[("BROKENPIPE_NO_WAIT_KILLABLE", "1")];

pub(crate) const SERVERS: &[Server] = &[
    c("waits-epoll", "epoll", NEVER),
    c("waits-epoll-timeout", "epoll", OFTEN),
    c("waits-poll", "poll", NEVER),
    c("waits-poll-timeout", "poll", OFTEN),
    c("waits-select", "select", NEVER),
    c("waits-select-timeout", "select", OFTEN),
    c("waits-pselect6", "pselect6", NEVER),
    c("waits-pselect6-timeout", "pselect6", OFTEN),
    c("waits-ppoll", "ppoll", NEVER),
    c("waits-ppoll-timeout", "ppoll", OFTEN),
    c("waits-timerfd", "epoll-timerfd", &[]),
    c("waits-rcvtimeo-listener", "rcvtimeo-listener", &[]),
    c("waits-rcvtimeo-connection", "rcvtimeo-connection", &["-DONE_AT_A_TIME=0"]),
    c("waits-rcvtimeo-iterative", "rcvtimeo-connection", &["-DONE_AT_A_TIME=1"]),
    c("waits-nanosleep", "reaper", &["-DSLEEP=by_nanosleep"]),
    c("waits-clock-nanosleep", "reaper", &["-DSLEEP=by_clock_nanosleep"]),
    c("waits-condition", "reaper", &["-DSLEEP=by_condition"]),
    c("waits-sigtimedwait", "reaper", &["-DSLEEP=by_sigtimedwait"]),
    c("waits-setitimer-pause", "setitimer", &["-DWAIT_FOR_SIGNAL=by_pause"]),
    c("waits-setitimer-sigsuspend", "setitimer", &["-DWAIT_FOR_SIGNAL=by_sigsuspend"]),
    c("waits-alarm", "alarm", &[]),
    c("waits-timer-create", "timer-create", &[]),
    c("waits-signalfd", "signalfd", &[]),
    c("waits-eventfd", "eventfd", &[]),
    c("waits-pipe", "pipe", &[]),
    c("waits-pipe-child", "pipe-child", &[]),
    c("waits-inotify", "inotify", &[]),
    c("waits-flock", "prefork-lock", &["-DLOCK=flock"]),
    c("waits-semaphore", "prefork-lock", &["-DLOCK=semaphore"]),
    c("waits-futex", "prefork-lock", &["-DLOCK=futex"]),
    c("waits-reuseport", "reuseport", &[]),
    c("waits-io-uring", "io-uring", &[]),
    c("signals-sigchld", "sigchld-eintr", &[]),
    c("signals-sigchld-pselect", "sigchld-pselect", &[]),
    c("signals-sigalrm", "sigalrm-1ms", &[]),
    Server { environment: BEFORE_5_19, ..c("signals-sigchld-before-5.19", "sigchld-eintr", &[]) },
    Server { environment: BEFORE_5_19, ..c("signals-sigalrm-before-5.19", "sigalrm-1ms", &[]) },
    c("signals-kills-child", "kills-child", &["-DSIGNAL=SIGTERM", "-DSEND=by_kill"]),
    c("signals-aborts-child", "kills-child", &["-DSIGNAL=SIGABRT", "-DSEND=by_kill"]),
    c("signals-aborts-child-tgkill", "kills-child", &["-DSIGNAL=SIGABRT", "-DSEND=by_tgkill"]),
    c("signals-aborts-child-sigqueue", "kills-child", &["-DSIGNAL=SIGABRT", "-DSEND=by_sigqueue"]),
    c("signals-aborts-child-pidfd", "kills-child", &["-DSIGNAL=SIGABRT", "-DSEND=by_pidfd"]),
    Server { options: &["--no-gate"], ends_on_eintr: true, ..c("signals-stop-epoll", "stop-epoll", &[]) },
    Server { options: &["--no-gate"], ends_on_eintr: true, ..c("signals-stop-accept", "stop-accept", &[]) },
    Server {
        command: &["sh", "-c", "{server} {port}; exit"],
        ..c("signals-sigpipe-behind-shell", "sigpipe-ignored", &[])
    },
    c("lives-daemon", "daemon", &[]),
    c("lives-session", "session", &[]),
    c("lives-recycles", "recycles", &[]),
    c("lives-pool", "pool", &[]),
    c("lives-streams-by-fork", "streams", &["-DCHILD=by_fork"]),
    c("lives-streams-by-exec", "streams", &["-DCHILD=by_exec"]),
    c("lives-closes-all", "closes-all", &[]),
    c("lives-namespaces", "namespaces", &[]),
    server("lives-late-gc", Source::Python("late-gc")),
    c("lives-3000-descriptors", "descriptors", &[]),
    Server { command: &["{server}", "{port}", "{folder}/keys"], ..c("lives-slow-start", "slow-start", &[]) },
    c("lives-mapped-address", "mapped-address", &[]),
    c("lives-no-reuseaddr", "no-reuseaddr", &[]),
    c("lives-logs-words", "logs", &["-DMUCH=0"]),
    c("lives-logs-much", "logs", &["-DMUCH=1"]),
    Server {
        options: &["--setup", "{folder}/backend {dir}/backend"],
        command: &["{server}", "{port}", "{dir}/backend"],
        beside: &[("backend", "backend")],
        ..c("lives-proxy", "proxy", &[])
    },
    Server {
        options: &["--setup", "{folder}/backend {dir}/port"],
        command: &["{server}", "{port}", "{dir}/port"],
        beside: &[("backlog", "backend")],
        ..c("lives-proxy-backlog", "proxy-backlog", &[])
    },
    http("lives-whole-requests", Source::C { file: "whole-requests", flags: &[] }),
    Server { protocol: Protocol::None, ..server("lives-tells-and-closes", Source::Python("tells-and-closes")) },
    c("lives-child-exits", "child-exits", &[]),
    c("lives-makes-room", "makes-room", &[]),
    c("lives-backs-off", "backs-off", &[]),
    Server { expected: Expected::Warning(THROTTLES), ..c("lives-throttles", "throttles", &[]) },
    server("stack-rust-std", Source::Rust("serve-std")),
    server("stack-rust-tokio", Source::Rust("serve-tokio")),
    server("stack-rust-smol", Source::Rust("serve-smol")),
    Server { expected: SPINS, ..server("stack-python-threading", Source::Python("socketserver-threading")) },
    Server { expected: SPINS, ..server("stack-python-forking", Source::Python("socketserver-forking")) },
    server("stack-python-asyncio", Source::Python("asyncio-streams")),
    server("stack-node-net", Source::Node("net")),
    http("stack-node-http", Source::Node("http")),
    server("stack-go-net", Source::Go("net")),
    http("stack-go-http", Source::Go("http")),
    Server { expected: SPINS, ..http("stack-java-http", Source::Java("Http")) },
    c("lives-600-threads", "threads", &[]),
];
