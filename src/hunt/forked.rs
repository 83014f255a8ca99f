//! A server that is a Rust function.
//!
//! A test process cannot be forked into a server: it has threads. So the server is the test binary once more, started as any command is,
//! with arguments that make it run the same test alone. When that comes to the same call it finds by a variable in its environment that it
//! is the server, and serves instead of going on.

use super::TargetError;
use super::command::Target;
use crate::linux::foreign::serve;
use crate::linux::process::guardian::Sigpipe;
use std::net::TcpListener;
use std::panic::Location;

/// The variable by which a process knows that it is the server: what SIGPIPE is to be set to, then which call is to serve.
pub(super) const SERVE: &str = "BROKENPIPE_SERVE";

impl Target {
    /// The server that this function is: it is given a listener, and is not to return.
    ///
    /// ```no_run
    /// use brokenpipe::{Target, TargetHunt};
    /// use std::io::Write;
    /// use std::ops::ControlFlow;
    ///
    /// # fn main() {
    /// // #[test]
    /// fn greeter_survives() {
    ///     let target = Target::forked(|listener| {
    ///         for client in listener.incoming().flatten() {
    ///             let _ = (&client).write_all(b"hello\n");
    ///         }
    ///     });
    ///     let report = target.hunt(&TargetHunt::default(), |_| ControlFlow::Continue(())).unwrap();
    ///     report.assert_clean(&target);
    /// }
    /// # greeter_survives();
    /// # }
    /// ```
    ///
    /// It runs in a process of its own, which is this program started again: in a test, the test binary with the name of the test, which
    /// is that of its thread; in any other program, the same program with the same arguments. When that comes to this very call, it serves
    /// there. So
    /// - what stands before the call in the test runs again in each server: make it the first thing that the test does;
    /// - the function is called afresh in each server, and what it captures is made afresh there. Nothing goes from one process to another;
    /// - a test may have several of them, but each call only once, and no hunt before the last of them;
    /// - a case file cannot hold such a target: its command would be this program.
    ///
    /// Rust's runtime ignores SIGPIPE before `main`. Here it is set to what [`Target::sigpipe`] says, the default if nothing, before the
    /// function is called, for that is what a server of another language has, or one that was started as a library of such a program.
    ///
    /// # Panics
    ///
    /// If the program's own path cannot be told, or is no UTF-8.
    #[track_caller]
    pub fn forked(serve: impl FnOnce(TcpListener)) -> Target {
        let here = Location::caller().to_string();
        if let Some((sigpipe, call)) = role()
            && call == here
        {
            serve::set_sigpipe(sigpipe);
            serve(serve::given_listener().expect("descriptor 3 is a listener, for a hunt started this process"));
            std::process::exit(0);
        }
        let program = std::env::current_exe().expect("the path of this program");
        let program = program.into_os_string().into_string().expect("a path in UTF-8");
        let target = Target::command(std::iter::once(program).chain(arguments())).listen_fd(true);
        // As a test has it.
        let cwd = std::env::current_dir().ok();
        Target { forked: Some(here), cwd, ..target }
    }

    /// What tells a server that is a function which one it is.
    pub(super) fn role(&self) -> Option<(String, String)> {
        self.forked.as_ref().map(|call| (SERVE.to_owned(), format!("{} {call}", self.sigpipe)))
    }
}

/// The arguments with which this program comes to where it is now.
fn arguments() -> Vec<String> {
    let thread = std::thread::current();
    match thread.name() {
        // Only tests have threads of this kind of name, and only tests know these arguments. One that is ignored was asked for.
        Some(test) if test != "main" => {
            [test, "--exact", "--include-ignored", "--nocapture", "--test-threads=1"].map(str::to_owned).to_vec()
        }
        _ => std::env::args().skip(1).collect(),
    }
}

/// Whether this process is a server, and which call is to serve.
fn role() -> Option<(Sigpipe, String)> {
    let role = std::env::var(SERVE).ok()?;
    let (sigpipe, call) = role.split_once(' ')?;
    Some((sigpipe.parse().ok()?, call.to_owned()))
}

/// That this process is no server: one that hunted would start servers without end.
pub(super) fn is_no_server() -> Result<(), TargetError> {
    match role() {
        None => Ok(()),
        Some((_, call)) => {
            let why = format!(
                "a server was to come to `Target::forked` at {call}, and hunts before it: make that call the first thing"
            );
            Err(TargetError::Command(why))
        }
    }
}
