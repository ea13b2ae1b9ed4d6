//! Messages to the service manager: sd_notify(3). Without one nothing is sent.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};

pub(super) use ::sd_notify::{NotifyState, watchdog_enabled};

use crate::os::notify_socket;
use crate::server::listener::{Endpoint, store_name};

/// The daemon serves. A message that is lost makes the start or the reload time out.
pub(super) fn ready(status: &str) {
    if let Err(error) = try_send(&[NotifyState::Ready, NotifyState::Status(status)], None) {
        ::log::warn!("cannot report READY=1 to the service manager: {error}");
    }
}

/// Reports that a reload begins. systemd 253 and later match the reply by the time (sd_notify(3)).
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => send(&[NotifyState::Reloading, now]),
        Err(error) => ::log::debug!("cannot read the monotonic clock: {error}"),
    }
}

/// Whether a service manager listens.
pub(super) fn is_available() -> bool {
    notify_socket::is_set()
}

/// Gives the service manager a copy of a listener, so that no client is refused while the daemon does not run.
pub(super) fn store_fd(endpoint: &Endpoint) {
    let name = store_name(endpoint);
    let state = [NotifyState::FdStore, NotifyState::FdName(&name)];
    if let Err(error) = try_send(&state, Some(endpoint.socket.as_fd())) {
        ::log::debug!("the service manager cannot store {}: {error}", endpoint.address);
    }
}

/// Makes the service manager close the copy of this name.
pub(in crate::server) fn remove_fd(name: &str) {
    send(&[NotifyState::FdStoreRemove, NotifyState::FdName(name)]);
}

/// Sends a message. One that is lost does no harm.
pub(super) fn send(state: &[NotifyState<'_>]) {
    if let Err(error) = try_send(state, None) {
        ::log::debug!("cannot send a message to the service manager: {error}");
    }
}

fn try_send(state: &[NotifyState<'_>], descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let message: String = state.iter().map(|state| format!("{state}\n")).collect();
    notify_socket::send(&message, descriptor)
}
