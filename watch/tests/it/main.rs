//! Tests of the index, the feeds and the snapshots, in one program, which is linked only once.
//!
//! `index_loom` and `index_stress` are separate programs: the former needs `--cfg poddns_loom`, with which nothing else
//! here compiles, and the latter is built in release mode.
#![cfg(not(poddns_loom))]

mod feed_cluster;
mod feed_connection;
mod feed_credentials;
mod feed_decode;
mod feed_faults;
mod feed_file;
mod feed_histories;
mod feed_identity;
mod feed_recordings;
#[cfg(target_os = "linux")]
mod freshness_stopped;
mod index_memory;
mod index_pods;
mod index_relist;
mod snapshot;
mod snapshot_format;
mod snapshot_killed;
mod support;
