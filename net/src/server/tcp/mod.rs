//! DNS over TCP (RFC 7766, RFC 9210): one thread for all connections.
//!
//! An idle connection occupies its socket and about a kilobyte. All connections of the thread share buffers; a
//! connection has its own memory only for an incomplete query and for replies that the client has not read. While there
//! are such replies, nothing is read from the connection, so a client that does not read cannot make the server buffer
//! more.

mod connection;
mod counters;
mod frames;
mod listener;
mod state;
mod thread;

pub(crate) use self::counters::TcpCounters;
pub(crate) use self::thread::{TcpCommand, serve};
