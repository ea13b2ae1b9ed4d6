//! The start: from a valid configuration to a daemon that serves.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::descriptors;
use super::failure::Failure;
use super::listener::{self, Endpoint};
use super::prepare;
use super::shared::WorkerShared;
use super::supervisor::control_socket::ControlSocket;
use super::supervisor::daemon::{Daemon, protection};
use super::supervisor::listeners::Listeners;
use super::supervisor::{Supervisor, sd_notify};
use super::worker::{Worker, WorkerChannel};
use super::worker_config::WorkerConfig;
use crate::config::{self, Config, LogTarget, Overrides, Source};
use crate::detach::{self, Detached};
use crate::exit::Exit;
use crate::log;
use crate::os::listen_fds::listen_fds;
use crate::os::privileges::{self, Identity, IdentityError};
use crate::os::sandbox::{self, Sandbox};
use crate::os::{signals, sockets};

/// The parameters of a start.
#[derive(Debug)]
pub struct Start {
    /// The configuration.
    pub config: Config,
    /// Its source, for reloads.
    pub source: Source,
    /// What the command line overrides.
    pub overrides: Overrides,
    /// Whether to run in the background.
    pub daemon: bool,
    /// The file for the process ID in that case.
    pub pid_file: Option<PathBuf>,
}

/// Serves until a drain is complete.
///
/// # Errors
///
/// The daemon cannot start, and has changed nothing.
pub fn run(start: Start) -> Result<(), Failure> {
    // A reload that is asked for during the start is done after it.
    block(&[SIGHUP])?;
    prepare::check_root(&start.config)?;
    let endpoints = bind_listeners(&start.config)?;
    let mut detached = None;
    if start.daemon {
        let daemon = detach::detach(start.pid_file.as_deref());
        detached = Some(daemon.map_err(|error| Failure { exit: error.exit(), message: error.to_string() })?);
    }
    match (serve(start, endpoints, &mut detached), detached) {
        (Err(failure), Some(detached)) => {
            // The process that was started prints it.
            detached.failed(failure.exit, &failure.message);
            std::process::exit(i32::from(failure.exit.code()));
        }
        (served, _) => served,
    }
}

fn serve(start: Start, endpoints: Vec<Endpoint>, detached: &mut Option<Detached>) -> Result<(), Failure> {
    let control = drop_privileges(&start, &endpoints)?;
    let protection = enter_sandbox(&start.config);
    let log =
        log::start(&start.config.log, start.daemon).map_err(|error| Failure::no_thread("the log's thread", &error))?;
    let workers = config::worker_count(start.config.workers);
    descriptors::raise_limit(&start.config, workers);
    let channels: Result<Vec<_>, _> = (0..workers).map(|_| WorkerChannel::new()).collect();
    let channels = channels.map_err(|error| Failure::system("cannot make an event loop", &error))?;
    let configs = WorkerConfig::for_all(&start.config, &endpoints, channels.len())?;
    let Start { config, source, overrides, .. } = start;
    let supervisor = Supervisor::new(Daemon {
        config,
        source,
        overrides,
        listeners: Listeners::new(endpoints),
        control,
        workers: channels.iter().map(|channel| channel.mailbox.clone()).collect(),
        shared: Arc::new(WorkerShared::new(channels.len())),
        protection,
        log,
        started: Instant::now(),
    })
    .map_err(|error| Failure::system("cannot start the main thread", &error))?;
    start_workers(&supervisor, channels, configs)?;
    report_serving(&supervisor, detached)?;
    // From here on a signal is handled at once.
    signals::unblock(&[SIGHUP, SIGTERM, SIGINT]).map_err(|error| Failure::system("cannot unblock signals", &error))?;
    supervisor.run();
    Ok(())
}

fn block(signals: &[i32]) -> Result<(), Failure> {
    signals::block(signals).map_err(|error| Failure::system("cannot block signals", &error))
}

/// Adopts the sockets that the service manager hands over, and binds the rest.
fn bind_listeners(config: &Config) -> Result<Vec<Endpoint>, Failure> {
    let mut inherited = listen_fds().unwrap_or_else(|error| {
        ::log::warn!("cannot take over the sockets of the service manager (LISTEN_FDS): {error}");
        Vec::new()
    });
    inherited.retain(|inherited| {
        let listens = inherited.is_tcp_listener();
        if !listens {
            ::log::warn!("ignoring inherited descriptor {}: it is no TCP socket that listens", inherited.name);
        }
        listens
    });
    // A socket unit's socket that was stored as well comes twice. The unit's is adopted.
    inherited.sort_by_key(|inherited| listener::is_stored_name(&inherited.name));
    let (endpoints, unused) = listener::bind_all(&config.listeners, &[], inherited)?;
    listener::listen(&endpoints, &[])?;
    for inherited in unused {
        if listener::is_stored_name(&inherited.name) {
            sd_notify::remove_fd(&inherited.name);
        } else {
            ::log::warn!("ignoring inherited socket {}: no configured listener has its address", inherited.name);
        }
    }
    Ok(endpoints)
}

/// Binds the control socket, whose directory may be root's, and takes on the configured user.
fn drop_privileges(start: &Start, endpoints: &[Endpoint]) -> Result<Option<ControlSocket>, Failure> {
    let identity = if privileges::is_root() { Some(find_identity(&start.source, &start.config)?) } else { None };
    // From here on the daemon creates files, so a signal ends it after the start. Before, a signal ends a start that
    // hangs.
    block(&[SIGTERM, SIGINT])?;
    let control = bind_control(&start.config, identity.as_ref());
    if let Some(Identity { uid, gid, .. }) = identity {
        // A socket unit's sockets stay root's: they are not the daemon's.
        for endpoint in endpoints.iter().filter(|endpoint| !endpoint.from_socket_unit) {
            if let Err(error) = sockets::chown_socket(&endpoint.socket, uid, gid) {
                let address = endpoint.address;
                ::log::debug!("cannot chown listener {address}: {error}; a reload cannot bind an overlapping address");
            }
        }
    }
    privileges::drop_privileges(identity.as_ref())
        .map_err(|error| Failure { exit: Exit::Permission, message: error.to_string() })?;
    // Now as the user that serves it.
    prepare::check_root(&start.config)?;
    Ok(control)
}

/// Finds the configured user. Without a configuration file it is nobody if the default user does not exist, because hftpd
/// may not be installed.
pub(super) fn find_identity(source: &Source, config: &Config) -> Result<Identity, Failure> {
    let Config { user, group, .. } = config;
    let built_in = *user == Config::default().user && !source.path.exists();
    let found = match Identity::find(user, group) {
        Err(IdentityError::NoSuchUser(_) | IdentityError::NoSuchGroup(_)) if built_in => {
            ::log::info!("user \"{user}\" does not exist; running as nobody (65534)");
            Identity::find("65534", "65534")
        }
        found => found,
    };
    found.map_err(|error| {
        let exit = match error {
            IdentityError::Lookup { .. } => Exit::System,
            _ => Exit::Config,
        };
        Failure { exit, message: error.to_string() }
    })
}

/// Binds the control socket. The daemon also serves without one.
fn bind_control(config: &Config, owner: Option<&Identity>) -> Option<ControlSocket> {
    let path = config.control.as_deref()?;
    if !privileges::is_root()
        && let Some(parent) = path.parent()
    {
        // The directory in $XDG_RUNTIME_DIR. If this fails, so does the bind, with a better message.
        let _ = DirBuilder::new().mode(0o700).create(parent);
    }
    let bound = ControlSocket::bind(path, owner.map(|identity| (identity.uid, identity.gid)));
    if let Err(error) = &bound {
        ::log::warn!(
            "no control socket at {}: {error}; `hftpd reload` and `hftpd status` will not work (SIGHUP reloads)",
            path.display()
        );
    }
    bound.ok()
}

fn enter_sandbox(config: &Config) -> Value {
    let sandbox = sandbox::enter(config.control.as_deref());
    if let Sandbox::Refused(error) = &sandbox {
        ::log::warn!("the sandbox is not in force: landlock: {error}");
    }
    protection(&sandbox)
}

fn start_workers(
    supervisor: &Supervisor,
    channels: Vec<WorkerChannel>,
    configs: Vec<WorkerConfig>,
) -> Result<(), Failure> {
    for (id, (channel, config)) in channels.into_iter().zip(configs).enumerate() {
        let Daemon { workers, shared, .. } = &supervisor.daemon;
        let worker = Worker::new(id, channel, workers.clone(), supervisor.mailbox(), shared.clone(), config);
        let spawned = std::thread::Builder::new().name(format!("worker-{id}")).spawn(move || worker.run());
        spawned.map_err(|error| Failure::no_thread("an event loop's thread", &error))?;
    }
    Ok(())
}

/// Reports that the daemon serves: to the log, to standard error, to the service manager, to the process that was
/// started with `--daemon`.
fn report_serving(supervisor: &Supervisor, detached: &mut Option<Detached>) -> Result<(), Failure> {
    let serving = supervisor.daemon.serving();
    ::log::info!("{serving}");
    let to_syslog = match supervisor.daemon.config.log.target {
        LogTarget::Syslog => true,
        LogTarget::Auto => detached.is_some(),
        LogTarget::Stderr => false,
    };
    if to_syslog {
        eprintln!("hftpd: {serving}");
    }
    supervisor.ready();
    if let Some(detached) = detached {
        detached.ready().map_err(|error| Failure::system("cannot give up standard error", &error))?;
    }
    Ok(())
}
