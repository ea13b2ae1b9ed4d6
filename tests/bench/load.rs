//! The load generator of `tests/bench/run`: asks a server, follows every answer to its end,
//! and prints one line of JSON. An answer of another code or length than it must have ends the run.
//!
//! The protocols are read here from hftp(7) and RFC 9112 alone, without the daemon's code.

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use std::{fs, process};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use sha2::{Digest as _, Sha256};

use answers::Form;
use connection::{Connection, Tally};

mod answers;
mod connection;

const USAGE: &str = "\
load HOW --to ADDRESS:PORT --form FORM --name NAME [--size BYTES] [options]

HOW
  loop     each connection asks again when it was answered, --depth requests at a time
  paced    --rate requests a second, whenever the answers come
  connect  each connection asks once, and a new one takes its place
  once     each connection asks once; with --files the first for NAME0, the next for NAME1 ...
  idle     connections ask once and wait for a line on the standard input; then each has to answer again
  slow     connections ask once and read --rate bytes a second each, until there is a line on the standard input
  hash     one answer, and the SHA-256 of its bytes
FORM
  http, head, index (an answer in chunks, of the same length each time), raw, fragments, base64, metadata, listing
OPTIONS
  --connections N [1]   --depth N [1]   --seconds S [1]   --rate N [500]
  --files N             each request asks for one of the files NAME0 to NAME(N-1), at random
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
    /// The request, before and after the number of the file, and how many files there are.
    request: [String; 2],
    files: Option<u64>,
    /// The state of the generator that chooses files (xorshift).
    dice: Cell<u64>,
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

impl Plan {
    /// So many requests.
    fn requests(&self, times: usize) -> Vec<u8> {
        let [before, after] = &self.request;
        let Some(files) = self.files else { return [before.as_str(), after].concat().repeat(times).into_bytes() };
        let mut requests = String::new();
        for _ in 0..times {
            let mut dice = self.dice.get();
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            self.dice.set(dice);
            requests += &format!("{before}{}{after}", dice % files);
        }
        requests.into_bytes()
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
            connection.ask(plan, plan.depth)?;
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
        let some = tally.answers > 0 || (tally.bytes > 0 && plan.dropped);
        if seconds >= plan.seconds + PATIENCE.as_secs_f64() {
            return Err("no answer has come to its end".into());
        }
        let over = began && seconds >= plan.seconds;
        // A late answer counts in the latency: it is waited for.
        let outstanding = how == "paced" && connections.iter().any(Connection::is_waiting);
        if over && some && !outstanding {
            let cpu = cpu(&plan.pids)?.saturating_sub(cpu_before);
            return report(tally, &connections[0], seconds, cpu);
        }
        let mut wait = Duration::from_millis(20);
        if how == "paced" {
            while !over && first + Duration::from_secs_f64(f64::from(sent) / plan.rate) <= now {
                connections[sent as usize % plan.connections].ask(plan, 1)?;
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
                connection.ask(plan, ended)?;
            }
        }
    }
}

fn idle(plan: &Plan) -> Outcome<()> {
    let (mut buffer, mut tally, mut connections) = (vec![0; 64 * 1024], Tally::default(), Vec::new());
    let cpu_before = cpu(&plan.pids)?;
    for index in 0..plan.connections {
        let mut connection = Connection::open(plan, index)?;
        connection.exchange(plan, &mut buffer, &mut tally)?;
        connections.push(connection);
    }
    println!("ready");
    io::stdin().read_line(&mut String::new())?;
    for connection in &mut connections {
        connection.exchange(plan, &mut buffer, &mut tally)?;
    }
    report(tally, &connections[0], 0.0, cpu(&plan.pids)?.saturating_sub(cpu_before))
}

/// Each connection reads one answer to its end, the first of the first file.
fn once(plan: &mut Plan) -> Outcome<()> {
    let [before, after] = plan.request.clone();
    let mut connections = Vec::new();
    let (cpu_before, began) = (cpu(&plan.pids)?, Instant::now());
    let files = plan.files.take();
    for index in 0..plan.connections {
        if let Some(files) = files {
            plan.request = [format!("{before}{}", index as u64 % files), after.clone()];
        }
        let mut connection = Connection::open(plan, index)?;
        connection.ask(plan, 1)?;
        connections.push(connection);
    }
    let tallies: Vec<Result<Tally, String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (connections.iter_mut())
            .map(|connection| {
                scope.spawn(|| {
                    let (mut buffer, mut tally) = (vec![0; 1024 * 1024], Tally::default());
                    while connection.read(&mut buffer, &mut tally, &mut |_| {}).map_err(|error| error.to_string())? == 0
                    {
                    }
                    Ok(tally)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().map_err(|_| "a thread panicked".to_owned())?).collect()
    });
    let mut sum = Tally::default();
    for tally in tallies {
        let tally = tally?;
        sum.answers += tally.answers;
        sum.bytes += tally.bytes;
    }
    let cpu = cpu(&plan.pids)?.saturating_sub(cpu_before);
    report(sum, &connections[0], began.elapsed().as_secs_f64(), cpu)
}

/// Clients that read little of an answer or nothing.
fn slow(plan: &Plan) -> Outcome<()> {
    let mut connections = Vec::new();
    for index in 0..plan.connections {
        let mut connection = Connection::open(plan, index)?;
        connection.ask(plan, 1)?;
        connection.socket.set_nonblocking(true)?;
        connections.push(connection);
    }
    println!("ready");
    let (line, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || line.send(io::stdin().read_line(&mut String::new())));
    // Ten pieces a second each.
    let mut buffer = vec![0; (plan.rate / 10.0) as usize];
    let (mut tally, began) = (Tally::default(), Instant::now());
    while ended.recv_timeout(Duration::from_millis(100)).is_err() {
        for connection in &connections {
            if buffer.is_empty() {
                break;
            }
            match io::Read::read(&mut &connection.socket, &mut buffer) {
                Ok(0) => return Err("closed by the server".into()),
                Ok(count) => tally.bytes += count as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    report(tally, &connections[0], began.elapsed().as_secs_f64(), 0)
}

fn hash(plan: &Plan) -> Outcome<()> {
    let mut connection = Connection::open(plan, 0)?;
    connection.ask(plan, 1)?;
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
    let mut files: Option<u64> = None;
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
            Long("files") => files = Some(parser.value()?.parse()?),
            Long("pid") => pids.push(parser.value()?.parse()?),
            argument => return Err(argument.unexpected().into()),
        }
    }
    let (how, to): (String, SocketAddr) = how.zip(to).ok_or(USAGE)?;
    let length = size.unwrap_or(0);
    let (form, request) = match form.as_str() {
        "http" | "index" => (Form::Http, [format!("GET /{name}"), " HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned()]),
        "head" => (Form::Head, [format!("HEAD /{name}"), " HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned()]),
        "raw" => (Form::Raw, [format!("get_slice {name}"), format!(" 0 {length} raw\r\n")]),
        "fragments" => (Form::Fragments, [format!("get_slice {name}"), format!(" 0 {length}\r\n")]),
        "base64" => (Form::Base64, [format!("get_slice {name}"), format!(" 0 {length}\r\n")]),
        "metadata" => (Form::Metadata, [format!("get_metadata {name}"), "\r\n".to_owned()]),
        "listing" => (Form::Listing, ["get_file_listing\r\n".to_owned(), String::new()]),
        _ => return Err(USAGE.into()),
    };
    let size = if form == Form::Base64 { size.map(|size: u64| size.div_ceil(3) * 4) } else { size };
    let dropped = how != "hash" && size.is_some_and(|size| size > DROPPED);
    let dice = Cell::new(0x9e37_79b9_7f4a_7c15);
    Ok((how, Plan { to, form, request, files, dice, size, dropped, connections, depth, seconds, rate, pids }))
}

fn main() {
    let run = || {
        let (how, mut plan) = plan()?;
        match how.as_str() {
            "loop" | "paced" | "connect" => drive(&plan, &how),
            "once" => once(&mut plan),
            "idle" => idle(&plan),
            "slow" => slow(&plan),
            "hash" => hash(&plan),
            _ => Err(USAGE.into()),
        }
    };
    if let Err(error) = run() {
        eprintln!("load: {error}");
        process::exit(1);
    }
}
