//! hftpd publishes one directory, read-only, over HFTP.

pub mod cli;
pub mod config;
pub mod connection;
pub mod detach;
pub mod exit;
pub mod handle;
pub mod log;
pub mod metrics;
pub mod os;
pub mod server;
pub mod wire;
