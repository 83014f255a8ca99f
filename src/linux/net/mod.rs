//! Sockets: the clients' sockets, and the kernel's tables of TCP sockets.

pub(crate) mod client;
pub(crate) mod close;
pub(crate) mod connection;
pub(crate) mod drain;
pub(crate) mod peers;
pub(crate) mod sock_diag;
pub(crate) mod tables;
pub(crate) mod time_wait;
