//! A connection without a poll and without threads, and a stream that records its calls.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::connection::{Cause, Connection, Context, Event, Scratch, Settings, Sink, Task, Transport};
use crate::handle::{Job, JobResult, Listings, OpenFile, Policy, Purpose, RootView, Symlinks};
use crate::wire::{Encoding, NameCharset};

/// A stream that records each call.
pub(super) struct Stream {
    /// The bytes that the client sends, and the number that was read.
    pub(super) input: Vec<u8>,
    pub(super) read: usize,
    /// Bytes that the client has room for.
    pub(super) room: usize,
    /// Bytes that the client has not acknowledged.
    pub(super) unsent: usize,
    pub(super) is_writable: bool,
    /// Bytes that threads have sent.
    pub(super) sent_by_thread: u64,
    pub(super) written: Vec<u8>,
    /// The length of each write, and whether more was to follow at once.
    pub(super) writes: Vec<(usize, bool)>,
    /// Offset and length of each sendfile(2).
    pub(super) from_files: Vec<(u64, usize)>,
    pub(super) corks: Vec<bool>,
}

impl Stream {
    /// Of a client that sends this, and has room for everything.
    pub(super) fn of(input: impl Into<Vec<u8>>) -> Stream {
        Stream {
            input: input.into(),
            read: 0,
            room: usize::MAX,
            unsent: 0,
            is_writable: true,
            sent_by_thread: 0,
            written: Vec::new(),
            writes: Vec::new(),
            from_files: Vec::new(),
            corks: Vec::new(),
        }
    }

    fn take_room(&mut self, count: usize) -> io::Result<usize> {
        let count = count.min(self.room);
        if count == 0 {
            self.is_writable = false;
            return Err(ErrorKind::WouldBlock.into());
        }
        self.room -= count;
        Ok(count)
    }
}

impl Sink for Stream {
    fn write(&mut self, bytes: &[u8], more: bool) -> io::Result<usize> {
        let count = self.take_room(bytes.len())?;
        self.written.extend_from_slice(&bytes[..count]);
        self.writes.push((count, more));
        Ok(count)
    }

    fn send_file(&mut self, _: &OpenFile, offset: u64, length: usize) -> io::Result<usize> {
        let count = self.take_room(length)?;
        self.from_files.push((offset, count));
        Ok(count)
    }

    fn cork(&mut self, corked: bool) {
        self.corks.push(corked);
    }
}

impl Transport for Stream {
    fn is_readable(&self) -> bool {
        self.read < self.input.len()
    }

    fn is_writable(&self) -> bool {
        self.is_writable
    }

    fn assume_readable(&mut self) {}

    fn lend(&mut self) {}

    fn take_back(&mut self, _: bool) {}

    fn sent_by_thread(&self) -> u64 {
        self.sent_by_thread
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = &self.input[self.read..];
        if rest.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.read += count;
        Ok(count)
    }

    fn unsent(&self) -> usize {
        self.unsent
    }

    fn shut_down_write(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A root in a temporary directory.
pub(super) struct Root {
    pub(super) dir: TempDir,
    pub(super) policy: Arc<Policy>,
}

impl Root {
    pub(super) fn new() -> Root {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let policy = Policy {
            root: dir.path().to_owned(),
            symlinks: Symlinks::Never,
            hidden: false,
            listed: |_| true,
            separator: b"\r\n",
            listings: Listings::default(),
        };
        Root { dir, policy: Arc::new(policy) }
    }

    /// An open file of zeros.
    pub(super) fn zeros(&self, size: u64) -> Arc<OpenFile> {
        let file = File::create(self.dir.path().join("zeros")).expect("a file");
        file.set_len(size).expect("its size");
        let name = b"zeros".as_slice().into();
        match (Job::Find { policy: self.policy.clone(), name, purpose: Purpose::Read }).run() {
            JobResult::Found(Ok(found), _) => found.file.expect("the open file"),
            other => panic!("{other:?}"),
        }
    }
}

/// A connection with all that it is given.
pub(super) struct Client {
    pub(super) connection: Connection,
    pub(super) stream: Stream,
    pub(super) files: RootView,
    pub(super) settings: Settings,
    pub(super) scratch: Scratch,
    pub(super) now: Instant,
    pub(super) is_draining: bool,
    /// Answers that were reported.
    pub(super) answered: usize,
    pub(super) task: Option<Task>,
}

impl Client {
    pub(super) fn new(root: &Root, stream: Stream) -> Client {
        let now = Instant::now();
        let minute = Duration::from_secs(60);
        Client {
            connection: Connection::new(Encoding::Fragments, now),
            stream,
            files: RootView::new(root.policy.clone()),
            settings: Settings {
                names: NameCharset::Portable,
                request_line: 512,
                rate: 0,
                idle: 5 * minute,
                request: minute,
                stall: minute,
            },
            scratch: Scratch::default(),
            now,
            is_draining: false,
            answered: 0,
            task: None,
        }
    }

    /// Lets it do something with a budget of so many bytes.
    pub(super) fn with_budget<R>(
        &mut self,
        budget: usize,
        step: impl FnOnce(&mut Connection, &mut Context<'_, Stream>) -> R,
    ) -> R {
        let mut events = Vec::new();
        let mut cx = Context {
            transport: &mut self.stream,
            files: &mut self.files,
            settings: &self.settings,
            now: self.now,
            draining: self.is_draining,
            record: false,
            scratch: &mut self.scratch,
            events: &mut events,
            task: None,
            budget,
        };
        let result = step(&mut self.connection, &mut cx);
        self.task = cx.task;
        self.answered += events.iter().filter(|event| matches!(event, Event::Answered(_))).count();
        result
    }

    pub(super) fn drive(&mut self, cause: Cause, budget: usize) {
        self.with_budget(budget, |connection, cx| connection.drive(cause, cx));
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.connection.deadline(&self.settings)
    }
}
