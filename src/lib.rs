//! hftpd publishes one directory, read-only, over HFTP.

pub mod cli;
pub mod config;
pub mod connection;
pub mod handle;
pub mod os;
pub mod wire;
