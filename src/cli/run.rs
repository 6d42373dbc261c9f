//! `rescue-scheduler [run] [SCHEDULE]...`: builds the store and the engine, and runs the engine.

use std::{convert::Infallible, future, io, process::ExitCode, sync::Arc, time::Duration};

use chrono::TimeDelta;
use tokio::{runtime::Builder, task, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{info, level_filters::LevelFilter, warn};

use crate::{
    cli::{args::daemon::DaemonArguments, dev, failure::Failure, habit, process::Pidfile},
    clock::{Clock, StoppedClock, SystemClock},
    config,
    core::schedule::{LeftOut, LeftOutReason, Schedule},
    engine::{Commands, Engine, Load, OnceError, Options, Requests},
    events::{self, Events, Log},
    logs::{self, Logs},
    signals,
    store::{Address, Credentials, Identity, PrivateServer, RedisStore, Store as _},
};

/// How long the process waits for the last log lines: after a signal, and otherwise.
const LAST_LINES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(5)];

/// When the scheduler logs a warning that it is still reading the schedule for the first time.
const SLOW_LOAD: Duration = Duration::from_secs(30);

/// Runs until a signal arrives, or, with `--once`, until everything that is due is enqueued.
///
/// Returns an error only if it happens before the log starts. Later errors are printed here without waiting,
/// because standard error may be a pipe that nobody reads.
pub(super) fn run(arguments: &DaemonArguments) -> Result<ExitCode, Failure> {
    let ((commands, requests), stop) = (Commands::new(), CancellationToken::new());
    // A signal interrupts the work of --once, so it is a failure there.
    signals::listen(&commands, &stop, i32::from(arguments.once))?;
    if let Some(advice) = arguments.schedules.iter().find_map(|it| habit::advice(it)) {
        return Err(Failure::Habit(advice));
    }
    let latest = SystemClock.now() + TimeDelta::minutes(1);
    if let Some(at) = arguments.at.filter(|at| *at > latest && !arguments.yes) {
        return Err(Failure::Future(at));
    }
    let logs = start_logs(arguments)?;
    let done = work(arguments, &logs, requests, &stop);
    if let Err(failure) = &done {
        logs.say(&format!("{failure}\n"));
    }
    logs.flush(LAST_LINES[usize::from(!stop.is_cancelled())]);
    Ok(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

fn work(
    arguments: &DaemonArguments,
    logs: &Logs,
    requests: Requests,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    arguments.compat.apply()?;
    // One thread is enough, because Redis does the work. More threads would need more memory.
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(serve(arguments, logs, requests, stop));
    // Does not wait for what still hangs in the runtime, such as the lookup of a host name.
    runtime.shutdown_background();
    done
}

async fn serve(
    arguments: &DaemonArguments,
    logs: &Logs,
    requests: Requests,
    stop: &CancellationToken,
) -> Result<(), Failure> {
    let load = load(arguments);
    let Some(schedule) = first_load(&load, stop).await? else {
        let undone = arguments.once.then_some(OnceError::Stopped.into());
        return undone.map_or(Ok(()), Err);
    };
    let server = arguments.dev.then(dev::start).transpose()?;
    let address = match &server {
        Some(server) => Address::parse(server.url(), Credentials::default())?,
        None => arguments.redis.address()?,
    };
    let store = open_store(arguments, &address)?;
    let _pidfile = arguments
        .pidfile
        .as_deref()
        .map(Pidfile::write)
        .transpose()?;
    announce(arguments, &store, &schedule, server.as_ref());
    if let Some(server) = &server
        && !arguments.once
        && !arguments.quiet
        && arguments.log_format == logs::Format::Text
    {
        let next = dev::explanation(
            server.url(),
            &arguments.redis.keys(),
            &schedule,
            SystemClock.now(),
        );
        logs.say(&next);
    }

    let engine = engine(arguments, store);
    if arguments.once {
        engine.run_once(&schedule, stop.clone()).await?;
    } else {
        engine.run(schedule, load, requests, stop.clone()).await;
    }
    info!("stopped");
    Ok(())
}

fn load(arguments: &DaemonArguments) -> Load {
    let context = arguments.context.context();
    let (paths, max_size) = (
        arguments.schedules.clone(),
        arguments.context.max_schedule_size,
    );
    Arc::new(move || {
        let loaded = config::load(&paths, &context, max_size)?;
        events::log_warnings(&loaded);
        Ok(loaded.schedule)
    })
}

/// Reads the schedule for the first time. Returns `None` if a stop is requested before it is read.
async fn first_load(load: &Load, stop: &CancellationToken) -> Result<Option<Schedule>, Failure> {
    let load = Arc::clone(load);
    let slow = async {
        sleep(SLOW_LOAD).await;
        warn!("still reading the schedule");
        future::pending::<Infallible>().await
    };
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(None),
        never = slow => match never {},
        loaded = task::spawn_blocking(move || load()) => Ok(Some(loaded.map_err(io::Error::other)??)),
    }
}

fn engine(arguments: &DaemonArguments, store: RedisStore) -> Engine<RedisStore> {
    let clock: Arc<dyn Clock> = match arguments.at {
        Some(at) => Arc::new(StoppedClock(at)),
        None => Arc::new(SystemClock),
    };
    let options = Options {
        lease: arguments.lease,
        interval: arguments.interval,
        delayed_batch: arguments.compat.delayed_requeue_batch_size.into(),
        zone: arguments.context.zone(),
        dynamic: arguments.dynamic.then(|| arguments.context.context()),
    };
    let log = Log {
        errors_as_field: arguments.log_format != logs::Format::Text,
    };
    Engine::new(store, clock, options, Events::new(vec![Arc::new(log)]))
}

fn start_logs(arguments: &DaemonArguments) -> Result<Logs, Failure> {
    let level = match (arguments.quiet, arguments.verbose) {
        (true, _) => LevelFilter::WARN,
        (false, true) => LevelFilter::DEBUG,
        (false, false) => LevelFilter::INFO,
    };
    let file = arguments.logfile.as_deref();
    let started = logs::start(arguments.log_format, level, file);
    started.map_err(|error| Failure::File {
        what: "open log file",
        path: arguments.logfile.clone().unwrap_or_default(),
        error,
    })
}

fn open_store(arguments: &DaemonArguments, address: &Address) -> Result<RedisStore, Failure> {
    let hostname = gethostname::gethostname();
    let identity = Identity {
        holder: format!("{}:{}", hostname.to_string_lossy(), std::process::id()),
        token: format!("{:016x}", getrandom::u64().map_err(io::Error::from)?),
    };
    let store = RedisStore::open(address, arguments.redis.keys(), identity)?;
    let mut limits = arguments.limits.limits();
    if arguments.at.is_some() {
        // With --at, the clock of this host does not matter.
        limits.clock_skew = None;
    }
    Ok(store.with_limits(limits))
}

/// Logs what this process works on: the first lines of the log.
fn announce(
    arguments: &DaemonArguments,
    store: &RedisStore,
    schedule: &Schedule,
    dev: Option<&PrivateServer>,
) {
    if let Some(server) = dev {
        let folder = server.folder().display();
        info!(
            redis_url = server.url(),
            data = folder.to_string(),
            "started a private redis-server; it stops with this process"
        );
    }
    info!(
        version = env!("CARGO_PKG_VERSION"),
        redis = store.server(),
        namespace = arguments.redis.namespace,
        app = arguments.compat.app_name,
        environment = arguments.context.environment,
        timezone = arguments.context.zone().to_string(),
        entries = schedule.entries().len(),
        left_out = schedule.left_out().len(),
        "rescue-scheduler starts"
    );
    for left_out in schedule.left_out() {
        info!(
            entry = left_out.name,
            reason = left_out.reason.to_string(),
            "entry left out"
        );
    }
    let elsewhere = |left_out: &LeftOut| left_out.reason == LeftOutReason::Environment;
    if arguments.context.environment.is_none() && schedule.left_out().iter().any(elsewhere) {
        warn!(
            "no environment is set (--environment, RAILS_ENV); leaving out entries that need one"
        );
    }
    if arguments.dynamic {
        info!("reading dynamic entries from Redis; they override entries of the files");
    } else if arguments.schedules.is_empty() {
        info!("no schedule given; moving delayed jobs only");
    } else if schedule.entries().len() == 0 {
        warn!("the schedule has no entry for this environment; moving delayed jobs only");
    }
}
