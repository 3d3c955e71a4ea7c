//! Reasons why a kubeconfig or a service account cannot be used.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use thiserror::Error as ThisError;

use crate::quote::QuotedText;

/// Reason why a kubeconfig cannot be used.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum KubeconfigError {
    /// A kubeconfig, or a file that it names, cannot be read.
    #[error("cannot read {what} {path}: {source}", path = path.display())]
    Read {
        /// The file's purpose.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// The system's error; or the file is too large, or not a regular file.
        #[source]
        source: io::Error,
    },
    /// A kubeconfig is neither YAML nor JSON.
    #[error("{path}, line {line}, column {column}: this is neither YAML nor JSON: {}", QuotedText(.cause), path = path.display())]
    Syntax {
        /// The kubeconfig.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// The parser's reason.
        cause: String,
    },
    /// A file is not a kubeconfig.
    #[error("{path} is not a kubeconfig: {cause}", path = path.display())]
    NoKubeconfig {
        /// The file.
        path: PathBuf,
        /// The reason.
        cause: String,
    },
    /// There is no kubeconfig in the default places.
    #[error("there is no kubeconfig: {0}")]
    Missing(String),
    /// No context is selected, or the selected one does not exist.
    #[error("{0}")]
    Context(String),
    /// An entry that is used is invalid or incomplete.
    #[error("{entry}: {fault}")]
    Entry {
        /// The entry and its file.
        entry: String,
        /// The fault.
        #[source]
        fault: Box<dyn Error + Send + Sync>,
    },
}
