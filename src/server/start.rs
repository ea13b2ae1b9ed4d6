//! From a valid configuration to a daemon that serves, in the order of hftpd(8), START.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex};

use super::admission::Admission;
use super::listener::{self, Endpoint};
use super::pool::Pool;
use super::prepare;
use super::shared::Shared;
use super::startup_signals::StartupSignals;
use super::supervisor::Supervisor;
use super::supervisor::control::Control;
use super::supervisor::sd_notify;
use super::worker::{Worker, WorkerChannel};
use crate::config::{Config, LogTarget, Overrides, Source, Workers};
use crate::detach::{self, Detached};
use crate::exit::Exit;
use crate::log;
use crate::os::limits;
use crate::os::listen_fds::listen_fds;
use crate::os::privileges::{self, Identity, IdentityError};
use crate::os::sandbox;
use crate::os::sockets;

/// What the daemon is started with.
#[derive(Debug)]
pub struct Start {
    /// The configuration.
    pub config: Config,
    /// Where it came from, for reloads.
    pub source: Source,
    /// What goes before it.
    pub overrides: Overrides,
    /// Whether to go into the background.
    pub daemon: bool,
    /// Where to write the process number then.
    pub pid_file: Option<PathBuf>,
}

/// Why there is no daemon, or no reload.
#[derive(Debug)]
pub struct Failure {
    /// How the process ends.
    pub exit: Exit,
    /// What happened, to what, and what to do.
    pub message: String,
}

impl Failure {
    pub(super) fn system(what: &str, error: &io::Error) -> Failure {
        Failure { exit: Exit::System, message: format!("{what}: {error}") }
    }

    /// There is no thread for `whose`.
    pub(super) fn no_thread(whose: &str, error: &io::Error) -> Failure {
        Failure::system(&format!("cannot start {whose} (see TasksMax, `ulimit -u`)"), error)
    }
}

/// Descriptors that are needed beside those of clients, who take two each, themselves and the file of an answer:
/// listeners in every worker that accepts, polls, files that are kept open.
const DESCRIPTORS: u64 = 512;

/// Serves until it is told to end. Returns when everything has been drained.
///
/// # Errors
///
/// The daemon does not serve, and has changed nothing.
pub fn run(start: Start) -> Result<(), Failure> {
    let unheard = |error| Failure::system("cannot handle signals", &error);
    let mut early = StartupSignals::watch_sighup().map_err(unheard)?;
    prepare::check_root(&start.config)?;
    let mut given = listen_fds();
    // A socket unit's socket that was also kept comes twice: the unit's is taken, the other let go without a word.
    given.sort_by_key(|given| listener::is_stored_name(&given.name));
    let (endpoints, left) = listener::bind_all(&start.config.listeners, &[], given)?;
    for given in left {
        if listener::is_stored_name(&given.name) {
            sd_notify::remove_fd(&given.name);
        } else {
            ::log::warn!(
                "the service manager gave the socket {}, which no listener of the configuration fits",
                given.name
            );
        }
    }
    let mut detached = None;
    if start.daemon {
        let daemon = detach::detach(start.pid_file.as_deref());
        detached = Some(
            daemon.map_err(|error| Failure { exit: Exit::of_code(error.exit_code()), message: error.to_string() })?,
        );
    }
    let served =
        early.watch_termination().map_err(unheard).and_then(|()| serve(start, endpoints, &mut detached, early));
    match served {
        Ok(()) => Ok(()),
        Err(failure) => match detached {
            // The process that was started says it.
            Some(detached) => {
                detached.failed(failure.exit.code(), &failure.message);
                std::process::exit(i32::from(failure.exit.code()));
            }
            None => Err(failure),
        },
    }
}

fn serve(
    start: Start,
    endpoints: Vec<Endpoint>,
    detached: &mut Option<Detached>,
    early: StartupSignals,
) -> Result<(), Failure> {
    let config = &start.config;
    let identity = if privileges::is_root() { Some(identity(&start)?) } else { None };
    // Made before privileges go: the directory may be root's.
    let control = bind_control(config, identity.as_ref());
    if let Some(Identity { uid, gid, .. }) = identity {
        // A socket unit's stays root's: it is not ours to give.
        for endpoint in endpoints.iter().filter(|endpoint| !endpoint.from_socket_unit) {
            if let Err(error) = sockets::chown_socket(&endpoint.socket, uid, gid) {
                ::log::debug!("{} stays root's, so no reload makes it narrower or wider: {error}", endpoint.address);
            }
        }
    }
    privileges::drop_privileges(identity.as_ref())
        .map_err(|error| Failure { exit: Exit::Permission, message: error.to_string() })?;
    // Only now is it known whose eyes the root is seen with.
    prepare::check_root(config)?;
    let sandbox = sandbox::enter(config.control.as_deref());
    let no_log = |error| Failure::no_thread("the log's thread", &error);
    let log = log::start(&config.log, start.daemon).map_err(no_log)?;
    raise_descriptor_limit(config);
    let count = workers(config.workers);
    let channels: Vec<WorkerChannel> = (0..count)
        .map(|_| WorkerChannel::new())
        .collect::<Result<_, _>>()
        .map_err(|error| Failure::system("cannot make an event loop", &error))?;
    let peers: Vec<_> = channels.iter().map(|channel| channel.mailbox.clone()).collect();
    let shared = Arc::new(Shared {
        admission: Admission::default(),
        loads: (0..count).map(|_| AtomicUsize::new(0)).collect(),
        root_is_lost: AtomicBool::new(false),
        complaint: Mutex::new(log::Every::minute()),
        pool: Pool::new(),
    });
    let setups = prepare::setups(config, &endpoints, count)?;
    let to_syslog = match config.log.target {
        LogTarget::Syslog => true,
        LogTarget::Auto => start.daemon,
        LogTarget::Stderr => false,
    };
    let supervisor = Supervisor::new(start, endpoints, control, peers.clone(), shared.clone(), sandbox, log)?;
    // From here on the supervisor sees every signal.
    let early = early.end();
    for (id, (channel, setup)) in channels.into_iter().zip(setups).enumerate() {
        let worker = Worker::new(id, channel, peers.clone(), supervisor.mailbox(), shared.clone(), setup);
        let spawned = std::thread::Builder::new().name(format!("worker-{id}")).spawn(move || worker.run());
        spawned.map_err(|error| Failure::no_thread("an event loop's thread", &error))?;
    }
    let serving = supervisor.serving();
    ::log::info!("{serving}");
    if to_syslog {
        eprintln!("hftpd: {serving}");
    }
    supervisor.ready();
    if let Some(detached) = detached {
        detached.ready().map_err(|error| Failure::system("cannot give up standard error", &error))?;
    }
    supervisor.run(early);
    Ok(())
}

fn workers(workers: Workers) -> usize {
    match workers {
        Workers::Auto => std::thread::available_parallelism().map_or(1, usize::from),
        Workers::Count(count) => usize::from(count.get()),
    }
}

/// The control socket. A daemon without one serves all the same.
fn bind_control(config: &Config, owner: Option<&Identity>) -> Option<Control> {
    let path = config.control.as_deref()?;
    let bound = Control::bind(path, owner.map(|identity| (identity.uid, identity.gid)));
    if let Err(error) = &bound {
        ::log::warn!(
            "no control socket at {}: {error}; `hftpd reload` and `hftpd status` will not work (SIGHUP reloads)",
            path.display()
        );
    }
    bound.ok()
}

/// Who to become. Where nothing is installed, the built-in defaults name a user that does not exist: then it is nobody.
fn identity(start: &Start) -> Result<Identity, Failure> {
    let Config { user, group, .. } = &start.config;
    let built_in = *user == Config::default().user && !start.source.path.exists();
    let found = match Identity::find(user, group) {
        Err(IdentityError::NoSuchUser(_) | IdentityError::NoSuchGroup(_)) if built_in => {
            ::log::info!("there is no user {user} here, so nobody (65534) serves");
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

/// Raises the limit of open files to what `limits.connections` may need, as far as the system allows.
pub(super) fn raise_descriptor_limit(config: &Config) {
    let wanted = 2 * u64::from(config.limits.connections) + DESCRIPTORS;
    match limits::raise_nofile_limit(wanted) {
        Ok(possible) if possible >= wanted => {}
        Ok(possible) => ::log::warn!(
            "limits.connections = {} needs {wanted} open files, and the system allows {possible}: clients beyond that \
             are refused; raise LimitNOFILE in the unit",
            config.limits.connections
        ),
        Err(error) => ::log::warn!("cannot raise the limit of open files: {error}"),
    }
}
