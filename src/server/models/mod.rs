//! Models of code that several threads run at the same time. The model checker runs each with thousands of
//! interleavings; see tests/README.md.
//!
//! The code is that of the daemon, with the [locks, threads and polls](crate::server::sync) of the checker. A deadlock fails a
//! model, so a lost wake-up fails it too.

mod drain;

use std::fs::File;
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mio::{Events, Token};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::Barrier;
use shuttle::{MaxSteps, Runner, thread};

use crate::config::{Config, Limits};
use crate::connection::Refusal;
use crate::handle::{Job, Policy, Purpose};
use crate::server::admission::{Admission, Permit};
use crate::server::mailbox::{Inbox, Mailbox};
use crate::server::messages::{LookupReply, WorkerCommand};
use crate::server::pool::{MAX_THREADS, Pool};
use crate::server::stream::Stream;
use crate::server::sync::Poll;
use crate::server::worker_config::policy;

/// Interleavings of a model.
const RUNS: usize = 20_000;

/// Interleavings of a model with real connections. Each leaves a port in TIME_WAIT.
const RUNS_WITH_CONNECTIONS: usize = 1_000;

/// Runs a model: half of the interleavings are random, and in the other half, threads have priorities that change at
/// three random steps, which finds faults that need one thread to be slow.
fn check(runs: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut config = shuttle::Config::new();
    config.stack_size = 256 * 1024;
    config.max_steps = MaxSteps::FailAfter(100_000);
    config.silence_warnings = true;
    let model = Arc::new(model);
    let again = model.clone();
    Runner::new(RandomScheduler::new(runs / 2), config.clone()).run(move || model());
    Runner::new(PctScheduler::new(3, runs / 2), config).run(move || again());
}

/// The owner of a mailbox, which waits in a poll.
struct Owner<T> {
    poll: Poll,
    events: Events,
    inbox: Inbox<T>,
}

impl<T> Owner<T> {
    fn new() -> (Mailbox<T>, Owner<T>) {
        let poll = Poll::new().expect("a poll");
        let (mailbox, inbox) = Mailbox::new(poll.registry(), Token(0)).expect("a mailbox");
        (mailbox, Owner { poll, events: Events::with_capacity(4), inbox })
    }

    /// Waits until it is woken, and receives all messages.
    fn receive(&mut self) -> impl Iterator<Item = T> {
        self.poll.poll(&mut self.events, None).expect("events");
        std::iter::from_fn(|| self.inbox.next())
    }
}

#[test]
fn each_message_is_received_or_returned() {
    check(RUNS, || {
        let (mailbox, mut owner) = Owner::new();
        let senders = [0, 1].map(|sender| {
            let mailbox = mailbox.clone();
            thread::spawn(move || -> Vec<_> {
                [(sender, 0), (sender, 1)]
                    .into_iter()
                    .filter_map(|message| mailbox.offer(Some(message)).err())
                    .collect()
            })
        });
        let supervisor = thread::spawn(move || mailbox.send(None));
        let (mut all, mut is_stopping) = (Vec::new(), false);
        while !(is_stopping && owner.inbox.close_if_empty()) {
            for message in owner.receive() {
                is_stopping |= message.is_none();
                all.push(message);
            }
        }
        senders.into_iter().for_each(|sender| all.extend(sender.join().expect("no panic")));
        supervisor.join().expect("no panic");
        assert!(owner.inbox.next().is_none(), "a closed mailbox takes no message");
        all.sort_unstable();
        assert_eq!(all, [None, Some((0, 0)), Some((0, 1)), Some((1, 0)), Some((1, 1))]);
    });
}

#[test]
fn owner_that_sleeps_is_woken_for_each_message() {
    check(RUNS, || {
        let (mailbox, mut owner) = Owner::new();
        for sender in [0, 1] {
            let mailbox = mailbox.clone();
            thread::spawn(move || [0, 1].iter().for_each(|number| mailbox.send((sender, *number))));
        }
        let mut received = Vec::new();
        while received.len() < 4 {
            received.extend(owner.receive());
        }
        for sender in [0, 1] {
            let numbers: Vec<_> =
                received.iter().filter(|(from, _)| *from == sender).map(|(_, number)| *number).collect();
            assert_eq!(numbers, [0, 1], "in the order in which they were sent");
        }
    });
}

/// A message that sends another when it is dropped, as unfinished work does.
struct Returned {
    to: Mailbox<Returned>,
    is_last: bool,
    dropped: Arc<AtomicUsize>,
}

impl Drop for Returned {
    fn drop(&mut self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        if !self.is_last {
            self.to.send(Returned { to: self.to.clone(), is_last: true, dropped: self.dropped.clone() });
        }
    }
}

#[test]
fn mailbox_whose_owner_is_gone_keeps_no_message() {
    check(RUNS, || {
        let (mailbox, owner) = Owner::new();
        let dropped = Arc::new(AtomicUsize::new(0));
        let senders = [0, 1].map(|_| {
            let (to, dropped) = (mailbox.clone(), dropped.clone());
            thread::spawn(move || to.send(Returned { to: to.clone(), is_last: false, dropped }))
        });
        drop(owner);
        senders.into_iter().for_each(|sender| sender.join().expect("no panic"));
        assert_eq!(dropped.load(Ordering::Relaxed), 4);
    });
}

/// A worker that needs the pool.
struct Asker {
    pool: Pool,
    mailbox: Mailbox<WorkerCommand>,
    stream: Arc<Stream>,
}

impl Asker {
    fn new(stream: &Arc<Stream>) -> (Arc<Asker>, Owner<WorkerCommand>) {
        let (mailbox, owner) = Owner::new();
        (Arc::new(Asker { pool: Pool::new(), mailbox, stream: stream.clone() }), owner)
    }

    /// Looks up a name, which is the number.
    fn find(&self, number: usize, policy: &Arc<Policy>) {
        let name = number.to_string().into_bytes().into();
        self.ask(number, policy, Job::Find { policy: policy.clone(), name, purpose: Purpose::Size });
    }

    fn list(&self, number: usize, policy: &Arc<Policy>) {
        self.ask(number, policy, Job::List { policy: policy.clone() });
    }

    fn ask(&self, number: usize, policy: &Arc<Policy>, job: Job) {
        let (worker, policy, stream) = (self.mailbox.clone(), policy.clone(), self.stream.clone());
        self.pool.look_up(job, LookupReply { worker, token: Token(number), policy, stream, result: None });
        assert!(self.pool.load().1 <= MAX_THREADS);
    }

    /// All threads stop when there is no more work.
    fn wait_for_end(&self) {
        while self.pool.load() != (0, 0) {
            thread::yield_now();
        }
    }
}

impl Owner<WorkerCommand> {
    /// Waits for results. Returns their numbers.
    fn results(&mut self, count: usize) -> Vec<usize> {
        let mut numbers = Vec::new();
        while numbers.len() < count {
            numbers.extend(self.receive().map(|command| match command {
                WorkerCommand::LookedUp { token, result: Some(_), .. } => token.0,
                _ => panic!("no result"),
            }));
        }
        numbers.sort_unstable();
        numbers
    }
}

/// A client's stream, for replies. Nothing is sent to it.
fn no_stream() -> Arc<Stream> {
    let file = File::open("/dev/null").expect("/dev/null");
    Arc::new(Stream::new(TcpStream::from(OwnedFd::from(file))))
}

fn root(path: impl Into<PathBuf>) -> Policy {
    policy(&Config { root: path.into(), ..Config::default() })
}

#[test]
fn pool_does_all_work() {
    let stream = no_stream();
    check(RUNS, move || {
        let (asker, mut owner) = Asker::new(&stream);
        let policy = Arc::new(root("/nonexistent"));
        for numbers in [[0, 1], [2, 3]] {
            let (asker, policy) = (asker.clone(), policy.clone());
            thread::spawn(move || numbers.iter().for_each(|number| asker.find(*number, &policy)));
        }
        assert_eq!(owner.results(4), [0, 1, 2, 3]);
        asker.wait_for_end();
    });
}

/// Each piece of work comes when the thread that did the one before may be about to stop.
#[test]
fn pool_does_work_that_comes_when_its_threads_stop() {
    let stream = no_stream();
    check(RUNS, move || {
        let (asker, mut owner) = Asker::new(&stream);
        let policy = Arc::new(root("/nonexistent"));
        for number in 0..3 {
            asker.find(number, &policy);
            assert_eq!(owner.results(1), [number]);
        }
        asker.wait_for_end();
    });
}

shuttle::lazy_static! {
    static ref BOTH_LIST: Barrier = Barrier::new(2);
}

/// Work that waits for a disk holds up no other: two listings, each of which ends only when the other has begun, get a
/// thread each. A thread that was woken for the first and does not run yet must not count as one for the second.
#[test]
fn pool_has_a_thread_for_each_of_two_that_wait() {
    let directory = tempfile::tempdir().expect("a directory");
    File::create(directory.path().join("file")).expect("a file");
    let (path, stream) = (directory.path().to_owned(), no_stream());
    check(RUNS, move || {
        let (asker, mut owner) = Asker::new(&stream);
        asker.find(0, &Arc::new(root("/nonexistent")));
        assert_eq!(owner.results(1), [0]);
        for number in [1, 2] {
            let listed = |_: &[u8]| {
                BOTH_LIST.wait();
                true
            };
            asker.list(number, &Arc::new(Policy { listed, ..root(&path) }));
        }
        assert_eq!(owner.results(2), [1, 2]);
        asker.wait_for_end();
    });
}

/// Clients of these hosts connect and disconnect, each on a thread of its own. The limits admit two of them.
fn crowd(limits: Limits, hosts: [u8; 4]) {
    let (admission, limits) = (Arc::new(Admission::default()), Arc::new(limits));
    let admitted = Arc::new(std::sync::Mutex::new(Vec::new()));
    let clients = hosts.map(|host| {
        let (admission, limits, admitted) = (admission.clone(), limits.clone(), admitted.clone());
        thread::spawn(move || {
            let Ok(permit) = admit(&admission, host, &limits) else { return };
            {
                let mut admitted = admitted.lock().expect("no panic");
                admitted.push(host);
                let of_host = admitted.iter().filter(|other| **other == host).count();
                assert!(admitted.len() <= limits.connections as usize, "too many clients");
                assert!(limits.connections_per_address == 0 || of_host <= limits.connections_per_address as usize);
            }
            thread::yield_now();
            admitted.lock().expect("no panic").retain(|other| *other != host);
            drop(permit);
        })
    });
    clients.into_iter().for_each(|client| client.join().expect("no panic"));
    assert_eq!(admission.connected(), 0);
    let permits: Vec<_> = hosts.iter().filter_map(|host| admit(&admission, *host, &limits).ok()).collect();
    assert_eq!(permits.len(), 2, "the limits admit two again");
}

fn admit(admission: &Arc<Admission>, host: u8, limits: &Limits) -> Result<Permit, Refusal> {
    admission.admit(limits)?.identify(Ipv4Addr::new(192, 0, 2, host).into(), limits)
}

fn limits(connections: u32, connections_per_address: u32) -> Limits {
    Limits { connections, connections_per_address, ..Config::default().limits }
}

#[test]
fn no_more_clients_are_admitted_than_the_limit() {
    check(RUNS, || crowd(limits(2, 0), [1, 2, 3, 4]));
}

#[test]
fn no_more_clients_of_an_address_are_admitted_than_its_limit() {
    check(RUNS, || crowd(limits(10, 1), [1, 1, 1, 2]));
}
