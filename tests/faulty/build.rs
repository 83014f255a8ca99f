//! Builds the faulty servers: each trial compiles its own server, into a folder of its own.

use crate::compile::compile;
use crate::table::{Clients, FAULTY, Faulty, Protocol, SHAPES, Shape, TOKIO};
use std::fs;
use std::path::Path;

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/faulty");

/// The argument, in place of a test's name, with which this program is the tokio server.
pub(crate) const SERVE_TOKIO: &str = "serve-tokio";

/// A server that can be started in its folder.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    /// The words of its command without the port.
    pub(crate) command: Vec<String>,
    pub(crate) protocol: Protocol,
    pub(crate) clients: Clients,
}

impl Faulty {
    /// The server with its fault.
    pub(crate) fn with_fault(&self, folder: &Path) -> Built {
        self.compile(Some(self.fault), folder)
    }

    /// Its honest twin.
    pub(crate) fn twin(&self, folder: &Path) -> Built {
        self.compile(None, folder)
    }

    fn compile(&self, fault: Option<&str>, folder: &Path) -> Built {
        let fault = fault.map(|fault| format!("-DFAULT={fault}"));
        let flags = fault.iter().map(String::as_str).chain(self.flags.iter().copied());
        let command = command(&format!("faults/{}.c", self.source), flags, folder, self.name);
        Built { command, protocol: self.protocol, clients: self.clients }
    }
}

impl Shape {
    pub(crate) fn build(&self, folder: &Path) -> Built {
        let command = if self.name == TOKIO {
            let own = std::env::current_exe().expect("the path of this program");
            fs::hard_link(own, folder.join(TOKIO)).expect("a link to this program");
            vec![format!("./{TOKIO}"), SERVE_TOKIO.to_owned()]
        } else {
            command(&format!("shapes/{}.c", self.name), [], folder, self.name)
        };
        Built { command, protocol: Protocol::Echo, clients: self.clients }
    }
}

/// Builds a server of `misbehaving`.
pub(crate) fn misbehaving(name: &str, folder: &Path) -> Built {
    misbehaving_with(name, [], folder)
}

/// The same with these flags for the compiler.
pub(crate) fn misbehaving_with<'a>(name: &str, flags: impl IntoIterator<Item = &'a str>, folder: &Path) -> Built {
    let command = command(&format!("misbehaving/{name}.c"), flags, folder, name);
    Built { command, protocol: Protocol::Echo, clients: Clients::One }
}

/// Compiles one file to a program of this name in the folder, and returns its command.
fn command<'a>(source: &str, flags: impl IntoIterator<Item = &'a str>, folder: &Path, name: &str) -> Vec<String> {
    compile(&format!("{SOURCES}/{source}"), flags, folder, name);
    vec![format!("./{name}")]
}

/// Every honest server, by the name of its trial.
pub(crate) fn honest() -> impl Iterator<Item = (String, impl Fn(&Path) -> Built + Send + Copy + 'static)> {
    let twins = FAULTY.iter().copied().enumerate().filter(|(i, s)| {
        // Some faults share one twin.
        FAULTY[..*i].iter().all(|before| before.source != s.source)
    });
    let twins = twins.map(|(_, s)| (format!("{}-twin", s.source), Honest::Twin(s)));
    let shapes = SHAPES.into_iter().map(|s| (s.name.to_owned(), Honest::Shape(s)));
    twins.chain(shapes).map(|(name, honest)| (name, move |folder: &Path| honest.build(folder)))
}

/// An honest server that is not built yet.
#[derive(Clone, Copy, Debug)]
enum Honest {
    Twin(Faulty),
    Shape(Shape),
}

impl Honest {
    fn build(self, folder: &Path) -> Built {
        match self {
            Honest::Twin(faulty) => faulty.twin(folder),
            Honest::Shape(shape) => shape.build(folder),
        }
    }
}
