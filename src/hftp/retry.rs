//! When a request is made again, and how long before.

use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind;
use std::thread;
use std::time::Duration;

use crate::client::{Client, Error, Server};

use super::report::Report;

const FIRST_DELAY: Duration = Duration::from_millis(250);
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// Counts the tries without progress.
#[derive(Debug)]
pub(super) struct Retry {
    limit: u32,
    tries: u32,
}

impl Retry {
    pub(super) fn new(limit: u32) -> Retry {
        Retry { limit, tries: 0 }
    }

    /// Something was received: the count begins anew.
    pub(super) fn progress(&mut self) {
        self.tries = 0;
    }

    /// Waits before the next try. Gives the error back if there is none.
    pub(super) fn after(&mut self, error: Error, server: &Server, report: &Report) -> Result<(), Error> {
        if self.tries >= self.limit || !may_pass(&error, server) {
            return Err(error);
        }
        let delay = delay(self.tries, RandomState::new().hash_one(self.tries));
        self.tries += 1;
        report.note(&format!(
            "{error}; trying again in {:.1} s ({} of {})",
            delay.as_secs_f32(),
            self.tries,
            self.limit
        ));
        thread::sleep(delay);
        Ok(())
    }

    /// Makes a request until it has an answer, or there is no further try.
    pub(super) fn run<T>(
        &mut self,
        client: &mut Client,
        report: &Report,
        mut request: impl FnMut(&mut Client) -> Result<T, Error>,
    ) -> Result<T, Error> {
        loop {
            match request(client) {
                Ok(answer) => return Ok(answer),
                Err(error) => self.after(error, &client.server().clone(), report)?,
            }
        }
    }
}

/// A server that refuses the very first connection is not there; one that has answered may be about to come back.
fn may_pass(error: &Error, server: &Server) -> bool {
    match error {
        Error::Connect { error, .. } if error.kind() == ErrorKind::ConnectionRefused => server.has_answered(),
        error => error.can_pass(),
    }
}

/// Twice as long each time, of which a random part up to a half is left out, so that many clients do not return at once.
fn delay(tries: u32, random: u64) -> Duration {
    let longest = FIRST_DELAY.saturating_mul(1 << tries.min(16)).min(LONGEST_DELAY);
    longest.mul_f64(1.0 - (random % 1000) as f64 / 2000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest() {
        for tries in 0..40 {
            let longest = FIRST_DELAY.saturating_mul(1 << tries.min(16)).min(LONGEST_DELAY);
            for random in [0, 1, 999, u64::MAX] {
                let delay = delay(tries, random);
                assert!(delay <= longest && delay >= longest / 2, "{tries}: {delay:?}");
            }
        }
        assert_eq!(delay(0, 0), FIRST_DELAY);
        assert_eq!(delay(30, 0), LONGEST_DELAY);
    }
}
