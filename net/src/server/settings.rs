//! The settings of a server: plain values, independent of their source.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use cidr::IpInet;
use poddns_core::{Config, IpCidr, Label, Mode, ReverseZones, Ttl, Visibility, Zone};
use poddns_watch::{ClusterOptions, HostNetwork, Scope, Source};

use super::cookies::CookieSource;
use super::query_log::QueryLog;
use super::rate_limit::{RateLimit, private};

/// Prefix length of an IPv6 client network if there is no rate limit that sets it.
const IPV6_PREFIX: u8 = 56;

/// File that keeps the index for the next start, and how often it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFile {
    /// The file. It is replaced by renaming another one onto it, so its folder must be writable.
    pub path: PathBuf,
    /// Time between two snapshots, and therefore the maximum lag of the file: one second to one day.
    pub interval: Duration,
}

impl SnapshotFile {
    /// Default interval.
    pub const INTERVAL: Duration = Duration::from_mins(1);
}

/// Zone transfers to secondaries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferSettings {
    /// Addresses of secondaries: NOTIFY is sent to them, and transfers may be requested from them, from any port.
    pub secondaries: Vec<SocketAddr>,
    /// Key file in the format of `tsig-keygen`. If set, queries for transfers must be signed, and NOTIFY is signed.
    pub key_file: Option<PathBuf>,
    /// Maximum memory of the journal of differences (IXFR), in bytes.
    pub journal: usize,
}

impl TransferSettings {
    /// Default size of the journal.
    pub const JOURNAL: usize = 10 << 20;

    /// Maximum number of secondaries. Further ones have to transfer from one of these.
    pub const MAX_SECONDARIES: usize = 64;
}

/// Knowledge of the cluster that answers require.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// None: every answer depends on the question alone.
    Nothing,
    /// The namespaces that exist.
    Namespaces,
    /// The namespaces that exist and the addresses of their pods.
    Pods,
}

/// Limits of the TCP side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpLimits {
    /// Time after which a connection without a complete query, or with an unread answer, is closed.
    pub idle_timeout: Duration,
    /// Age at which a connection is closed, even if it is in use: as soon as no query is in progress, and at the latest
    /// after the idle time-out. `None` is unlimited.
    pub lifetime: Option<Duration>,
    /// Maximum number of connections.
    pub connections: usize,
    /// Maximum number of connections from one client.
    pub per_client: usize,
}

impl Default for TcpLimits {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(10),
            // Long enough that the cost of reconnecting is negligible.
            lifetime: Some(Duration::from_hours(1)),
            connections: 10_000,
            per_client: 256,
        }
    }
}

/// Settings of a [`Server`](crate::Server): everything that it reads.
///
/// [`Settings::default`] has the defaults of `poddnsd`; an embedder changes its fields and passes it to
/// [`Server::start`](crate::Server::start).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the operator's")]
pub struct Settings {
    /// Check that a pod's address must pass.
    pub mode: Mode,
    /// Zones served, one for each cluster domain; not empty.
    pub zones: Vec<Zone>,
    /// Time to live of address records.
    pub ttl: Ttl,
    /// Networks of pods: if not empty, no other address is answered.
    pub pod_cidrs: Vec<IpCidr>,
    /// Namespaces that exist; all if empty. Sorted, as [`Config::namespaces`] requires.
    namespaces: Vec<Label>,
    /// Special addresses (loopback, link-local, multicast and others) are never answered.
    pub block_special: bool,
    /// Mode insecure: only the namespaces of the cluster exist.
    pub check_namespaces: bool,
    /// Mode insecure: queries that mode verified would refuse are counted.
    pub audit: bool,
    /// File that keeps the audit for the next start, if any. It is replaced by renaming another one onto it, so its
    /// folder must be writable.
    pub audit_file: Option<PathBuf>,
    /// Mode verified: the clients that see a namespace and its pods.
    pub visibility: Visibility,
    /// With [`Visibility::Namespace`]: networks of clients that see everything.
    pub visible_to: Vec<IpCidr>,
    /// Networks of forwarders whose EDNS Client Subnet option (RFC 7871) is used as the client, for visibility and the
    /// audit.
    pub trust_ecs: Vec<IpCidr>,
    /// Mode verified: names of pods are answered too.
    pub pod_names: bool,
    /// Mode verified: networks whose reverse zones are served, at most [`ReverseZones::MAX`] zones; none is served
    /// beyond that.
    pub reverse_zones: Vec<IpCidr>,
    /// Mode verified: treatment of pods with `hostNetwork: true`.
    pub host_network: HostNetwork,
    /// Age up to which a stale index is served; `None` is unlimited.
    pub max_staleness: Option<Duration>,
    /// Source of pods and namespaces; not read if [`needs`](Self::needs) is [`Needs::Nothing`].
    pub source: Source,
    /// File that keeps the index for the next start, if any. Only for pods of a cluster.
    pub snapshot: Option<SnapshotFile>,
    /// Zone transfers; `None` refuses them. Only for mode verified, and pods that a feed reads.
    pub transfer: Option<TransferSettings>,
    /// Addresses of DNS over UDP and TCP; port 0 chooses a free port, the same for both. An IPv6 address, `[::]`
    /// included, accepts IPv6 only.
    pub listen: Vec<SocketAddr>,
    /// Addresses of the admin endpoints, which are not served if this is empty; port 0 chooses a free port, the same
    /// for both wildcards. An IPv6 address, `[::]` included, accepts IPv6 only.
    pub admin: Vec<SocketAddr>,
    /// Number of threads that answer over UDP.
    pub threads: NonZeroUsize,
    /// Limits of the TCP side.
    pub tcp: TcpLimits,
    /// Limits of the responses over UDP to one client network; `None` is no limit.
    pub rate_limit: Option<RateLimit>,
    /// Limits of the negative answers (NXDOMAIN) to one client network, over UDP and TCP: once the budget is spent, all
    /// queries are REFUSED with EDE 18 until part of it is refilled. [`RateLimit::slip`] is ignored. `None` is no
    /// limit.
    pub nxdomain_limit: Option<RateLimit>,
    /// Networks of clients without a rate limit, a limit of negative answers and DNS cookies
    /// ([`Config::cookie_exempt`]). By default the private ones (RFC 1918, RFC 6598, RFC 4193, link-local and
    /// loopback). For [`TcpLimits::per_client`], all addresses of another IPv6 client's network count as one client.
    pub exempt: Vec<IpCidr>,
    /// Source of the secrets of DNS cookies.
    pub cookies: CookieSource,
    /// The query log; `None` is off. [`Bound::with_query_log`](crate::Bound::with_query_log) sets its receiver.
    pub query_log: Option<QueryLog>,
    /// Name server identifier (RFC 5001), at most [`Config::MAX_NSID`] bytes.
    pub nsid: Option<String>,
    /// The text of `version.bind` and `version.server` in class CH, at most 255 bytes.
    pub chaos_version: Option<String>,
    /// The text of `id.server` and `hostname.bind` in class CH (RFC 4892), at most 255 bytes.
    pub chaos_id: Option<String>,
}

/// Number of cores that this process may use. Read once, from files that Landlock may deny later.
static CORES: LazyLock<NonZeroUsize> =
    LazyLock::new(|| std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN));

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            zones: Zone::new("cluster.local").into_iter().collect(),
            ttl: Ttl::default(),
            pod_cidrs: Vec::new(),
            namespaces: Vec::new(),
            block_special: false,
            check_namespaces: false,
            audit: false,
            audit_file: None,
            visibility: Visibility::default(),
            visible_to: Vec::new(),
            trust_ecs: Vec::new(),
            pod_names: false,
            reverse_zones: Vec::new(),
            host_network: HostNetwork::default(),
            max_staleness: None,
            source: Source::Cluster(ClusterOptions::default()),
            snapshot: None,
            transfer: None,
            listen: vec![(Ipv4Addr::LOCALHOST, 1053).into()],
            admin: vec![(Ipv4Addr::LOCALHOST, 8053).into()],
            threads: *CORES,
            tcp: TcpLimits::default(),
            rate_limit: Some(RateLimit::default()),
            nxdomain_limit: None,
            exempt: private(),
            cookies: CookieSource::default(),
            query_log: None,
            nsid: None,
            chaos_version: None,
            chaos_id: None,
        }
    }
}

impl Settings {
    /// Returns the namespaces that exist, sorted; all if empty.
    #[must_use]
    pub fn namespaces(&self) -> &[Label] {
        &self.namespaces
    }

    /// Restricts the namespaces that exist to these; no restriction if empty.
    pub fn set_namespaces(&mut self, namespaces: impl IntoIterator<Item = Label>) {
        self.namespaces = namespaces.into_iter().collect();
        self.namespaces.sort_unstable();
        self.namespaces.dedup();
    }

    /// Returns the responder's configuration, without the secrets of cookies, which change independently.
    /// It only borrows, so it is cheap enough for every batch.
    #[must_use]
    pub fn answers(&self) -> Config<'_> {
        let mut config = Config::new(self.mode, &self.zones);
        config.ttl = self.ttl;
        config.pod_cidrs = &self.pod_cidrs;
        config.block_special = self.block_special;
        config.namespaces = &self.namespaces;
        config.check_namespaces = self.check_namespaces;
        config.audit = self.audits();
        config.visibility = self.visibility;
        config.visible_to = &self.visible_to;
        config.trust_ecs = &self.trust_ecs;
        config.pod_names = self.pod_names;
        config.reverse_zones = ReverseZones::new(&self.reverse_zones).unwrap_or_default();
        config.max_staleness = self.max_staleness;
        config.cookie_exempt = &self.exempt;
        config.nsid = self.nsid.as_ref().map(String::as_bytes);
        config.chaos_version = self.chaos_version.as_deref();
        config.chaos_id = self.chaos_id.as_deref();
        config.transfers = self.transfer.is_some();
        // RFC 7828 3.1: in units of 100 milliseconds. The maximum, one hour, fits.
        let timeout = self.tcp.idle_timeout;
        config.tcp_keepalive =
            u16::try_from(timeout.as_secs() * 10 + u64::from(timeout.subsec_millis() / 100)).ok();
        config
    }

    /// Returns the address by which the TCP connections of a client are counted: its own, or, for an IPv6 client that
    /// is not exempt, the first one of its network, since one host may have all addresses of the network.
    pub(crate) fn client(&self, address: IpAddr) -> IpAddr {
        let address = address.to_canonical();
        if address.is_ipv4() || self.exempt.iter().any(|network| network.contains(&address)) {
            return address;
        }
        let prefix = self.rate_limit.as_ref().map_or(IPV6_PREFIX, |limit| limit.ipv6_prefix);
        IpInet::new(address, prefix).map_or(address, |client| client.first_address())
    }

    /// Returns true if the pods of an index have the same records as under other settings.
    pub(crate) fn has_same_records(&self, other: &Self) -> bool {
        let of =
            |settings: &'_ Self| (settings.mode, settings.ttl, settings.block_special, settings.pod_names);
        of(self) == of(other)
            && self.zones == other.zones
            && self.pod_cidrs == other.pod_cidrs
            && self.namespaces == other.namespaces
    }

    /// Returns the knowledge of the cluster that these settings require.
    #[must_use]
    pub fn needs(&self) -> Needs {
        if self.audits() { Needs::Pods } else { self.answers_need() }
    }

    /// Returns true if the audit is enabled.
    #[must_use]
    pub fn audits(&self) -> bool {
        self.audit && self.mode == Mode::Insecure
    }

    /// Returns the knowledge of the cluster that the answers require, without that of the audit.
    #[must_use]
    pub fn answers_need(&self) -> Needs {
        match self.mode {
            Mode::Insecure if self.check_namespaces => Needs::Namespaces,
            Mode::Disabled | Mode::Insecure => Needs::Nothing,
            // A mode that is added to the core crate may need everything.
            _ => Needs::Pods,
        }
    }

    /// Returns the part of the cluster that these settings require to be watched.
    #[must_use]
    pub fn scope(&self) -> Scope {
        Scope {
            pods: self.needs() == Needs::Pods,
            namespaces: self.namespaces.clone(),
            host_network: self.host_network,
            pod_names: self.pod_names,
        }
    }

    /// Returns true if pods are hidden from some clients.
    #[must_use]
    pub fn hides_pods(&self) -> bool {
        self.mode == Mode::Verified && self.visibility == Visibility::Namespace
    }

    /// Returns true in mode insecure without a guard: any address is answered to any client.
    #[must_use]
    pub fn unguarded(&self) -> bool {
        self.mode == Mode::Insecure
            && !self.check_namespaces
            && !self.block_special
            && self.pod_cidrs.is_empty()
            && self.namespaces.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv6_clients_are_counted_by_network() {
        let mut settings = Settings::default();
        let client = |settings: &Settings, text: &str| settings.client(text.parse().unwrap()).to_string();
        assert_eq!(client(&settings, "2001:db8:0:1ff::7"), "2001:db8:0:100::");
        assert_eq!(client(&settings, "203.0.113.7"), "203.0.113.7");
        assert_eq!(client(&settings, "::ffff:203.0.113.7"), "203.0.113.7");
        assert_eq!(client(&settings, "fd00::7"), "fd00::7", "exempt: pods share a network");
        settings.exempt.push("2001:db8::/32".parse().unwrap());
        assert_eq!(client(&settings, "2001:db8:0:1ff::7"), "2001:db8:0:1ff::7");
        settings.exempt.clear();
        settings.rate_limit = None;
        assert_eq!(client(&settings, "fd00::7"), "fd00::");
    }
}
