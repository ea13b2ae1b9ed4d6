//! The grammar of requests (hftp(7), REQUESTS).

use std::io::{self, Write};

use super::CRLF;

/// The longest name of a file, in bytes (NAME_MAX of limits.h). A longer one is well formed and never found.
pub const NAME_MAX: usize = 255;

/// The five commands.
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
    /// Every command, in the order in which `help` names them.
    pub const ALL: [Command; 5] =
        [Command::GetFileListing, Command::GetMetadata, Command::GetSlice, Command::Help, Command::Quit];

    /// The word on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Command::GetFileListing => "get_file_listing",
            Command::GetMetadata => "get_metadata",
            Command::GetSlice => "get_slice",
            Command::Help => "help",
            Command::Quit => "quit",
        }
    }

    /// Whether it is called with this many arguments.
    pub(super) fn takes(self, arguments: usize) -> bool {
        match self {
            Command::GetFileListing | Command::Help | Command::Quit => arguments == 0,
            Command::GetMetadata => arguments == 1,
            Command::GetSlice => arguments == 3 || arguments == 4,
        }
    }
}

/// Which bytes a FILENAME may hold: `files.names` of hftp.toml(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Names {
    /// `A-Z a-z 0-9 . - _`
    Portable,
    /// Every printable ASCII byte but space and `/`.
    Printable,
}

impl Names {
    /// Whether a name may hold `byte`.
    pub fn allow(self, byte: u8) -> bool {
        match self {
            Names::Portable => byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'),
            Names::Printable => byte.is_ascii_graphic() && byte != b'/',
        }
    }

    /// Whether a file of this name can be asked for: what a listing may show.
    pub fn allow_name(self, name: &[u8]) -> bool {
        (1..=NAME_MAX).contains(&name.len()) && name.iter().all(|&byte| self.allow(byte))
    }
}

/// A well-formed request.
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
        /// Which bytes, and how.
        slice: SliceRequest,
    },
    /// The names of the commands.
    Help,
    /// The end of the connection.
    Quit,
}

impl Request<'_> {
    /// Writes the line that a client sends, CR LF and all. A name that [`Names::allow_name`] refuses would make another
    /// request of it.
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

    /// The command that it begins with.
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

/// Which bytes of a file `get_slice` asks for, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SliceRequest {
    /// The first byte; `u64::MAX` stands for every number beyond 64 bits.
    pub offset: u64,
    /// How many bytes; as `offset`.
    pub size: u64,
    /// Whether the answer is to be raw, whatever the listener's encoding.
    pub raw: bool,
}
