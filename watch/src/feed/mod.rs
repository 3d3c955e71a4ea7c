//! Feeds, which keep an index in sync with a cluster or a file.

pub(crate) mod access;
mod cluster;
mod connection;
pub mod decode;
mod dependencies;
mod driver;
mod error;
mod exchange;
pub(crate) mod explain;
mod faults;
mod file;
pub(crate) mod identity;
mod machine;
mod manifest;
mod open;
mod options;
mod report;
mod scope;
mod server;
mod source;
mod staged;
mod stats;
mod target;

pub use dependencies::SourceDependencies;
pub use error::FeedError;
pub use machine::listing::ListMethod;
#[cfg(any(test, feature = "fuzzing"))]
pub use machine::model;
pub use manifest::PodsFileError;
#[cfg(any(test, feature = "fuzzing"))]
pub use manifest::check::check as check_pods_file;
pub use open::Feed;
pub use options::{ClusterOptions, Source};
pub use scope::{HostNetwork, Scope};
pub use stats::{FeedStats, ResyncCounts, ResyncStats, WatchCounts, WatchStats};
