//! What is asked of the operating system, one family of calls a file. The only folder in which unsafe code may stand.

pub mod files;
pub mod sockets;
