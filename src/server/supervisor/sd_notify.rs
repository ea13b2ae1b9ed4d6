//! What the service manager is told: sd_notify(3). Without one nothing is sent.

use std::os::fd::AsFd as _;
use std::time::Duration;

use ::sd_notify::NotifyState;

use crate::server::listener::{Endpoint, store_name};

/// The daemon serves, and this is what.
pub(crate) fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A reload begins. Newer systemd wants to know when, to tell an answer from an older one.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(error) => ::log::debug!("the monotonic clock cannot be read: {error}"),
    }
}

/// The daemon ends.
pub(crate) fn stopping(status: &str) {
    send(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// How things stand.
pub(crate) fn status(status: &str) {
    send(&[NotifyState::Status(status)]);
}

/// The end may take `more` from now.
pub(crate) fn extend_timeout(more: Duration) {
    send(&[NotifyState::ExtendTimeoutUsec(u32::try_from(more.as_micros()).unwrap_or(u32::MAX))]);
}

/// Every event loop makes progress.
pub(crate) fn watchdog_ping() {
    send(&[NotifyState::Watchdog]);
}

/// Whether there is a service manager that listens.
pub(crate) fn is_available() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// How often [`watchdog_ping`] is expected.
pub(crate) fn watchdog() -> Option<Duration> {
    ::sd_notify::watchdog_enabled()
}

/// Has the service manager keep a listener, so that nobody is refused while the daemon is not there.
pub(crate) fn store_fd(endpoint: &Endpoint) {
    let name = store_name(endpoint);
    let state = [NotifyState::FdStore, NotifyState::FdName(&name)];
    if let Err(error) = ::sd_notify::notify_with_fds(&state, &[endpoint.socket.as_fd()]) {
        ::log::debug!("the service manager cannot keep {}: {error}", endpoint.address);
    }
}

/// Has the service manager close a listener that it keeps.
pub(crate) fn remove_fd(name: &str) {
    send(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)]);
}

fn send(state: &[NotifyState<'_>]) {
    if let Err(error) = ::sd_notify::notify(state) {
        ::log::debug!("the service manager cannot be told: {error}");
    }
}
