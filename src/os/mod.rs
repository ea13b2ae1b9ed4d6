//! What is asked of the operating system, one family of calls a file. The only folder in which unsafe code may stand.

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
