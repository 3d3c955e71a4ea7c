//! The client of a query: its source, or the client in a trusted forwarder's ECS option.

use core::net::IpAddr;

use crate::config::Config;
use crate::wire::message;
use crate::wire::subnet::{Malformed, Subnet};

/// The client of a query, as far as it is known, and the option that identified it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity<'q> {
    /// Its address. `None` if a forwarder does not send it, or only a network that contains it.
    pub(crate) client: Option<IpAddr>,
    /// The ECS option of a trusted forwarder.
    pub(crate) subnet: Option<Subnet<'q>>,
}

impl Identity<'_> {
    /// The identity if the client does not matter.
    pub(crate) const UNKNOWN: Self = Self { client: None, subnet: None };
}

/// Identifies the client of a query. A malformed option is an error only from a trusted forwarder; options of other
/// clients are not read.
#[inline(never)]
pub(crate) fn identify<'q>(
    config: &Config<'_>,
    query: &'q [u8],
    source: IpAddr,
) -> Result<Identity<'q>, Malformed> {
    let source = source.to_canonical();
    if !config.trust_ecs.iter().any(|network| network.contains(&source)) {
        return Ok(Identity { client: Some(source), subnet: None });
    }
    let subnet = message::opt_data(query).map_or(Ok(None), Subnet::find)?;
    Ok(Identity { client: subnet.and_then(|subnet| subnet.client()), subnet })
}

/// Returns the address of the client of a query received from `source`, IPv4-mapped addresses as IPv4: the source, or
/// if that is a forwarder in [`Config::trust_ecs`], the address in its EDNS Client Subnet option (RFC 7871).
///
/// `None` if such a forwarder has not sent the option, or sent it with an incomplete address (not /32 or /128).
#[must_use]
pub fn client_of(config: &Config<'_>, query: &[u8], source: IpAddr) -> Option<IpAddr> {
    identify(config, query, source).ok().and_then(|identity| identity.client)
}
