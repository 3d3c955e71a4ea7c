//! The one entry.
use crate::{Config, DropReason, Outcome, PodLookup, Request};

/// The longest response over UDP, in octets.
pub const MAX_UDP_REPLY: usize = 1232;

/// The shortest output buffer that [`respond`] works with, in octets.
pub const MIN_REPLY: usize = 512;

/// The response to a query.
pub fn respond<P: PodLookup + ?Sized>(
    _config: &Config<'_>,
    _pods: &P,
    _query: &[u8],
    _request: &Request,
    _out: &mut [u8],
) -> Outcome {
    Outcome::Drop(DropReason::NoRoom)
}
