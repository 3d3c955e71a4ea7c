//! The main task of the process: serves, reloads and ends as signals request.
//!
//! This task never blocks, so signals and the watchdog are handled while a start or a reload waits.

use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::time::Duration;

use tokio::{select, time};

use super::config::{LoadedConfig, Sources};
use super::config_watch::ConfigWatch;
use super::detached::detached;
use super::exit::exit_code;
use super::privileges::DroppedPrivileges;
use super::reload::{ReloadError, Reloaded, reload};
use super::signals::{SignalRequest, Signals};
use super::systemd::{DueNotice, Supervisor, ThreadPings};
use crate::server::bound::Bound;
use crate::server::error::StartError;
use crate::server::handle::{Opening, Server};
use crate::server::settings::Needs;
use crate::server::supervise::Panicked;

/// Maximum time that stopping the server takes beyond the TCP idle time-out.
const STOP_MARGIN: Duration = Duration::from_secs(15);

/// Maximum time to wait for a start in progress once a signal has requested the end.
const START_TIMEOUT: Duration = Duration::from_secs(1);

/// Interval between checks of the state of the server.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// State of the main task.
pub(super) struct DaemonProcess {
    pub(super) sources: Sources,
    /// The configuration at the start.
    pub(super) started: LoadedConfig,
    pub(super) watch: ConfigWatch,
    /// Time between SIGTERM and the end.
    pub(super) lame_duck: Duration,
    pub(super) dropped: DroppedPrivileges,
    pub(super) signals: Signals,
}

/// Work in progress while the process serves.
type Work<'a> = Pin<Box<dyn Future<Output = WorkResult> + 'a>>;

/// Result of such work.
enum WorkResult {
    Opened(Result<(), StartError>),
    Reloaded(Box<Result<Reloaded, ReloadError>>),
}

/// States of the server that have been logged, to log each once.
#[derive(Default)]
struct LoggedStates {
    ready: bool,
    explained: bool,
}

/// Reason why the process no longer serves.
enum EndReason {
    Signal(&'static str),
    Failed(ExitCode),
}

impl DaemonProcess {
    /// Serves until a signal requests the end or a failure requires it.
    pub(super) async fn run(mut self, bound: Bound) -> ExitCode {
        let mut serving = pin!(detached("poddns-start", move || bound.serve()));
        let (outcome, ending) = select! {
            outcome = &mut serving => (Some(outcome), None),
            // If the server already serves, it is stopped in order.
            signal = self.signals.end() => select! {
                outcome = time::timeout(START_TIMEOUT, &mut serving) => (outcome.ok(), Some(signal)),
                second = self.signals.end() => (None, Some(second)),
            },
        };
        let Some(outcome) = outcome else {
            tracing::info!(signal = ending, "ended before it served");
            return ExitCode::SUCCESS;
        };
        let (server, opening) = match outcome.map_err(StartError::Thread).flatten() {
            Ok(server) => server,
            Err(error) => {
                tracing::error!("{error}");
                return exit_code(error.is_configuration());
            }
        };
        let mut supervisor = Supervisor::from_env();
        if let Some(signal) = ending {
            return self.end(server, signal, &supervisor).await;
        }
        match self.serve(&server, opening, &mut supervisor).await {
            EndReason::Signal(signal) => self.end(server, signal, &supervisor).await,
            EndReason::Failed(code) => code,
        }
    }

    async fn serve(&mut self, server: &Server, opening: Opening, supervisor: &mut Supervisor) -> EndReason {
        let sources = self.sources.clone();
        let mut work: Option<Work<'_>> = Some(Box::pin(async { WorkResult::Opened(opening.opened().await) }));
        let mut pings = ThreadPings::default();
        let (mut reload_requested, mut seen) = (false, LoggedStates::default());
        self.watch.set(self.started.settings.watch_config);
        let mut poll = time::interval(POLL_INTERVAL);
        loop {
            select! {
                name = server.failed() => {
                    tracing::error!(name, "a thread or task has panicked: a bug, please report it; ending the process");
                    return EndReason::Failed(ExitCode::FAILURE);
                }
                request = self.signals.next() => match request {
                    SignalRequest::End(signal) => return EndReason::Signal(signal),
                    SignalRequest::Reload => reload_requested = true,
                },
                changed = self.watch.changed() => {
                    reload_requested |= changed.is_ok();
                    report_change(server, changed);
                }
                due = supervisor.due() => {
                    supervisor.status(status(server));
                    if due == DueNotice::Heartbeat {
                        ping_watchdog(server, &mut pings, supervisor);
                    }
                }
                _ = poll.tick() => self.log_changes(server, &mut seen),
                done = finished(&mut work) => {
                    work = None;
                    if let Err(code) = self.finish(server, done) {
                        return EndReason::Failed(code);
                    }
                    supervisor.ready();
                }
            }
            // Reloads do not overlap: one requested during another begins afterwards, since the file may have changed
            // meanwhile.
            if reload_requested && work.is_none() {
                reload_requested = false;
                supervisor.reloading();
                work = Some(reloading(server, &sources));
            }
        }
    }

    /// Logs changes of the state of the server since the last check.
    fn log_changes(&self, server: &Server, seen: &mut LoggedStates) {
        if !seen.ready && server.pending().is_empty() {
            seen.ready = true;
            tracing::info!("ready");
        }
        seen.explained =
            seen.explained || server.feed_errors().iter().any(|error| explain(error, &self.dropped));
    }

    /// Handles the result of work; returns an exit code if the process must end.
    fn finish(&mut self, server: &Server, done: WorkResult) -> Result<(), ExitCode> {
        match done {
            WorkResult::Opened(Ok(())) => Ok(()),
            WorkResult::Opened(Err(error)) if server.settings().answers_need() == Needs::Nothing => {
                tracing::error!(
                    "{error}; the audit finds nothing, and queries are answered as before; SIGHUP tries again"
                );
                Ok(())
            }
            WorkResult::Opened(Err(error)) => {
                tracing::error!("{error}");
                Err(exit_code(error.is_configuration()))
            }
            WorkResult::Reloaded(reloaded) => {
                self.reloaded(server, *reloaded);
                Ok(())
            }
        }
    }

    /// Applies the daemon's settings of a successful reload, or logs its errors.
    fn reloaded(&mut self, server: &Server, reloaded: Result<Reloaded, ReloadError>) {
        match reloaded {
            Ok(Reloaded { loaded, written }) => {
                self.lame_duck = loaded.settings.lame_duck;
                self.watch.set(loaded.settings.watch_config);
                for setting in loaded.needs_restart(&self.started) {
                    tracing::warn!(
                        setting,
                        "has changed, but only takes effect when poddnsd is started again"
                    );
                }
                server.set_options(loaded.options(&self.started));
                tracing::info!("the configuration has been read again");
                check_writable(&written, &self.dropped);
            }
            Err(ReloadError::Config(wrong)) => {
                for problem in wrong.problems() {
                    tracing::error!("{problem}");
                }
                explain(&wrong.to_string(), &self.dropped);
                tracing::error!("the new configuration is wrong; the old one stays in effect");
            }
            Err(error) => {
                explain(&error.to_string(), &self.dropped);
                tracing::error!("{error}; the old configuration stays in effect");
            }
        }
    }

    /// Ends in order: makes the server unready, serves for the lame-duck time, then stops it. A second signal ends the
    /// process at once.
    async fn end(&mut self, server: Server, signal: &str, supervisor: &Supervisor) -> ExitCode {
        let lame_duck = self.lame_duck;
        server.drain();
        let stop_timeout = server.settings().tcp.idle_timeout + STOP_MARGIN;
        supervisor.stopping(lame_duck + stop_timeout);
        let lame_duck_seconds = lame_duck.as_secs_f64();
        tracing::info!(
            signal,
            lame_duck_seconds,
            "unready from now on; about to end; a second signal ends at once"
        );
        let stopped = async {
            time::sleep(lame_duck).await;
            // Stopping blocks, so it has a thread of its own.
            time::timeout(stop_timeout, detached("poddns-stop", || server.stop())).await
        };
        select! {
            stopped = stopped => match stopped {
                Ok(Ok(())) => {
                    tracing::info!("ended");
                    ExitCode::SUCCESS
                }
                Ok(Err(error)) => {
                    tracing::error!(%error, "cannot end in order; ending at once");
                    ExitCode::FAILURE
                }
                Err(_) => {
                    let seconds = stop_timeout.as_secs();
                    tracing::error!("not ended within {seconds} s: a file system hangs; ending at once");
                    ExitCode::FAILURE
                }
            },
            signal = self.signals.end() => {
                tracing::warn!(signal, "ending at once");
                ExitCode::FAILURE
            }
        }
    }
}

/// Logs that the config file has changed, or that watching it panicked.
fn report_change(server: &Server, changed: Result<(), Panicked>) {
    if changed.is_ok() {
        tracing::info!("the config file has changed; reading it again");
    } else {
        server.count_panic();
        tracing::error!("watching the config file panicked: a bug, please report it; watching it again");
    }
}

/// Returns the work of a reload.
fn reloading<'a>(server: &'a Server, sources: &'a Sources) -> Work<'a> {
    Box::pin(async { WorkResult::Reloaded(Box::new(reload(server, sources).await)) })
}

/// Waits for the work; never returns if there is none.
async fn finished(work: &mut Option<Work<'_>>) -> WorkResult {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

/// Pings systemd's watchdog if all threads have answered the last ping.
fn ping_watchdog(server: &Server, pings: &mut ThreadPings, supervisor: &Supervisor) {
    if pings.beats(|| server.ping()) {
        supervisor.alive();
    } else {
        tracing::error!("a thread is stuck: a bug, please report it; withholding the watchdog ping");
    }
}

/// Returns the state in one line, for `systemctl status`.
fn status(server: &Server) -> String {
    match server.pending().as_slice() {
        [] => "ready".to_owned(),
        [reason] => format!("not ready: {reason}"),
        [reason, others @ ..] => format!("not ready: {reason} (and {} more)", others.len()),
    }
}

/// Logs an explanation and returns true if the error may be caused by Landlock or dropped capabilities.
fn explain(error: &str, dropped: &DroppedPrivileges) -> bool {
    let is_restricted = !dropped.readable.is_empty() && is_denied(error);
    if is_restricted {
        tracing::warn!(
            readable = ?dropped.readable,
            "since its start this process can open only files in these places (Landlock), and bind no port below 1024; \
             for others it must be started again"
        );
    }
    is_restricted
}

/// Returns true if the text of an error contains that of EACCES.
fn is_denied(error: &str) -> bool {
    error.contains("ermission denied")
}

/// Warns of directories of snapshots and the audit that Landlock forbids, since they were not configured at the start.
fn check_writable(written: &[PathBuf], dropped: &DroppedPrivileges) {
    let is_restricted = !dropped.readable.is_empty() || !dropped.writable.is_empty();
    for folder in written.iter().filter(|folder| is_restricted && !dropped.writable.contains(folder)) {
        tracing::warn!(
            folder = %folder.display(),
            writable = ?dropped.writable,
            "since its start this process can write only in these folders (Landlock), so it must be started again to \
             keep files in another"
        );
    }
}
