//! Decides how each file is fetched.

use std::path::Path;

use crate::client::{Client, Server};

use super::batch::{self, SMALL};
use super::context::Context;
use super::download::Download;
use super::exit::{Exit, Failure};
use super::parallel;
use super::progress::Meter;
use super::remote::Remotes;
use super::retry::Retry;
use super::sink::{PartFile, Sink};
use super::sums::{self, Sums};
use super::transfer::{self, Trouble};

/// Fetches all: small files of one server together, others one after the other. Failures are reported.
pub(super) fn fetch_all(context: &Context, remotes: &mut Remotes, downloads: &[Download]) {
    context.report.begin(downloads.len(), downloads.iter().map(|download| download.size).sum());
    let (small, large): (Vec<&Download>, Vec<&Download>) =
        downloads.iter().partition(|download| download.size <= SMALL && download.servers.len() == 1);
    let mut servers: Vec<usize> = small.iter().map(|download| download.servers[0]).collect();
    servers.sort_unstable();
    servers.dedup();
    for server in servers {
        let of_server: Vec<&Download> =
            small.iter().copied().filter(|download| download.servers[0] == server).collect();
        batch::fetch(context, remotes.client(server), &of_server);
    }
    for download in large {
        match fetch(context, remotes, download) {
            Ok(()) => context.report.done("fetched", &download.name, Some(download.size)),
            Err(failure) => context.report.fail(failure.of(&download.name)),
        }
    }
    context.report.end();
}

fn fetch(context: &Context, remotes: &mut Remotes, download: &Download) -> Result<(), Failure> {
    let Download { name, size, target, servers, sum, force, resume } = download;
    let mut part = PartFile::open(target, *force, *resume, *sum)?;
    let meter = context.report.meter(name, *size);
    fill(context, remotes, servers, name, *size, &mut part, &meter)?;
    part.finish()
}

/// Fills a sink over as many connections as were asked for.
pub(super) fn fill(
    context: &Context,
    remotes: &mut Remotes,
    servers: &[usize],
    name: &str,
    size: u64,
    sink: &mut dyn Sink,
    meter: &Meter,
) -> Result<(), Failure> {
    if context.jobs == 1
        && let [server] = servers
    {
        return transfer::transfer(context, remotes.client(*server), name, size, sink, meter);
    }
    let servers: Vec<Server> = servers.iter().map(|&server| remotes.server(server).clone()).collect();
    meter.resume(sink.length());
    for _ in 0..=context.retries {
        let (size, servers) = parallel::agree(context, servers.clone(), name)?;
        let outcome = continue_in_parallel(context, &servers, name, size, sink, meter);
        match outcome {
            Ok(()) => return Ok(()),
            Err(Trouble::Changed) => {
                context.report.note(&format!("{name} has changed on the server; starting again"));
                let had = sink.length();
                sink.restart()?;
                meter.restart(had, size);
            }
            Err(trouble) => return Err(trouble.into()),
        }
    }
    Err(Trouble::Changed.into())
}

fn continue_in_parallel(
    context: &Context,
    servers: &[Server],
    name: &str,
    size: u64,
    sink: &mut dyn Sink,
    meter: &Meter,
) -> Result<(), Trouble> {
    if sink.length() > 0 {
        let mut client = Client::new(&servers[0]);
        transfer::check(&mut client, name, size, sink)?;
    }
    parallel::fetch(context, servers, name, size, sink, meter)
}

/// Fetches the file of checksums.
pub(super) fn sums(context: &Context, remotes: &mut Remotes, server: usize, name: &str) -> Result<Sums, Failure> {
    let mut retry = Retry::new(context.retries);
    let read = |client: &mut Client| {
        let size = client.size(name)?;
        let mut text = Vec::new();
        if size <= sums::LONGEST {
            let mut slice = client.slice(name, 0, size)?;
            while let Some(bytes) = slice.chunk()? {
                text.extend_from_slice(bytes);
            }
        }
        Ok((size, text))
    };
    let fetched = retry.run(remotes.client(server), &context.report, read);
    let (size, text) = fetched.map_err(|error| Failure::from(error).of(name))?;
    if size > sums::LONGEST {
        let message = format!("{name}: a file of checksums has at most {} bytes, not {size}", sums::LONGEST);
        return Err(Failure::new(Exit::Verification, message));
    }
    Sums::parse(name, &text)
}

/// A name that is the incomplete form of another one would be overwritten by it.
pub(super) fn refuse_part_of_another(name: &str, is_wanted: impl Fn(&str) -> bool) -> Result<(), Failure> {
    match name.strip_suffix(".part") {
        Some(whole) if is_wanted(whole) => {
            let message = format!("not fetched: {whole} is written to this name until it is complete; fetch it alone");
            Err(Failure::new(Exit::Local, message))
        }
        _ => Ok(()),
    }
}

/// Whether the directory exists; `make` makes it.
pub(super) fn directory(dir: &Path, make: bool) -> Result<(), Failure> {
    if dir.is_dir() {
        return Ok(());
    }
    if make {
        return std::fs::create_dir_all(dir).map_err(|error| super::sink::local("make", dir, &error));
    }
    Err(Failure::new(Exit::Local, format!("{} is no directory; make it first", dir.display())))
}
