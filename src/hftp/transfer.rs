//! One file over one connection, with as many tries as it takes.

use crate::client::{Client, Error};

use super::context::Context;
use super::exit::{Exit, Failure};
use super::progress::Meter;
use super::retry::Retry;
use super::sink::Sink;

/// Why bytes do not come.
pub(super) enum Trouble {
    Server(Error),
    Local(Failure),
    /// The file is not the one of which a part was received.
    Changed,
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        // The file has become shorter.
        if error.code() == Some(203) { Trouble::Changed } else { Trouble::Server(error) }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Trouble {
        Trouble::Local(failure)
    }
}

/// Fills the sink with the whole file. What the sink has before is checked first.
pub(super) fn transfer(
    context: &Context,
    client: &mut Client,
    name: &str,
    mut size: u64,
    sink: &mut dyn Sink,
    meter: &Meter,
) -> Result<(), Failure> {
    let mut retry = Retry::new(context.retries);
    let mut changes = 0;
    let mut is_checked = sink.length() == 0;
    meter.resume(sink.length());
    loop {
        let outcome = attempt(context, client, name, size, sink, meter, is_checked, &mut retry);
        match outcome {
            Ok(()) => return Ok(()),
            Err(Trouble::Local(failure)) => return Err(failure),
            Err(Trouble::Server(error)) => retry.after(error, &client.server().clone(), &context.report)?,
            Err(Trouble::Changed) => {
                changes += 1;
                if changes > context.retries.max(1) {
                    let message = "it changes on the server again and again while it is fetched";
                    return Err(Failure::new(Exit::Verification, message));
                }
                context.report.note(&format!("{name} has changed on the server; starting again"));
                let had = sink.length();
                sink.restart()?;
                size = retry.run(client, &context.report, |client| client.size(name))?;
                meter.restart(had, size);
            }
        }
        is_checked = sink.length() == 0;
    }
}

#[expect(clippy::too_many_arguments, reason = "the state of one transfer, used in one place")]
fn attempt(
    context: &Context,
    client: &mut Client,
    name: &str,
    size: u64,
    sink: &mut dyn Sink,
    meter: &Meter,
    is_checked: bool,
    retry: &mut Retry,
) -> Result<(), Trouble> {
    if !is_checked {
        check(client, name, size, sink)?;
    }
    if sink.length() == size {
        return Ok(());
    }
    let mut slice = client.slice(name, sink.length(), size - sink.length())?;
    while let Some(bytes) = slice.chunk()? {
        context.pace(bytes.len());
        sink.write(bytes)?;
        meter.add(bytes.len() as u64);
        retry.progress();
    }
    Ok(())
}

/// Whether the file still has this size, and the bytes before the place where it goes on.
pub(super) fn check(client: &mut Client, name: &str, size: u64, sink: &mut dyn Sink) -> Result<(), Trouble> {
    if sink.length() > size || client.size(name)? != size {
        return Err(Trouble::Changed);
    }
    let tail = sink.tail()?;
    let mut rest = tail.as_slice();
    let mut slice = client.slice(name, sink.length() - tail.len() as u64, tail.len() as u64)?;
    let mut is_same = true;
    while let Some(bytes) = slice.chunk()? {
        let (own, after) = rest.split_at(bytes.len().min(rest.len()));
        is_same &= own == bytes;
        rest = after;
    }
    if is_same { Ok(()) } else { Err(Trouble::Changed) }
}
