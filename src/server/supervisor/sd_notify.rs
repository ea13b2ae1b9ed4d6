//! Messages to the service manager: sd_notify(3). Without one nothing is sent.

use std::os::fd::AsFd as _;
use std::time::Duration;

use ::sd_notify::NotifyState;

use crate::server::listener::{Endpoint, store_name};

/// The daemon serves. A message that is lost makes the start or the reload time out.
pub(super) fn ready(status: &str) {
    if let Err(error) = ::sd_notify::notify(&[NotifyState::Ready, NotifyState::Status(status)]) {
        ::log::warn!("cannot report READY=1 to the service manager: {error}");
    }
}

/// A reload begins. Newer versions of systemd want the time, to tell an answer from an older one.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(error) => ::log::debug!("cannot read the monotonic clock: {error}"),
    }
}

/// The daemon shuts down.
pub(super) fn stopping(status: &str) {
    send(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// The line that `systemctl status` shows.
pub(super) fn status(status: &str) {
    send(&[NotifyState::Status(status)]);
}

/// The shutdown may take `more` from now.
pub(super) fn extend_timeout(more: Duration) {
    send(&[NotifyState::ExtendTimeoutUsec(u32::try_from(more.as_micros()).unwrap_or(u32::MAX))]);
}

/// All workers make progress.
pub(super) fn watchdog_ping() {
    send(&[NotifyState::Watchdog]);
}

/// Whether a service manager listens.
pub(super) fn is_available() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// How often [`watchdog_ping`] is expected.
pub(super) fn watchdog_timeout() -> Option<Duration> {
    ::sd_notify::watchdog_enabled()
}

/// Gives the service manager a copy of a listener, so that no client is refused while the daemon does not run.
pub(super) fn store_fd(endpoint: &Endpoint) {
    let name = store_name(endpoint);
    let state = [NotifyState::FdStore, NotifyState::FdName(&name)];
    if let Err(error) = ::sd_notify::notify_with_fds(&state, &[endpoint.socket.as_fd()]) {
        ::log::debug!("the service manager cannot store {}: {error}", endpoint.address);
    }
}

/// Makes the service manager close the copy of this name.
pub(in crate::server) fn remove_fd(name: &str) {
    send(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)]);
}

fn send(state: &[NotifyState<'_>]) {
    if let Err(error) = ::sd_notify::notify(state) {
        ::log::debug!("cannot send a message to the service manager: {error}");
    }
}
