//! The pod index and its feeds.
#![forbid(unsafe_code)]

pub mod access;
pub mod feed;
pub mod freshness;
pub mod index;
pub mod kubeconfig;
mod metadata;
mod namespace;
mod pod;
mod quote;
mod resource;
pub mod snapshot;
pub mod state_file;
mod tls;
pub mod transfer;

pub use feed::{
    ClusterOptions, Feed, FeedError, FeedStats, HostNetwork, PodsFileError, ResyncCounts, ResyncStats, Scope,
    Source, SourceDependencies, WatchCounts, WatchStats,
};
pub use freshness::{Health, WatchHealth, WatchStatus};
pub use index::{
    Change, Index, IndexOptions, IndexStats, IndexWriter, IndexedPod, ListScope, MAX_ADDRESSES, MAX_PODS,
    PodRecord, Uid, index,
};
pub use kubeconfig::{KubeconfigError, PluginError};
pub use metadata::Metadata;
pub use namespace::Namespace;
pub use pod::{Phase, Pod};
pub use resource::Resource;
pub use snapshot::{Recorder, RestoredSnapshot, SavedSnapshot, SnapshotError};
pub use transfer::{Transfers, ZoneWalk};

/// The files of a fuzz target's corpus, which the tests replay.
#[cfg(all(test, not(poddns_loom)))]
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let read = |file: std::io::Result<std::fs::DirEntry>| {
        let path = file.expect("a folder entry").path();
        // Shown if the check fails, as output of a test that passes is not.
        println!("{}", path.display());
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    files.map(read).collect()
}
