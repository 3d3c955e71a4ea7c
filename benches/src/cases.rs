//! Cases of the benchmarks.

use std::net::Ipv4Addr;

use poddns_core::Mode;

use super::{CLIENT, DOMAIN, NOW, SECRET};

/// A stream of queries of one kind, each for another pod.
#[derive(Clone, Debug)]
pub struct QueryCase {
    /// Name in reports.
    pub name: &'static str,
    /// The mode of the server.
    pub mode: Mode,
    /// Number of pods in the cluster.
    pub pods: u32,
    query: Vec<u8>,
    asked: QueriedName,
    /// State of the generator that selects pods.
    pod: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum QueriedName {
    /// The address of a pod that exists.
    Pod,
    /// An address that no pod has.
    Stranger,
    /// Not a query.
    Garbage,
}

const A: u16 = 1;
const AAAA: u16 = 28;

/// Number of pods of the largest cluster.
pub const MILLION: u32 = 1_000_000;

impl QueryCase {
    /// Returns all cases. `many` is the number of pods in the cases with many pods.
    #[must_use]
    pub fn all(many: u32) -> Vec<Self> {
        let case = |name, mode, pods, asked, rtype, edns| {
            let query = query(asked, rtype, edns);
            Self { name, mode, pods, query, asked, pod: 0 }
        };
        let (insecure, verified) = (Mode::Insecure, Mode::Verified);
        vec![
            case("insecure", insecure, 0, QueriedName::Pod, A, false),
            case("insecure, EDNS + cookie", insecure, 0, QueriedName::Pod, A, true),
            case("verified, 100 pods", verified, 100, QueriedName::Pod, A, false),
            case("verified, 100 pods, EDNS + cookie", verified, 100, QueriedName::Pod, A, true),
            case("verified, many pods", verified, many, QueriedName::Pod, A, false),
            case("verified, many pods, EDNS + cookie", verified, many, QueriedName::Pod, A, true),
            case("NXDOMAIN, many pods", verified, many, QueriedName::Stranger, A, false),
            case("NXDOMAIN, many pods, EDNS + cookie", verified, many, QueriedName::Stranger, A, true),
            case("NODATA, many pods", verified, many, QueriedName::Pod, AAAA, false),
            case("NODATA, many pods, EDNS + cookie", verified, many, QueriedName::Pod, AAAA, true),
            case("garbage", verified, 100, QueriedName::Garbage, A, false),
        ]
    }

    /// Returns the next query. It is for another pod, selected such that caches cannot predict it.
    pub fn next_query(&mut self) -> &[u8] {
        if self.asked != QueriedName::Garbage {
            // A generator of period 2^32 (Numerical Recipes), of which the high bits are the most random.
            self.pod = self.pod.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let pods = if self.mode == Mode::Insecure { MILLION } else { self.pods };
            let number = (u64::from(self.pod) * u64::from(pods)) >> 32;
            let [high, middle, low] = parts(u32::try_from(number).expect("below the pods"));
            for (at, part) in [(HIGH, high), (MIDDLE, middle), (LOW, low), (TEAM, low)] {
                // Two digits.
                self.query[at] = b'0' + part / 10;
                self.query[at + 1] = b'0' + part % 10;
            }
        }
        &self.query
    }
}

/// Splits a number below a million into three numbers below a hundred.
fn parts(number: u32) -> [u8; 3] {
    [number / 10_000, number / 100 % 100, number % 100].map(|part| part.try_into().expect("below 100"))
}

/// Returns the address of pod `number`, from 10.100.100.100 to 10.199.199.199, so that all have the same number of
/// digits.
#[must_use]
pub fn address(number: u32) -> Ipv4Addr {
    let [high, middle, low] = parts(number);
    Ipv4Addr::new(10, 100 + high, 100 + middle, 100 + low)
}

/// Returns the namespace of pod `number`, one of a hundred.
#[must_use]
pub fn namespace(number: u32) -> String {
    let [_, _, low] = parts(number);
    format!("team-1{low:02}")
}

/// Offsets of the variable digits in a query for `10-1hh-1mm-1ll.team-1ll`.
const HIGH: usize = 12 + 5;
const MIDDLE: usize = HIGH + 4;
const LOW: usize = MIDDLE + 4;
const TEAM: usize = LOW + 9;

fn query(asked: QueriedName, rtype: u16, edns: bool) -> Vec<u8> {
    let label = match asked {
        QueriedName::Pod => "10-100-100-100",
        QueriedName::Stranger => "11-100-100-100",
        // Twelve octets that could be a header, followed by no valid name.
        QueriedName::Garbage => {
            return (0..60).map(|at: u8| if at == 2 { 0 } else { at.wrapping_mul(0x9d) ^ 0x5a }).collect();
        }
    };
    let mut query = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns)];
    for label in format!("{label}.team-100.pod.{DOMAIN}").split('.') {
        query.push(u8::try_from(label.len()).expect("a label"));
        query.extend(label.as_bytes());
    }
    query.push(0);
    query.extend(rtype.to_be_bytes());
    query.extend([0, 1]);
    if edns {
        // OPT, 1232 octets, version 0, with a cookie that the client received from this server.
        query.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 28, 0, 10, 0, 24]);
        query.extend(cookie(*b"a client", NOW - 60));
    }
    query
}

/// Returns client cookie and server cookie (RFC 9018 4), for [`CLIENT`].
#[must_use]
pub fn cookie(client: [u8; 8], time: u32) -> [u8; 24] {
    let std::net::IpAddr::V4(address) = CLIENT else { unreachable!("it is IPv4") };
    let mut input = [0; 20];
    input[..8].copy_from_slice(&client);
    input[8] = 1;
    input[12..16].copy_from_slice(&time.to_be_bytes());
    input[16..].copy_from_slice(&address.octets());
    let hash = siphasher::sip::SipHasher24::new_with_key(&SECRET).hash(&input);
    let mut both = [0; 24];
    both[..16].copy_from_slice(&input[..16]);
    both[16..].copy_from_slice(&hash.to_le_bytes());
    both
}
