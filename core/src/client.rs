//! The client of a query: its source, or whom a trusted forwarder names.

use core::net::IpAddr;

use crate::config::Config;
use crate::wire::message;
use crate::wire::subnet::{Malformed, Subnet};

/// The client of a query, as far as it is known, and how it was named.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity<'q> {
    /// Its address. `None` if a forwarder does not name it, or only a network that it is in.
    pub(crate) client: Option<IpAddr>,
    /// The option that a trusted forwarder sent.
    pub(crate) subnet: Option<Subnet<'q>>,
}

impl Identity<'_> {
    /// The identity for a query for which the client does not matter.
    pub(crate) const UNKNOWN: Self = Self { client: None, subnet: None };
}

/// Identifies the client of a query. An option that is malformed is an error only if it is a trusted forwarder's: those of
/// others are not looked at.
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

/// Returns the address of the client of a query received from `source`, IPv4-mapped addresses as IPv4: the source, or of a
/// forwarder in [`Config::trust_ecs`] the address in its EDNS Client Subnet option (RFC 7871).
///
/// `None` if such a forwarder has not sent the option, or not with a whole address (/32, /128).
#[must_use]
pub fn client_of(config: &Config<'_>, query: &[u8], source: IpAddr) -> Option<IpAddr> {
    identify(config, query, source).ok().and_then(|identity| identity.client)
}
