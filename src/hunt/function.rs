//! A server that is a Rust function.
//!
//! A test process has threads, so it cannot be forked into a server. Instead, the harness starts the test binary again, as it starts any
//! command, with arguments that make it run the same test alone. When the new process reaches the same call, an environment variable tells
//! it that it is the server, and it serves instead of going on.

use super::HuntError;
use crate::linux::foreign::serve;
use crate::subject::{Sigpipe, Target};
use std::net::TcpListener;
use std::panic::Location;

/// The variable that makes a process a server. Its value is the disposition of SIGPIPE, a space, and the call that is to serve.
pub(super) const SERVE: &str = "BROKENPIPE_SERVE";

impl Target {
    /// A server that is this function. `serve` is given a listener and must not return; if it does, the server exits with 0.
    ///
    /// ```no_run
    /// use brokenpipe::{Target, HuntOptions};
    /// use std::io::Write;
    ///
    /// # fn main() {
    /// // #[test]
    /// fn greeter_survives() {
    ///     let target = Target::forked(|listener| {
    ///         for client in listener.incoming().flatten() {
    ///             let _ = (&client).write_all(b"hello\n");
    ///         }
    ///     });
    ///     let report = target.hunt(&HuntOptions::default(), |_| {}).unwrap();
    ///     report.assert_clean();
    /// }
    /// # greeter_survives();
    /// # }
    /// ```
    ///
    /// An async server makes its runtime in the function:
    ///
    /// ```no_run
    /// use brokenpipe::Target;
    /// use tokio::io::AsyncWriteExt;
    ///
    /// let target = Target::forked(|listener| {
    ///     let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    ///     runtime.block_on(async {
    ///         listener.set_nonblocking(true).unwrap();
    ///         let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    ///         while let Ok((mut client, _)) = listener.accept().await {
    ///             tokio::spawn(async move { client.write_all(b"hello\n").await });
    ///         }
    ///     });
    /// });
    /// ```
    ///
    /// The function runs in a process of its own, which is this program started again: in a test, the test binary with the name of the
    /// test, which is that of its thread; in any other program, the same program with the same arguments. When that process reaches this
    /// call, it serves. So
    /// - code before the call runs again in each server: make the call the first thing that the test does;
    /// - the function is called anew in each server, and what it captures is created anew there. Nothing is passed from one process to
    ///   another;
    /// - a test may have several of these calls, but each may run only once, and no hunt may come before the last of them;
    /// - a case file cannot hold such a target, because its command would be this program.
    ///
    /// Rust's runtime ignores SIGPIPE before `main`. Before the function is called, the disposition is therefore set to that of
    /// [`Target::sigpipe`], by default to SIG_DFL. A server written in another language has SIG_DFL, and so has one that such a program has
    /// loaded as a library.
    ///
    /// # Panics
    ///
    /// If the path of this program cannot be determined, or is not valid UTF-8.
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
        // The server gets the current folder of this process, as the test has it.
        let cwd = std::env::current_dir().ok();
        Target { forked: Some(here), cwd, ..target }
    }

    /// The environment variable that tells the server which call is to serve: its name and value.
    pub(super) fn role(&self) -> Option<(String, String)> {
        self.forked.as_ref().map(|call| (SERVE.to_owned(), format!("{} {call}", self.sigpipe)))
    }
}

/// The arguments with which this program, started again, reaches the same call.
fn arguments() -> Vec<String> {
    let thread = std::thread::current();
    match thread.name() {
        // The test harness names the thread after the test, and only the test harness knows these arguments. The running test may be one
        // that is ignored by default and was asked for.
        Some(test) if test != "main" => {
            [test, "--exact", "--include-ignored", "--nocapture", "--test-threads=1"].map(str::to_owned).to_vec()
        }
        _ => std::env::args().skip(1).collect(),
    }
}

/// The role of this process if it is a server: the disposition of SIGPIPE, and the call that is to serve.
fn role() -> Option<(Sigpipe, String)> {
    let role = std::env::var(SERVE).ok()?;
    let (sigpipe, call) = role.split_once(' ')?;
    Some((sigpipe.parse().ok()?, call.to_owned()))
}

/// Fails if this process is a server: a server that hunted would start servers without end.
pub(super) fn is_no_server() -> Result<(), HuntError> {
    match role() {
        None => Ok(()),
        Some((_, call)) => {
            let why = format!(
                "a server was to come to `Target::forked` at {call}, and hunts before it: make that call the first thing"
            );
            Err(HuntError::Command(why))
        }
    }
}
