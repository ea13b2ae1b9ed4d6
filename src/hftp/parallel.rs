//! One file over several connections, to one or several servers.
//!
//! The file is cut into slices. Workers fetch them, each over a connection of its own; this thread puts them into the sink
//! in their order. So an interrupted file is always a beginning of the whole, which can be resumed, and is hashed while it
//! comes. Workers fetch only slices of a window, which bounds the memory.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::client::{Client, Error, Server};

use super::context::Context;
use super::exit::{Exit, Failure};
use super::progress::Meter;
use super::retry::Retry;
use super::sink::Sink;
use super::transfer::Trouble;

const SLICE: u64 = 1 << 20;

/// The file that all workers fetch.
struct File<'a> {
    context: &'a Context,
    servers: &'a [Server],
    name: &'a str,
    size: u64,
    /// Where the first slice begins.
    start: u64,
}

/// What workers and the writer share.
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// The first slice that nobody has taken.
    next: u64,
    /// Slices that failed, with the server that they failed on.
    failed: Vec<(u64, usize)>,
    /// Slices that are complete, and not in the sink.
    complete: BTreeMap<u64, Vec<u8>>,
    /// The slice that the sink needs next.
    wanted: u64,
    count: u64,
    window: u64,
    /// How many workers each server has.
    workers: Vec<usize>,
    /// Why there is no sense in going on.
    end: Option<Trouble>,
}

/// Fills the sink with what it lacks of the file. The beginning that it has is taken for right.
pub(super) fn fetch(
    context: &Context,
    servers: &[Server],
    name: &str,
    size: u64,
    sink: &mut dyn Sink,
    meter: &Meter,
) -> Result<(), Trouble> {
    let jobs = context.jobs.max(1);
    let file = File { context, servers, name, size, start: sink.length() };
    let mut workers = vec![0; servers.len()];
    (0..jobs).for_each(|job| workers[job % servers.len()] += 1);
    let state = State {
        next: 0,
        failed: Vec::new(),
        complete: BTreeMap::new(),
        wanted: 0,
        count: (size - file.start).div_ceil(SLICE),
        window: 2 * jobs as u64,
        workers,
        end: None,
    };
    let shared = Shared { state: Mutex::new(state), changed: Condvar::new() };
    std::thread::scope(|scope| {
        for job in 0..jobs {
            let (file, shared) = (&file, &shared);
            scope.spawn(move || work(file, shared, job % file.servers.len()));
        }
        let outcome = write(&shared, sink, meter);
        // Workers end with the slice that they are fetching.
        shared.lock().end.get_or_insert(Trouble::Changed);
        shared.changed.notify_all();
        outcome
    })
}

/// Takes complete slices in their order.
fn write(shared: &Shared, sink: &mut dyn Sink, meter: &Meter) -> Result<(), Trouble> {
    let mut state = shared.lock();
    while state.wanted < state.count {
        if let Some(trouble) = state.end.take() {
            return Err(trouble);
        }
        let wanted = state.wanted;
        if let Some(bytes) = state.complete.remove(&wanted) {
            drop(state);
            sink.write(&bytes)?;
            meter.add(bytes.len() as u64);
            state = shared.lock();
            state.wanted += 1;
            shared.changed.notify_all();
        } else {
            state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
    Ok(())
}

/// Fetches slices until there is none left, or no further try.
fn work(file: &File<'_>, shared: &Shared, mut place: usize) {
    let mut retry = Retry::new(file.context.retries);
    let mut client = Client::new(&file.servers[place]);
    let mut is_checked = true;
    while let Some(index) = shared.take(place) {
        let outcome = if is_checked { Ok(()) } else { check(&mut client, file) };
        let error = match outcome.and_then(|()| slice(file, &mut client, index)) {
            Ok(bytes) => {
                retry.progress();
                is_checked = true;
                shared.lock().complete.insert(index, bytes);
                shared.changed.notify_all();
                continue;
            }
            Err(Trouble::Server(error)) => error,
            Err(other) => return shared.end(other),
        };
        is_checked = false;
        let next = (place + 1) % file.servers.len();
        {
            let mut state = shared.lock();
            state.failed.push((index, place));
            state.workers[place] -= 1;
            state.workers[next] += 1;
        }
        shared.changed.notify_all();
        let outcome = retry.after(error, &file.servers[place], &file.context.report);
        place = next;
        if let Err(error) = outcome {
            let mut state = shared.lock();
            state.workers[place] -= 1;
            if state.workers.iter().all(|&workers| workers == 0) {
                state.end.get_or_insert(Trouble::Server(error));
            }
            drop(state);
            shared.changed.notify_all();
            return;
        }
        client = Client::new(&file.servers[place]);
    }
}

fn check(client: &mut Client, file: &File<'_>) -> Result<(), Trouble> {
    if client.size(file.name)? == file.size { Ok(()) } else { Err(Trouble::Changed) }
}

fn slice(file: &File<'_>, client: &mut Client, index: u64) -> Result<Vec<u8>, Trouble> {
    let offset = file.start + index * SLICE;
    let size = SLICE.min(file.size - offset);
    let mut bytes = Vec::with_capacity(size as usize);
    let mut slice = client.slice(file.name, offset, size)?;
    while let Some(chunk) = slice.chunk()? {
        file.context.pace(chunk.len());
        bytes.extend_from_slice(chunk);
    }
    Ok(bytes)
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, trouble: Trouble) {
        self.lock().end.get_or_insert(trouble);
        self.changed.notify_all();
    }

    /// The slice that a worker on this server fetches next; none at the end. A slice that failed goes to another server,
    /// as long as one has a worker.
    fn take(&self, place: usize) -> Option<u64> {
        let mut state = self.lock();
        loop {
            if state.end.is_some() || state.wanted == state.count {
                return None;
            }
            let others = state.workers.iter().enumerate().any(|(other, &workers)| other != place && workers > 0);
            if let Some(at) = state.failed.iter().position(|&(_, failed)| failed != place || !others) {
                return Some(state.failed.remove(at).0);
            }
            if state.next < state.count.min(state.wanted + state.window) {
                state.next += 1;
                return Some(state.next - 1);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// The size of the file, and the servers that can be asked for it. Servers that give other sizes are refused.
pub(super) fn agree(context: &Context, servers: Vec<Server>, name: &str) -> Result<(u64, Vec<Server>), Failure> {
    let mut agreed: Option<u64> = None;
    let mut usable: Vec<Server> = Vec::new();
    let mut last = None;
    for server in servers {
        let mut client = Client::new(&server);
        match Retry::new(context.retries).run(&mut client, &context.report, |client| client.size(name)) {
            Ok(size) if agreed.is_some_and(|other| other != size) => {
                let (of, other) = (usable[0].address(), agreed.unwrap_or_default());
                let message = format!("it has {other} bytes on {of} and {size} on {}", server.address());
                return Err(Failure::new(Exit::Verification, format!("{message}; give URLs of the same file")));
            }
            Ok(size) => {
                agreed = Some(size);
                usable.push(server);
            }
            Err(error) => {
                context.report.note(&format!("{name}: {error}; going on without this server"));
                last = Some(Failure::from(error));
            }
        }
    }
    let none = || last.unwrap_or_else(|| Failure::new(Exit::NotFound, "no server has it"));
    agreed.map(|size| (size, usable)).ok_or_else(none)
}

/// An error of one server is one for the whole transfer.
impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Failure {
        match trouble {
            Trouble::Server(error) => Error::into(error),
            Trouble::Local(failure) => failure,
            Trouble::Changed => Failure::new(Exit::Verification, "it changed on the server while it was fetched"),
        }
    }
}
