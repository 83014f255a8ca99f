//! The compilers and interpreters that servers need, which not every machine has.

use crate::servers::{Server, Source};
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// What a server needs that is not there.
pub(crate) fn missing(server: &Server) -> Option<String> {
    let tools: &[&str] = match server.source {
        // What the faulty servers need is there.
        Source::C { .. } | Source::Rust(_) => &[],
        Source::Python(_) => &["python3"],
        Source::Node(_) => &["node"],
        Source::Go(_) => &["go"],
        Source::Java(_) => &["javac", "java"],
    };
    tools.iter().find(|tool| path_of(tool).is_none()).map(|tool| format!("no {tool}"))
}

/// The path of a tool, as it knows it itself: what PATH has may be a script that starts it, which takes time at every start.
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
