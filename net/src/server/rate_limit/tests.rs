//! Guarantees of the limiter, and its comparison with a naive limiter.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use cidr::IpInet;
use poddns_core::IpCidr;
use proptest::collection::vec;
use proptest::prelude::*;

use super::limiter::{LimitAction, RateLimit, RateLimiter};
use super::table::SECOND;

const KEY: [u8; 16] = *b"0123456789abcdef";

fn limit(rate: u32) -> RateLimit {
    let responses_per_second = NonZeroU32::new(rate).unwrap();
    RateLimit { responses_per_second, table: 1024, ..RateLimit::default() }
}

fn limiter(limit: RateLimit) -> (RateLimiter, Instant) {
    let now = Instant::now();
    (RateLimiter::new(limit, &[], KEY, now), now)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Returns the numbers of simultaneous responses that are sent whole, truncated and dropped.
fn burst(limiter: &mut RateLimiter, client: IpAddr, now: Instant, responses: u32) -> [u32; 3] {
    let mut counts = [0; 3];
    for _ in 0..responses {
        counts[limiter.check(client, || now) as usize] += 1;
    }
    counts
}

#[test]
fn budget_of_a_second_is_repaid() {
    let (mut limiter, now) = limiter(limit(10));
    let client = ip("203.0.113.7");
    assert_eq!(burst(&mut limiter, client, now, 10), [10, 0, 0]);
    assert_eq!(burst(&mut limiter, client, now, 10), [0, 5, 5]);
    // One response is refilled each tenth of a second.
    assert_eq!(burst(&mut limiter, client, now + Duration::from_millis(99), 1), [0, 0, 1]);
    assert_eq!(burst(&mut limiter, client, now + Duration::from_millis(300), 5), [3, 1, 1]);
    // At most the budget of one second is refilled.
    assert_eq!(burst(&mut limiter, client, now + Duration::from_hours(1), 12), [10, 1, 1]);
    assert_eq!(burst(&mut limiter, ip("203.0.114.7"), now, 10), [10, 0, 0], "another network");
}

#[test]
fn clients_of_one_network_share_its_budget() {
    let shares = |prefixes: (u8, u8), a: &str, b: &str| {
        let (ipv4_prefix, ipv6_prefix) = prefixes;
        let (mut limiter, now) = limiter(RateLimit { ipv4_prefix, ipv6_prefix, ..limit(1) });
        limiter.check(ip(a), || now);
        limiter.check(ip(b), || now) != LimitAction::Send
    };
    assert!(shares((24, 56), "203.0.113.0", "203.0.113.255"));
    assert!(!shares((24, 56), "203.0.113.255", "203.0.114.0"));
    assert!(!shares((32, 128), "203.0.113.0", "203.0.113.1"));
    assert!(shares((0, 0), "1.1.1.1", "203.0.113.1"));
    assert!(shares((24, 56), "2001:db8::1", "2001:db8:0:ff:ffff::1"));
    assert!(!shares((24, 56), "2001:db8::1", "2001:db8:0:100::1"));
    assert!(!shares((32, 128), "2001:db8::1", "2001:db8::2"));
    // An IPv4-mapped address is the same client as its IPv4 address. Families are separate, even with prefix length 0.
    assert!(shares((24, 56), "203.0.113.1", "::ffff:203.0.113.2"));
    assert!(!shares((0, 0), "0.0.0.1", "::1"));
}

#[test]
fn every_nth_response_beyond_is_truncated() {
    for (slip, expected) in
        [(0, [1, 0, 60]), (1, [1, 60, 0]), (2, [1, 30, 30]), (3, [1, 20, 40]), (60, [1, 1, 59])]
    {
        let (mut limiter, now) = limiter(RateLimit { slip, ..limit(1) });
        assert_eq!(burst(&mut limiter, ip("203.0.113.7"), now, 61), expected, "slip {slip}");
    }
}

#[test]
fn private_networks_are_exempt_by_default() {
    let private = [
        "10.0.0.1",
        "10.255.255.255",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.7.7",
        "100.64.0.1",
        "100.127.255.255",
        "169.254.20.10",
        "127.0.0.53",
        "::1",
        "fd00::1",
        "fc00::1",
        "fe80::1",
        "febf::1",
        "::ffff:10.1.2.3",
    ];
    let public = [
        "9.255.255.255",
        "11.0.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.167.255.255",
        "192.169.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "169.253.0.1",
        "126.0.0.1",
        "128.0.0.1",
        "::2",
        "::",
        "fbff::1",
        "fe00::1",
        "fec0::1",
        "2001:db8::1",
        "::ffff:8.8.8.8",
    ];
    let exempt = |exempt: Vec<IpCidr>, client| {
        let now = Instant::now();
        let mut limiter = RateLimiter::new(limit(1), &exempt, KEY, now);
        burst(&mut limiter, client, now, 9) == [9, 0, 0]
    };
    for client in private.map(ip) {
        assert!(exempt(super::private(), client), "{client}");
        assert!(!exempt(Vec::new(), client), "{client}");
    }
    for client in public.map(ip) {
        assert!(!exempt(super::private(), client), "{client}");
        assert!(exempt(vec![IpInet::new(client.to_canonical(), 20).unwrap().network()], client), "{client}");
    }
}

#[test]
fn another_limit_takes_over_what_is_known() {
    let client = ip("203.0.113.7");
    let (mut limiter, now) = limiter(limit(10));
    assert_eq!(burst(&mut limiter, client, now, 20), [10, 5, 5]);
    limiter.set(&limit(5), &[], now);
    assert_eq!(burst(&mut limiter, client, now, 4), [0, 2, 2]);
    limiter.set(&limit(5), &["203.0.113.0/24".parse().unwrap()], now);
    assert_eq!(burst(&mut limiter, client, now, 4), [4, 0, 0]);
    limiter.set(&RateLimit { table: 2048, ..limit(5) }, &[], now);
    assert_eq!(burst(&mut limiter, client, now, 6), [5, 0, 1], "another table is empty");
}

#[test]
fn networks_have_names_for_the_log() {
    let (limiter, _) = limiter(limit(1));
    assert_eq!(limiter.network_of(ip("203.0.113.7")).unwrap().to_string(), "203.0.113.0/24");
    assert_eq!(limiter.network_of(ip("::ffff:203.0.113.7")).unwrap().to_string(), "203.0.113.0/24");
    assert_eq!(limiter.network_of(ip("2001:db8:1:2:3::4")).unwrap().to_string(), "2001:db8:1::/56");
}

#[test]
fn the_clock_may_run_back() {
    let (mut limiter, now) = limiter(limit(2));
    let client = ip("203.0.113.7");
    let later = now + Duration::from_secs(100);
    assert_eq!(burst(&mut limiter, client, later, 3), [2, 0, 1]);
    assert_eq!(burst(&mut limiter, client, now, 1), [0, 1, 0]);
    assert_eq!(burst(&mut limiter, client, later + Duration::from_secs(1), 3), [2, 0, 1]);
}

/// Naive limiter: keeps budgets forever, in nanoseconds.
struct Naive {
    limit: RateLimit,
    budgets: HashMap<IpCidr, (u64, u64, u32)>,
}

impl Naive {
    fn check(&mut self, client: IpAddr, at: u64) -> LimitAction {
        let prefix = if client.is_ipv4() { self.limit.ipv4_prefix } else { self.limit.ipv6_prefix };
        let network = IpInet::new(client, prefix).unwrap().network();
        let (left, since, beyond) = self.budgets.entry(network).or_insert((SECOND, at, 0));
        *left = (*left + (at - *since)).min(SECOND);
        *since = at;
        let cost = SECOND / u64::from(self.limit.responses_per_second.get());
        if *left >= cost {
            *left -= cost;
            return LimitAction::Send;
        }
        *beyond += 1;
        let slip = u32::from(self.limit.slip);
        if slip != 0 && *beyond % slip == 0 { LimitAction::Truncate } else { LimitAction::Drop }
    }
}

/// Returns a few clients of a few networks.
fn client() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0..4_u8, any::<u8>()).prop_map(|(c, d)| IpAddr::from([203, 0, c, d])),
        (0..4_u16, any::<u16>()).prop_map(|(c, d)| IpAddr::from([0x2001, 0xdb8, 0, c << 8, 0, 0, 0, d])),
    ]
}

/// Returns pauses between two queries in nanoseconds: mostly none, sometimes up to three seconds.
fn pause() -> impl Strategy<Value = u64> {
    prop_oneof![6 => Just(0), 3 => 0..SECOND / 50, 1 => 0..3 * SECOND]
}

proptest! {
    #[test]
    fn limiter_agrees_with_naive_one(
        rate in 1..40_u32, slip in 0..4_u8, queries in vec((client(), pause()), 0..400),
    ) {
        let limit = RateLimit { slip, ..limit(rate) };
        let (mut limiter, origin) = limiter(limit.clone());
        let mut naive = Naive { limit, budgets: HashMap::new() };
        let mut at = 0;
        for (client, pause) in queries {
            at += pause;
            let verdict = limiter.check(client, || origin + Duration::from_nanos(at));
            prop_assert_eq!(verdict, naive.check(client, at), "{} at {}", client, at);
        }
    }

    /// In any period, a network receives at most the budget of one second and the part that is refilled meanwhile.
    #[test]
    fn no_network_gets_more_than_its_rate(rate in 1..40_u32, pauses in vec(pause(), 1..400)) {
        let (mut limiter, origin) = limiter(limit(rate));
        let mut at = 0;
        let mut sent = Vec::new();
        for pause in pauses {
            at += pause;
            if limiter.check(ip("203.0.113.7"), || origin + Duration::from_nanos(at)) == LimitAction::Send {
                sent.push(at);
            }
        }
        for (first, &from) in sent.iter().enumerate() {
            for (last, &to) in sent.iter().enumerate().skip(first) {
                let most = u64::from(rate) + (to - from).div_ceil(SECOND / u64::from(rate));
                prop_assert!((last - first + 1) as u64 <= most, "{} from {} to {}", last - first + 1, from, to);
            }
        }
    }

    /// A client within its own budget is answered, whatever other clients do and however full the table is.
    #[test]
    fn clients_within_budget_are_answered(
        key: [u8; 16], others in vec(any::<[u8; 4]>(), 0..2000), table in 1..64_usize,
    ) {
        let limit = RateLimit { table, ipv4_prefix: 32, ..limit(4) };
        let origin = Instant::now();
        let mut limiter = RateLimiter::new(limit, &[], key, origin);
        let client = ip("2001:db8::1");
        for (number, other) in (0_u64..).zip(others) {
            let now = origin + Duration::from_nanos(number * SECOND / 400);
            limiter.check(other.into(), || now);
            limiter.check(other.into(), || now);
            if number % 100 == 0 {
                prop_assert_eq!(limiter.check(client, || now), LimitAction::Send);
            }
        }
    }
}

#[test]
fn wide_floods_do_not_evict_spent_budgets() {
    let limit = RateLimit { table: 64, ipv4_prefix: 32, ..limit(100) };
    let (mut limiter, now) = limiter(limit);
    let victim = ip("2001:db8::1");
    burst(&mut limiter, victim, now, 100);
    // A thousand times as many networks as the table has slots, one query each.
    for number in 0..64_000_u32 {
        limiter.check(Ipv4Addr::from_bits(number).into(), || now);
    }
    assert_eq!(burst(&mut limiter, victim, now, 10), [0, 5, 5]);
}
