//! Micro-benchmarks through the library: `cargo bench --bench micro`.

use std::fs::File;
use std::hint::black_box;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};

use hftpd::connection::{Cause, Connection, Context, Scratch, SendMemory, Settings, Sink, Task, Transport};
use hftpd::handle::{Job, JobResult, Listings, OpenFile, Policy, RootView, Symlinks};
use hftpd::wire::{Encoding, Framing, NameCharset, RequestReader, answer};

const LINE: u64 = 8 << 20;

fn requests(c: &mut Criterion) {
    let mut group = c.benchmark_group("request");
    let mut reader = RequestReader::new(NameCharset::Portable, LINE);
    let mut read = |line: &[u8]| {
        reader.reset(NameCharset::Portable, LINE);
        let (taken, end) = reader.read(black_box(line));
        assert!(end && taken == line.len(), "the whole line");
        black_box(reader.request().is_ok())
    };
    let typical = b"get_slice firmware-2.14.1.img 1048576 65536 raw\r\n";
    group.throughput(Throughput::Bytes(typical.len() as u64));
    group.bench_function("typical line", |b| b.iter(|| read(typical)));

    let long = [b"get_metadata ".as_slice(), &vec![b'a'; 5 << 20], b"\r\n"].concat();
    group.throughput(Throughput::Bytes(long.len() as u64));
    group.bench_function("name of 5 MiB", |b| b.iter(|| read(&long)));
    group.finish();
}

fn heads(c: &mut Criterion) {
    let mut group = c.benchmark_group("answer head");
    let mut out = Vec::with_capacity(256);
    let mut bench = |name, make: fn(&mut Vec<u8>, u64)| {
        group.bench_function(name, |b| {
            b.iter(|| {
                out.clear();
                make(&mut out, black_box(1_234_567));
                black_box(out.len())
            });
        });
    };
    bench("metadata", answer::metadata);
    bench("raw slice", answer::raw_head);
    bench("fragment", answer::fragment_head);
    group.finish();
}

/// A client that is not there: it has sent one request, and takes everything.
#[derive(Default)]
struct Client {
    request: Option<Vec<u8>>,
    taken: usize,
}

impl Sink for Client {
    fn write(&mut self, bytes: &[u8], _: bool) -> io::Result<usize> {
        self.taken += black_box(bytes).len();
        Ok(bytes.len())
    }

    fn send_file(&mut self, _: &OpenFile, _: u64, length: usize) -> io::Result<usize> {
        self.taken += length;
        Ok(length)
    }

    fn cork(&mut self, _: bool) {}
}

impl Transport for Client {
    fn is_readable(&self) -> bool {
        self.request.is_some()
    }

    fn is_writable(&self) -> bool {
        true
    }

    fn assume_readable(&mut self) {}

    fn lend(&mut self) {}

    fn sent_by_thread(&self) -> u64 {
        0
    }

    fn take_back(&mut self, _: bool) {}

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(request) = self.request.take() else { return Err(io::ErrorKind::WouldBlock.into()) };
        buffer[..request.len()].copy_from_slice(&request);
        Ok(request.len())
    }

    fn unsent(&self) -> usize {
        0
    }

    fn shut_down_write(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn policy(root: &tempfile::TempDir) -> Arc<Policy> {
    let listed = |name: &[u8]| NameCharset::Portable.allow_name(name);
    let root = root.path().to_owned();
    Arc::new(Policy {
        root,
        symlinks: Symlinks::Inside,
        hidden: false,
        listed,
        separator: b"\r\n",
        listings: Listings::default(),
    })
}

/// Requests as an event loop has them answered, without sockets: lookup, reading, framing, encoding.
fn answers(c: &mut Criterion) {
    let root = tempfile::tempdir().expect("a directory");
    std::fs::write(root.path().join("large"), vec![0x5a; 1 << 20]).expect("a file");
    std::fs::write(root.path().join("small"), vec![0x5a; 4096]).expect("a file");
    let policy = policy(&root);
    let second = Duration::from_secs(1);
    let settings = Settings {
        names: NameCharset::Portable,
        request_line: LINE,
        rate: 0,
        idle: second,
        request: second,
        stall: second,
    };
    let (mut files, mut events) = (RootView::new(policy.clone()), Vec::new());
    let (mut scratch, mut memory) = (Scratch::default(), SendMemory::default());
    let mut group = c.benchmark_group("answer");
    let mut bench = |name: &str, framing: Framing, request: &str, payload: u64, length: usize| {
        let mut connection = Connection::new(framing, Instant::now());
        group.throughput(Throughput::Bytes(payload));
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut client = Client { request: Some(request.as_bytes().to_vec()), taken: 0 };
                let mut task = None;
                // What a worker does (`server/worker/mod.rs`), round by round.
                while client.taken < length {
                    let mut cx = Context {
                        transport: &mut client,
                        files: &mut files,
                        settings: &settings,
                        now: Instant::now(),
                        draining: false,
                        record: false,
                        scratch: &mut scratch,
                        events: &mut events,
                        task: None,
                        budget: 1 << 20,
                    };
                    let cause = match task.take() {
                        Some(Task::LookUp(job)) => {
                            let done = job.run();
                            cx.files.update_from(&policy, &done);
                            Cause::LookedUp(Some(done))
                        }
                        Some(Task::Send(mut task)) => {
                            task.run(cx.transport, &mut memory);
                            Cause::Sent(task)
                        }
                        None => Cause::Ready,
                    };
                    connection.drive(cause, &mut cx);
                    task = cx.task.take();
                    assert!(connection.closed().is_none(), "it goes on: {events:?}");
                    events.clear();
                }
                assert_eq!(client.taken, length, "{request}");
            });
        });
    };
    let base64 = (1_usize << 20).div_ceil(3) * 4;
    let lines = |line: usize| (1_usize << 20).div_ceil(line) * 2;
    let large = "get_slice large 0 1048576\r\n";
    bench("1 MiB, base64 in one line", Encoding::Base64.into(), large, 1 << 20, 6 + base64 + 2);
    bench("1 MiB, base64 in lines", Framing::base64_lines(3072), large, 1 << 20, 6 + base64 + lines(3072));
    let head = "0 OK\r\nContent-Length: 4096\r\n\r\n".len();
    bench("4 KiB, raw", Encoding::Plain.into(), "get_slice small 0 4096 raw\r\n", 4096, head + 4096);
    bench("metadata", Encoding::Plain.into(), "get_metadata small\r\n", 1, "0 OK\r\n4096\r\n".len());
    group.finish();
}

fn listings(c: &mut Criterion) {
    let mut group = c.benchmark_group("listing");
    for names in [1000_u64, 100_000] {
        let root = tempfile::tempdir().expect("a directory");
        for number in 0..names {
            File::create(root.path().join(format!("name-{number:06}"))).expect("a file");
        }
        let policy = policy(&root);
        let length = usize::try_from(names * "name-000000\r\n".len() as u64).expect("a length");
        group.throughput(Throughput::Elements(names)).sample_size(20);
        group.bench_function(format!("{names} names"), |b| {
            b.iter(|| {
                let JobResult::Listed(Ok(listing), _) = (Job::List { policy: policy.clone() }).run() else {
                    panic!("a listing")
                };
                assert_eq!(listing.text().len(), length, "every name");
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = all;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = requests, heads, answers, listings
}
criterion_main!(all);
