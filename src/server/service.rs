//! What the service manager is told: sd_notify(3). Without one nothing is sent.

use std::os::fd::AsFd as _;
use std::time::Duration;

use sd_notify::NotifyState;

use super::listener::Endpoint;

/// The daemon serves, and this is what.
pub(super) fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// A reload begins. Newer systemd wants to know when, to tell an answer from an older one.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(error) => ::log::debug!("the monotonic clock cannot be read: {error}"),
    }
}

/// The daemon ends.
pub(super) fn stopping(status: &str) {
    send(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// How things stand.
pub(super) fn status(status: &str) {
    send(&[NotifyState::Status(status)]);
}

/// The end may take `more` from now.
pub(super) fn extend(more: Duration) {
    send(&[NotifyState::ExtendTimeoutUsec(u32::try_from(more.as_micros()).unwrap_or(u32::MAX))]);
}

/// Every event loop makes progress.
pub(super) fn alive() {
    send(&[NotifyState::Watchdog]);
}

/// Whether there is a service manager that listens.
pub(super) fn is_there() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// How often [`alive`] is expected.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// Has the service manager keep a listener, so that nobody is refused while the daemon is not there.
pub(super) fn keep(endpoint: &Endpoint) {
    let name = name(endpoint);
    let state = [NotifyState::FdStore, NotifyState::FdName(&name)];
    if let Err(error) = sd_notify::notify_with_fds(&state, &[endpoint.socket.as_fd()]) {
        ::log::debug!("the service manager cannot keep {}: {error}", endpoint.address);
    }
}

/// Has the service manager close a listener that it keeps.
pub(super) fn forget(name: &str) {
    send(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)]);
}

/// The name under which a listener is kept. It holds no colon (sd_pid_notify_with_fds(3)).
pub(super) fn name(endpoint: &Endpoint) -> String {
    format!("{PREFIX}{}", endpoint.address).replace(':', "_")
}

/// Whether a socket of this name was one that [`keep`] has given away.
pub(super) fn is_kept(name: &str) -> bool {
    name.starts_with(PREFIX)
}

const PREFIX: &str = "listen-";

fn send(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        ::log::debug!("the service manager cannot be told: {error}");
    }
}
