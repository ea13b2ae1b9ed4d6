//! Many small files over one connection: requests are pipelined, and threads write the files, because each has to be
//! synced.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

use crate::client::Client;

use super::context::Context;
use super::download::Download;
use super::exit::Failure;
use super::pipeline::pipeline;
use super::sink::{PartFile, Sink};

/// The largest file that is fetched in this way. It is in memory as a whole.
pub(super) const SMALL: u64 = 64 << 10;

/// Threads that write files, and files that wait for them. A disk syncs the files of many threads together.
const WRITERS: usize = 32;
const WAITING: usize = 64;

/// Fetches files of at most [`SMALL`] bytes from one server. Failures are reported.
pub(super) fn fetch(context: &Context, client: &mut Client, downloads: &[&Download]) {
    let meter = context.report.meter_of_many();
    let (sender, receiver) = sync_channel::<(&Download, Vec<u8>)>(WAITING);
    let receiver = Mutex::new(receiver);
    std::thread::scope(|scope| {
        for _ in 0..WRITERS.min(downloads.len()) {
            scope.spawn(|| write_files(context, &receiver));
        }
        let results = pipeline(
            context,
            client,
            downloads,
            |client, download| client.queue_slice(&download.name, 0, download.size),
            |client, download| {
                let mut bytes = Vec::with_capacity(download.size as usize);
                let mut slice = client.next_slice()?;
                while let Some(chunk) = slice.chunk()? {
                    context.pace(chunk.len());
                    bytes.extend_from_slice(chunk);
                }
                meter.add(bytes.len() as u64);
                send(&sender, download, bytes);
                Ok(())
            },
        );
        drop(sender);
        report(context, downloads, results);
    });
}

fn send<'a>(sender: &SyncSender<(&'a Download, Vec<u8>)>, download: &'a Download, bytes: Vec<u8>) {
    // The receiver outlives the sender.
    let _ = sender.send((download, bytes));
}

fn write_files(context: &Context, receiver: &Mutex<Receiver<(&Download, Vec<u8>)>>) {
    loop {
        let next = receiver.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((download, bytes)) = next else { return };
        match write_file(download, &bytes) {
            Ok(()) => context.report.done("fetched", &download.name, Some(download.size)),
            Err(failure) => context.report.fail(failure.of(&download.name)),
        }
    }
}

fn write_file(download: &Download, bytes: &[u8]) -> Result<(), Failure> {
    let target: &PathBuf = &download.target;
    let mut file = PartFile::open(target, download.force, false, download.sum)?;
    file.write(bytes)?;
    file.finish()
}

/// Reports failures; one that took the connection with it only once.
fn report(context: &Context, downloads: &[&Download], results: Vec<Result<(), Failure>>) {
    let mut last: Option<(Failure, usize)> = None;
    for (download, result) in downloads.iter().zip(results) {
        let Err(failure) = result else { continue };
        match &mut last {
            Some((known, more)) if *known == failure => *more += 1,
            _ => {
                context.report.fail(failure.clone().of(&download.name));
                last = Some((failure, 0));
            }
        }
    }
    if let Some((failure, more @ 1..)) = last {
        context.report.fail(Failure { message: format!("{more} more files were not fetched"), ..failure });
    }
}
