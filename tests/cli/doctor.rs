//! `doctor`: its report matches what this machine can do.

use crate::util::{Said, brokenpipe, run};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;

#[test]
fn it_finds_this_machine_fit() {
    run(&["doctor"])
        .code(0)
        .out("ok       a gated server: works")
        .out("ok       a scratch folder: in ")
        .out("  Linux 5.16 or later")
        .out("this machine can play.");
}

#[test]
fn without_a_folder_for_scratch_the_machine_cannot_play() {
    let said = Said::of(brokenpipe().arg("doctor").env("TMPDIR", "/nowhere").output().expect("the binary runs"));
    said.code(3)
        .out("missing  a scratch folder (needed): cannot make a scratch folder in /nowhere: ")
        .out("cannot play");
}

#[test]
fn a_user_without_the_privilege_is_not_told_that_sockets_may_be_destroyed() {
    // Another user may have no permission for the folder of the binary.
    let folder = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().expect("a folder");
    let copy = folder.path().join("brokenpipe");
    fs::copy(env!("CARGO_BIN_EXE_brokenpipe"), &copy).expect("a copy of the binary");
    let mut command = std::process::Command::new(copy);
    if nix::unistd::geteuid().is_root() {
        const NOBODY: u32 = 65534;
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.arg("doctor").current_dir("/").output().expect("the binary runs");
    Said::of(output).out("missing  SOCK_DESTROY (optional): not allowed\n");
}
