//! Recorded failures of a kube-apiserver.

/// The body of a response with status 401.
pub const UNAUTHORIZED: &str = include_str!("../data/err-401.json");

/// The body of a response with status 410, for a continue token of a compacted version.
pub const EXPIRED_CONTINUE: &str = include_str!("../data/err-410-continue.json");

/// The event that ends a watch that begins at a compacted version.
pub const EXPIRED_WATCH: &str = include_str!("../data/err-410-watch.ndjson");
