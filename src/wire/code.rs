//! The codes that begin every answer (hftp(7), CODES).

/// A code and its text. The order of the variants is that of the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// 0: the answer follows.
    Ok,
    /// 100: an LF that no CR precedes. Fatal.
    BadEol,
    /// 101: an empty line, one that is too long, or one that took too long. Fatal.
    BadRequest,
    /// 199: the file or the directory cannot be read, or the client is not served. Fatal.
    InternalError,
    /// 200: the first element is no command.
    NoSuchCommand,
    /// 201: the arguments are not those of the command.
    InvalidArguments,
    /// 202: there is no such regular file.
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

    /// The whole first line of an answer, with its CR LF.
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

    /// Whether the connection is closed after the line: codes 1xx.
    pub fn is_fatal(self) -> bool {
        (100..200).contains(&self.number())
    }

    /// Its place in [`Code::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

/// What a client is told when there are more connections than `limits.connections`.
pub const TOO_MANY_CONNECTIONS: &str = "199 TOO MANY CONNECTIONS\r\n";

/// What a client is told when its address has more than `limits.connections-per-address`.
pub const TOO_MANY_FROM_ADDRESS: &str = "199 TOO MANY CONNECTIONS FROM YOUR ADDRESS\r\n";

/// What a client is told when its address is not welcome.
pub const ADDRESS_DENIED: &str = "199 YOUR ADDRESS IS NOT WELCOME\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_begins_with_its_number_and_ends_with_cr_lf() {
        for (at, code) in Code::ALL.into_iter().enumerate() {
            assert_eq!(code.index(), at);
            assert!(code.line().starts_with(&format!("{} ", code.number())), "{code:?}");
            assert!(code.line().ends_with("\r\n"), "{code:?}");
        }
    }

    #[test]
    fn codes_from_100_to_199_are_fatal_and_no_others() {
        let fatal: Vec<u16> = Code::ALL.into_iter().filter(|code| code.is_fatal()).map(Code::number).collect();
        assert_eq!(fatal, [100, 101, 199]);
    }
}
