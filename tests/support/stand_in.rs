//! Servers in a thread of the test: servers of older generations, and servers that send what the test says.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use hftpd::wire::Encoding;

use super::lines::Lines;

/// Accepts connections until it is dropped. Each is served in a thread of its own.
pub(crate) struct StandIn {
    address: SocketAddr,
    requests: Arc<Lines>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What an older server does with a request that has the argument `raw`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AtRaw {
    /// It sends this line and, if the code is 1xx, closes.
    Answers(&'static str),
    /// It answers as if the argument were not there.
    Ignores,
    /// It closes without an answer.
    Closes,
}

/// What an older server knows.
pub(crate) struct Generation {
    pub(crate) encoding: Encoding,
    pub(crate) at_raw: AtRaw,
    pub(crate) files: Vec<(String, Vec<u8>)>,
}

impl StandIn {
    /// Serves each connection with this function, which gets its number and its requests.
    pub(crate) fn start(serve: impl Fn(usize, Requests) + Send + Sync + 'static) -> StandIn {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (requests, ended) = (Arc::new(Lines::default()), Arc::new(AtomicBool::new(false)));
        let (log, end, serve) = (Arc::clone(&requests), Arc::clone(&ended), Arc::new(serve));
        let thread = std::thread::spawn(move || {
            for number in 0.. {
                let Ok((stream, _)) = listener.accept() else { return };
                if end.load(Ordering::SeqCst) {
                    return;
                }
                stream.set_nodelay(true).expect("TCP_NODELAY");
                let (log, serve) = (Arc::clone(&log), Arc::clone(&serve));
                let reader = BufReader::new(stream.try_clone().expect("a second descriptor"));
                std::thread::spawn(move || serve(number, Requests { reader, stream, log }));
            }
        });
        StandIn { address, requests, ended, thread: Some(thread) }
    }

    /// A server of an older generation.
    pub(crate) fn older(generation: Generation) -> StandIn {
        StandIn::start(move |_, mut requests| {
            while let Some(line) = requests.next() {
                if generation.answer(&line, &mut requests.stream).is_none() {
                    return;
                }
            }
        })
    }

    /// A server that answers each request with these bytes, on every connection, and then goes on.
    pub(crate) fn answering(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> StandIn {
        StandIn::start(move |_, mut requests| {
            while let Some(line) = requests.next() {
                if requests.stream.write_all(&answer(&line)).is_err() {
                    return;
                }
            }
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The requests so far, of all connections.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.snapshot()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The requests of a connection, and the stream for their answers.
pub(crate) struct Requests {
    reader: BufReader<TcpStream>,
    pub(crate) stream: TcpStream,
    log: Arc<Lines>,
}

impl Requests {
    /// The next line, without CR LF; none at the end of the stream.
    pub(crate) fn next(&mut self) -> Option<String> {
        let mut line = String::new();
        self.reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        let line = line.strip_suffix("\r\n").expect("CR LF").to_owned();
        self.log.push(line.clone());
        Some(line)
    }

    /// Sends bytes; the client may be gone.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }
}

impl Generation {
    /// None if the connection ends.
    fn answer(&self, line: &str, stream: &mut TcpStream) -> Option<()> {
        let words: Vec<&str> = line.split(' ').collect();
        let file = |name: &str| self.files.iter().find(|(known, _)| known == name).map(|(_, bytes)| bytes);
        let mut out = Vec::new();
        match words[..] {
            ["get_file_listing"] => {
                out.extend_from_slice(b"0 OK\r\n");
                self.files.iter().for_each(|(name, _)| out.extend_from_slice(format!("{name}\r\n").as_bytes()));
                out.extend_from_slice(b"\r\n");
            }
            ["get_metadata", name] => match file(name) {
                Some(bytes) => out.extend_from_slice(format!("0 OK\r\n{}\r\n", bytes.len()).as_bytes()),
                None => out.extend_from_slice(b"202 FILE NOT FOUND\r\n"),
            },
            ["get_slice", _, _, _, "raw"] if self.at_raw == AtRaw::Closes => return None,
            ["get_slice", name, offset, size] => slice(file(name), offset, size, self.encoding, &mut out),
            ["get_slice", name, offset, size, "raw"] => match self.at_raw {
                AtRaw::Answers(line) => {
                    stream.write_all(line.as_bytes()).ok()?;
                    return if line.starts_with('1') { None } else { Some(()) };
                }
                _ => slice(file(name), offset, size, self.encoding, &mut out),
            },
            _ => out.extend_from_slice(b"200 NO SUCH COMMAND\r\n"),
        }
        stream.write_all(&out).ok()
    }
}

fn slice(file: Option<&Vec<u8>>, offset: &str, size: &str, encoding: Encoding, out: &mut Vec<u8>) {
    let (offset, size): (usize, usize) = (offset.parse().expect("a number"), size.parse().expect("a number"));
    let Some(bytes) = file else { return out.extend_from_slice(b"202 FILE NOT FOUND\r\n") };
    let Some(bytes) = bytes.get(offset..offset + size) else {
        return out.extend_from_slice(b"203 OFFSET EXCEEDS FILE SIZE\r\n");
    };
    out.extend_from_slice(b"0 OK\r\n");
    match encoding {
        Encoding::Raw => unreachable!("no older server has it"),
        Encoding::Plain => {
            out.extend_from_slice(bytes);
            out.extend_from_slice(b"\r\n");
        }
        Encoding::Fragments => {
            for fragment in bytes.chunks(1000) {
                out.extend_from_slice(format!("{} ", fragment.len()).as_bytes());
                out.extend_from_slice(fragment);
                out.extend_from_slice(b"\r\n");
            }
            out.extend_from_slice(b"0 \r\n");
        }
        Encoding::Base64 => {
            use base64::Engine as _;
            out.extend_from_slice(base64::engine::general_purpose::STANDARD.encode(bytes).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }
}
