//! Histories of a cluster and a faulty API server: in the end the index equals the cluster.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| poddns_watch::fuzzing::feed_model::run_bytes(bytes));
