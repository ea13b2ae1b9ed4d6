//! `hftp cat`

use crate::client::{Client, Glob};

use super::args::Cat;
use super::context::Context;
use super::exit::{Exit, Failure};
use super::progress::Meter;
use super::retry::Retry;
use super::sink::{Sink, Stream};
use super::transfer::transfer;
use super::units::Range;

pub(super) fn run(context: &Context, cat: &Cat) -> Result<(), Failure> {
    let glob = Glob::new(&cat.url.path);
    let Some(name) = glob.name() else {
        return Err(Failure::new(Exit::Usage, format!("{} names no single file; get takes globs", cat.url)));
    };
    let name = String::from_utf8_lossy(name).into_owned();
    let mut client = Client::new(&context.server(&cat.url.address));
    let size = Retry::new(context.retries).run(&mut client, &context.report, |client| client.size(&name));
    let size = size.map_err(|error| Failure::from(error).of(&name))?;
    let Range { offset, size: length } = cat.range.unwrap_or(Range { offset: 0, size: None });
    let end = length.map_or(Some(size), |length| offset.checked_add(length));
    let end = end.filter(|&end| offset <= end && end <= size).ok_or_else(|| {
        Failure::new(Exit::Refused, format!("{name}: the range ends beyond the file, which has {size} bytes"))
    })?;
    let meter = Meter::none();
    let done = if cat.range.is_none() {
        transfer(context, &mut client, &name, size, &mut Stream::stdout(), &meter)
    } else {
        range(context, &mut client, &name, offset, end)
    };
    done.map_err(|failure| failure.of(&name))
}

/// A range is small as a rule, and there is nothing before it that a further try could compare.
fn range(context: &Context, client: &mut Client, name: &str, offset: u64, end: u64) -> Result<(), Failure> {
    let mut out = Stream::stdout();
    let mut retry = Retry::new(context.retries);
    loop {
        let from = offset + out.length();
        let error = match client.slice(name, from, end - from) {
            Ok(mut slice) => loop {
                match slice.chunk() {
                    Ok(Some(bytes)) => out.write(bytes)?,
                    Ok(None) => return Ok(()),
                    Err(error) => break error,
                }
            },
            Err(error) => error,
        };
        retry.after(error, &client.server().clone(), &context.report)?;
    }
}
