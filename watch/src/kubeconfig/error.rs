//! Reasons a kubeconfig, or a service account, leads to no cluster.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use thiserror::Error as ThisError;

use crate::quote::QuotedText;

/// Reason a kubeconfig cannot be used.
#[derive(Debug, ThisError)]
#[non_exhaustive]
pub enum KubeconfigError {
    /// A file cannot be read: a kubeconfig, or one that it names.
    #[error("cannot read {what} {path}: {source}", path = path.display())]
    Read {
        /// The file's purpose.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// The system's reason, or that it is too large or no regular file.
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
    /// A file is something else.
    #[error("{path} is no kubeconfig: {cause}", path = path.display())]
    NoKubeconfig {
        /// The file.
        path: PathBuf,
        /// The value.
        cause: String,
    },
    /// There is no kubeconfig in the usual places.
    #[error("there is no kubeconfig: {0}")]
    Missing(String),
    /// No context is chosen, or there is none of the name.
    #[error("{0}")]
    Context(String),
    /// Something in an entry that is used is wrong or missing.
    #[error("{entry}: {fault}")]
    Entry {
        /// The entry and its file.
        entry: String,
        /// The fault.
        #[source]
        fault: Box<dyn Error + Send + Sync>,
    },
}
