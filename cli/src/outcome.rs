//! Exit status and messages of a command.

use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

/// Exit status of bad usage and bad configuration: `EX_USAGE` of sysexits.h.
const USAGE: u8 = 64;

/// Reason why a command failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The request makes no sense, or the configuration is wrong; exit status 64.
    Usage(String),
    /// It made sense but did not work out; exit status 1.
    Run(String),
}

impl Failure {
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::Usage(message) | Self::Run(message) => message,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(USAGE),
            Self::Run(_) => ExitCode::FAILURE,
        }
    }
}

/// Prints an error or a warning to standard error.
pub(crate) fn note(message: &str) {
    for line in message.lines() {
        say(&format!("poddns: {line}"));
    }
}

/// Writes a line to standard error.
pub(crate) fn say(line: &str) {
    // There is nowhere to report that standard error is gone.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Prints the output. A reader that has seen enough, such as `head`, is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::Run(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
