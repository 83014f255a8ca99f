//! Healthy echo servers in Rust: this program, started again with an argument that selects the server.

use crate::tokio_server;
use smol::io::{AsyncReadExt, AsyncWriteExt};
use std::io::{Error, Read, Result, Write};
use std::time::Duration;

/// How long the servers wait after a failed `accept` before they call `accept` again.
const AGAIN: Duration = Duration::from_millis(100);

/// Runs the server of this name for ever, on this port of 127.0.0.1; `None` if there is no such server.
pub(crate) fn serve(word: &str, port: &str) -> Option<Result<()>> {
    let serve: fn(u16) -> Result<()> = match word {
        "serve-std" => on_threads,
        "serve-tokio" => |port| tokio_server::run(Some(port)),
        "serve-smol" => on_smol,
        _ => return None,
    };
    Some(port.parse().map_err(Error::other).and_then(serve))
}

/// A thread for each client. std's writes never raise SIGPIPE, and calls that a signal has interrupted are made again.
fn on_threads(port: u16) -> Result<()> {
    let echo = |mut client: std::net::TcpStream| -> Result<()> {
        let mut bytes = [0; 4096];
        loop {
            match client.read(&mut bytes) {
                Ok(0) => return Ok(()),
                Ok(got) => client.write_all(&bytes[..got])?,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    };
    let listener = std::net::TcpListener::bind(("127.0.0.1", port))?;
    loop {
        match listener.accept() {
            Ok((client, _)) => drop(std::thread::spawn(move || echo(client))),
            Err(_) => std::thread::sleep(AGAIN),
        }
    }
}

/// A task for each client. smol blocks in epoll without a time limit, in a thread of its own. Its timers expire through a timerfd.
fn on_smol(port: u16) -> Result<()> {
    async fn echo(mut client: smol::net::TcpStream) -> Result<()> {
        let mut bytes = [0; 4096];
        loop {
            match client.read(&mut bytes).await {
                Ok(0) => return Ok(()),
                Ok(got) => client.write_all(&bytes[..got]).await?,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
    smol::block_on(async {
        let listener = smol::net::TcpListener::bind(("127.0.0.1", port)).await?;
        loop {
            match listener.accept().await {
                Ok((client, _)) => smol::spawn(echo(client)).detach(),
                Err(_) => drop(smol::Timer::after(AGAIN).await),
            }
        }
    })
}
