//! The daemon: command line, configuration, privileges, signals, log and systemd.

pub mod config;
mod config_watch;
mod detached;
mod exit;
mod lines;
mod log;
mod open_files;
mod preflight;
pub(crate) mod privileges;
mod process;
mod reach;
mod reload;
mod signals;
mod start;
mod systemd;
mod usage;
mod warnings;

use std::ffi::OsString;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;

use clap::Command;
use tokio::runtime::Builder;

use self::config::{LoadedConfig, Sources, unknown_variables, with_flags};
use self::config_watch::{ConfigVersion, ConfigWatch};
use self::exit::{USAGE, exit_code};
use self::log::LogGuard;
pub use self::log::is_colored;
pub use self::preflight::{PreflightError, PreflightErrors, preflight};
use self::process::DaemonProcess;
use self::signals::Signals;
pub use self::systemd::{PassedError, PassedSockets};
pub use self::usage::report_usage;
pub use self::warnings::HIDDEN_BEHIND_CACHE;
use self::warnings::warn;
use crate::sys;
use crate::version::{self, COMMIT, VERSION};

/// The daemon's command line.
#[must_use]
pub fn command() -> Command {
    let command = Command::new("poddnsd")
        .version(VERSION)
        .long_version(version::details())
        .about("Answers DNS queries for the addresses of Kubernetes pods")
        .after_help("`--help` describes each flag in full, with its allowed values.")
        .after_long_help(
            "Every flag can be set as PODDNS_<FLAG> in the environment too (PODDNS_POD_CIDR, lists separated by \
             commas), and as <flag> in the TOML file that --config names. Flags beat variables, variables beat the \
             file.\n\n\
             systemd may pass the sockets (LISTEN_FDS) and is notified of the state (NOTIFY_SOCKET).\n\n\
             SIGHUP reads the file again. SIGTERM and SIGINT end the server: it is unready for the lame-duck time, \
             then finishes what it has begun; a second signal ends it at once.\n\n\
             Exit status: 0 after SIGTERM or SIGINT, 64 for wrong usage or configuration, 1 for any other failure.",
        );
    with_flags(command)
}

/// Runs the daemon until a signal requests its end or it fails.
///
/// Errors of the command line and of the configuration are printed to standard error as plain text, since the format of
/// the log is not known yet; all others are logged.
#[must_use]
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    sys::keep_little_memory();
    let flags = match command().try_get_matches_from(arguments) {
        Ok(flags) => flags,
        Err(error) => return report_usage(&error),
    };
    // This changes the environment, so it must precede the start of any thread.
    let passed = match PassedSockets::take() {
        Ok(passed) => passed,
        Err(wrong) => {
            eprintln!("poddnsd: {wrong}");
            return ExitCode::from(USAGE);
        }
    };
    let sources =
        Sources::new(&flags, |name| std::env::var_os(name)).map(|sources| sources.with_passed(&passed));
    let (sources, loaded, read) = match sources.and_then(start::load) {
        Ok(loaded) => loaded,
        Err(wrong) => {
            for problem in wrong.problems() {
                eprintln!("poddnsd: {problem}");
            }
            return ExitCode::from(USAGE);
        }
    };
    // Dropped last, since nothing is logged afterwards.
    let mut log = log::start(loaded.settings.log_format);
    exit_code_of(|| serve(sources, loaded, read, passed, &mut log))
}

/// Returns the exit code of the main task, also if it panics.
fn exit_code_of(serve: impl FnOnce() -> io::Result<ExitCode>) -> ExitCode {
    match catch_unwind(AssertUnwindSafe(serve)) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            tracing::error!(%error, "cannot serve");
            ExitCode::FAILURE
        }
        Err(_) => {
            tracing::error!("the main task panicked: a bug, please report it; ending the process");
            ExitCode::FAILURE
        }
    }
}

fn serve(
    sources: Sources,
    loaded: LoadedConfig,
    read: ConfigVersion,
    passed: PassedSockets,
    log: &mut LogGuard,
) -> io::Result<ExitCode> {
    let settings = &loaded.settings;
    tracing::info!(version = VERSION, commit = COMMIT, mode = settings.server.mode.as_str(), "starting");
    warn(&settings.server);
    for unknown in unknown_variables(std::env::vars_os().map(|(name, _)| name)) {
        tracing::warn!("{unknown}");
    }
    open_files::check(&settings.server);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    // Signals must not have their default effect once sockets are bound.
    let mut signals = {
        let _guard = runtime.enter();
        Signals::new()?
    };
    let options = loaded.options(&loaded);
    let prepared = runtime.block_on(start::prepare(&sources, settings, passed, &mut signals));
    let (bound, dropped) = match prepared {
        Ok(Some(prepared)) => prepared,
        Ok(None) => return Ok(ExitCode::SUCCESS),
        Err(failure) => {
            failure.to_string().lines().for_each(|line| tracing::error!("{line}"));
            return Ok(exit_code(failure.is_configuration()));
        }
    };
    // Not earlier, since the thread inherits the privileges of this one.
    log.write()?;
    let watch = ConfigWatch::new(sources.file().map(Path::to_owned), read);
    let lame_duck = settings.lame_duck;
    let process = DaemonProcess { sources, started: loaded, watch, lame_duck, dropped, signals };
    let code = runtime.block_on(process.run(bound.with_options(options)));
    // Calls that block are abandoned.
    runtime.shutdown_background();
    Ok(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_of_main_task_is_failure() {
        assert_eq!(exit_code_of(|| panic!("injected")), ExitCode::FAILURE);
        assert_eq!(exit_code_of(|| Err(io::ErrorKind::OutOfMemory.into())), ExitCode::FAILURE);
        assert_eq!(exit_code_of(|| Ok(ExitCode::from(64))), ExitCode::from(64));
    }
}
