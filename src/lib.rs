//! hftpd publishes one directory, read-only, over HFTP.

pub mod config;
pub mod detach;
pub mod handle;
pub mod log;
pub mod os;
pub mod wire;
