//! Defaults that depend on the system or on the user.
//!
//! A daemon whose configuration does not contain a setting starts without a warning about it. So the default of
//! `limits.connections` is what the limit of open files allows, and an ordinary user without a configuration file gets a
//! control socket only where a directory for it exists.

use std::path::{Path, PathBuf};

use super::types::{CONNECTIONS, CONTROL, Config, Workers};
use crate::handle;
use crate::os::{limits, privileges};

/// Descriptors that are needed in addition to those of clients and workers: listeners in every worker, the pool's threads.
const BASE: u64 = 512;

/// Descriptors of a worker: its polls and its cached files.
const PER_WORKER: u64 = handle::MAX_CACHED as u64 + 4;

/// Descriptors of a client: its socket and the file of its answer.
const PER_CLIENT: u64 = 2;

/// [`Config::default`], adapted to the limit of open files and to the user of this process.
pub(super) fn on_this_system() -> Config {
    let mut config = Config::default();
    let workers = worker_count(config.workers);
    config.limits.connections = connections_for(limits::max_nofile_limit(), workers);
    config.control = control();
    config
}

/// The default of `control` for this process: [`CONTROL`] for root and for the owner of its directory, as under systemd;
/// for another user a path in `$XDG_RUNTIME_DIR`, if that exists.
fn control() -> Option<PathBuf> {
    let system = Path::new(CONTROL);
    let owns_directory = system.parent().is_some_and(privileges::is_owner);
    if privileges::is_root() || owns_directory {
        return Some(system.to_owned());
    }
    control_in(std::env::var_os("XDG_RUNTIME_DIR")?.as_ref())
}

fn control_in(runtime_dir: &Path) -> Option<PathBuf> {
    (runtime_dir.is_absolute() && runtime_dir.is_dir()).then(|| runtime_dir.join("hftpd/control"))
}

/// Where `hftpd status` and `hftpd reload` find the daemon if the configuration file does not name the control socket: the
/// daemon of this user, or else that of the system.
pub(super) fn control_of_running_daemon() -> PathBuf {
    control().filter(|path| path.exists()).unwrap_or_else(|| PathBuf::from(CONTROL))
}

/// The number of event loops that `workers` stands for.
pub(crate) fn worker_count(workers: Workers) -> usize {
    match workers {
        Workers::Auto => std::thread::available_parallelism().map_or(1, usize::from),
        Workers::Count(count) => usize::from(count.get()),
    }
}

/// The number of open files that a daemon with `workers` event loops needs for `connections` clients.
pub fn descriptors_for(connections: u32, workers: usize) -> u64 {
    BASE + PER_WORKER * workers as u64 + PER_CLIENT * u64::from(connections)
}

/// The default of `limits.connections` with `descriptors` open files, at most [`CONNECTIONS`].
///
/// It leaves what [`descriptors_for`] counts in addition to clients. But with few descriptors that would be nearly all, and
/// caches and threads rarely use so many; so clients may use at least half of them.
pub(crate) fn connections_for(descriptors: u64, workers: usize) -> u32 {
    let left = descriptors.saturating_sub(descriptors_for(0, workers)) / PER_CLIENT;
    u32::try_from(left.max(descriptors / (2 * PER_CLIENT))).unwrap_or(u32::MAX).clamp(1, CONNECTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_for_clients_and_workers() {
        assert_eq!(PER_WORKER, 260);
        for (connections, workers, descriptors) in
            [(0, 1, 772), (1, 1, 774), (10_000, 1, 20_772), (10_000, 4, 21_552), (1_000_000, 64, 2_017_152)]
        {
            assert_eq!(descriptors_for(connections, workers), descriptors, "{connections} clients, {workers} workers");
        }
    }

    #[test]
    fn default_limit_of_connections_depends_on_the_limit_of_open_files() {
        for (descriptors, workers, connections) in [
            (0, 1, 1),
            (80, 2, 20),
            (1024, 2, 256),
            (4096, 2, 1532),
            (20_771, 1, 9_999),
            (20_772, 1, 10_000),
            (u64::MAX, 1, 10_000),
        ] {
            assert_eq!(connections_for(descriptors, workers), connections, "{descriptors} files, {workers} workers");
        }
    }

    #[test]
    fn control_socket_is_in_an_existing_runtime_directory() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(control_in(dir.path()), Some(dir.path().join("hftpd/control")));
        for missing in [dir.path().join("none"), PathBuf::from("."), PathBuf::new()] {
            assert_eq!(control_in(&missing), None, "{missing:?}");
        }
    }
}
