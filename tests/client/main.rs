//! The client library against the daemon, servers of older generations, and servers that send anything.

#[path = "../support/mod.rs"]
mod support;

mod hostile;
mod older;
mod requests;

use std::io::Read;
use std::net::SocketAddr;
use std::time::Duration;

use hftpd::client::{Address, Client, Error, Options, Server};
use hftpd::wire::Encoding;

/// Options with timeouts for tests: only a failing test waits this long.
fn options() -> Options {
    Options { connect_timeout: support::LONG, timeout: support::LONG, ..Options::default() }
}

/// For servers that stay silent.
const SHORT: Duration = Duration::from_millis(300);

fn server_with(address: SocketAddr, options: Options) -> Server {
    Server::new(Address { host: address.ip().to_string(), port: address.port() }, options)
}

fn client(address: SocketAddr) -> Client {
    Client::new(&server_with(address, options()))
}

fn client_in(address: SocketAddr, encoding: Encoding) -> Client {
    Client::new(&server_with(address, Options { encoding: Some(encoding), ..options() }))
}

/// Reads a slice to its end.
fn read(client: &mut Client, name: &str, offset: u64, size: u64) -> Result<Vec<u8>, Error> {
    let mut slice = client.slice(name, offset, size)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = slice.chunk()? {
        assert!(!chunk.is_empty());
        bytes.extend_from_slice(chunk);
    }
    assert_eq!(bytes.len() as u64, size, "a slice is complete or an error");
    Ok(bytes)
}

/// The same by [`Read`], in pieces of odd lengths.
fn read_in_pieces(client: &mut Client, name: &str, offset: u64, size: u64) -> Vec<u8> {
    let mut slice = client.slice(name, offset, size).expect("a slice");
    let (mut bytes, mut piece) = (Vec::new(), [0; 77]);
    loop {
        match slice.read(&mut piece).expect("its bytes") {
            0 => return bytes,
            count => bytes.extend_from_slice(&piece[..count]),
        }
    }
}
