//! DNS over TCP (RFC 7766, RFC 9210): one thread for all connections.
//!
//! An idle connection costs its socket and about a kilobyte. All connections of the thread share buffers; one has memory of
//! its own only for an incomplete query and for replies that the client does not read. As long as there are such replies,
//! nothing is read from the connection, so a client that does not read cannot make the server buffer.

mod connection;
mod counters;
mod frames;
mod listener;
mod state;
mod thread;

pub(crate) use self::counters::TcpCounters;
pub(crate) use self::thread::{TcpCommand, serve};
