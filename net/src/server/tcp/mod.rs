//! DNS over TCP (RFC 7766, RFC 9210): one thread for all connections.
//!
//! A connection costs its socket and about a kilobyte while nothing is under way. Buffers are shared by all
//! connections of the thread; one has memory of its own only for part of a query that has not come whole, and
//! for replies that the client does not take. As long as there are such replies nothing is read, so a client
//! that does not read cannot make the server buffer.

mod connection;
mod counters;
mod frames;
mod listener;
mod state;
mod thread;

pub(crate) use self::counters::TcpCounters;
pub(crate) use self::thread::{TcpCommand, serve};
