//! The daemon: from the command line to an exit code.

pub mod config;
mod log;
mod open_files;
pub(crate) mod privileges;
mod start;
mod systemd;

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Command;
use clap::error::ErrorKind;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::{select, time};

use self::config::{DaemonSettings, Sources, with_flags};
use self::log::Log;
use self::privileges::{Dropped, directory};
use self::systemd::{Due, Pulse, Supervisor, passed};
use crate::server::Server;
use crate::server::bind::Sockets;
use crate::server::settings::Settings;
use crate::sys;

/// Wrong usage or configuration: `EX_USAGE` of sysexits(3).
const USAGE: u8 = 64;

/// What the end may take beside the times that the operator has set.
const MARGIN: Duration = Duration::from_secs(5);

/// The daemon's command line.
#[must_use]
pub fn command() -> Command {
    let command = Command::new("poddnsd")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Answers DNS queries for the addresses of Kubernetes pods")
        .after_help(
            "Every flag can be set as PODDNS_<FLAG> in the environment too (PODDNS_POD_CIDR, lists separated by \
             commas), and as <flag> in the TOML file that --config names. Flags beat variables, variables beat the \
             file.\n\n\
             systemd may pass the sockets (LISTEN_FDS) and is told how things go (NOTIFY_SOCKET).\n\n\
             SIGHUP reads the file again. SIGTERM and SIGINT end the server: it is unready for the lame-duck time, \
             then finishes what it has begun; a second signal ends it at once.\n\n\
             Exit status: 0 after SIGTERM or SIGINT, 64 for wrong usage or configuration, 1 for any other failure.",
        );
    with_flags(command)
}

/// Runs the daemon until it is told to end, or fails.
///
/// What is wrong with the command line or the configuration goes to standard error as it is, since nobody has
/// said yet how to log; everything else is logged.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    sys::keep_little_memory();
    let flags = match command().try_get_matches_from(arguments) {
        Ok(flags) => flags,
        Err(error) => {
            // Nowhere left to complain if this fails.
            let _ = error.print();
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if asked { ExitCode::SUCCESS } else { ExitCode::from(USAGE) };
        }
    };
    // First of all: it changes the environment, and the settings depend on it.
    let passed = match passed() {
        Ok(passed) => passed,
        Err(wrong) => {
            eprintln!("poddnsd: {wrong}");
            return ExitCode::from(USAGE);
        }
    };
    let sources = Sources::new(&flags, |name| std::env::var_os(name))
        .map(|sources| sources.with_passed(start::addresses(&passed)));
    let (sources, settings) = match sources.and_then(|sources| sources.settings().map(|made| (sources, made)))
    {
        Ok(made) => made,
        Err(wrong) => {
            for problem in wrong.problems() {
                eprintln!("poddnsd: {problem}");
            }
            return ExitCode::from(USAGE);
        }
    };
    // Dropped when all has been said.
    let mut log = log::start(settings.log_format);
    match serve(&sources, settings, passed, &mut log) {
        Ok(code) => code,
        Err(error) => {
            tracing::error!(%error, "cannot serve");
            ExitCode::FAILURE
        }
    }
}

fn serve(
    sources: &Sources,
    settings: DaemonSettings,
    passed: Vec<Sockets>,
    log: &mut Log,
) -> io::Result<ExitCode> {
    warn(&settings.server);
    open_files::check(&settings.server);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    // Before the server is started: no signal must meet its default action.
    let mut signals = {
        let _guard = runtime.enter();
        Signals::new()?
    };
    let mut running = settings.clone();
    let (mut server, dropped) = match start::start(sources, settings, passed, log) {
        Ok(started) => started,
        Err(failure) => {
            tracing::error!("{failure}");
            return Ok(ExitCode::from(if failure.is_configuration() { USAGE } else { 1 }));
        }
    };
    Ok(runtime.block_on(async {
        let mut supervisor = Supervisor::from_env();
        supervisor.ready();
        let mut pulse = Pulse::default();
        loop {
            select! {
                name = server.failed() => {
                    tracing::error!(thread = name, "a thread has died: a bug, please report it; ending the process");
                    return ExitCode::FAILURE;
                }
                signal = signals.next() => match signal {
                    Told::Reload => {
                        supervisor.reloading();
                        reload(&mut server, sources, &mut running, &dropped);
                        supervisor.ready();
                    }
                    Told::End(signal) => return end(server, running.lame_duck, signal, &mut signals, &supervisor).await,
                },
                due = supervisor.due() => {
                    supervisor.status(status(&server));
                    if due == Due::Heartbeat {
                        beat(&server, &mut pulse, &supervisor);
                    }
                }
            }
        }
    }))
}

/// Tells systemd that we are alive, if all threads are.
fn beat(server: &Server, pulse: &mut Pulse, supervisor: &Supervisor) {
    if pulse.beats(|| server.ping()) {
        supervisor.alive();
    } else {
        tracing::error!("a thread is stuck: a bug, please report it; systemd hears nothing until it goes on");
    }
}

/// The state in a line, for `systemctl status`.
fn status(server: &Server) -> String {
    match server.pending().as_slice() {
        [] => "ready".to_owned(),
        [reason] => format!("not ready: {reason}"),
        [reason, others @ ..] => format!("not ready: {reason} (and {} more)", others.len()),
    }
}

/// The signals that the daemon knows.
struct Signals {
    hang_up: Signal,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Told {
        select! {
            _ = self.hang_up.recv() => Told::Reload,
            _ = self.interrupt.recv() => Told::End("SIGINT"),
            _ = self.terminate.recv() => Told::End("SIGTERM"),
        }
    }

    /// The next one that wants the end.
    async fn end(&mut self) -> &'static str {
        loop {
            if let Told::End(signal) = self.next().await {
                return signal;
            }
        }
    }
}

/// What a signal says.
enum Told {
    /// Read the configuration again.
    Reload,
    /// End; the signal's name.
    End(&'static str),
}

/// Unready at once, on duty for a while, then the end. A second signal makes it the end at once.
async fn end(
    server: Server,
    lame_duck: Duration,
    signal: &str,
    signals: &mut Signals,
    supervisor: &Supervisor,
) -> ExitCode {
    server.drain();
    supervisor.stopping(lame_duck + server.settings().tcp.idle_timeout + MARGIN);
    tracing::info!(signal, lame_duck_seconds = lame_duck.as_secs_f64(), "unready from now on; about to end");
    let stopped = async {
        time::sleep(lame_duck).await;
        stop(server).await;
    };
    select! {
        () = stopped => {
            tracing::info!("ended");
            ExitCode::SUCCESS
        }
        signal = signals.end() => {
            tracing::warn!(signal, "ending at once");
            ExitCode::FAILURE
        }
    }
}

/// Stops the server on a thread of its own, since that blocks.
async fn stop(server: Server) {
    let (done, stopped) = oneshot::channel();
    let stopping = move || {
        server.stop();
        let _ = done.send(());
    };
    if let Err(error) = std::thread::Builder::new().name("poddns-stop".to_owned()).spawn(stopping) {
        tracing::error!(%error, "no thread to end in order; ending at once");
        return;
    }
    let _ = stopped.await;
}

/// Reads the configuration again; whatever is wrong with it, the server goes on with the old one.
fn reload(server: &mut Server, sources: &Sources, running: &mut DaemonSettings, dropped: &Dropped) {
    let settings = match sources.settings() {
        Ok(settings) => settings,
        Err(wrong) => {
            server.reload_failed();
            for problem in wrong.problems() {
                tracing::error!("{problem}");
            }
            explain(&wrong.to_string(), dropped);
            tracing::error!("the new configuration is wrong; going on with the old one");
            return;
        }
    };
    warn(&settings.server);
    match server.reload(settings.server) {
        Ok(mut fixed) => {
            running.lame_duck = settings.lame_duck;
            let (new, old) = (&settings.privileges, &running.privileges);
            let others = [
                ("log-format", settings.log_format != running.log_format),
                ("user", new.user != old.user),
                ("landlock", new.landlock != old.landlock),
                ("seccomp", new.seccomp != old.seccomp),
            ];
            fixed.extend(others.iter().filter(|(_, changed)| *changed).map(|(name, _)| *name));
            for setting in fixed {
                tracing::warn!(setting, "has changed, but only takes effect when poddnsd is started again");
            }
            tracing::info!("the configuration has been read again");
            check_snapshot(&server.settings(), dropped);
        }
        Err(error) => {
            explain(&error.to_string(), dropped);
            tracing::error!("{error}; going on with the old configuration");
        }
    }
}

/// Says why a file that everybody can read may be out of reach for this process.
fn explain(error: &str, dropped: &Dropped) {
    if !dropped.readable.is_empty() && error.contains("ermission denied") {
        tracing::warn!(
            readable = ?dropped.readable,
            "since its start this process can open only files in these places (Landlock), and bind no port below 1024; \
             for others it must be started again"
        );
    }
}

/// Says why snapshots cannot be written to a folder that was not named at the start.
fn check_snapshot(settings: &Settings, dropped: &Dropped) {
    let restricted = !dropped.readable.is_empty() || !dropped.writable.is_empty();
    let Some(snapshot) = settings.snapshot.as_ref().filter(|_| restricted) else { return };
    let folder = directory(&snapshot.path);
    if !dropped.writable.iter().any(|writable| writable == folder) {
        tracing::warn!(
            folder = %folder.display(),
            writable = ?dropped.writable,
            "since its start this process can write only in these folders (Landlock), so it must be started again to \
             keep snapshots in another"
        );
    }
}

/// Tells of settings that are allowed but hardly meant.
fn warn(settings: &Settings) {
    if settings.unguarded() {
        tracing::warn!(
            "mode insecure without a guard answers any name with the address in it, also for hosts that are not \
             pods; set pod-cidr, block-special, namespace or check-namespaces, or use mode verified"
        );
    }
}
