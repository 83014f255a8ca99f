//! An echo server with a tokio task for each client.

use std::os::fd::FromRawFd;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How long the server waits after a failed `accept` before it calls `accept` again.
const AGAIN: Duration = Duration::from_millis(100);

async fn echo(mut client: TcpStream) -> std::io::Result<()> {
    let mut bytes = [0; 4096];
    loop {
        let got = client.read(&mut bytes).await?;
        if got == 0 {
            return Ok(());
        }
        client.write_all(&bytes[..got]).await?;
    }
}

async fn serve(listener: std::net::TcpListener) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    loop {
        match listener.accept().await {
            // An error of a client ends the task of that client only.
            Ok((client, _)) => drop(tokio::spawn(echo(client))),
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// Runs the server for ever: on this port of 127.0.0.1, or with the listener that it was given as descriptor 3.
pub(crate) fn run(port: Option<u16>) -> std::io::Result<()> {
    let handed_over = std::env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    let listener = match port {
        // SAFETY: descriptor 3 is the listener then, and no other code owns it.
        _ if handed_over => unsafe { std::net::TcpListener::from_raw_fd(3) },
        Some(port) => std::net::TcpListener::bind(("127.0.0.1", port))?,
        None => return Err(std::io::Error::other("no port")),
    };
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(serve(listener))
}
