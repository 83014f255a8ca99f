//! Builds a server for its trial: compiles it into the trial's folder, if it must be compiled.

use crate::compile::compile;
use crate::run::spawn;
use crate::servers::{Server, Source};
use crate::tools::path_of;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/healthy/servers");

/// A server that can be started: its options for `brokenpipe hunt`, and its command.
#[derive(Clone, Debug)]
pub(crate) struct Built {
    pub(crate) options: Vec<String>,
    pub(crate) command: Vec<String>,
}

impl Built {
    /// The command that is run before each start.
    pub(crate) fn setup(&self) -> Option<String> {
        let at = self.options.iter().position(|option| option == "--setup")?;
        self.options.get(at + 1).cloned()
    }
}

/// Builds a server. In its command and options `{server}` is replaced by the words that start it, and `{folder}` by the trial's folder.
pub(crate) fn build(server: &Server, folder: &Path) -> Built {
    let started = match server.source {
        Source::C { file, flags } => vec![path(compile_c(file, flags, folder, "server"))],
        Source::Rust(word) => {
            let own = std::env::current_exe().expect("the path of this program");
            let link = folder.join("server");
            fs::hard_link(own, &link).expect("a link to this program");
            vec![path(link), word.to_owned()]
        }
        Source::Python(file) => vec![tool("python3"), format!("{SOURCES}/{file}.py")],
        Source::Node(file) => vec![tool("node"), format!("{SOURCES}/{file}.js")],
        Source::Go(file) => {
            let program = folder.join("server");
            let mut go = Command::new("go");
            go.env("GO111MODULE", "off").args(["build", "-o"]).arg(&program).arg(format!("{SOURCES}/{file}.go"));
            done(&mut go);
            vec![path(program)]
        }
        Source::Java(class) => {
            let mut javac = Command::new("javac");
            done(javac.arg("-d").arg(folder).arg(format!("{SOURCES}/{class}.java")));
            // These options shorten the start of the JVM.
            let quick = ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp"];
            let quick = quick.into_iter().map(str::to_owned);
            [tool("java")].into_iter().chain(quick).chain([path(folder.to_owned()), class.to_owned()]).collect()
        }
    };
    for (file, name) in server.beside {
        compile_c(file, &[], folder, name);
    }
    let filled =
        |word: &&str| word.replace("{server}", &started.join(" ")).replace("{folder}", &path(folder.to_owned()));
    let mut options = vec!["--protocol".to_owned(), server.protocol.name().to_owned()];
    options.extend(server.options.iter().map(filled));
    let command = match server.command {
        [] => started.iter().cloned().chain(["{port}".to_owned()]).collect(),
        words => words.iter().map(filled).collect(),
    };
    Built { options, command }
}

fn compile_c(file: &str, flags: &[&str], folder: &Path, name: &str) -> PathBuf {
    compile(&format!("{SOURCES}/{file}.c"), flags.iter().copied(), folder, name)
}

/// Runs a compiler.
fn done(command: &mut Command) {
    let said = spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped())).wait_with_output().expect("a compiler");
    assert!(said.status.success(), "{command:?}: {}", String::from_utf8_lossy(&said.stderr));
}

fn tool(name: &str) -> String {
    path_of(name).unwrap_or_else(|| panic!("{name} was there a moment ago"))
}

fn path(path: PathBuf) -> String {
    path.into_os_string().into_string().expect("a path in UTF-8")
}
