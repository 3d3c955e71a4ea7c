//! Errors in the configuration, with the place of each and the allowed values.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::daemon::lines::write_lines;

/// Place of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingOrigin {
    /// On the command line.
    Flag,
    /// In a `PODDNS_*` environment variable.
    Environment,
    /// In the config file.
    File {
        /// The file, as `--config` names it.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
}

impl SettingOrigin {
    /// Returns the kind of source, and the place: the flag, the variable, or file and line.
    pub(super) fn source(&self, key: &str) -> (&'static str, Option<String>) {
        match self {
            Self::Flag => ("flag", Some(format!("--{key}"))),
            Self::Environment => ("environment", Some(super::options::variable(key))),
            Self::File { path, line } => ("file", Some(format!("{}:{line}", path.display()))),
        }
    }
}

/// A setting as the operator wrote it, shown in the notation of its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingText {
    /// The setting's name, as in the file.
    pub key: &'static str,
    /// Its value, if the error is about one.
    pub value: Option<String>,
    /// The place.
    pub origin: SettingOrigin,
}

impl fmt::Display for SettingText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            SettingOrigin::Flag => {
                write!(f, "--{}", self.key)?;
                self.value.iter().try_for_each(|value| write!(f, " {value:?}"))
            }
            SettingOrigin::Environment => {
                write!(f, "{}", super::options::variable(self.key))?;
                self.value.iter().try_for_each(|value| write!(f, "={value:?}"))
            }
            SettingOrigin::File { path, line } => {
                write!(f, "{}:{line}: {}", path.display(), self.key)?;
                self.value.iter().try_for_each(|value| write!(f, " = {value:?}"))
            }
        }
    }
}

/// One error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The config file cannot be read.
    #[error("config file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The config file is not TOML.
    #[error("{}:{line}: not valid TOML: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The parser's message.
        message: String,
    },
    /// The config file has a key that is not a setting.
    #[error("{}:{line}: unknown key {key:?}{}", path.display(), hint(*meant))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The key.
        key: String,
        /// The setting with the most similar name.
        meant: Option<&'static str>,
    },
    /// A value that the setting cannot have.
    #[error("{written}: {source}; allowed: {allowed}")]
    Value {
        /// The setting.
        written: SettingText,
        /// The fault.
        source: Box<dyn Error + Send + Sync>,
        /// The allowed values.
        allowed: &'static str,
    },
    /// A setting that contradicts another one.
    #[error("{written}: {why}")]
    Conflict {
        /// The setting.
        written: SettingText,
        /// The other setting, and the remedy.
        why: String,
    },
}

fn hint(meant: Option<&'static str>) -> String {
    match meant {
        Some(key) => format!("; did you mean {key:?}?"),
        None => "; `poddnsd --help` lists the keys (they are the flags without dashes in front)".to_owned(),
    }
}

/// All problems of the configuration, shown one a line. Never empty.
#[derive(Debug)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    /// Returns the problems, in the order of the table of options.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self::new(vec![problem])
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_lines(f, &self.problems)
    }
}

impl Error for ConfigError {}
