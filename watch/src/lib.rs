//! The pod index and its feeds.
//!
//! Each public item has one path. Most are here; the public modules are:
//!
//! | module | contents |
//! |---|---|
//! | [`access`] | permissions in a cluster, for a tool that checks them before a feed is opened |
//! | [`decode`] | decoders of the API server's lists and watches, which need no feed |
//! | [`snapshot_format`] | the file format of snapshots, for programs that read or write them |
//! | [`state_file`] | files that are replaced as a whole, for other state of a daemon |
#![forbid(unsafe_code)]

pub mod access;
mod feed;
mod freshness;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod index;
mod kubeconfig;
mod metadata;
mod namespace;
mod pod;
mod quote;
mod resource;
mod snapshot;
pub mod state_file;
mod tls;
mod transfer;

pub use feed::{
    ClusterOptions, Feed, FeedError, FeedStats, HostNetwork, ListMethod, PodsFileError, ResyncCounts,
    ResyncStats, Scope, Source, SourceDependencies, WatchCounts, WatchStats, decode,
};
pub use freshness::{Health, WatchHealth, WatchStatus};
pub use index::{
    Change, Index, IndexOptions, IndexStats, IndexWriter, IndexedPod, ListScope, MAX_ADDRESSES, MAX_PODS,
    PodComparison, PodRecord, Uid, index,
};
pub use kubeconfig::{KubeconfigError, PluginError};
pub use metadata::Metadata;
pub use namespace::Namespace;
pub use pod::{Phase, Pod};
pub use resource::Resource;
pub use snapshot::{
    Recorder, RestoredSnapshot, SavedSnapshot, SnapshotError, check_snapshot_path, format as snapshot_format,
};
pub use transfer::{
    Publication, TransferStats, Transfers, WalkLost, ZoneChanges, ZoneRecord, ZoneRecords, ZoneVersion,
    ZoneWalk,
};

/// Returns the files of a fuzz target's corpus, which the tests replay.
#[cfg(all(test, not(poddns_loom)))]
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let read = |file: std::io::Result<std::fs::DirEntry>| {
        let path = file.expect("a folder entry").path();
        // Shown if the check fails; the output of a passing test is not shown.
        println!("{}", path.display());
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    files.map(read).collect()
}
