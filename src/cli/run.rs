//! `rescue-scheduler [SCHEDULE]...`: puts the floors together and runs the engine.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{runtime::Builder, sync::mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{info, level_filters::LevelFilter, warn};

use super::{Arguments, logs};
use crate::{
    clock::{Clock, StoppedClock, SystemClock},
    config::{self, Context, Report},
    core::{schedule::Schedule, zone::Zone},
    engine::{Engine, OnceError, Options},
    signals,
    store::{Identity, Keys, Listen, PrivateServer, Store, StoreError},
};

/// Why the command ended with exit code 1; shown to the user as it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error(transparent)]
    Schedule(#[from] Report),
    #[error("error: {0}")]
    Store(#[from] StoreError),
    #[error("error: {0}")]
    Once(#[from] OnceError),
    #[error("error: can't {what} {path}: {error}", path = path.display())]
    File {
        what: &'static str,
        path: PathBuf,
        error: io::Error,
    },
    #[error("error: {0}")]
    Io(#[from] io::Error),
}

/// Runs until a signal, or, with `--once`, until all that is due is enqueued.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    start_logs(arguments)?;
    let zone = arguments.timezone.unwrap_or(Zone::UTC);
    let context = Context {
        environment: arguments
            .environment
            .clone()
            .filter(|name| !name.is_empty()),
        zone,
    };
    let paths = arguments.schedules.clone();
    let load = Arc::new(move || config::load(&paths, &context));
    let schedule = load()?;
    let server = arguments
        .dev
        .then(|| PrivateServer::start(Listen::Port))
        .transpose()?;
    let url = server
        .as_ref()
        .map_or(arguments.redis_url.as_str(), PrivateServer::url);
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let _context = runtime.enter();
    let store = open_store(arguments, url)?;
    let pidfile = arguments.pidfile.as_deref().filter(|path| filled(path));
    let _pidfile = pidfile.map(Pidfile::write).transpose()?;
    announce(arguments, &store, &schedule, server.as_ref());
    let engine = engine(arguments, store, zone);
    if arguments.once {
        return Ok(runtime.block_on(engine.run_once(&schedule))?);
    }
    let (sender, commands) = mpsc::channel(4);
    let stop = CancellationToken::new();
    runtime.block_on(async {
        tokio::select! {
            () = engine.run(schedule, load, commands, stop.clone()) => Ok(()),
            Err(error) = signals::listen(sender, stop) => Err(error),
        }
    })?;
    info!("stopped");
    Ok(())
}

fn engine(arguments: &Arguments, store: Store, zone: Zone) -> Engine {
    let clock: Arc<dyn Clock> = match arguments.at {
        Some(at) => Arc::new(StoppedClock(at)),
        None => Arc::new(SystemClock),
    };
    let options = Options {
        lease: arguments.lease,
        interval: arguments.interval,
        zone,
    };
    Engine::new(store, clock, options)
}

fn start_logs(arguments: &Arguments) -> Result<(), Failure> {
    let level = match (arguments.quiet, arguments.verbose) {
        (true, _) => LevelFilter::WARN,
        (false, true) => LevelFilter::DEBUG,
        (false, false) => LevelFilter::INFO,
    };
    let file = arguments.logfile.as_deref().filter(|path| filled(path));
    let started = logs::start(arguments.log_format, level, file);
    started.map_err(|error| Failure::File {
        what: "open log file",
        path: arguments.logfile.clone().unwrap_or_default(),
        error,
    })
}

/// An environment variable that is set to nothing is not set.
fn filled(path: &Path) -> bool {
    !path.as_os_str().is_empty()
}

fn open_store(arguments: &Arguments, url: &str) -> Result<Store, StoreError> {
    let keys = Keys::new(&arguments.namespace, arguments.lock_prefix.as_deref());
    let hostname = gethostname::gethostname();
    let identity = Identity {
        holder: format!("{}:{}", hostname.to_string_lossy(), std::process::id()),
        token: format!("{:032x}", fastrand::u128(..)),
    };
    Store::open(url, keys, identity)
}

/// The first lines of the log: what this process works on.
fn announce(
    arguments: &Arguments,
    store: &Store,
    schedule: &Schedule,
    dev: Option<&PrivateServer>,
) {
    if let Some(server) = dev {
        let folder = server.folder().display();
        info!(redis_url = server.url(), data = %folder, "private redis-server started, it ends with this process");
    }
    info!(
        version = env!("CARGO_PKG_VERSION"),
        redis = store.server(),
        namespace = arguments.namespace,
        environment = arguments.environment,
        timezone = %arguments.timezone.unwrap_or(Zone::UTC),
        entries = schedule.entries().len(),
        "rescue-scheduler starts"
    );
    if arguments.schedules.is_empty() {
        info!("no schedule given: delayed jobs only");
    } else if schedule.entries().len() == 0 {
        warn!("the schedule has no entry for this environment: delayed jobs only");
    }
}

/// A file with our process number, for as long as we live.
struct Pidfile(PathBuf);

impl Pidfile {
    fn write(path: &Path) -> Result<Self, Failure> {
        let written = fs::write(path, format!("{}\n", std::process::id()));
        let failure = |error| Failure::File {
            what: "write process number to",
            path: path.to_owned(),
            error,
        };
        written.map_err(failure)?;
        Ok(Self(path.to_owned()))
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        // It may be gone already, and there is nobody left to tell.
        let _ = fs::remove_file(&self.0);
    }
}
