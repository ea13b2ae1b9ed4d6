//! `hftp get`

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::args::Get;
use super::context::Context;
use super::download::Download;
use super::exit::{Exit, Failure};
use super::fetch;
use super::names::local_name;
use super::remote::{Found, Remotes};
use super::sink::{PartFile, Stream, is_stream, refuse_existing};
use super::sums::Sums;

pub(super) fn run(context: &Context, get: &Get) -> Result<(), Failure> {
    let mut remotes = Remotes::default();
    let found = remotes.find(context, &get.urls)?;
    if get.output.is_some() && found.len() > 1 {
        let message = format!("-o takes one file, and the URLs stand for {}; use -d", found.len());
        return Err(Failure::new(Exit::Usage, message));
    }
    match get.output.as_deref() {
        Some(path) if path == Path::new("-") => {
            return to_stream(context, get, &mut remotes, &found, Stream::stdout());
        }
        Some(path) if is_stream(path) => {
            return to_stream(context, get, &mut remotes, &found, Stream::open(path)?);
        }
        _ => {}
    }
    if get.output.is_none() {
        fetch::directory(&get.dir, false)?;
    }
    let sums = match (&get.transfer.sums, found.first()) {
        (Some(name), Some(first)) => Some(fetch::sums(context, &mut remotes, first.servers[0], name)?),
        _ => None,
    };
    let wanted: HashSet<&str> = found.iter().map(|file| file.name.as_str()).collect();
    let mut planned: Vec<(&Found, PathBuf)> = Vec::new();
    for file in &found {
        match target(get, file, &wanted) {
            Ok(target) => planned.push((file, target)),
            Err(failure) => context.report.fail(failure.of(&file.name)),
        }
    }
    let sizes = sizes(context, &mut remotes, &planned);
    let mut downloads = Vec::new();
    for ((file, target), size) in planned.into_iter().zip(sizes) {
        match size.and_then(|size| plan(get, sums.as_ref(), file, target, size)) {
            Ok(Some(download)) => downloads.push(download),
            Ok(None) => context.report.done("unchanged", &file.name, None),
            Err(failure) => context.report.fail(failure.of(&file.name)),
        }
    }
    fetch::fetch_all(context, &mut remotes, &downloads);
    Ok(())
}

/// Where a file is written.
fn target(get: &Get, file: &Found, wanted: &HashSet<&str>) -> Result<PathBuf, Failure> {
    if let Some(output) = &get.output {
        return Ok(output.clone());
    }
    fetch::refuse_part_of_another(&file.name, |whole| wanted.contains(whole))?;
    let name = local_name(file.name.as_bytes())
        .map_err(|why| Failure::new(Exit::Local, format!("not fetched: {why}; name the local file with -o")))?;
    Ok(get.dir.join(name))
}

/// The size of each file, on the first of its servers.
fn sizes(context: &Context, remotes: &mut Remotes, planned: &[(&Found, PathBuf)]) -> Vec<Result<u64, Failure>> {
    let mut sizes: Vec<Result<u64, Failure>> = Vec::new();
    for files in planned.chunk_by(|(one, _), (next, _)| one.servers[0] == next.servers[0]) {
        let file = files[0].0;
        if let ([_], [_, _, ..]) = (files, &file.servers[..]) {
            sizes.push(size_on_any(context, remotes, file));
        } else {
            let names: Vec<&str> = files.iter().map(|(file, _)| file.name.as_str()).collect();
            sizes.extend(remotes.sizes(context, file.servers[0], &names));
        }
    }
    sizes
}

/// The size on the servers that answer, which must be the same.
fn size_on_any(context: &Context, remotes: &Remotes, file: &Found) -> Result<u64, Failure> {
    let servers = file.servers.iter().map(|&server| remotes.server(server).clone()).collect();
    super::parallel::agree(context, servers, &file.name).map(|(size, _)| size)
}

/// What is to be done for a file; nothing if it is there.
fn plan(get: &Get, sums: Option<&Sums>, file: &Found, target: PathBuf, size: u64) -> Result<Option<Download>, Failure> {
    let sum = sums.map_or(Ok(None), |sums| sums.of(&file.name))?;
    if !get.force {
        let is_complete = std::fs::metadata(&target).is_ok_and(|found| found.is_file() && found.len() == size);
        if get.resume && sum.is_none() && is_complete {
            return Ok(None);
        }
        refuse_existing(&target, false)?;
        let part = PartFile::path(&target);
        if !get.resume && part.symlink_metadata().is_ok() {
            let message = format!("{} exists; -c resumes it, --force starts again", part.display());
            return Err(Failure::new(Exit::Local, message));
        }
    }
    let (name, servers) = (file.name.clone(), file.servers.clone());
    Ok(Some(Download { name, size, target, servers, sum, force: get.force, resume: get.resume }))
}

fn to_stream(
    context: &Context,
    get: &Get,
    remotes: &mut Remotes,
    found: &[Found],
    mut out: Stream,
) -> Result<(), Failure> {
    if get.resume || get.transfer.sums.is_some() {
        let message = "-c and --sums need a file: bytes cannot be taken back from a stream";
        return Err(Failure::new(Exit::Usage, message));
    }
    for file in found {
        let size = size_on_any(context, remotes, file).map_err(|failure| failure.of(&file.name))?;
        let meter = context.report.meter(&file.name, size);
        fetch::fill(context, remotes, &file.servers, &file.name, size, &mut out, &meter)
            .map_err(|failure| failure.of(&file.name))?;
    }
    Ok(())
}
