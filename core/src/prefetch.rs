//! A look ahead at a batch of queries, so that the index need not wait for memory once for each of them.

use core::iter;
use core::net::{IpAddr, Ipv4Addr};

use crate::config::{Config, Mode};
use crate::lookup::PodLookup;
use crate::podip;
use crate::wire::header;
use crate::wire::name::split_label;

/// Maximum number of addresses in one hint: as many look-ups as a processor can have waiting for memory, and
/// few enough for the stack.
const MAX_HINT: usize = 32;

/// Announces to the index the addresses in a batch of queries, before [`respond`](crate::respond) is called for
/// each of them.
///
/// In an index that is larger than the processor's caches, a look-up is mostly a wait for memory. Informed of
/// several, the index can wait for all of them at once ([`PodLookup::prefetch`]). It costs some nanoseconds for
/// each query, so call it where queries arrive in batches; for a single one it does nothing.
///
/// It is a hint: no response depends on it. Queries may be anything, and none is looked at more closely than its
/// first label. In modes that look no address up it does nothing.
///
/// ```
/// use poddns_core::{Config, MAX_UDP_REPLY, Mode, NoPods, Request, Transport, Zone, prefetch, respond};
///
/// # let source = std::net::Ipv4Addr::LOCALHOST.into();
/// # let batch: [&[u8]; 2] = [&[0; 17], &[0; 17]];
/// let zones = [Zone::new("cluster.local")?];
/// let (config, pods) = (Config::new(Mode::Verified, &zones), NoPods);
/// prefetch(&config, &pods, batch);
/// for query in batch {
///     let request = Request::new(Transport::Udp, source, 1_700_000_000);
///     let outcome = respond(&config, &pods, query, &request, &mut [0; MAX_UDP_REPLY]);
/// }
/// # Ok::<(), poddns_core::NameError>(())
/// ```
pub fn prefetch<'q, P, Q>(config: &Config<'_>, pods: &P, queries: Q)
where
    P: PodLookup + ?Sized,
    Q: IntoIterator<Item = &'q [u8]>,
{
    if config.mode != Mode::Verified {
        return;
    }
    let mut asked = queries.into_iter().filter_map(address);
    let mut addresses = [IpAddr::V4(Ipv4Addr::UNSPECIFIED); MAX_HINT];
    loop {
        // The places first, or an address that has none would be lost.
        let count = iter::zip(&mut addresses, &mut asked).map(|(place, address)| *place = address).count();
        // Where there is one to wait for, nothing can be saved.
        if let Some(several @ [_, _, ..]) = addresses.get(..count) {
            pods.prefetch(several);
        }
        if count < MAX_HINT {
            return;
        }
    }
}

/// The address that the first label of the question spells, if there is a question.
fn address(query: &[u8]) -> Option<IpAddr> {
    let (label, _) = split_label(query.get(header::LEN..)?)?;
    podip::parse(label)
}
