//! Queries: arbitrary octets, queries built from fields that are mostly valid, and such queries with a few octets
//! changed.

use arbitrary::Arbitrary;

use super::cluster::{POD_NAMES, address, pooled};
use super::exchange::CheckedExchange;
use super::rare::Rare;
use super::settings::NAMESPACES;
use super::walk::{self, Pointers, rtype};

#[derive(Arbitrary, Debug)]
pub(crate) enum Query<'a> {
    Octets(&'a [u8]),
    Built(Built<'a>),
    Changed { built: Built<'a>, changes: [(u8, u8); 3], cut: Rare<u8>, tail: Rare<&'a [u8]> },
}

impl Query<'_> {
    /// Returns the query's octets. If it is to have a valid cookie, a cookie is requested from the exchange first.
    pub(crate) fn octets(&self, exchange: &CheckedExchange<'_>) -> Vec<u8> {
        match self {
            Self::Octets(octets) => octets.to_vec(),
            Self::Built(built) => built.octets(exchange),
            Self::Changed { built, changes, cut, tail } => {
                let mut octets = built.octets(exchange);
                for &(at, xor) in changes {
                    let at = usize::from(at) % octets.len();
                    octets[at] ^= xor;
                }
                octets.truncate(cut.0.map_or(usize::MAX, usize::from));
                octets.extend(tail.0.unwrap_or_default());
                octets
            }
        }
    }
}

#[derive(Arbitrary, Debug)]
pub(crate) struct Built<'a> {
    id: u16,
    recursion_desired: bool,
    flags: Rare<u16>,
    counts: Rare<[u8; 4]>,
    labels: [Option<LabelChoice<'a>>; 3],
    zone: u8,
    /// Positions of upper-case letters, modulo 16.
    upper_case: u16,
    rtype: u8,
    any_rtype: Rare<u16>,
    class: Rare<u16>,
    record: Rare<RecordChoice<'a>>,
    opt: Option<OptChoice<'a>>,
}

#[derive(Arbitrary, Debug)]
enum LabelChoice<'a> {
    Namespace(u8),
    PodName(u8),
    /// An address of the pool, in one of its spellings.
    Address(u8, u8),
    Ipv4([u8; 4]),
    Ipv6([u16; 8]),
    Octets(&'a [u8]),
}

impl LabelChoice<'_> {
    fn octets(&self) -> Vec<u8> {
        let dashed = |text: String| text.replace(['.', ':'], "-").into_bytes();
        match self {
            Self::Namespace(index) => pooled(&NAMESPACES, *index).into(),
            Self::PodName(index) => pooled(&POD_NAMES, *index).into(),
            Self::Address(index, spelling) => {
                let address = address(*index);
                match (address, spelling % 3) {
                    (std::net::IpAddr::V6(v6), 1) => {
                        dashed(v6.segments().map(|group| format!("{group:x}")).join(":"))
                    }
                    (std::net::IpAddr::V6(v6), 2) => {
                        dashed(v6.segments().map(|group| format!("{group:04X}")).join(":"))
                    }
                    _ => dashed(address.to_string()),
                }
            }
            Self::Ipv4(octets) => dashed(std::net::Ipv4Addr::from(*octets).to_string()),
            Self::Ipv6(groups) => dashed(std::net::Ipv6Addr::from(*groups).to_string()),
            Self::Octets(octets) => octets[..octets.len().min(63)].to_vec(),
        }
    }
}

#[derive(Arbitrary, Debug)]
struct RecordChoice<'a> {
    section: u8,
    owner_is_pointer: bool,
    rtype: u16,
    data: &'a [u8],
}

#[derive(Arbitrary, Debug)]
struct OptChoice<'a> {
    size: u16,
    version: Rare<u8>,
    flags: u16,
    nsid: bool,
    keepalive: bool,
    cookie: Option<CookieChoice<'a>>,
    other: Rare<(u16, &'a [u8])>,
    twice: Rare<bool>,
}

#[derive(Arbitrary, Debug)]
enum CookieChoice<'a> {
    Client([u8; 8]),
    /// With the server cookie that the server returned.
    Renewed([u8; 8]),
    Octets(&'a [u8]),
}

const RTYPES: [u16; 12] = [
    rtype::A,
    rtype::AAAA,
    rtype::ANY,
    rtype::SOA,
    rtype::NS,
    rtype::TXT,
    rtype::A,
    rtype::AAAA,
    rtype::AXFR,
    rtype::IXFR,
    rtype::OPT,
    65280,
];

/// Ends of names, to the right of the chosen labels: the zones of the pool, and names that resemble them.
const SUFFIXES: [&str; 10] = [
    "pod.cluster.local",
    "pod.pod.cluster.local",
    "pod.k8s",
    "pod.example.org",
    "cluster.local",
    "pod.xcluster.local",
    "version.bind",
    "id.server",
    "",
    "LONGEST",
];

/// From this value of the zone field on, the name ends as the reverse name of an address of the pool.
const REVERSE: u8 = 190;

/// From this value of the type field on, the type is PTR.
const PTR: u8 = 240;

/// Returns the reverse name of an address of the pool, or the end of it.
fn reverse_name(choice: u8) -> String {
    let (octets, suffix): (Vec<u8>, _) = match address(choice) {
        std::net::IpAddr::V4(v4) => (v4.octets().to_vec(), "in-addr.arpa"),
        std::net::IpAddr::V6(v6) => {
            (v6.octets().iter().flat_map(|octet| [octet >> 4, octet & 15]).collect(), "ip6.arpa")
        }
    };
    let missing = pooled(&[0, 0, 1, 2, 20], choice / 12).min(octets.len());
    let labels = octets.iter().rev().skip(missing);
    let hex = octets.len() == 32;
    let labels = labels.map(|part| if hex { format!("{part:x}.") } else { format!("{part}.") });
    labels.collect::<String>() + suffix
}

impl Built<'_> {
    fn octets(&self, exchange: &CheckedExchange<'_>) -> Vec<u8> {
        let mut query = Vec::new();
        let flags = self.flags.0.unwrap_or(u16::from(self.recursion_desired) << 8);
        let mut counts = [1, 0, 0, 0];
        query.extend(self.id.to_be_bytes());
        query.extend(flags.to_be_bytes());
        query.extend([0; 8]);
        self.question(&mut query);
        if let Some(record) = &self.record.0 {
            let section = 1 + usize::from(record.section % 3);
            counts[section] += 1;
            record.write(&mut query);
        }
        if let Some(opt) = &self.opt {
            let cookie = opt.cookie.as_ref().map(|cookie| cookie.octets(exchange));
            for _ in 0..=u8::from(opt.twice.0 == Some(true)) {
                counts[3] += 1;
                opt.write(&mut query, cookie.as_deref());
            }
        }
        let counts = self.counts.0.unwrap_or(counts);
        for (index, count) in counts.into_iter().enumerate() {
            query[5 + 2 * index] = count;
        }
        query
    }

    fn question(&self, query: &mut Vec<u8>) {
        let longest = format!("pod.{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(50));
        let suffix = match self.zone.checked_sub(REVERSE) {
            None => pooled(&SUFFIXES, self.zone).replace("LONGEST", &longest),
            Some(choice) => reverse_name(choice),
        };
        let labels = self.labels.iter().flatten().map(LabelChoice::octets);
        let suffix = suffix.split('.').map(|label| label.as_bytes().to_vec());
        for mut label in labels.chain(suffix).filter(|label| !label.is_empty()) {
            for (at, octet) in label.iter_mut().enumerate() {
                if self.upper_case >> (at % 16) & 1 == 1 {
                    octet.make_ascii_uppercase();
                }
            }
            query.push(u8::try_from(label.len()).expect("at most 63"));
            query.extend(label);
        }
        query.push(0);
        let rtype = if self.rtype < PTR { pooled(&RTYPES, self.rtype) } else { rtype::PTR };
        query.extend(self.any_rtype.0.unwrap_or(rtype).to_be_bytes());
        query.extend(self.class.0.unwrap_or(1).to_be_bytes());
    }
}

impl RecordChoice<'_> {
    fn write(&self, query: &mut Vec<u8>) {
        query.extend(if self.owner_is_pointer { &[0xc0, 12][..] } else { &[1, b'x', 0] });
        query.extend(self.rtype.to_be_bytes());
        query.extend([0, 1, 0, 0, 0, 5]);
        let data = &self.data[..self.data.len().min(255)];
        query.extend(u16::try_from(data.len()).expect("at most 255").to_be_bytes());
        query.extend(data);
    }
}

impl OptChoice<'_> {
    fn write(&self, query: &mut Vec<u8>, cookie: Option<&[u8]>) {
        let mut data = Vec::new();
        let mut option = |code: u16, value: &[u8]| {
            data.extend(code.to_be_bytes());
            data.extend(u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
            data.extend(value);
        };
        if self.nsid {
            option(3, &[]);
        }
        if let Some(cookie) = cookie {
            option(10, cookie);
        }
        if self.keepalive {
            option(11, &[]);
        }
        if let Some((code, value)) = self.other.0 {
            option(code, value);
        }
        query.extend([0, 0, 41]);
        query.extend(self.size.to_be_bytes());
        query.extend([0, self.version.0.unwrap_or(0)]);
        query.extend(self.flags.to_be_bytes());
        query.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
        query.extend(data);
    }
}

impl CookieChoice<'_> {
    fn octets(&self, exchange: &CheckedExchange<'_>) -> Vec<u8> {
        match self {
            Self::Client(client) => client.to_vec(),
            Self::Renewed(client) => renewed(*client, exchange).unwrap_or_else(|| client.to_vec()),
            Self::Octets(octets) => octets.to_vec(),
        }
    }
}

/// Returns client and server cookie from the response to a query that has nothing but a cookie (RFC 7873 5.4).
fn renewed(client: [u8; 8], exchange: &CheckedExchange<'_>) -> Option<Vec<u8>> {
    let mut query =
        vec![0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 12, 0, 10, 0, 8];
    query.extend(client);
    let (_, reply) = exchange.respond(&query, 0)?;
    let reply_octets = &reply[..];
    let message = walk::message(reply_octets, Pointers::Follow)?;
    let data = message.additionals.first()?.data.clone();
    let options = walk::options(&reply_octets[data])?;
    options.into_iter().find(|(code, _)| *code == 10).map(|(_, cookie)| cookie.to_vec())
}
