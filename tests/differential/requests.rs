//! Random requests in batches. Each batch has a connection, which ends with a half-close.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hftpd::wire::{Encoding, Framing};

use crate::sim::model::answer::Answer;
use crate::sim::model::matching::Match;
use crate::sim::model::request::{first_line, parse_request};
use crate::sim::model::{Node, Rules, Tree};
use crate::sim::rng::Rng;
use crate::sim::script::Catalogue;
use crate::support::{Daemon, Settings, TestDir, content::pattern, in_parallel, put, set_mode, show};

/// Requests on one connection. They fit into the socket's buffers.
const BATCH: usize = 250;

/// The framings of the listeners of `Settings::listen_all`, in their order.
pub(super) fn framings() -> Vec<Framing> {
    let whole = [Encoding::Fragments, Encoding::Plain, Encoding::Base64].map(Framing::from);
    whole.into_iter().chain([Framing::base64_lines(48 << 10)]).collect()
}

fn wanted() -> usize {
    if let Ok(text) = std::env::var("HFTPD_TEST_REQUESTS") {
        return text.parse().unwrap_or_else(|_| panic!("HFTPD_TEST_REQUESTS={text} is not a number"));
    }
    if std::env::var("HFTPD_TEST_LARGE").as_deref() == Ok("1") { 1_000_000 } else { 100_000 }
}

/// A root with all kinds of files, and its model.
fn publish(dir: &TestDir) -> Tree {
    let mut tree = Tree::new();
    for (seed, size) in [0, 1, 2, 3, 4, 10, 100, 1459, 4096, 33_000, 70_000].into_iter().enumerate() {
        let (name, bytes) = (format!("f{size}"), pattern(seed as u64, 0, size));
        dir.file(&name, &bytes);
        tree.insert(name.into_bytes(), Node::File { bytes: Arc::new(bytes), size });
    }
    let long = [b'n'; 255];
    for name in
        [&b"A"[..], b"-", b"a.b-c_d", b".hidden", b"at@b", b"~", b"a:b", b"bad name", b"tab\tbed", b"\xff", &long]
    {
        dir.file_named(name, b"small");
        tree.insert(name.to_vec(), Node::File { bytes: Arc::new(b"small".to_vec()), size: 5 });
    }
    set_mode(&dir.file("noread", b"not to see"), 0o000);
    tree.insert(b"noread".to_vec(), Node::Unreadable { size: 10 });
    std::fs::create_dir(dir.root().join("sub")).expect("a directory");
    put(&dir.at("outside"), b"secret");
    for (name, target) in [("inside", "f100"), ("dangling", "nowhere"), ("out", "../outside"), ("up", "sub/../f10")] {
        symlink(target, dir.root().join(name)).expect("a symbolic link");
    }
    for (name, linked) in [("inside", "f100"), ("up", "f10")] {
        let Some(Node::File { bytes, size }) = tree.get(linked.as_bytes()).cloned() else {
            unreachable!("it was created")
        };
        tree.insert(name.as_bytes().to_vec(), Node::Link { bytes, size });
    }
    for name in ["sub", "dangling", "out"] {
        tree.insert(name.as_bytes().to_vec(), Node::Other);
    }
    tree
}

fn catalogue(tree: &Tree) -> Catalogue {
    let sized = tree.iter().map(|(name, node)| match node {
        Node::File { size, .. } | Node::Link { size, .. } | Node::Unreadable { size } => (name.clone(), *size),
        Node::Other => (name.clone(), 0),
    });
    let mut names: Vec<_> = sized.collect();
    // Reading an unreadable file ends the connection, so it is rarely requested.
    let often = names.iter().filter(|(name, _)| name != b"noread").cloned().collect::<Vec<_>>();
    names.extend((0..4).flat_map(|_| often.clone()));
    Catalogue { names }
}

/// A listener, and the rules for its answers.
pub(super) struct Target {
    pub(super) address: SocketAddr,
    pub(super) framing: Framing,
    pub(super) rules: Rules,
}

#[test]
fn answers_match_the_model() {
    let dir = TestDir::new();
    let tree = publish(&dir);
    let catalogue = catalogue(&tree);
    let portable = Rules { printable: false, hidden: false, links: true, request_line: 2048 };
    let printable = Rules { printable: true, hidden: true, links: false, request_line: 512 };
    let other = TestDir::new();
    let settings = |dir: &TestDir| Settings::new(dir).listen_all().set("log.access", "false");
    let first = Daemon::start(&dir, &settings(&dir).set("limits.request-line", "2048"));
    let second = settings(&other).root(&dir.root()).set("limits.request-line", "512");
    let second = second.set("files.names", "\"printable\"").set("files.hidden", "true");
    let second = Daemon::start(&other, &second.set("files.symlinks", "\"never\""));
    let targets: Vec<Target> = [(&first, portable), (&second, printable)]
        .into_iter()
        .flat_map(|(daemon, rules)| {
            let target = move |(at, framing): (usize, Framing)| Target { address: daemon.address(at), framing, rules };
            framings().into_iter().enumerate().map(target)
        })
        .collect();

    let wanted = wanted();
    let answered = AtomicUsize::new(0);
    let codes = std::sync::Mutex::new(BTreeMap::new());
    // Some batches end early, so more are needed.
    let seeds: Vec<u64> = (0..(4 * wanted / BATCH + 8) as u64).collect();
    in_parallel(4, &seeds, |&seed| {
        if answered.load(Ordering::Relaxed) < wanted {
            let target = &targets[seed as usize % targets.len()];
            let batch = batch(&mut Rng::seeded(seed), &catalogue);
            let received = exchange(target.address, &batch);
            let found = compare(&batch, &received, target, &tree).unwrap_or_else(|error| {
                let Target { framing, rules, .. } = target;
                panic!("batch {seed} ({framing:?}, {rules:?}): {error}");
            });
            answered.fetch_add(found.len(), Ordering::Relaxed);
            let mut codes = codes.lock().expect("no panic while locked");
            for code in found {
                *codes.entry(code).or_insert(0_usize) += 1;
            }
        }
    });
    let (answered, codes) = (answered.into_inner(), codes.into_inner().expect("no panic while locked"));
    eprintln!("{answered} requests were answered: {codes:?}");
    assert!(answered >= wanted, "only {answered} of {wanted} requests were answered");
    assert_eq!(codes.keys().copied().collect::<Vec<u16>>(), [0, 100, 101, 199, 200, 201, 202, 203]);
}

fn batch(rng: &mut Rng, catalogue: &Catalogue) -> Vec<u8> {
    // A fatal request is the last to be answered, so it is rare.
    let fatal = usize::from(rng.chance(10));
    let mut batch = Vec::new();
    for _ in 0..BATCH {
        batch.extend_from_slice(&catalogue.request(rng, fatal));
    }
    if rng.chance(10) {
        batch.truncate(batch.len() - rng.below(30));
    }
    batch
}

/// Sends the batch, and returns all bytes until the close.
pub(super) fn exchange(address: SocketAddr, batch: &[u8]) -> Vec<u8> {
    let mut stream = std::net::TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(crate::support::LONG)).expect("SO_RCVTIMEO");
    let mut writer = stream.try_clone().expect("a second handle");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // The daemon may close before it has read everything.
            let _ = writer.write_all(batch);
            let _ = writer.shutdown(Shutdown::Write);
        });
        let mut received = Vec::new();
        if let Err(error) = stream.read_to_end(&mut received) {
            panic!("{error} after {}", show(&received));
        }
        received
    })
}

/// Compares the answers with those of the model. Returns their codes.
pub(super) fn compare(batch: &[u8], received: &[u8], target: &Target, tree: &Tree) -> Result<Vec<u16>, String> {
    let (mut requests, mut rest, mut codes) = (batch, received, Vec::new());
    let mut last = false;
    while let Some((line, length)) = first_line(requests, target.rules.request_line)
        && !last
    {
        let answer = Answer::to(parse_request(line, &target.rules), &target.rules, Some(tree), target.framing);
        last = answer.last;
        codes.push(answer.code);
        let mut matching = Match::new(answer);
        let place = || format!("request {}, {}", codes.len(), show(&requests[..length]));
        let count = matching.take(rest).map_err(|error| format!("{}: {error}", place()))?;
        if !matching.is_whole() {
            return Err(format!("{}: the answer ends after {count} bytes: {}", place(), show(rest)));
        }
        rest = &rest[count..];
        requests = &requests[length..];
    }
    if rest.is_empty() { Ok(codes) } else { Err(format!("bytes without a request: {}", show(rest))) }
}
