//! Settings chosen from small pools, so that names, namespaces and addresses coincide.

use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Duration;

use arbitrary::Arbitrary;
use poddns_core::{Config, CookieSecrets, IpCidr, Label, Mode, ReverseZones, Ttl, Visibility, Zone};

/// An ordinary domain; one inside the zone of the first; a top-level domain; one with an external name server; the
/// longest possible.
static ZONES: LazyLock<[Zone; 5]> = LazyLock::new(|| {
    let longest = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(50));
    let zone = |domain: &str| Zone::new(domain).expect("a domain");
    [
        zone("cluster.local"),
        zone("pod.cluster.local"),
        zone("k8s"),
        zone("Example.Org").with_ns("dns.elsewhere.example".parse().expect("a name")),
        zone(&longest),
    ]
});

/// Sorted, as `Config::namespaces` requires.
pub(crate) const NAMESPACES: [&str; 5] = ["a", "default", "kube-system", "pod", "x--y"];

const CIDRS: [&str; 5] = ["10.42.0.0/16", "fd00:10:244::/48", "127.0.0.0/8", "::/0", "1.2.3.4/32"];

/// Networks of reverse zones: with two zones, with one address, and a whole address family.
const NETWORKS: [&str; 3] = ["10.42.0.0/15", "1.2.3.4/32", "::/0"];

/// Networks that contain addresses of the pool: of clients that see everything, and of forwarders.
const VISIBLE_TO: &str = "1.2.3.0/24";
const TRUSTED: [&str; 2] = ["127.0.0.0/8", "2001:db8::/32"];

/// Returns the items of a pool for which the bit is set.
fn picked<T: Clone>(pool: &[T], bits: u8) -> Vec<T> {
    pool.iter()
        .enumerate()
        .filter(|(index, _)| bits >> index & 1 == 1)
        .map(|(_, item)| item.clone())
        .collect()
}

#[derive(Arbitrary, Clone, Debug)]
pub(crate) struct FuzzSettings<'a> {
    /// The mode modulo 3. The quotient chooses settings that were added later, so that older cases keep their
    /// meaning.
    mode: u8,
    zones: u8,
    ttl: u16,
    pod_cidrs: u8,
    block_special: bool,
    namespaces: u8,
    check_namespaces: bool,
    pod_names: bool,
    max_staleness: Option<u8>,
    cookies: Option<[u8; 2]>,
    nsid: Option<&'a [u8]>,
    tcp_keepalive: Option<u16>,
    chaos_version: Option<&'a str>,
    chaos_id: Option<&'a str>,
}

impl FuzzSettings<'static> {
    /// Mode insecure with defaults; verified with everything on except visibility; the same with visibility;
    /// disabled.
    pub(crate) fn samples() -> [Self; 4] {
        let insecure = Self {
            mode: 1,
            zones: 0b1,
            ttl: 5,
            pod_cidrs: 0,
            block_special: false,
            namespaces: 0,
            check_namespaces: false,
            pod_names: false,
            max_staleness: None,
            cookies: None,
            nsid: None,
            tcp_keepalive: None,
            chaos_version: None,
            chaos_id: None,
        };
        let verified = Self {
            mode: 2 + 3 * 0b11_0111,
            zones: 0b1_1111,
            ttl: 3600,
            block_special: true,
            pod_names: true,
            cookies: Some([1, 2]),
            nsid: Some(b"here"),
            tcp_keepalive: Some(100),
            chaos_version: Some("poddns"),
            chaos_id: Some("one"),
            ..insecure.clone()
        };
        let hiding = Self { mode: 2 + 3 * 0b11_1111, ..verified.clone() };
        let disabled = Self { mode: 0, ..verified.clone() };
        [insecure, verified, hiding, disabled]
    }
}

impl<'a> FuzzSettings<'a> {
    pub(crate) fn own(&self) -> OwnedConfig<'a> {
        let cidrs = CIDRS.map(|cidr| cidr.parse::<IpCidr>().expect("a CIDR"));
        let namespaces = NAMESPACES.map(|name| name.parse::<Label>().expect("a label"));
        let networks = NETWORKS.map(|network| network.parse::<IpCidr>().expect("a network"));
        let trusted = TRUSTED.map(|network| network.parse::<IpCidr>().expect("a network"));
        let cookies = self.cookies.map(|[current, previous]| CookieSecrets {
            current: [current; 16],
            previous: (previous != 0).then_some([previous; 16]),
        });
        OwnedConfig {
            settings: self.clone(),
            zones: picked(&*ZONES, self.zones),
            cidrs: picked(&cidrs, self.pod_cidrs),
            visible_to: picked(&[VISIBLE_TO.parse().expect("a network")], (self.mode / 3) >> 4),
            trusted: if ((self.mode / 3) >> 5) & 1 == 1 { trusted.into() } else { Vec::new() },
            networks: picked(&networks, self.mode / 3),
            namespaces: picked(&namespaces, self.namespaces),
            cookies,
        }
    }
}

/// Owned data for a `Config` to borrow.
#[derive(Debug)]
pub(crate) struct OwnedConfig<'a> {
    settings: FuzzSettings<'a>,
    pub(crate) zones: Vec<Zone>,
    pub(crate) cidrs: Vec<IpCidr>,
    pub(crate) networks: Vec<IpCidr>,
    pub(crate) visible_to: Vec<IpCidr>,
    pub(crate) trusted: Vec<IpCidr>,
    pub(crate) namespaces: Vec<Label>,
    cookies: Option<CookieSecrets>,
}

impl OwnedConfig<'_> {
    pub(crate) fn config(&self) -> Config<'_> {
        let settings = &self.settings;
        let mode = [Mode::Disabled, Mode::Insecure, Mode::Verified][usize::from(settings.mode % 3)];
        let mut config = Config::new(mode, &self.zones);
        config.ttl = Ttl::from_secs(settings.ttl % 3601).expect("at most an hour");
        config.pod_cidrs = &self.cidrs;
        config.block_special = settings.block_special;
        config.namespaces = &self.namespaces;
        config.check_namespaces = settings.check_namespaces;
        config.pod_names = settings.pod_names;
        let hides = ((settings.mode / 3) >> 3) & 1 == 1;
        config.visibility = if hides { Visibility::Namespace } else { Visibility::All };
        config.visible_to = &self.visible_to;
        config.trust_ecs = &self.trusted;
        config.reverse_zones = ReverseZones::new(&self.networks).expect("a few");
        config.max_staleness = settings.max_staleness.map(|seconds| Duration::from_secs(seconds.into()));
        config.cookies = self.cookies.as_ref();
        config.nsid = settings.nsid;
        config.tcp_keepalive = settings.tcp_keepalive;
        config.chaos_version = settings.chaos_version;
        config.chaos_id = settings.chaos_id;
        config
    }

    /// Returns true if a guard forbids the address: by tables of prefixes, whereas `core` has predicates.
    pub(crate) fn blocks(&self, address: IpAddr) -> bool {
        let outside = !self.cidrs.is_empty() && !self.cidrs.iter().any(|cidr| cidr.contains(&address));
        outside || (self.settings.block_special && is_special(address))
    }
}

/// The addresses that `Config::block_special` forbids, from the IANA special-purpose registries.
static SPECIAL: LazyLock<Vec<IpCidr>> = LazyLock::new(|| {
    const PREFIXES: &str = "0.0.0.0/8 127.0.0.0/8 169.254.0.0/16 224.0.0.0/4 255.255.255.255/32 192.0.2.0/24 \
        198.51.100.0/24 203.0.113.0/24 198.18.0.0/15 ::/128 ::1/128 fe80::/10 ff00::/8 2001:db8::/32 3fff::/20 \
        2001:2::/48";
    PREFIXES.split_whitespace().map(|prefix| prefix.parse().expect("a prefix")).collect()
});

fn is_special(address: IpAddr) -> bool {
    // RFC 6052 2.1: the prefix that translators map to IPv4.
    let nat64: IpCidr = "64:ff9b::/96".parse().expect("a prefix");
    let embedded = match address {
        IpAddr::V6(v6) if nat64.contains(&address) => v6.octets().last_chunk::<4>().map(|&low| low.into()),
        _ => None,
    };
    [Some(address), embedded].into_iter().flatten().any(|one| SPECIAL.iter().any(|net| net.contains(&one)))
}
