//! Servers that are functions of this file: the ways of Rust's own to send, and what a hunt makes of each.

#[path = "common/workers.rs"]
mod workers;

use brokenpipe::{HuntError, HuntOptions, Kind, Sigpipe, Target};
use std::io::{IoSlice, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How long the listener is left alone when accept has failed.
const SHORT_OF_DESCRIPTORS: std::time::Duration = std::time::Duration::from_millis(100);
const GREETING: &[u8] = b"hello, this is a greeting\n";

/// A server that sends its greeting in this way, takes all that the client sends, and turns to the next.
fn greet(listener: TcpListener, send: impl Fn(&TcpStream)) {
    for client in listener.incoming() {
        let Ok(mut client) = client else {
            // Without a descriptor for it the next client waits, and accept would fail again at once.
            std::thread::sleep(SHORT_OF_DESCRIPTORS);
            continue;
        };
        send(&client);
        let mut buffer = [0; 512];
        while client.read(&mut buffer).is_ok_and(|bytes| bytes > 0) {}
    }
}

/// Everything that a hunt finds in a server in which this is in force for SIGPIPE.
fn found(target: &Target, sigpipe: &str) -> Vec<Kind> {
    let how = HuntOptions::default().cases(200).first(true);
    let report = target.hunt(&how, |_| {}).unwrap();
    assert!(report.played > 0);
    assert_eq!(report.baseline.as_ref().unwrap().sigpipe, sigpipe);
    let found = report.findings.iter().filter(|finding| finding.is_confirmed()).map(|finding| finding.kind());
    let found: Vec<Kind> = found.collect();
    if found.is_empty() {
        report.assert_clean();
    }
    found
}

#[test]
fn a_test_whose_hunt_finds_something_fails_with_the_diagram() {
    workers::alone(|| {
        let target = Target::forked(|listener| {
            greet(listener, |mut client| {
                drop(client.write_vectored(&[IoSlice::new(GREETING), IoSlice::new(GREETING)]))
            });
        });
        let how = HuntOptions::default().cases(200).first(true);
        let report = target.hunt(&how, |_| {}).unwrap();
        let failed = catch_unwind(AssertUnwindSafe(|| report.assert_clean())).expect_err("there is a finding");
        let text = *failed.downcast::<String>().expect("a text");
        assert!(text.contains("finding: sigpipe: ") && text.contains("✗ killed by SIGPIPE"), "{text}");
    });
}

#[test]
fn a_function_that_writes_in_pieces_dies_of_sigpipe() {
    workers::alone(|| {
        let target = Target::forked(|listener| {
            greet(listener, |mut client| {
                drop(client.write_vectored(&[IoSlice::new(GREETING), IoSlice::new(GREETING)]))
            });
        });
        assert_eq!(found(&target, "default"), [Kind::Sigpipe]);
    });
}

#[test]
fn the_same_function_where_sigpipe_is_ignored_survives() {
    workers::alone(|| {
        let target = Target::forked(|listener| {
            greet(listener, |mut client| {
                drop(client.write_vectored(&[IoSlice::new(GREETING), IoSlice::new(GREETING)]))
            });
        });
        assert_eq!(found(&target.sigpipe(Sigpipe::Ignore), "ignored"), []);
    });
}

#[test]
fn a_function_that_sends_with_msg_nosignal_survives() {
    workers::alone(|| {
        let target = Target::forked(|listener| {
            greet(listener, |client| {
                // SAFETY: the kernel reads the greeting.
                unsafe { libc::send(client.as_raw_fd(), GREETING.as_ptr().cast(), GREETING.len(), libc::MSG_NOSIGNAL) };
            });
        });
        assert_eq!(found(&target, "default"), []);
    });
}

#[test]
fn a_function_that_returns_is_a_server_that_exits() {
    workers::alone(|| {
        let target = Target::forked(|listener| {
            // The first reset that it hears of is its last: as it would be if the error were passed up.
            for client in listener.incoming().flatten() {
                let mut buffer = [0; 512];
                while match (&client).read(&mut buffer) {
                    Ok(bytes) => bytes > 0,
                    Err(_) => return,
                } {}
            }
        });
        assert_eq!(found(&target, "default"), [Kind::Exit]);
    });
}

// The standard library's `write` passes MSG_NOSIGNAL; its `write_vectored` cannot.
#[test]
fn of_two_functions_each_is_its_own() {
    workers::alone(|| {
        let deaf = Target::forked(|listener| {
            loop {
                let Ok((client, _)) = listener.accept() else { continue };
                // It never closes one again.
                std::mem::forget(client);
            }
        });
        let careful = Target::forked(|listener| greet(listener, |mut client| drop(client.write_all(GREETING))));
        assert_eq!(found(&deaf, "default").len(), 1);
        assert_eq!(found(&careful, "default"), []);
    });
}

#[test]
fn a_hunt_before_the_call_is_refused_in_each_server() {
    workers::alone(|| {
        let before = Target::command(["true"]).listen_fd(true).hunt(&HuntOptions::default(), |_| {});
        let error = before.unwrap_err();
        // Here it is tried; in a server, which would fail right now and not serve, it is not.
        match std::env::var_os("BROKENPIPE_SERVE") {
            None => assert!(matches!(error, HuntError::NotListening { .. }), "{error}"),
            Some(_) => assert!(matches!(error, HuntError::Command(_)), "{error}"),
        }
        let target = Target::forked(|listener| greet(listener, |mut client| drop(client.write_all(GREETING))));
        assert_eq!(found(&target, "default"), []);
    });
}
