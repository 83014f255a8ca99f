//! Error messages for servers that cannot be hunted, and unusual names and files that must work.

use crate::server::{Server, command, hunted};
use crate::util::{Folder, Said, brokenpipe};
use std::fs;

#[test]
fn a_server_that_listens_by_itself_is_told_from_one_that_takes_descriptor_3() {
    let dir = Folder::new();
    hunted(&dir, Server::Alone, &["--listen-fd"])
        .code(3)
        .err("the server listens on 127.0.0.1:")
        .err("by itself")
        .err("leave `--listen-fd` out");
    hunted(&dir, Server::Closing, &["--listen-fd"])
        .code(3)
        .err("descriptor 3")
        .err("`--listen-fd` is for servers that take it");
    let said = hunted(&dir, Server::Broken, &["--listen-fd"]).code(3).err("exited with 7");
    assert!(!said.err.contains("have it listen on 127.0.0.1"), "{}", said.err);
}

#[test]
fn a_server_of_a_unix_socket_is_told_so() {
    // A process that can connect to the Unix socket could still make the server listen on a TCP port, so the hunt waits until the timeout.
    for more in [&["--start-timeout", "1"][..], &["--start-timeout", "1", "--no-gate"]] {
        hunted(&Folder::new(), Server::Unix, more)
            .code(3)
            .err("it listens on the Unix socket socket, which is not supported: have it listen on a TCP port");
    }
}

#[test]
fn a_stopped_server_is_told_so() {
    let mut command = brokenpipe();
    command.args(["hunt", "--", "sh", "-c", "kill -STOP $$; exec ./server {port}"]);
    Said::of(command.output().expect("the binary runs"))
        .code(3)
        .err("waits for good")
        .err("is stopped by a signal (state T)");
}

#[test]
fn what_is_in_force_for_sigpipe_is_that_of_the_process_that_serves() {
    let dir = Folder::new();
    let mut hunt = brokenpipe();
    hunt.args(["hunt", "--cases", "1"]).args(Server::Escaping.options()).args(["--env", "CLI_SERVER_PORT={port}"]);
    // The shell does not exec the server: it stays as its parent and waits.
    hunt.args(["--", "sh", "-c", "\"$@\"; exit 1", "sh"]).args(command()).current_dir(dir.path());
    Said::of(hunt.output().expect("the binary runs")).out("requested default, effective ignored\n");
}

#[test]
fn a_server_with_the_longest_name_there_can_be_has_its_case() {
    let dir = Folder::new();
    let name = "n".repeat(255);
    let server = command();
    std::os::unix::fs::symlink(&server[0], dir.path().join(&name)).expect("a link");
    let mut hunt = brokenpipe();
    hunt.args(["hunt", "--first", "--out", "cases"]).args(Server::Greeter.options());
    hunt.args(["--env", "CLI_SERVER_PORT={port}", "--"]).arg(format!("./{name}")).args(&server[1..]);
    Said::of(hunt.current_dir(dir.path()).output().expect("the binary runs")).code(1).out("-sigpipe.case\n");
    assert_eq!(fs::read_dir(dir.path().join("cases")).expect("a folder").count(), 2, "a case and its output");
}

#[test]
fn a_case_with_a_byte_order_mark_is_a_case() {
    let dir = Folder::new();
    let case = "\u{feff}brokenpipe case 1\r\nprogram: echo\r\nexpect: survived\r\n\r\na connect\r\n";
    fs::write(dir.path().join("a.case"), case).expect("a scratch file");
    let path = dir.path().join("a.case");
    crate::util::run(&["replay", path.to_str().expect("a path")]).code(0).out("1 case: 1 ok");
}
