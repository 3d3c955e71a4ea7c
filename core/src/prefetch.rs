//! Announcement of the addresses in a batch of queries, so that the index does not wait for memory for each in turn.

use core::iter;
use core::net::{IpAddr, Ipv4Addr};

use crate::config::{Config, Mode};
use crate::lookup::PodLookup;
use crate::podip;
use crate::wire::header;
use crate::wire::name::split_label;

/// Maximum number of addresses in one hint: about as many outstanding memory accesses as a processor supports, and
/// few enough for the stack.
const MAX_HINT: usize = 32;

/// Announces to the index the addresses in a batch of queries, before [`respond`](crate::respond) is called for
/// each of them.
///
/// In an index larger than the processor's caches, a look-up mostly waits for memory. With several addresses
/// announced, the index can wait for all of them at once ([`PodLookup::prefetch`]). This costs some nanoseconds per
/// query, so it pays off only where queries arrive in batches; for a single query it does nothing.
///
/// This is a hint: no response depends on it. Queries need not be valid; only the first label of the question is
/// read. It does nothing in modes that look no address up.
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
        // `addresses` comes first in the `zip`: otherwise an address would be taken from `asked` and lost when the
        // array is full.
        let count = iter::zip(&mut addresses, &mut asked).map(|(place, address)| *place = address).count();
        // A single look-up gains nothing.
        if let Some(several @ [_, _, ..]) = addresses.get(..count) {
            pods.prefetch(several);
        }
        if count < MAX_HINT {
            return;
        }
    }
}

/// Returns the address that the first label of the question spells, if any.
fn address(query: &[u8]) -> Option<IpAddr> {
    let (label, _) = split_label(query.get(header::LEN..)?)?;
    podip::parse(label)
}
