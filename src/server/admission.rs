//! Which clients may connect: `[limits]` of hftp.toml(5).
//!
//! A client is admitted in two steps: it is counted when it is accepted ([`Admission::admit`]), and the limits of its
//! address are applied when the address is known ([`Permit::identify`]). A proxy may send the address later than the
//! kernel reports a connection.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError};

use ipnet::IpNet;

use super::sync::atomic::{AtomicU32, Ordering};
use super::sync::{Mutex, MutexGuard};
use crate::config::Limits;
use crate::connection::Refusal;

/// Counts the clients of all workers.
#[derive(Debug, Default)]
pub(super) struct Admission {
    connected: AtomicU32,
    by_source: Mutex<HashMap<Source, u32>>,
}

/// The right of one client to be connected. It counts until it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    admission: Arc<Admission>,
    /// Where it comes from, once that is known.
    source: Option<Source>,
}

/// What `limits.connections-per-address` counts by: an IPv4 address, or the first half of an IPv6 address.
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
    /// The first step: counts a client, unless `limits.connections` are connected already.
    pub(super) fn admit(self: &Arc<Admission>, limits: &Limits) -> Result<Permit, Refusal> {
        let permit = Permit { admission: self.clone(), source: None };
        let before = self.connected.fetch_add(1, Ordering::Relaxed);
        // Refused, the permit is dropped and counts no more.
        if before < limits.connections { Ok(permit) } else { Err(Refusal::Full) }
    }

    /// How many clients are connected.
    pub(super) fn connected(&self) -> u32 {
        self.connected.load(Ordering::Relaxed)
    }

    /// Held for one look-up.
    fn by_source(&self) -> MutexGuard<'_, HashMap<Source, u32>> {
        self.by_source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// The second step: applies the limits of `address`.
    pub(super) fn identify(mut self, address: IpAddr, limits: &Limits) -> Result<Permit, Refusal> {
        if !is_allowed(address.to_canonical(), limits) {
            return Err(Refusal::Denied);
        }
        let source = Source::of(address);
        let mut by_source = self.admission.by_source();
        let count = by_source.entry(source).or_default();
        if limits.connections_per_address > 0 && *count >= limits.connections_per_address {
            return Err(Refusal::Address);
        }
        *count += 1;
        drop(by_source);
        self.source = Some(source);
        Ok(self)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.admission.connected.fetch_sub(1, Ordering::Relaxed);
        let Some(source) = self.source else { return };
        let mut by_source = self.admission.by_source();
        if let Some(count) = by_source.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                by_source.remove(&source);
            }
        }
        if by_source.is_empty() {
            by_source.shrink_to_fit();
        }
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

    fn admit(admission: &Arc<Admission>, address: &str, limits: &Limits) -> Result<Permit, Refusal> {
        admission.admit(limits)?.identify(ip(address), limits)
    }

    #[test]
    fn connections_are_limited_until_permits_are_dropped() {
        let (admission, limits) = (Arc::new(Admission::default()), limits(|limits| limits.connections = 2));
        let first = admit(&admission, "127.0.0.1", &limits).expect("a permit");
        // Counted before its address is known.
        let _second = admission.admit(&limits).expect("a permit");
        assert_eq!(admission.admit(&limits).err(), Some(Refusal::Full));
        drop(first);
        let _third = admit(&admission, "127.0.0.3", &limits).expect("a permit");
        assert_eq!(admission.connected(), 2);
    }

    #[test]
    fn an_address_counts_as_many_clients_as_it_has() {
        let admission = Arc::new(Admission::default());
        let limits = limits(|limits| limits.connections_per_address = 3);
        let admit = || admit(&admission, "192.0.2.1", &limits);
        let counted = || admission.by_source().values().copied().collect::<Vec<_>>();
        let mut permits: Vec<Permit> = (0..3).map(|_| admit().expect("a permit")).collect();
        assert_eq!(admit().err(), Some(Refusal::Address));
        for left in [2, 1] {
            permits.pop();
            assert_eq!(counted(), [left]);
        }
        permits.extend((0..2).map(|_| admit().expect("two have left")));
        assert_eq!(admit().err(), Some(Refusal::Address));
        assert_eq!((counted(), admission.connected()), (vec![3], 3));
        permits.clear();
        assert_eq!((counted(), admission.connected()), (vec![], 0), "an address without clients is forgotten");
    }

    #[test]
    fn an_ipv6_client_counts_by_its_64_and_a_mapped_one_as_ipv4() {
        let admission = Arc::new(Admission::default());
        let limits = limits(|limits| limits.connections_per_address = 1);
        let admit = |address| admit(&admission, address, &limits);
        let _v6 = admit("2001:db8:1:2::1").expect("a permit");
        assert_eq!(admit("2001:db8:1:2:ffff::1").err(), Some(Refusal::Address));
        let _other = admit("2001:db8:1:3::1").expect("a permit");
        let mapped = admit("::ffff:192.0.2.1").expect("a permit");
        assert_eq!(admit("192.0.2.1").err(), Some(Refusal::Address));
        let _mapped = admit("::ffff:192.0.2.2").expect("mapped addresses share no /64");
        drop(mapped);
        let _v4 = admit("192.0.2.1").expect("a permit");
        assert_eq!(admission.connected(), 4, "refused clients do not count");
    }

    #[test]
    fn deny_wins_over_allow_and_an_empty_allow_is_everyone() {
        let limits = limits(|limits| {
            limits.allow = vec![net("10.0.0.0/8"), net("2001:db8::/32")];
            limits.deny = vec![net("10.1.0.0/16")];
        });
        let admission = Arc::new(Admission::default());
        for (address, expected) in [
            ("10.2.3.4", None),
            ("::ffff:10.2.3.4", None),
            ("10.1.3.4", Some(Refusal::Denied)),
            ("192.0.2.1", Some(Refusal::Denied)),
            ("2001:db8::7", None),
        ] {
            assert_eq!(admit(&admission, address, &limits).err(), expected, "{address}");
        }
        assert!(admit(&admission, "192.0.2.1", &Config::default().limits).is_ok());
    }
}
