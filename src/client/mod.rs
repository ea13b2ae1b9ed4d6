//! A client of HFTP servers of every generation (hftp(7)): blocking, on nothing but the standard library.
//!
//! A [`Server`] is an address and what is known of the server there. A [`Client`] is a connection to it, which it opens
//! when a request needs it. It lists names, asks for sizes, and reads slices as streams:
//!
//! ```no_run
//! use hftpd::client::{Client, Options, Server};
//! use std::io::Read;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::new("files.example:19500".parse()?, Options::default());
//! let mut client = Client::new(&server);
//! for name in &client.list()? {
//!     println!("{}", name.escape_ascii());
//! }
//! let size = client.size("LICENSE")?;
//! let mut text = String::new();
//! client.slice("LICENSE", 0, size)?.read_to_string(&mut text)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Encodings
//!
//! Servers send slices in different encodings, and none of them reports which. Before the first slice the client asks for
//! one byte of the file, raw, and if the server refuses that, in the server's own encoding. An answer of one byte shows
//! the encoding without doubt. The result is kept in the [`Server`], for all its clients. [`Options::encoding`] sets the
//! encoding instead.
//!
//! # Many requests at a time
//!
//! Requests can be queued before their answers are read, so that many small files do not cost a round trip each. This
//! example runs against a server of its own:
//!
//! ```
//! use hftpd::client::{Client, Options, Server};
//! # use std::io::{BufRead, BufReader, Write};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
//! # let address = listener.local_addr()?.to_string();
//! # std::thread::spawn(move || {
//! #     let (mut stream, _) = listener.accept().unwrap();
//! #     for line in BufReader::new(stream.try_clone().unwrap()).lines() {
//! #         let answer = if line.unwrap().ends_with("a10") { "0 OK\r\n10\r\n" } else { "202 FILE NOT FOUND\r\n" };
//! #         stream.write_all(answer.as_bytes()).unwrap();
//! #     }
//! # });
//! let server = Server::new(address.parse()?, Options::default());
//! let mut client = Client::new(&server);
//! client.queue_size("a10")?;
//! client.queue_size("absent")?;
//! assert_eq!(client.next_size()?, 10);
//! let error = client.next_size().unwrap_err();
//! assert_eq!(error.code(), Some(202));
//! # Ok(())
//! # }
//! ```
//!
//! # Errors
//!
//! A server may be slow, broken or hostile. Memory is bounded, whatever it sends. An answer that is not complete, or is
//! not an answer to the request, is an [`Error`]; [`Error::can_pass`] tells whether the same request may succeed later.
//! After an error the client opens a new connection for the next request, except after an answer that leaves the
//! connection usable (codes 2xx).

mod address;
mod channel;
mod connect;
mod detect;
mod error;
mod glob;
mod listing;
mod server;
mod session;
mod slice;
mod text;
mod url;

pub use address::{Address, AddressError, PORT};
pub use error::Error;
pub use glob::Glob;
pub use listing::Listing;
pub use server::{Options, Server, Trace, Tracer};
pub use session::Client;
pub use slice::Slice;
pub use text::printable;
pub use url::{Url, UrlError};
