//! The target of a hunt: a command, how to start it, and its protocol.

use super::Sigpipe;
use crate::protocol::{Dialogue, Protocol};
use crate::scenario::{MAX_SEND, Payload};
use std::borrow::Cow;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A server to hunt: any program that listens on a TCP port.
///
/// In the words of the command and in the values of its environment variables, `{port}` is replaced by the port that the server is to
/// listen on, and `{dir}` by the path of a fresh folder. The server runs in that folder unless [`Target::cwd`] names another.
///
/// ```
/// use brokenpipe::Target;
///
/// let target = Target::command(["./my-server", "--port", "{port}"]).say(*b"GET / HTTP/1.0\r\n\r\n");
/// assert_eq!(target.words(), ["./my-server", "--port", "{port}"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a target is only played with `hunt`, `confirm` or `run`"]
pub struct Target {
    pub(crate) words: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) cwd: Option<PathBuf>,
    pub(crate) setup: Option<String>,
    pub(crate) listen_fd: bool,
    pub(crate) sigpipe: Sigpipe,
    pub(crate) gate: bool,
    pub(crate) real_time: bool,
    pub(crate) namespace: bool,
    pub(crate) protocol: Protocol,
    pub(crate) says: Vec<Payload>,
    /// What clients send in several sends.
    pub(crate) uploads: Vec<Vec<Payload>>,
    pub(crate) polite: Polite,
    pub(crate) start_timeout: Duration,
    /// For a server that is a function of this program: the position in the source of the [`Target::forked`] call that serves.
    pub(crate) forked: Option<String>,
}

/// How a polite client asks, and which answer is a full one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Polite {
    /// As the target's protocol says.
    #[default]
    Protocol,
    /// As this protocol says.
    As(Protocol),
    /// As in this conversation.
    Dialogue(Dialogue),
    /// As this shell command does. `{port}` in it is replaced by the server's port. Exit code 0 is a full answer.
    Command(String),
}

impl Target {
    /// A server that this command starts. Its first word is a path, or a name that is looked up in PATH and in the usual sbin folders.
    pub fn command(words: impl IntoIterator<Item = impl Into<String>>) -> Target {
        Target {
            words: words.into_iter().map(Into::into).collect(),
            environment: Vec::new(),
            cwd: None,
            setup: None,
            listen_fd: false,
            sigpipe: Sigpipe::Default,
            gate: true,
            real_time: false,
            namespace: true,
            protocol: Protocol::default(),
            says: Vec::new(),
            uploads: Vec::new(),
            polite: Polite::Protocol,
            start_timeout: Target::START_TIMEOUT,
            forked: None,
        }
    }

    /// The words of the command, with the placeholders.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The command as one line for a shell, with the placeholders.
    pub fn command_line(&self) -> String {
        let words: Vec<_> = self.words.iter().map(|word| shell_word(word)).collect();
        words.join(" ")
    }

    /// Sets the server's protocol: what its clients send, and how a polite client asks.
    pub fn protocol(self, protocol: Protocol) -> Target {
        Target { protocol, ..self }
    }

    /// Adds a payload for clients to send. Such payloads replace those of the protocol. Bytes beyond [`MAX_SEND`] are cut off.
    pub fn say(mut self, bytes: impl AsRef<[u8]>) -> Target {
        let bytes = bytes.as_ref();
        self.says.extend(Payload::bytes(&bytes[..bytes.len().min(MAX_SEND)]));
        self
    }

    /// Adds bytes for clients to send, with as many sends as they need. Of what one `send` carries, this is [`Target::say`]. More does not
    /// replace the payloads of the protocol, and is part of no case but in its scenario.
    pub fn upload(mut self, bytes: impl AsRef<[u8]>) -> Target {
        let bytes = bytes.as_ref();
        if bytes.len() <= MAX_SEND {
            return self.say(bytes);
        }
        self.uploads.push(bytes.chunks(MAX_SEND).filter_map(Payload::bytes).collect());
        self
    }

    /// Sets how a polite client asks, if not as the target's protocol says.
    pub fn polite(self, polite: Polite) -> Target {
        Target { polite, ..self }
    }

    /// Sets a variable of the server's environment. If a name is set twice, starting the server fails.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Target {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Sets the folder that the server runs in, instead of the fresh one.
    pub fn cwd(self, folder: impl Into<PathBuf>) -> Target {
        Target { cwd: Some(folder.into()), ..self }
    }

    /// Sets a shell command that is run before each start of the server, in the fresh folder, with `{port}` and `{dir}` replaced. The
    /// command may take 60 s.
    pub fn setup(self, command: impl Into<String>) -> Target {
        Target { setup: Some(command.into()), ..self }
    }

    /// Whether the server is given its listener as descriptor 3, with LISTEN_FDS and LISTEN_PID (`sd_listen_fds(3)`).
    pub fn listen_fd(self, given: bool) -> Target {
        Target { listen_fd: given, ..self }
    }

    /// Sets the disposition of SIGPIPE with which the server is started.
    pub fn sigpipe(self, sigpipe: Sigpipe) -> Target {
        Target { sigpipe, ..self }
    }

    /// Whether the server's calls pass the gate, where the harness releases them one by one. Without the gate, a server counts as settled
    /// when all its tasks sleep, and `hold` stops its processes with SIGSTOP.
    pub fn gate(self, gate: bool) -> Target {
        Target { gate, ..self }
    }

    /// Whether the server's clock keeps to real time. Else it is put forward to the next deadline whenever the server is idle and no client
    /// acts, where the machine allows that ([`Baseline::virtual_time`](crate::Baseline::virtual_time)).
    pub fn real_time(self, real_time: bool) -> Target {
        Target { real_time, ..self }
    }

    /// Whether the server runs in a network namespace of its own, where that is allowed.
    pub fn namespace(self, namespace: bool) -> Target {
        Target { namespace, ..self }
    }

    /// Sets how long the first start may take until the server listens. A server that does not listen, and waits for nothing that can still
    /// happen, is refused at once.
    pub fn start_timeout(self, start_timeout: Duration) -> Target {
        Target { start_timeout, ..self }
    }

    /// The default start timeout.
    pub const START_TIMEOUT: Duration = Duration::from_secs(120);

    /// Whether the server is to run in a network namespace of its own.
    pub const fn has_namespace(&self) -> bool {
        self.namespace
    }

    /// The payloads that clients send: those of [`Target::say`], or else those of the dialogue of polite clients, or of the protocol.
    pub fn payloads(&self) -> Vec<Payload> {
        match &self.polite {
            _ if !self.says.is_empty() => self.says.clone(),
            Polite::Dialogue(dialogue) => {
                let mut said: Vec<Payload> = Vec::new();
                dialogue.sends().for_each(|payload| said.extend((!said.contains(payload)).then(|| payload.clone())));
                said
            }
            _ => self.protocol.say(),
        }
    }

    /// `text` with `{port}` and `{dir}` replaced.
    pub(crate) fn filled(text: &str, port: u16, dir: &Path) -> OsString {
        let mut filled = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            filled.extend_from_slice(&rest.as_bytes()[..at]);
            rest = &rest[at..];
            if let Some(tail) = rest.strip_prefix("{port}") {
                filled.extend_from_slice(port.to_string().as_bytes());
                rest = tail;
            } else if let Some(tail) = rest.strip_prefix("{dir}") {
                filled.extend_from_slice(dir.as_os_str().as_bytes());
                rest = tail;
            } else {
                filled.push(b'{');
                rest = &rest[1..];
            }
        }
        filled.extend_from_slice(rest.as_bytes());
        OsString::from_vec(filled)
    }

    /// Whether `{port}` occurs in the command, in its environment or in the setup command.
    pub(crate) fn names_port(&self) -> bool {
        let values = self.environment.iter().map(|(_, value)| value);
        let all = self.words.iter().chain(values).chain(&self.setup);
        all.into_iter().any(|text| text.contains("{port}"))
    }

    /// A name that is set more than once in the server's environment.
    pub(crate) fn set_twice(&self) -> Option<&str> {
        let mut seen = std::collections::BTreeSet::new();
        self.environment.iter().map(|(name, _)| name.as_str()).find(|name| !seen.insert(*name))
    }
}

/// A word quoted for a shell. The placeholders need no quotation marks.
fn shell_word(word: &str) -> Cow<'_, str> {
    let bare = word.replace("{port}", "").replace("{dir}", "");
    let plain = !word.is_empty() && (bare.is_empty() || quoted(&bare) == bare);
    if plain { word.into() } else { quoted(word) }
}

fn quoted(word: &str) -> Cow<'_, str> {
    // A word with a NUL byte is refused when the command is started.
    shlex::Quoter::new().allow_nul(true).quote(word).unwrap_or_else(|error| unreachable!("{error}"))
}
