//! Failures as a kube-apiserver reports them, recorded.

/// The body of 401.
pub const UNAUTHORIZED: &str = include_str!("../data/err-401.json");

/// The body of 410 for a continue token of a compacted version.
pub const EXPIRED_CONTINUE: &str = include_str!("../data/err-410-continue.json");

/// The event that ends a watch from a compacted version.
pub const EXPIRED_WATCH: &str = include_str!("../data/err-410-watch.ndjson");
