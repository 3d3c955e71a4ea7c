//! Generators of queries, of mutations of them, and of configurations.

use core::time::Duration;

use poddns_core::{
    Config, CookieSecrets, Freshness, IpCidr, Label, Mode, ReverseZones, Ttl, Visibility, Zone,
};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::Server;
use super::cluster::{label, recorded};
use super::query::{Edns, Query, record};
use super::response::WireName;
use poddns_core_checks::TestCluster;

/// Labels and suffixes that have a meaning in some test or RFC.
const LABELS: [&str; 18] = [
    "10-244-1-5",
    "10-244-2-6",
    "10-99-99-99",
    "127-0-0-1",
    "fd00-10-244-1--7",
    "FD00-10-244-1-0-0-0-6",
    "--",
    "--ffff-a00-1",
    "web-1",
    "web-2",
    "default",
    "team-a",
    "nowhere",
    "inner",
    "pod",
    "*",
    "5",
    "1",
];
const SUFFIXES: [&str; 10] = [
    "pod.cluster.local",
    "default.pod.cluster.local",
    "team-a.pod.cluster.local",
    "pod.inner.pod.cluster.local",
    "cluster.local",
    "version.bind",
    "1.244.10.in-addr.arpa",
    "0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.4.4.2.0.0.1.0.0.0.0.d.f.ip6.arpa",
    "arpa",
    "",
];

fn one_label() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => select(&LABELS[..]).prop_map(|text| text.as_bytes().to_vec()),
        2 => prop::collection::vec(any::<u8>(), 1..=12),
        1 => Just(vec![b'a'; 63]),
    ]
}

/// A name in wire form: often an existing one, sometimes longer than 255 octets.
pub(crate) fn name() -> impl Strategy<Value = Vec<u8>> {
    (prop::collection::vec(one_label(), 0..=4), select(&SUFFIXES[..])).prop_map(|(labels, suffix)| {
        let mut name = Vec::new();
        for label in labels {
            name.push(u8::try_from(label.len()).expect("at most 63"));
            name.extend(label);
        }
        name.extend(WireName::new(suffix).0);
        name
    })
}

/// A name in wire form of at most 255 octets.
pub(crate) fn valid_name() -> impl Strategy<Value = Vec<u8>> {
    name().prop_filter("at most 255 octets", |name| name.len() <= 255)
}

pub(crate) fn rtype() -> impl Strategy<Value = u16> {
    prop_oneof![
        8 => select(&[1_u16, 28, 255, 6, 2, 16, 12][..]),
        1 => select(&[33_u16, 41, 64, 65, 250][..]),
        1 => any::<u16>(),
    ]
    .prop_filter("transfers are another matter", |rtype| !matches!(rtype, 251 | 252))
}

fn edns() -> impl Strategy<Value = Edns> {
    let data = prop_oneof![4 => prop::collection::vec(any::<u8>(), 0..=45), 1 => Just(vec![7; 8]), 1 => Just(vec![])];
    let code = prop_oneof![4 => select(&[3_u16, 8, 10, 11, 12, 15][..]), 1 => any::<u16>()];
    let version = prop_oneof![9 => Just(0), 1 => any::<u8>()];
    let size = prop_oneof![select(&[0_u16, 511, 512, 513, 1232, 4096][..]), any::<u16>()];
    (size, version, any::<u16>(), prop::collection::vec((code, data), 0..=3)).prop_map(
        |(size, version, flags, options)| {
            let edns = Edns::new(size).version(version).flags(flags);
            options.into_iter().fold(edns, |edns, (code, data)| edns.option(code, &data))
        },
    )
}

/// A complete record; some are misplaced in a query.
fn some_record() -> impl Strategy<Value = Vec<u8>> {
    let owner = prop_oneof![name(), Just(vec![0xc0, 12]), Just(vec![0])];
    let rtype = prop_oneof![3 => Just(1_u16), 1 => Just(41), 1 => Just(250), 2 => any::<u16>()];
    (owner, rtype, any::<u16>(), any::<u32>(), prop::collection::vec(any::<u8>(), 0..=20))
        .prop_map(|(owner, rtype, class, ttl, data)| record(&owner, rtype, class, ttl, &data))
}

/// A query with one question, as sent by clients: opcode 0, any flags except QR, with or without EDNS.
pub(crate) fn plain_query() -> impl Strategy<Value = Query> {
    let class = prop_oneof![9 => Just(1_u16), 1 => Just(3), 1 => any::<u16>()];
    let flags = any::<u16>().prop_map(|flags| flags & 0x07ff);
    (valid_name(), rtype(), class, flags, any::<u16>(), prop::option::of(edns())).prop_map(
        |(name, rtype, class, flags, id, edns)| {
            let query = Query::of(&name, rtype, class).flags(flags).id(id);
            edns.iter().fold(query, Query::edns)
        },
    )
}

/// Octets of a query with records, opcodes and counts that may be wrong, and random changes.
pub(crate) fn broken_query() -> impl Strategy<Value = Vec<u8>> {
    let records = prop::collection::vec((0..3_usize, some_record()), 0..=3);
    let opcode = prop_oneof![9 => Just(0_u16), 1 => 0..16_u16];
    let count = prop::option::weighted(0.1, (0..4_usize, 0..4_u16));
    let change = (any::<Index>(), any::<u8>(), 0..4_u8);
    let changes = prop::collection::vec(change, 0..=3);
    (plain_query(), opcode, records, count, changes).prop_map(|(query, opcode, records, count, changes)| {
        let query = query.opcode(opcode);
        let query = records.into_iter().fold(query, |query, (section, record)| query.record(section, record));
        let query = count.into_iter().fold(query, |query, (section, count)| query.count(section, count));
        let mut octets = query.octets();
        for (at, octet, kind) in changes {
            let at = at.index(octets.len().max(1));
            match kind {
                _ if octets.is_empty() => {}
                0 => octets[at] = octet,
                1 => octets[at] ^= 1 << (octet % 8),
                2 => octets.truncate(at),
                _ => octets.insert(at, octet),
            }
        }
        octets
    })
}

/// All settings and the state of the index, owned.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    zones: Vec<Zone>,
    cluster: TestCluster,
    cookies: CookieSecrets,
    namespaces: Vec<Label>,
    cidrs: Vec<IpCidr>,
    networks: Vec<IpCidr>,
    /// Includes the client of most tests.
    clients: Vec<IpCidr>,
    mode: Mode,
    ttl: Ttl,
    max_staleness: Option<Duration>,
    /// One bit per switch.
    switches: u16,
}

impl Setting {
    pub(crate) fn cluster(&self) -> &TestCluster {
        &self.cluster
    }

    pub(crate) fn server(&self) -> Server<'_> {
        let on = |bit: u32| self.switches & 1 << bit != 0;
        let mut config = Config::new(self.mode, &self.zones);
        config.ttl = self.ttl;
        config.max_staleness = self.max_staleness;
        config.check_namespaces = on(0);
        config.pod_names = on(1);
        config.block_special = on(2);
        config.pod_cidrs = if on(3) { &self.cidrs } else { &[] };
        config.namespaces = if on(4) { &self.namespaces } else { &[] };
        config.cookies = on(5).then_some(&self.cookies);
        config.nsid = on(6).then_some(&b"node-a"[..]);
        config.tcp_keepalive = on(7).then_some(100);
        config.chaos_version = on(8).then_some("poddns");
        config.reverse_zones =
            if on(10) { ReverseZones::new(&self.networks).expect("a few") } else { ReverseZones::default() };
        config.visibility = if on(11) { Visibility::Namespace } else { Visibility::All };
        config.visible_to = if on(12) { &self.clients } else { &[] };
        config.trust_ecs = if on(13) { &self.clients } else { &[] };
        config.chaos_id = on(9).then_some("node-a");
        Server { config, pods: &self.cluster }
    }
}

pub(crate) fn setting() -> impl Strategy<Value = Setting> {
    let age = Duration::from_secs(100);
    let freshness = select(vec![
        Freshness::Fresh,
        Freshness::Fresh,
        Freshness::Unsynced,
        Freshness::Stale { age },
        Freshness::Resyncing { age },
    ]);
    let domains = select(vec![
        vec!["cluster.local"],
        vec!["cluster.local", "inner.pod.cluster.local"],
        vec!["inner.pod.cluster.local"],
    ]);
    let mode = select(vec![Mode::Disabled, Mode::Insecure, Mode::Verified, Mode::Verified]);
    let staleness = select(vec![None, Some(age), Some(Duration::ZERO)]);
    (domains, freshness, mode, 0..=3600_u16, staleness, any::<u16>()).prop_map(
        |(domains, freshness, mode, ttl, max_staleness, switches)| Setting {
            zones: domains.iter().map(|domain| Zone::new(domain).expect("a domain")).collect(),
            cluster: recorded().fresh(freshness),
            cookies: CookieSecrets { current: [3; 16], previous: None },
            namespaces: ["default", "inner", "team-b"].map(label).into(),
            cidrs: ["10.244.0.0/16", "fd00::/8"].map(|text| text.parse().expect("a network")).into(),
            networks: ["10.244.0.0/15", "fd00:10:244::/47"]
                .map(|text| text.parse().expect("a network"))
                .into(),
            clients: ["127.0.0.0/8"].map(|text| text.parse().expect("a network")).into(),
            mode,
            ttl: Ttl::from_secs(ttl).expect("at most 3600"),
            max_staleness,
            switches,
        },
    )
}
