//! The codes at the beginning of every answer (hftp(7), CODES).

/// A code and its text. The variants are in the order of their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// 0: the answer follows.
    Ok,
    /// 100: an LF without a preceding CR. Fatal.
    BadEol,
    /// 101: the line is empty, too long, or was not completed in time. Fatal.
    BadRequest,
    /// 199: the file or the directory cannot be read, or the client is rejected. Fatal.
    InternalError,
    /// 200: the first element is not a command.
    NoSuchCommand,
    /// 201: the number of arguments or an argument is invalid.
    InvalidArguments,
    /// 202: no regular file has this name.
    FileNotFound,
    /// 203: the slice ends beyond the file.
    OffsetExceedsSize,
}

impl Code {
    /// Every code, in the order of [`Code::index`].
    pub const ALL: [Code; 8] = [
        Code::Ok,
        Code::BadEol,
        Code::BadRequest,
        Code::InternalError,
        Code::NoSuchCommand,
        Code::InvalidArguments,
        Code::FileNotFound,
        Code::OffsetExceedsSize,
    ];

    /// The number on the wire.
    pub fn number(self) -> u16 {
        match self {
            Code::Ok => 0,
            Code::BadEol => 100,
            Code::BadRequest => 101,
            Code::InternalError => 199,
            Code::NoSuchCommand => 200,
            Code::InvalidArguments => 201,
            Code::FileNotFound => 202,
            Code::OffsetExceedsSize => 203,
        }
    }

    /// The first line of the answer, including CR LF.
    pub const fn line(self) -> &'static str {
        match self {
            Code::Ok => "0 OK\r\n",
            Code::BadEol => "100 BAD EOL\r\n",
            Code::BadRequest => "101 BAD REQUEST\r\n",
            Code::InternalError => "199 INTERNAL SERVER ERROR\r\n",
            Code::NoSuchCommand => "200 NO SUCH COMMAND\r\n",
            Code::InvalidArguments => "201 INVALID ARGUMENTS FOR COMMAND\r\n",
            Code::FileNotFound => "202 FILE NOT FOUND\r\n",
            Code::OffsetExceedsSize => "203 OFFSET EXCEEDS FILE SIZE\r\n",
        }
    }

    /// Whether the server closes the connection after this code: codes 100 to 199.
    pub fn is_fatal(self) -> bool {
        (100..200).contains(&self.number())
    }

    /// The index of the code in [`Code::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

/// The answer to a connection beyond `limits.connections`.
pub const TOO_MANY_CONNECTIONS: &str = "199 TOO MANY CONNECTIONS\r\n";

/// The answer to a connection beyond `limits.connections-per-address`.
pub const TOO_MANY_FROM_ADDRESS: &str = "199 TOO MANY CONNECTIONS FROM YOUR ADDRESS\r\n";

/// The answer to a client whose address is denied by `limits.allow` or `limits.deny`.
pub const ADDRESS_DENIED: &str = "199 YOUR ADDRESS IS NOT WELCOME\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_begin_with_their_number_and_end_with_cr_lf() {
        for (at, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code.index(), at);
            assert!(code.line().starts_with(&format!("{} ", code.number())), "{code:?}");
            assert!(code.line().ends_with("\r\n"), "{code:?}");
        }
    }

    #[test]
    fn only_codes_from_100_to_199_are_fatal() {
        let fatal: Vec<u16> = Code::ALL.into_iter().filter(|code| code.is_fatal()).map(Code::number).collect();
        assert_eq!(fatal, [100, 101, 199]);
    }
}
