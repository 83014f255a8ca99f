//! Compiles small servers that are written in C.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folder of what these servers have in common.
const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/c");

/// Compiles one file to a program of this name in the folder, and gives its path.
pub(crate) fn compile<'a>(
    source: &str,
    flags: impl IntoIterator<Item = &'a str>,
    folder: &Path,
    name: &str,
) -> PathBuf {
    let program = folder.join(name);
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-g", "-Wall", "-Werror", "-I", SHARED, "-pthread", "-o"]);
    cc.arg(&program).arg(source).args(flags).stderr(Stdio::piped());
    let said = crate::run::spawn(&mut cc).wait_with_output().expect("a C compiler");
    assert!(said.status.success(), "{source}: {}", String::from_utf8_lossy(&said.stderr));
    program
}

/// What is preloaded to fail calls.
pub(crate) fn fail_calls(folder: &Path) -> PathBuf {
    compile(&format!("{SHARED}/fail-calls.c"), ["-shared", "-fPIC"], folder, "fail-calls.so")
}
