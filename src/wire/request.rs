//! The grammar of requests (hftp(7), REQUESTS).

use std::io::{self, Write};

use super::CRLF;

/// The maximum length of a file name in bytes (NAME_MAX of limits.h). A longer name is valid but never found.
pub const NAME_MAX: usize = 255;

/// The commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// `get_file_listing`
    GetFileListing,
    /// `get_metadata FILENAME`
    GetMetadata,
    /// `get_slice FILENAME OFFSET SIZE [raw]`
    GetSlice,
    /// `help`
    Help,
    /// `quit`
    Quit,
}

impl Command {
    /// All commands, in the order of the answer to `help`.
    pub const ALL: [Command; 5] =
        [Command::GetFileListing, Command::GetMetadata, Command::GetSlice, Command::Help, Command::Quit];

    /// The name in a request.
    pub fn name(self) -> &'static str {
        match self {
            Command::GetFileListing => "get_file_listing",
            Command::GetMetadata => "get_metadata",
            Command::GetSlice => "get_slice",
            Command::Help => "help",
            Command::Quit => "quit",
        }
    }

    /// Whether the command has this number of arguments.
    pub(super) fn accepts_arity(self, arguments: usize) -> bool {
        match self {
            Command::GetFileListing | Command::Help | Command::Quit => arguments == 0,
            Command::GetMetadata => arguments == 1,
            Command::GetSlice => arguments == 3 || arguments == 4,
        }
    }
}

/// The bytes that a FILENAME may contain: `files.names` of hftp.toml(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameCharset {
    /// `A-Z a-z 0-9 . - _`
    Portable,
    /// All printable ASCII bytes except space and `/`.
    Printable,
}

impl NameCharset {
    /// Whether a name may contain `byte`.
    pub fn allow(self, byte: u8) -> bool {
        match self {
            NameCharset::Portable => byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'),
            NameCharset::Printable => byte.is_ascii_graphic() && byte != b'/',
        }
    }

    /// Whether `name` is valid in a request. Listings contain only valid names.
    pub fn allow_name(self, name: &[u8]) -> bool {
        (1..=NAME_MAX).contains(&name.len()) && name.iter().all(|&byte| self.allow(byte))
    }
}

/// A valid request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request<'a> {
    /// The names of the files.
    GetFileListing,
    /// The size of a file.
    GetMetadata {
        /// 1 to [`NAME_MAX`] allowed bytes.
        name: &'a [u8],
    },
    /// Bytes of a file.
    GetSlice {
        /// 1 to [`NAME_MAX`] allowed bytes.
        name: &'a [u8],
        /// The requested bytes.
        slice: SliceRequest,
    },
    /// The names of the commands.
    Help,
    /// The end of the connection.
    Quit,
}

impl Request<'_> {
    /// Writes the request as a line with CR LF. The name must pass [`NameCharset::allow_name`]: a name with a space or
    /// CR LF would be written as another request.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        out.write_all(self.command().name().as_bytes())?;
        match self {
            Request::GetFileListing | Request::Help | Request::Quit => {}
            Request::GetMetadata { name } => {
                out.write_all(b" ")?;
                out.write_all(name)?;
            }
            Request::GetSlice { name, slice: SliceRequest { offset, size, raw } } => {
                out.write_all(b" ")?;
                out.write_all(name)?;
                write!(out, " {offset} {size}{}", if *raw { " raw" } else { "" })?;
            }
        }
        out.write_all(CRLF)
    }

    /// The command of the request.
    pub fn command(&self) -> Command {
        match self {
            Request::GetFileListing => Command::GetFileListing,
            Request::GetMetadata { .. } => Command::GetMetadata,
            Request::GetSlice { .. } => Command::GetSlice,
            Request::Help => Command::Help,
            Request::Quit => Command::Quit,
        }
    }
}

/// The arguments of `get_slice` after the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SliceRequest {
    /// The offset of the first byte; `u64::MAX` also for larger numbers.
    pub offset: u64,
    /// The number of bytes; `u64::MAX` also for larger numbers.
    pub size: u64,
    /// Whether the answer is raw, regardless of the listener's encoding.
    pub raw: bool,
}
