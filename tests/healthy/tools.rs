//! The compilers and interpreters that servers need and that may be missing on a machine.

use crate::servers::{Server, Source};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// A tool that a server needs and this machine does not have.
pub(crate) fn missing(server: &Server) -> Option<String> {
    let tools: &[&str] = match server.source {
        // The faulty servers need the same tools, so these are not optional.
        Source::C { .. } | Source::Rust(_) => &[],
        Source::Python(_) => &["python3"],
        Source::Node(_) => &["node"],
        Source::Go(_) => &["go"],
        Source::Java(_) => &["javac", "java"],
    };
    tools.iter().find(|tool| path_of(tool).is_none()).map(|tool| format!("no {tool}"))
}

/// The path of a tool as the tool itself reports it. The entry in PATH may be a wrapper script, which would slow down every start.
pub(crate) fn path_of(tool: &str) -> Option<String> {
    static KNOWN: Mutex<BTreeMap<String, Option<String>>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.entry(tool.to_owned()).or_insert_with(|| find(tool)).clone()
}

fn find(tool: &str) -> Option<String> {
    let said = |arguments: &[&str]| {
        let mut command = Command::new(tool);
        let output = command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    match tool {
        "python3" => said(&["-c", "import sys; print(sys.executable)"]),
        "node" => said(&["-p", "process.execPath"]),
        "go" => said(&["version"]).map(|_| tool.to_owned()),
        _ => said(&["-version"]).map(|_| tool.to_owned()),
    }
}
