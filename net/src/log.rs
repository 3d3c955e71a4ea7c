//! Log lines, on standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::config::LogFormat;

/// What is logged unless `RUST_LOG` says otherwise. The Kubernetes client logs every failure as an error, which
/// the feeds tell better, once, and with what to do.
const FILTER: &str = "info,kube_client=off";

/// Starts logging in this format. What is logged is `info` and above, or what the variable `RUST_LOG` says.
pub(crate) fn start(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(FILTER));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        // A full disk or a closed pipe is no reason to fail, or to write about it to the same place.
        .log_internal_errors(false);
    // Fails only if somebody else logs in this process already, and then they decide.
    let _ = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}
