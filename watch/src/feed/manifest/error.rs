//! Errors in a file of pods.

use std::error::Error;
use std::fmt;
use std::io;

const CHANGED: &str = "it changed while it was read";

/// Reason why a file of pods cannot be used, with line and column where they are known.
#[derive(Debug, PartialEq, Eq)]
pub struct PodsFileError {
    /// Line and column, both from 1, where they are known.
    pub(super) at: Option<(u64, u64)>,
    pub(super) message: String,
}

impl fmt::Display for PodsFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.at {
            write!(f, "line {line} column {column}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl Error for PodsFileError {}

impl PodsFileError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { at: None, message: message.into() }
    }

    /// Returns the error of a file that was changed during each attempt to read it.
    pub(crate) fn changed() -> Self {
        Self::new(CHANGED)
    }

    /// Returns whether reading again may help.
    pub(crate) fn is_changed(&self) -> bool {
        self.message == CHANGED
    }
}

impl From<io::Error> for PodsFileError {
    fn from(error: io::Error) -> Self {
        Self::new(error.to_string())
    }
}
