//! Settings of the responder.

use core::fmt;
use core::time::Duration;

use cidr::IpCidr;

use crate::reverse::ReverseZones;
use crate::wire::edns;
use crate::zone::Zone;
use crate::{CookieSecrets, Label};

/// The condition for returning an address: CoreDNS' `pods` option.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
// A mode between insecure and verified may be added.
#[non_exhaustive]
pub enum Mode {
    /// No pod records at all: NXDOMAIN for every name below the apex.
    Disabled,
    /// The address in the name is returned whether or not a pod has it. Names for any host can be made up: set at
    /// least [`Config::pod_cidrs`] or [`Config::block_special`].
    Insecure,
    /// The address in the name is returned if a pod of that namespace has it.
    #[default]
    Verified,
}

impl Mode {
    /// All modes, from the least to the most checks.
    pub const ALL: &'static [Self] = &[Self::Disabled, Self::Insecure, Self::Verified];

    /// Returns the mode as CoreDNS' `pods` option spells it, such as `verified`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Insecure => "insecure",
            Self::Verified => "verified",
        }
    }
}

/// The clients to which mode verified returns pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
// Other rules, such as by labels of namespaces, may be added.
#[non_exhaustive]
pub enum Visibility {
    /// All clients see all pods.
    #[default]
    All,
    /// A client sees the namespaces in which a pod has the client's address. Other namespaces do not exist for it.
    Namespace,
}

impl Visibility {
    /// All variants; the first hides nothing.
    pub const ALL: &'static [Self] = &[Self::All, Self::Namespace];

    /// Returns the visibility as the option spells it, such as `namespace`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Namespace => "namespace",
        }
    }
}

/// A record's time to live: 0 to 3600 seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl(u16);

impl Ttl {
    /// The maximum, one hour, as in CoreDNS.
    pub const MAX: Self = Self(3600);

    /// Returns `seconds` as TTL; `None` above 3600.
    #[must_use]
    pub const fn from_secs(seconds: u16) -> Option<Self> {
        if seconds <= Self::MAX.0 { Some(Self(seconds)) } else { None }
    }

    /// The TTL in seconds.
    #[must_use]
    pub const fn as_secs(self) -> u16 {
        self.0
    }
}

impl Default for Ttl {
    /// 5 seconds, as in CoreDNS.
    fn default() -> Self {
        Self(5)
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Settings of the responder: an answer depends only on these, the query, its [`Request`](crate::Request) and the
/// pods.
///
/// Created by [`Config::new`], then changed field by field. All lists are borrowed, so creating and copying it is
/// cheap; the driver owns them.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the operator's, independent of the others"
)]
pub struct Config<'a> {
    /// The condition for returning an address.
    pub mode: Mode,
    /// The zones served. Names outside all of them are REFUSED. If several contain a name, the longest apex wins; of
    /// equal ones, the first.
    pub zones: &'a [Zone],
    /// TTL of addresses. The TTL of SOA records and negative answers is this, but at most 300 seconds (RFC 2308 5).
    pub ttl: Ttl,
    /// If not empty, addresses outside all of these networks are never returned, in any mode: NXDOMAIN, EDE 15.
    pub pod_cidrs: &'a [IpCidr],
    /// Never return unspecified, loopback, link-local, multicast, broadcast, documentation and benchmark addresses:
    /// NXDOMAIN, EDE 15.
    pub block_special: bool,
    /// If not empty, only these namespaces exist, in any mode. Must be sorted, for binary search.
    pub namespaces: &'a [Label],
    /// In mode insecure: a namespace exists only if [`PodLookup`](crate::PodLookup) has it.
    pub check_namespaces: bool,
    /// In mode insecure: report answers that mode verified would have refused in
    /// [`Reply::audit`](crate::Reply::audit). No response depends on it. Needs a [`PodLookup`](crate::PodLookup) with
    /// pods, namespaces and owners.
    pub audit: bool,
    /// In mode verified: the clients that see a namespace and its pods, by forward and reverse names. See
    /// [`client_of`](crate::client_of()) for the client of a query.
    pub visibility: Visibility,
    /// With [`Visibility::Namespace`]: networks of clients that see everything.
    pub visible_to: &'a [IpCidr],
    /// Networks of forwarders that send their client's address in the EDNS Client Subnet option (RFC 7871). The
    /// option of other sources is ignored. It is read only if something depends on the client: with an audit or
    /// [`Visibility::Namespace`].
    pub trust_ecs: &'a [IpCidr],
    /// In mode verified: `<pod-name>.<namespace>` is answered with all addresses of that pod.
    pub pod_names: bool,
    /// In mode verified: the networks for which reverse zones are served. An address that exactly one pod has is
    /// answered with one PTR record: the pod's name in the first of [`zones`](Self::zones). Several pods: NODATA. No
    /// pod: NXDOMAIN.
    pub reverse_zones: ReverseZones<'a>,
    /// Maximum age of a stale index that is served; `None` for no limit.
    pub max_staleness: Option<Duration>,
    /// The secrets of cookies (RFC 7873); `None` ignores cookies.
    pub cookies: Option<&'a CookieSecrets>,
    /// Networks from which cookies are ignored. Must contain forwarders that pass EDNS through without cookies of
    /// their own: a client that received a cookie through such a forwarder discards the answers of other servers
    /// behind it (RFC 7873 5.3: "If the client is expecting the response to contain a COOKIE option and it is
    /// missing, the response MUST be discarded."). Checked only for queries with a cookie.
    pub cookie_exempt: &'a [IpCidr],
    /// The server's identifier for queries with NSID (RFC 5001): any octets, of which the first [`Config::MAX_NSID`]
    /// are sent.
    pub nsid: Option<&'a [u8]>,
    /// Idle time-out of TCP connections, for queries with edns-tcp-keepalive (RFC 7828), in units of 100 ms.
    pub tcp_keepalive: Option<u16>,
    /// The text of `version.bind` and `version.server` in class CH, at most 255 octets; `None` refuses.
    pub chaos_version: Option<&'a str>,
    /// The text of `id.server` and `hostname.bind` in class CH (RFC 4892), at most 255 octets; `None` refuses.
    pub chaos_id: Option<&'a str>,
    /// True if the driver transfers zones. If so, [`respond`](crate::respond()) returns
    /// [`Outcome::Transfer`](crate::Outcome::Transfer) for a transfer query and
    /// [`Outcome::Signed`](crate::Outcome::Signed) for a query with a transaction signature, and SOA records have
    /// secondaries check the serial every minute. Otherwise transfers are REFUSED, and signed queries FORMERR.
    pub transfers: bool,
}

impl<'a> Config<'a> {
    /// Maximum number of octets of [`Config::nsid`] that are sent, so that every response fits the smallest datagram.
    pub const MAX_NSID: usize = edns::MAX_NSID;

    /// Returns whether anything depends on the client: a single test for audit and visibility, as it runs for every
    /// query.
    #[inline]
    pub(crate) fn depends_on_client(&self) -> bool {
        u16::from_ne_bytes([u8::from(self.audit), self.visibility as u8]) != 0
    }

    /// Returns whether pods are hidden from some clients.
    pub(crate) fn hides_pods(&self) -> bool {
        self.mode == Mode::Verified && self.visibility == Visibility::Namespace
    }

    /// Returns a configuration with this mode and these zones, and all other fields at their defaults: TTL 5, no
    /// guards, no opt-in features.
    #[must_use]
    pub fn new(mode: Mode, zones: &'a [Zone]) -> Self {
        Self {
            mode,
            zones,
            ttl: Ttl::default(),
            pod_cidrs: &[],
            block_special: false,
            namespaces: &[],
            check_namespaces: false,
            audit: false,
            visibility: Visibility::All,
            visible_to: &[],
            trust_ecs: &[],
            pod_names: false,
            reverse_zones: ReverseZones::default(),
            max_staleness: None,
            cookies: None,
            cookie_exempt: &[],
            nsid: None,
            tcp_keepalive: None,
            chaos_version: None,
            chaos_id: None,
            transfers: false,
        }
    }
}
