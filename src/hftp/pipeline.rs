//! Many small requests on one connection, without a round trip each.

use crate::client::{Client, Error};

use super::context::Context;
use super::exit::Failure;
use super::retry::Retry;

/// Makes a request for each item and reads the answers in the same order. If the connection ends, what has no answer is
/// asked again. A server that is gone for good fails all items that are left. A server that falls silent over a pipeline
/// gets one request at a time from then on: some of the older ones answer only the first request of a packet.
pub(super) fn pipeline<I, T>(
    context: &Context,
    client: &mut Client,
    items: &[I],
    queue: impl Fn(&mut Client, &I) -> Result<(), Error>,
    mut answer: impl FnMut(&mut Client, &I) -> Result<T, Error>,
) -> Vec<Result<T, Failure>> {
    let mut retry = Retry::new(context.retries);
    let mut results = Vec::with_capacity(items.len());
    let mut queued = 0;
    let mut window = usize::MAX;
    while let Some(item) = items.get(results.len()) {
        match step(client, items, results.len(), &mut queued, window, &queue).and_then(|()| answer(client, item)) {
            Ok(result) => {
                retry.progress();
                results.push(Ok(result));
            }
            Err(error) if error.code().is_some_and(|code| code >= 200) || matches!(error, Error::Name(_)) => {
                retry.progress();
                results.push(Err(error.into()));
            }
            Err(error) => {
                if matches!(error, Error::Silent { .. }) && queued > results.len() + 1 {
                    window = 1;
                    context.report.note("the server may take one request at a time; going on so");
                }
                queued = results.len();
                let is_of_item = error.code().is_some();
                if let Err(error) = retry.after(error, &client.server().clone(), &context.report) {
                    let failure = Failure::from(error);
                    let count = if is_of_item { 1 } else { items.len() - results.len() };
                    results.extend(std::iter::repeat_n(failure, count).map(Err));
                    retry.progress();
                }
            }
        }
        // A request that was not made has no answer to wait for.
        queued = queued.max(results.len());
    }
    results
}

/// Queues requests as long as there is room for them.
fn step<I>(
    client: &mut Client,
    items: &[I],
    answered: usize,
    queued: &mut usize,
    window: usize,
    queue: &impl Fn(&mut Client, &I) -> Result<(), Error>,
) -> Result<(), Error> {
    if client.pending() == 0 {
        *queued = answered;
    }
    while client.has_room() && client.pending() < window && *queued < items.len() {
        match queue(client, &items[*queued]) {
            // The answers before it come first.
            Err(error) if *queued > answered => {
                return if client.pending() > 0 { Ok(()) } else { Err(error) };
            }
            outcome => outcome?,
        }
        *queued += 1;
    }
    Ok(())
}
