//! The load generator of `tests/bench/run`: asks a server on the loopback interface, follows every answer to its end,
//! and prints one line of JSON. An answer of another code or length than it must have ends the run.
//!
//! The protocols are read here from hftp(7) and RFC 9112 alone, without the daemon's code.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};
use std::{fs, process};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::net::RecvFlags;
use sha2::{Digest as _, Sha256};
use socket2::{Domain, Socket, Type};

use answers::{Answers, Form, Next};

mod answers;

const USAGE: &str = "\
load HOW --to 127.0.0.1:PORT --form FORM --name NAME [--size BYTES] [options]

HOW
  loop     each connection asks again when it was answered, --depth requests at a time
  paced    --rate requests a second, whenever the answers come
  connect  each connection asks once, and a new one takes its place
  idle     connections ask once and wait for a line on the standard input; then each has to answer again
  hash     one answer, and the SHA-256 of its bytes
FORM
  http, head, index (an answer in chunks, of the same length each time), raw, fragments, base64, metadata, listing
OPTIONS
  --connections N [1]   --depth N [1]   --seconds S [1]   --rate N [500]
  --pid PID             whose CPU time is taken; may be repeated";

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Beyond this size an answer's bytes are dropped in the kernel.
const DROPPED: u64 = 64 * 1024;

/// How long a server may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is asked, and where.
struct Plan {
    to: SocketAddr,
    form: Form,
    request: Vec<u8>,
    /// Bytes of the body as they are sent; in an answer to head or metadata, the number it has to tell.
    size: Option<u64>,
    /// Whether the body is dropped in the kernel, unseen.
    dropped: bool,
    connections: usize,
    depth: usize,
    seconds: f64,
    rate: f64,
    pids: Vec<u32>,
}

struct Connection {
    socket: Socket,
    answers: Answers,
    dropped: bool,
    /// When what is not yet answered was asked.
    asked: VecDeque<Instant>,
}

/// What was done since the measured time began.
#[derive(Default)]
struct Tally {
    answers: u64,
    bytes: u64,
    microseconds: Vec<u32>,
}

impl Connection {
    /// From an address and port of its own: the kernel's search for a free one, and ports that wait for the last
    /// packets of connections closed before, are the client's cost and not the server's.
    fn open(plan: &Plan, nth: usize) -> io::Result<Connection> {
        let [_, _, high, low] = process::id().to_be_bytes();
        for nth in (nth * 2).. {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            let (address, port) = (1 + nth % 250, 10_000 + nth / 250 % 50_000);
            let from = Ipv4Addr::new(127, 1 + high % 100, low, address as u8);
            match socket.bind(&SocketAddrV4::new(from, port as u16).into()) {
                Err(error) if error.kind() == ErrorKind::AddrInUse => continue,
                bound => bound?,
            }
            socket.set_tcp_nodelay(true)?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.set_write_timeout(Some(PATIENCE))?;
            socket.connect(&plan.to.into())?;
            return Ok(Connection {
                socket,
                answers: Answers::new(plan.form, plan.size),
                dropped: plan.dropped,
                asked: VecDeque::new(),
            });
        }
        unreachable!("the numbers do not end")
    }

    fn ask(&mut self, request: &[u8], times: usize) -> Outcome<()> {
        let now = Instant::now();
        self.asked.extend(std::iter::repeat_n(now, times));
        // A request is short, and only a few are on their way at a time: the kernel has room for them.
        if self.socket.send(&request.repeat(times))? == request.len() * times {
            Ok(())
        } else {
            Err("the server takes no requests".into())
        }
    }

    /// Reads once. Returns how many answers ended.
    fn read(&mut self, buffer: &mut [u8], tally: &mut Tally, body: &mut dyn FnMut(&[u8])) -> Outcome<usize> {
        let (mut ended, before) = (0, self.answers.body);
        let count = match self.answers.next {
            Next::Bytes(left) if self.dropped => {
                let length = buffer.len().min(usize::try_from(left)?);
                let (_, count) = rustix::net::recv(&self.socket, &mut buffer[..length], RecvFlags::TRUNC)?;
                ended += usize::from(count > 0 && self.answers.skip(count as u64)?);
                tally.bytes += count as u64;
                count
            }
            // Of an answer of which the rest is dropped, only what frames it.
            _ => {
                let length = if self.dropped { 64 } else { buffer.len() };
                let count = (&self.socket).read(&mut buffer[..length])?;
                let mut input = &buffer[..count];
                while !input.is_empty() {
                    let mut bytes = 0;
                    let (taken, end) = self.answers.take(input, &mut |part| {
                        bytes += part.len() as u64;
                        body(part);
                    })?;
                    (input, ended) = (&input[taken..], ended + usize::from(end));
                    tally.bytes += bytes;
                }
                count
            }
        };
        if count == 0 {
            return Err(format!("closed by the server, {before} bytes into an answer").into());
        }
        let now = Instant::now();
        for asked in self.asked.drain(..ended) {
            tally.microseconds.push(u32::try_from((now - asked).as_micros())?);
        }
        tally.answers += ended as u64;
        Ok(ended)
    }

    /// Asks, and waits for the answer.
    fn exchange(&mut self, request: &[u8], buffer: &mut [u8], tally: &mut Tally) -> Outcome<()> {
        self.ask(request, 1)?;
        while self.read(buffer, tally, &mut |_| {})? == 0 {}
        Ok(())
    }
}

/// CPU time of the processes' threads, in nanoseconds; /proc/PID/stat counts hundredths of a second, too coarse here.
fn cpu(pids: &[u32]) -> Outcome<u64> {
    let mut sum = 0;
    for pid in pids {
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            // A thread may end meanwhile.
            let times = fs::read_to_string(thread?.path().join("schedstat")).unwrap_or_default();
            sum += times.split(' ').next().and_then(|time| time.parse().ok()).unwrap_or(0);
        }
    }
    Ok(sum)
}

fn drive(plan: &Plan, how: &str) -> Outcome<()> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let add = |connection: &Connection, index: usize| {
        epoll::add(&epoll, &connection.socket, epoll::EventData::new_u64(index as u64), epoll::EventFlags::IN)
    };
    let mut buffer = vec![0; 1024 * 1024];
    let mut connections = Vec::new();
    for index in 0..plan.connections {
        let mut connection = Connection::open(plan, index)?;
        add(&connection, index)?;
        if how != "paced" {
            connection.ask(&plan.request, plan.depth)?;
        }
        connections.push(connection);
    }
    let mut opened = plan.connections;
    let mut events = Vec::with_capacity(256);
    let (mut began, mut start, mut sent) = (false, Instant::now() + Duration::from_millis(250), 0_u32);
    let (mut tally, mut cpu_before, first) = (Tally::default(), 0, Instant::now());
    loop {
        let now = Instant::now();
        if !began && now >= start {
            (began, tally, cpu_before, start) = (true, Tally::default(), cpu(&plan.pids)?, Instant::now());
        }
        let seconds = (now.saturating_duration_since(start)).as_secs_f64();
        let some = tally.answers > 0 || (tally.bytes > 0 && connections[0].answers.size.is_some());
        if seconds >= plan.seconds + PATIENCE.as_secs_f64() {
            return Err("no answer has come to its end".into());
        }
        if began && some && seconds >= plan.seconds {
            let cpu = cpu(&plan.pids)?.saturating_sub(cpu_before);
            return report(tally, &connections[0], seconds, cpu);
        }
        let mut wait = Duration::from_millis(20);
        if how == "paced" {
            while first + Duration::from_secs_f64(f64::from(sent) / plan.rate) <= now {
                connections[sent as usize % plan.connections].ask(&plan.request, 1)?;
                sent += 1;
            }
            wait = Duration::from_millis(1);
        }
        let wait = Timespec { tv_sec: 0, tv_nsec: i64::from(wait.subsec_nanos()) };
        match epoll::wait(&epoll, spare_capacity(&mut events), Some(&wait)) {
            Err(rustix::io::Errno::INTR) => {}
            waited => drop(waited?),
        }
        for event in events.drain(..) {
            let index = usize::try_from(event.data.u64())?;
            let connection = &mut connections[index];
            let ended = connection.read(&mut buffer, &mut tally, &mut |_| {})?;
            if ended > 0 && how == "connect" {
                *connection = Connection::open(plan, opened)?;
                add(connection, index)?;
                opened += 1;
            }
            if ended > 0 && how != "paced" {
                connection.ask(&plan.request, ended)?;
            }
        }
    }
}

fn idle(plan: &Plan) -> Outcome<()> {
    let (mut buffer, mut tally, mut connections) = (vec![0; 64 * 1024], Tally::default(), Vec::new());
    for index in 0..plan.connections {
        let mut connection = Connection::open(plan, index)?;
        connection.exchange(&plan.request, &mut buffer, &mut tally)?;
        connections.push(connection);
    }
    println!("ready");
    io::stdin().read_line(&mut String::new())?;
    for connection in &mut connections {
        connection.exchange(&plan.request, &mut buffer, &mut tally)?;
    }
    report(tally, &connections[0], 0.0, 0)
}

fn hash(plan: &Plan) -> Outcome<()> {
    let mut connection = Connection::open(plan, 0)?;
    connection.ask(&plan.request, 1)?;
    let (mut hash, mut encoded, mut wrong) = (Sha256::new(), Vec::new(), None);
    let mut take = |part: &[u8]| {
        if plan.form != Form::Base64 {
            return hash.update(part);
        }
        encoded.extend_from_slice(part);
        let whole = encoded.len() / 4 * 4;
        match STANDARD.decode(&encoded[..whole]) {
            Ok(bytes) => hash.update(bytes),
            Err(error) => wrong = Some(error),
        }
        encoded.drain(..whole);
    };
    let mut buffer = vec![0; 256 * 1024];
    while connection.read(&mut buffer, &mut Tally::default(), &mut take)? == 0 {}
    if let Some(error) = wrong {
        return Err(error.into());
    }
    let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    println!("{}", serde_json::json!({ "sha256": hash }));
    Ok(())
}

/// Prints what was done in units: answers, and of those that the measured time cut the part that had come.
fn report(mut tally: Tally, connection: &Connection, seconds: f64, cpu: u64) -> Outcome<()> {
    tally.microseconds.sort_unstable();
    let p99 = tally.microseconds.get(tally.microseconds.len() * 99 / 100);
    let units = match connection.answers.size {
        Some(size) if tally.bytes > 0 => tally.bytes as f64 / size as f64,
        _ => tally.answers as f64,
    };
    println!("{}", serde_json::json!({ "units": units, "seconds": seconds, "cpu": cpu, "p99": p99 }));
    Ok(())
}

/// What the command line asks for: how, and the plan.
fn plan() -> Outcome<(String, Plan)> {
    use lexopt::prelude::*;
    let (mut how, mut to, mut form, mut name, mut size) = (None, None, String::new(), String::new(), None);
    let (mut connections, mut depth, mut seconds, mut rate, mut pids) = (1, 1, 1.0, 500.0, Vec::new());
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Value(value) if how.is_none() => how = Some(value.string()?),
            Long("to") => to = Some(parser.value()?.parse()?),
            Long("form") => form = parser.value()?.string()?,
            Long("name") => name = parser.value()?.string()?,
            Long("size") => size = Some(parser.value()?.parse()?),
            Long("connections") => connections = parser.value()?.parse()?,
            Long("depth") => depth = parser.value()?.parse()?,
            Long("seconds") => seconds = parser.value()?.parse()?,
            Long("rate") => rate = parser.value()?.parse()?,
            Long("pid") => pids.push(parser.value()?.parse()?),
            argument => return Err(argument.unexpected().into()),
        }
    }
    let (how, to): (String, SocketAddr) = how.zip(to).ok_or(USAGE)?;
    let length = size.unwrap_or(0);
    let (form, request) = match form.as_str() {
        "http" | "index" => (Form::Http, format!("GET /{name} HTTP/1.1\r\nHost: localhost\r\n\r\n")),
        "head" => (Form::Head, format!("HEAD /{name} HTTP/1.1\r\nHost: localhost\r\n\r\n")),
        "raw" => (Form::Raw, format!("get_slice {name} 0 {length} raw\r\n")),
        "fragments" => (Form::Fragments, format!("get_slice {name} 0 {length}\r\n")),
        "base64" => (Form::Base64, format!("get_slice {name} 0 {length}\r\n")),
        "metadata" => (Form::Metadata, format!("get_metadata {name}\r\n")),
        "listing" => (Form::Listing, "get_file_listing\r\n".to_owned()),
        _ => return Err(USAGE.into()),
    };
    let size = if form == Form::Base64 { size.map(|size: u64| size.div_ceil(3) * 4) } else { size };
    let dropped = how != "hash" && size.is_some_and(|size| size > DROPPED);
    let request = request.into_bytes();
    Ok((how, Plan { to, form, request, size, dropped, connections, depth, seconds, rate, pids }))
}

fn main() {
    let run = || {
        let (how, plan) = plan()?;
        match how.as_str() {
            "loop" | "paced" | "connect" => drive(&plan, &how),
            "idle" => idle(&plan),
            "hash" => hash(&plan),
            _ => Err(USAGE.into()),
        }
    };
    if let Err(error) = run() {
        eprintln!("load: {error}");
        process::exit(1);
    }
}
