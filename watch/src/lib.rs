//! The pod index and its feeds.
#![forbid(unsafe_code)]

pub mod access;
pub mod feed;
pub mod freshness;
pub mod index;
mod namespace;
mod pod;
pub mod snapshot;

pub use feed::{ClusterOptions, Feed, FeedError, FeedStats, HostNetwork, Reads, Scope, Source, WatchStats};
pub use freshness::{Health, Watch, WatchHealth, WatchStatus};
pub use index::{
    Change, Index, IndexOptions, IndexStats, IndexWriter, ListScope, MAX_ADDRESSES, MAX_PODS, PodRecord, Uid,
    index,
};
pub use namespace::Namespace;
pub use pod::{Phase, Pod};
pub use snapshot::{Recorder, Restored, SnapshotError, Written};
