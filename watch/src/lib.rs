//! The pod index and its feeds.
#![forbid(unsafe_code)]

pub mod freshness;
pub mod index;

pub use freshness::{Health, Watch, WatchHealth, WatchStatus};
pub use index::{
    Change, Index, IndexOptions, IndexStats, IndexWriter, ListScope, MAX_ADDRESSES, MAX_PODS, PodRecord, Uid,
    index,
};
