//! System calls, one family in each file. Unsafe code is allowed only in this folder.

pub mod clock;
pub mod epoll;
pub mod files;
pub mod limits;
pub mod listen_fds;
pub mod notify_socket;
pub mod pid_file;
pub mod privileges;
pub mod sandbox;
pub mod signals;
pub mod sockets;
pub mod stdio;
pub mod unix_socket;
