//! Settings of the responder.

use core::fmt;
use core::time::Duration;

use cidr::IpCidr;

use crate::reverse::ReverseZones;
use crate::wire::edns;
use crate::zone::Zone;
use crate::{CookieSecrets, Label};

/// The check that an address passes before it is returned: CoreDNS' `pods` option.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
// A mode between insecure and verified was asked for before.
#[non_exhaustive]
pub enum Mode {
    /// No pod records at all: NXDOMAIN for every name below the apex.
    Disabled,
    /// The address in the name is the answer, whether a pod has it or not. Anybody can mint names for any
    /// host: set [`Config::pod_cidrs`] or [`Config::block_special`] at least.
    Insecure,
    /// The address in the name is the answer if a pod of that namespace has it.
    #[default]
    Verified,
}

impl Mode {
    /// All modes, from the one that checks nothing because it answers nothing to the one that checks most.
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

/// The clients that mode verified answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
// A rule between the two, such as labels of namespaces, may be asked for.
#[non_exhaustive]
pub enum Visibility {
    /// All clients see all pods.
    #[default]
    All,
    /// A client sees the namespaces in which a pod has its address. All others are to it as if they did not exist.
    Namespace,
}

impl Visibility {
    /// All of them, from the one that hides nothing.
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
    /// The longest, an hour, as in CoreDNS.
    pub const MAX: Self = Self(3600);

    /// `seconds` as TTL; `None` above 3600.
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

/// Everything an answer depends on beside the query, its [`Request`](crate::Request) and the pods.
///
/// Made by [`Config::new`], then changed field by field. It only borrows, so a driver keeps the zones and
/// lists where it likes and makes one of these when it needs it; that costs a few words' copy.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an option of the operator's, independent of the others"
)]
pub struct Config<'a> {
    /// The check that an address passes before it is returned.
    pub mode: Mode,
    /// The zones served. Names outside all of them are REFUSED. Of two that fit, the longer one wins; of the same
    /// one twice, the first.
    pub zones: &'a [Zone],
    /// TTL of addresses. That of SOA and of negative answers is this or 300, whichever is less (RFC 2308 5).
    pub ttl: Ttl,
    /// If not empty, addresses outside of all these are never answered, in any mode: NXDOMAIN, EDE 15.
    pub pod_cidrs: &'a [IpCidr],
    /// Never answer unspecified, loopback, link-local, multicast, broadcast, documentation and benchmark
    /// addresses: NXDOMAIN, EDE 15.
    pub block_special: bool,
    /// If not empty, only these namespaces exist, in any mode. Sorted, for binary search.
    pub namespaces: &'a [Label],
    /// In mode insecure: a namespace exists only if [`PodLookup`](crate::PodLookup) has it.
    pub check_namespaces: bool,
    /// In mode insecure: [`Reply::audit`](crate::Reply::audit) has what mode verified would have refused. No response
    /// depends on it. Needs a [`PodLookup`](crate::PodLookup) that knows pods, namespaces and owners.
    pub audit: bool,
    /// In mode verified: the clients that see a namespace and its pods, under forward and reverse names. See
    /// [`client_of`](crate::client_of()) for the client of a query.
    pub visibility: Visibility,
    /// With [`Visibility::Namespace`]: networks of clients that see everything.
    pub visible_to: &'a [IpCidr],
    /// Networks of forwarders that name their client in the EDNS Client Subnet option (RFC 7871). The option of others is
    /// ignored. Looked at only where something depends on the client: with an audit or [`Visibility::Namespace`].
    pub trust_ecs: &'a [IpCidr],
    /// In mode verified: `<pod-name>.<namespace>` is answered with all addresses of that pod.
    pub pod_names: bool,
    /// In mode verified: the networks whose reverse zones are served. An address that exactly one pod has is answered with
    /// one PTR record: the pod's name in the first of [`zones`](Self::zones). Several pods: NODATA. No pod: NXDOMAIN.
    pub reverse_zones: ReverseZones<'a>,
    /// The age up to which a stale index is served; `None` for no limit.
    pub max_staleness: Option<Duration>,
    /// Answer cookies (RFC 7873); `None` ignores them.
    pub cookies: Option<&'a CookieSecrets>,
    /// Networks of clients of which cookies are ignored. Forwarders that pass EDNS on, and have no cookies of
    /// their own, belong here: a client that received a cookie through one drops the answers of other servers behind it
    /// (RFC 7873 5.3: "If the client is expecting the response to contain a COOKIE option and it is missing, the
    /// response MUST be discarded."). Looked at only for queries with a cookie.
    pub cookie_exempt: &'a [IpCidr],
    /// The server's identifier for queries with NSID (RFC 5001): any octets, of which the first [`Config::MAX_NSID`] are sent.
    pub nsid: Option<&'a [u8]>,
    /// Idle time-out of TCP connections, for queries with edns-tcp-keepalive (RFC 7828), in units of 100 ms.
    pub tcp_keepalive: Option<u16>,
    /// The text of `version.bind` and `version.server` in class CH, at most 255 octets; `None` refuses.
    pub chaos_version: Option<&'a str>,
    /// The text of `id.server` and `hostname.bind` in class CH (RFC 4892), at most 255 octets; `None` refuses.
    pub chaos_id: Option<&'a str>,
    /// The driver transfers zones: [`respond`](crate::respond()) returns [`Outcome::Transfer`](crate::Outcome::Transfer)
    /// for a query that asks for it and [`Outcome::Signed`](crate::Outcome::Signed) for one with a transaction signature,
    /// and SOA records have secondaries look for changes every minute. Otherwise the first is REFUSED, the second FORMERR.
    pub transfers: bool,
}

impl<'a> Config<'a> {
    /// The most octets of [`Config::nsid`] that are sent, so that every response fits its smallest datagram.
    pub const MAX_NSID: usize = edns::MAX_NSID;

    /// Returns whether anything depends on the client: one test for an audit and visibility, which no other query then pays
    /// for.
    #[inline]
    pub(crate) fn looks_at_clients(&self) -> bool {
        u16::from_ne_bytes([u8::from(self.audit), self.visibility as u8]) != 0
    }

    /// Returns whether pods are hidden from some clients.
    pub(crate) fn hides(&self) -> bool {
        self.mode == Mode::Verified && self.visibility == Visibility::Namespace
    }

    /// This mode for these zones; every other field at its default: TTL 5, no guard, nothing opt-in.
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
