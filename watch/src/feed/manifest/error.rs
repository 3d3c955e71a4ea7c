//! Errors in a pods file.

use std::error::Error;
use std::fmt;
use std::io;

/// Reason why a pods file cannot be used, with line and column if they are known.
#[derive(Debug)]
pub struct PodsFileError {
    /// Line and column, both from 1, if they are known.
    pub(super) at: Option<(u64, u64)>,
    message: String,
    /// The error of the system or of a parser.
    source: Option<Box<dyn Error + Send + Sync>>,
    is_changed: bool,
}

impl fmt::Display for PodsFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.at {
            write!(f, "line {line} column {column}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl Error for PodsFileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl PodsFileError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { at: None, message: message.into(), source: None, is_changed: false }
    }

    /// Returns the error for a fault at this line and column.
    pub(super) fn at(at: Option<(u64, u64)>, message: impl Into<String>) -> Self {
        Self { at, ..Self::new(message) }
    }

    /// Adds the error that caused this one.
    pub(super) fn caused_by(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// Returns the text without line and column.
    pub(super) fn into_message(self) -> String {
        self.message
    }

    /// Returns the error for a file that was changed while it was read.
    pub(crate) fn changed() -> Self {
        Self { is_changed: true, ..Self::new("it changed while it was read") }
    }

    /// Returns whether another attempt to read may succeed.
    pub(crate) fn is_changed(&self) -> bool {
        self.is_changed
    }
}

impl From<io::Error> for PodsFileError {
    fn from(error: io::Error) -> Self {
        Self::new(error.to_string()).caused_by(error)
    }
}
