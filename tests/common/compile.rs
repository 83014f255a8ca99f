//! Compiles small servers that are written in C, each once in a run: a file that several trials need is written for each.

use crate::run::{spawn, unforked};
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The folder of what these servers have in common.
const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/c");

/// A source and the flags that it is compiled with.
type Recipe = Vec<String>;

/// What has been compiled.
static COMPILED: Mutex<BTreeMap<Recipe, Arc<OnceLock<Vec<u8>>>>> = Mutex::new(BTreeMap::new());

/// Compiles one file to a program of this name in the folder, and gives its path.
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
    // A child that holds a copy of a descriptor for writing would make the program one that cannot be started (ETXTBSY).
    let _unforked = unforked();
    fs::write(&program, bytes)
        .and_then(|()| fs::set_permissions(&program, Permissions::from_mode(0o755)))
        .expect("a file");
    program
}

/// Compiles to this file, and gives what is in it.
fn made(recipe: &[String], program: &Path) -> Vec<u8> {
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-g", "-Wall", "-Werror", "-I", SHARED, "-pthread", "-o"]);
    cc.arg(program).args(recipe).stderr(Stdio::piped());
    let said = spawn(&mut cc).wait_with_output().expect("a C compiler");
    assert!(said.status.success(), "{recipe:?}: {}", String::from_utf8_lossy(&said.stderr));
    fs::read(program).expect("what has been compiled")
}

/// What is preloaded to fail calls.
pub(crate) fn fail_calls(folder: &Path) -> PathBuf {
    compile(&format!("{SHARED}/fail-calls.c"), ["-shared", "-fPIC"], folder, "fail-calls.so")
}
