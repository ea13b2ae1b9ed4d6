//! Who may come in: `[limits]` of hftp.toml(5).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;

use crate::config::Limits;
use crate::connection::Refusal;

/// Who is in, over all event loops. The lock is held for a look-up in a table, at accept and at close.
#[derive(Debug, Default)]
pub(super) struct Admission {
    inside: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: u32,
    /// By address: an IPv4 address, or the first half of an IPv6 one.
    each: HashMap<Source, u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    V4(u32),
    V6(u64),
}

impl Source {
    fn of(address: IpAddr) -> Source {
        match address.to_canonical() {
            IpAddr::V4(address) => Source::V4(address.to_bits()),
            IpAddr::V6(address) => Source::V6((address.to_bits() >> 64) as u64),
        }
    }
}

impl Admission {
    /// Lets a client in, or says why not. One that is in has to [`Admission::release`].
    pub(super) fn admit(&self, address: IpAddr, limits: &Limits) -> Result<(), Refusal> {
        if !is_allowed(address.to_canonical(), limits) {
            return Err(Refusal::Denied);
        }
        let mut inside = self.lock();
        if inside.all >= limits.connections {
            return Err(Refusal::Full);
        }
        let from_there = inside.each.entry(Source::of(address)).or_default();
        if limits.connections_per_address > 0 && *from_there >= limits.connections_per_address {
            return Err(Refusal::Address);
        }
        *from_there += 1;
        inside.all += 1;
        Ok(())
    }

    /// A client that was let in has gone. Returns how many were in, this one too.
    pub(super) fn release(&self, address: IpAddr) -> u32 {
        let mut inside = self.lock();
        let all = inside.all;
        inside.all = all.saturating_sub(1);
        let source = Source::of(address);
        if let Some(from_there) = inside.each.get_mut(&source) {
            *from_there -= 1;
            if *from_there == 0 {
                inside.each.remove(&source);
            }
        }
        if inside.each.is_empty() {
            inside.each.shrink_to_fit();
        }
        all
    }

    /// How many are in.
    pub(super) fn connected(&self) -> u32 {
        self.lock().all
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_allowed(address: IpAddr, limits: &Limits) -> bool {
    let among = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&address));
    !among(&limits.deny) && (limits.allow.is_empty() || among(&limits.allow))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
        let mut limits = Config::default().limits;
        change(&mut limits);
        limits
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn net(text: &str) -> IpNet {
        text.parse().expect("a network")
    }

    #[test]
    fn the_limit_of_all_counts_those_who_are_in() {
        let (admission, limits) = (Admission::default(), limits(|limits| limits.connections = 2));
        assert_eq!(admission.admit(ip("127.0.0.1"), &limits), Ok(()));
        assert_eq!(admission.admit(ip("127.0.0.2"), &limits), Ok(()));
        assert_eq!(admission.admit(ip("127.0.0.3"), &limits), Err(Refusal::Full));
        admission.release(ip("127.0.0.1"));
        assert_eq!(admission.admit(ip("127.0.0.3"), &limits), Ok(()));
        assert_eq!(admission.connected(), 2);
    }

    #[test]
    fn an_ipv6_client_counts_by_its_64_and_a_mapped_one_as_ipv4() {
        let (admission, limits) = (Admission::default(), limits(|limits| limits.connections_per_address = 1));
        assert_eq!(admission.admit(ip("2001:db8:1:2::1"), &limits), Ok(()));
        assert_eq!(admission.admit(ip("2001:db8:1:2:ffff::1"), &limits), Err(Refusal::Address));
        assert_eq!(admission.admit(ip("2001:db8:1:3::1"), &limits), Ok(()));
        assert_eq!(admission.admit(ip("::ffff:192.0.2.1"), &limits), Ok(()));
        assert_eq!(admission.admit(ip("192.0.2.1"), &limits), Err(Refusal::Address));
        assert_eq!(admission.admit(ip("::ffff:192.0.2.2"), &limits), Ok(()), "mapped addresses share no /64");
        admission.release(ip("192.0.2.1"));
        assert_eq!(admission.admit(ip("192.0.2.1"), &limits), Ok(()));
    }

    #[test]
    fn deny_wins_over_allow_and_an_empty_allow_is_everyone() {
        let limits = limits(|limits| {
            limits.allow = vec![net("10.0.0.0/8"), net("2001:db8::/32")];
            limits.deny = vec![net("10.1.0.0/16")];
        });
        let admission = Admission::default();
        for (address, expected) in [
            ("10.2.3.4", Ok(())),
            ("::ffff:10.2.3.4", Ok(())),
            ("10.1.3.4", Err(Refusal::Denied)),
            ("192.0.2.1", Err(Refusal::Denied)),
            ("2001:db8::7", Ok(())),
        ] {
            assert_eq!(admission.admit(ip(address), &limits), expected, "{address}");
        }
        assert_eq!(Admission::default().admit(ip("192.0.2.1"), &Config::default().limits), Ok(()));
    }
}
