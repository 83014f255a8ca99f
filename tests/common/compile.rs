//! Compiles small servers written in C, each once per test run. If several trials need the same program, each gets a copy.

use crate::run::{spawn, unforked};
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The folder of the headers that these servers share, and of the preloaded library.
const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/c");

/// A source file and its compiler flags.
type Recipe = Vec<String>;

/// The programs compiled so far, as bytes.
static COMPILED: Mutex<BTreeMap<Recipe, Arc<OnceLock<Vec<u8>>>>> = Mutex::new(BTreeMap::new());

/// Compiles one file to a program of this name in the folder, and returns its path.
pub(crate) fn compile<'a>(
    source: &str,
    flags: impl IntoIterator<Item = &'a str>,
    folder: &Path,
    name: &str,
) -> PathBuf {
    let program = folder.join(name);
    let recipe: Recipe = [source.to_owned()].into_iter().chain(flags.into_iter().map(str::to_owned)).collect();
    let compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner).entry(recipe.clone()).or_default().clone();
    let bytes = compiled.get_or_init(|| made(&recipe, &program));
    // A child process between fork and exec may hold a copy of the descriptor that the program is written through. Executing the program
    // would then fail with ETXTBSY.
    let _unforked = unforked();
    fs::write(&program, bytes)
        .and_then(|()| fs::set_permissions(&program, Permissions::from_mode(0o755)))
        .expect("a file");
    program
}

/// Compiles to this file, and returns its contents.
fn made(recipe: &[String], program: &Path) -> Vec<u8> {
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-g", "-Wall", "-Werror", "-I", SHARED, "-pthread", "-o"]);
    cc.arg(program).args(recipe).stderr(Stdio::piped());
    let said = spawn(&mut cc).wait_with_output().expect("a C compiler");
    assert!(said.status.success(), "{recipe:?}: {}", String::from_utf8_lossy(&said.stderr));
    fs::read(program).expect("what has been compiled")
}

/// Compiles the library that is preloaded (LD_PRELOAD) to make calls fail.
pub(crate) fn fail_calls(folder: &Path) -> PathBuf {
    compile(&format!("{SHARED}/fail-calls.c"), ["-shared", "-fPIC"], folder, "fail-calls.so")
}
