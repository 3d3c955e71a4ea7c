//! Errors of the YAML reader.

use std::fmt;

use granit_parser::{ErrorKind, ScanError};

use super::error::PodsFileError;

/// Error of the YAML reader.
#[derive(Debug)]
pub(super) enum YamlError {
    /// The text is not valid YAML, so nothing of the file can be used.
    Syntax(PodsFileError),
    /// The node does not have the required form.
    Node(String),
}

impl YamlError {
    /// Returns the error for a text that is invalid where a list should begin, with another message: the text was
    /// probably not intended to be YAML.
    pub(super) fn or_not_yaml(self, message: impl FnOnce() -> String) -> Self {
        match self {
            Self::Syntax(PodsFileError { at: at @ Some(_), .. }) => {
                Self::Syntax(PodsFileError::at(at, message()))
            }
            error => error,
        }
    }
}

impl From<ScanError> for YamlError {
    fn from(error: ScanError) -> Self {
        let at = (error.marker().line() as u64, error.marker().col() as u64 + 1);
        Self::Syntax(match error.kind() {
            ErrorKind::InputIo { error } => PodsFileError::new(error.message()),
            kind => PodsFileError::at(Some(at), format!("not YAML: {kind}")).caused_by(error),
        })
    }
}

impl From<YamlError> for PodsFileError {
    fn from(error: YamlError) -> Self {
        match error {
            YamlError::Syntax(error) => error,
            YamlError::Node(message) => Self::new(message),
        }
    }
}

impl fmt::Display for YamlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(error) => error.fmt(f),
            Self::Node(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for YamlError {}

impl serde::de::Error for YamlError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::Node(message.to_string())
    }
}
