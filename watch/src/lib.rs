//! The pod index and its feeds.
#![forbid(unsafe_code)]
