//! Histories of a cluster and of an API server that misbehaves: in the end the index is what the cluster is.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| poddns_watch::fuzzing::feed_model::live_bytes(bytes));
