//! Exit status and messages of a command.

use std::error::Error;
use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

use poddns_net::config::ConfigError;
use poddns_watch::FeedError;
use thiserror::Error;

use crate::text::show_text;

/// Exit status for bad usage and bad configuration: `EX_USAGE` of sysexits.h.
const USAGE: u8 = 64;

/// An error of any type.
type AnyError = Box<dyn Error + Send + Sync>;

/// Reason why a command failed.
#[derive(Debug, Error)]
pub(crate) enum CommandError {
    /// The arguments or the configuration are invalid; exit status 64.
    #[error(transparent)]
    Usage(AnyError),
    /// The command failed; exit status 1.
    #[error(transparent)]
    Run(AnyError),
    /// The reader of the output has closed it, as `head` does. This is not a failure, and nothing is printed for it.
    #[error("the reader of the output is gone")]
    ReaderGone,
}

impl CommandError {
    /// Returns an error with exit status 64.
    pub(crate) fn usage(error: impl Into<AnyError>) -> Self {
        Self::Usage(error.into())
    }

    /// Returns an error with exit status 1.
    pub(crate) fn run(error: impl Into<AnyError>) -> Self {
        Self::Run(error.into())
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => usage_code(),
            Self::Run(_) => ExitCode::FAILURE,
            Self::ReaderGone => ExitCode::SUCCESS,
        }
    }
}

impl From<ConfigError> for CommandError {
    fn from(error: ConfigError) -> Self {
        Self::usage(error)
    }
}

impl From<FeedError> for CommandError {
    fn from(error: FeedError) -> Self {
        if error.is_configuration() { Self::usage(error) } else { Self::run(error) }
    }
}

/// Returns the exit status for bad usage and bad configuration.
pub(crate) fn usage_code() -> ExitCode {
    ExitCode::from(USAGE)
}

/// Prints an error or a warning to standard error, line by line.
pub(crate) fn note(message: &str) {
    for line in message.lines() {
        print_error_line(&format!("poddns: {line}"));
    }
}

/// Writes a line to standard error. Characters that could control a terminal are escaped.
pub(crate) fn print_error_line(line: &str) {
    // A failure of standard error cannot be reported anywhere.
    let _ = writeln!(io::stderr().lock(), "{}", show_text(line));
}

/// Prints the whole output of a command. It is not a failure if the reader has closed it, as `head` does.
pub(crate) fn print(text: &str) -> Result<(), CommandError> {
    match print_part(text) {
        Err(CommandError::ReaderGone) => Ok(()),
        printed => printed,
    }
}

/// Prints a part of a command's output. Fails with [`CommandError::ReaderGone`] if the reader has closed it.
pub(crate) fn print_part(text: &str) -> Result<(), CommandError> {
    let mut stdout = io::stdout().lock();
    let printed = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    printed.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => CommandError::ReaderGone,
        _ => CommandError::run(OutputError(error)),
    })
}

/// Reason why output could not be written.
#[derive(Debug, Error)]
#[error("cannot write to standard output: {0}")]
struct OutputError(#[source] io::Error);
