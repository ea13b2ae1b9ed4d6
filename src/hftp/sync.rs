//! `hftp sync`

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::client::{Client, Error, Glob};

use super::args::Sync;
use super::context::Context;
use super::download::Download;
use super::exit::{Exit, Failure};
use super::fetch;
use super::names::local_name;
use super::remote::Remotes;
use super::retry::Retry;
use super::sink::local;
use super::sums::Sum;

pub(super) fn run(context: &Context, sync: &Sync) -> Result<(), Failure> {
    let mut remotes = Remotes::default();
    let server = remotes.add(context, &sync.url.address);
    let (listed, other) = remotes.matching(context, &sync.url)?;
    for name in other {
        let message = format!("{name}: not fetched: its name has bytes that no request can hold");
        context.report.fail(Failure::new(Exit::Protocol, message));
    }
    let sums = match &sync.transfer.sums {
        Some(name) => Some(fetch::sums(context, &mut remotes, server, name)?),
        None => None,
    };
    let is_listed: HashSet<&str> = listed.iter().map(String::as_str).collect();
    let mut names: Vec<&str> = Vec::new();
    for name in &listed {
        let part = fetch::refuse_part_of_another(name, |whole| is_listed.contains(whole));
        let why = |why| Failure::new(Exit::Local, format!("not fetched: {why}"));
        match part.and_then(|()| local_name(name.as_bytes()).map_err(why)) {
            Ok(name) => names.push(name),
            Err(failure) => context.report.fail(failure.of(name)),
        }
    }
    names.dedup();
    let there = if sync.dry_run && !sync.dir.exists() {
        HashMap::new()
    } else {
        if !sync.dry_run {
            fetch::directory(&sync.dir, true)?;
        }
        files_of(&sync.dir)?
    };
    let sizes = remotes.sizes(context, server, &names);
    let mut downloads = Vec::new();
    for (name, size) in names.into_iter().zip(sizes) {
        let planned = size.and_then(|size| {
            let sum = sums.as_ref().map_or(Ok(None), |sums| sums.of(name))?;
            let target = sync.dir.join(name);
            let is_same = match there.get(name) {
                Some(&length) if length == size => {
                    is_same(context, sync, remotes.client(server), name, size, &target, sum)?
                }
                _ => false,
            };
            let name = name.to_owned();
            let download = Download { name, size, target, servers: vec![server], sum, force: true, resume: true };
            Ok((!is_same).then_some(download))
        });
        match planned {
            Ok(planned) => downloads.extend(planned),
            Err(failure) => context.report.fail(failure.of(name)),
        }
    }
    if sync.dry_run {
        downloads.iter().for_each(|download| say(context, "would fetch", &download.name));
    } else {
        fetch::fetch_all(context, &mut remotes, &downloads);
    }
    if sync.delete {
        delete(context, sync, &there, &is_listed)?;
    }
    Ok(())
}

/// The regular files of the directory, with their sizes.
fn files_of(dir: &Path) -> Result<HashMap<String, u64>, Failure> {
    let cannot = |error| local("read", dir, &error);
    let mut files = HashMap::new();
    for entry in fs::read_dir(dir).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let found = entry.metadata().map_err(|error| local("look at", &entry.path(), &error))?;
        if let (true, Ok(name)) = (found.is_file(), entry.file_name().into_string()) {
            files.insert(name, found.len());
        }
    }
    Ok(files)
}

/// Whether a file of the right size is the server's: by its checksum, by its bytes with `--verify`, or by its size.
fn is_same(
    context: &Context,
    sync: &Sync,
    client: &mut Client,
    name: &str,
    size: u64,
    target: &Path,
    sum: Option<Sum>,
) -> Result<bool, Failure> {
    if let Some(sum) = sum {
        return Ok(hash_of(target)? == sum);
    }
    if !sync.verify {
        return Ok(true);
    }
    let mut retry = Retry::new(context.retries);
    loop {
        match compare(client, name, size, target) {
            Ok(is_same) => return is_same,
            Err(error) if error.code() == Some(203) => return Ok(false),
            Err(error) => retry.after(error, &client.server().clone(), &context.report)?,
        }
    }
}

fn hash_of(path: &Path) -> Result<Sum, Failure> {
    let mut hash = Sha256::new();
    let mut file = File::open(path).map_err(|error| local("open", path, &error))?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer).map_err(|error| local("read", path, &error))? {
            0 => return Ok(hash.finalize().into()),
            count => hash.update(&buffer[..count]),
        }
    }
}

/// Whether the bytes are the same. The outer error is the server's.
fn compare(client: &mut Client, name: &str, size: u64, path: &Path) -> Result<Result<bool, Failure>, Error> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) => return Ok(Err(local("open", path, &error))),
    };
    let mut slice = client.slice(name, 0, size)?;
    let mut own = Vec::new();
    while let Some(bytes) = slice.chunk()? {
        own.resize(bytes.len(), 0);
        match file.read_exact(&mut own) {
            Ok(()) if own == bytes => {}
            Ok(()) => return Ok(Ok(false)),
            Err(error) => return Ok(Err(local("read", path, &error))),
        }
    }
    Ok(Ok(true))
}

/// Removes the files that match and that the server does not list; none after a failure, which may be why it does not.
fn delete(
    context: &Context,
    sync: &Sync,
    there: &HashMap<String, u64>,
    is_listed: &HashSet<&str>,
) -> Result<(), Failure> {
    let glob = Glob::new(&sync.url.path);
    let is_extra = |name: &&String| glob.matches(name.as_bytes()) && !is_listed.contains(name.as_str());
    let mut extra: Vec<&String> = there.keys().filter(is_extra).collect();
    extra.sort();
    if context.report.has_failed() {
        if !extra.is_empty() {
            context.report.note("nothing is removed, because not everything was fetched");
        }
        return Ok(());
    }
    for name in extra {
        if sync.dry_run {
            say(context, "would remove", name);
            continue;
        }
        // A download may have used the name in the meantime: NAME.part is NAME now.
        let path = sync.dir.join(name);
        match fs::remove_file(&path) {
            Ok(()) => context.report.done("removed", name, None),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(local("remove", &path, &error)),
        }
    }
    Ok(())
}

fn say(context: &Context, what: &str, name: &str) {
    if context.report.is_json() {
        context.report.done(what, name, None);
    } else {
        context.report.print(&format!("{what} {name}\n"));
    }
}
