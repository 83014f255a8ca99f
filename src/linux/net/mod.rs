//! Sockets: the clients' ends, and the kernel's tables of TCP.

pub(crate) mod client;
pub(crate) mod connection;
pub(crate) mod drain;
pub(crate) mod peers;
pub(crate) mod sock_diag;
pub(crate) mod tables;
pub(crate) mod time_wait;
