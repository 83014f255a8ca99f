//! Sends back what comes: a task for each client, on tokio's threads.

use std::os::fd::FromRawFd;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How long it lets pass before it asks its listener again when that fails.
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
            // That a client fails is the end of that client.
            Ok((client, _)) => drop(tokio::spawn(echo(client))),
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// The server, for ever: on this port of loopback, or with the listener that it was handed as descriptor 3.
pub(crate) fn run(port: Option<u16>) -> std::io::Result<()> {
    let handed_over = std::env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    let listener = match port {
        // SAFETY: descriptor 3 is the listener then, and nothing else has it.
        _ if handed_over => unsafe { std::net::TcpListener::from_raw_fd(3) },
        Some(port) => std::net::TcpListener::bind(("127.0.0.1", port))?,
        None => return Err(std::io::Error::other("no port")),
    };
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(serve(listener))
}
