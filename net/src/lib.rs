//! The socket driver of poddns.
#![forbid(unsafe_code)]
