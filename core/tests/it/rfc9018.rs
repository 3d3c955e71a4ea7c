//! RFC 9018: server cookies that servers with the same secret can share. The examples of its appendix A.

use core::net::IpAddr;

use poddns_core::{CookieSecrets, CookieStatus, Mode, Outcome, Request, Transport};

use crate::support::Server;
use crate::support::query::{Edns, Query};

fn octets<const N: usize>(hex: &str) -> [u8; N] {
    core::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
}

/// Sends a query with this COOKIE option; returns its status and the cookie of the response.
fn ask(secrets: &CookieSecrets, cookie: &[u8], source: &str, now: u32) -> (CookieStatus, Vec<u8>) {
    let server = Server::new(Mode::Verified).with(|config| config.cookies = Some(secrets));
    let query = Query::new("pod.cluster.local", 6).edns(&Edns::new(1232).option(10, cookie)).octets();
    let request = Request::new(Transport::Udp, source.parse::<IpAddr>().unwrap(), now);
    let (Outcome::Reply(reply), Some(response)) = server.outcome(&query, &request) else { panic!("dropped") };
    (reply.cookie, response.opt.unwrap().option(10).unwrap().to_vec())
}

const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";

fn secrets(current: &str, previous: Option<&str>) -> CookieSecrets {
    CookieSecrets { current: octets(current), previous: previous.map(octets) }
}

/// 4 and A.1: version 1, three zero octets, the time, and SipHash-2-4 of all of these and the address.
#[test]
fn appendix_a_1_a_new_cookie() {
    let client: [u8; 8] = octets("2464c4abcf10c957");
    let (status, both) = ask(&secrets(SECRET, None), &client, "198.51.100.100", 1_559_731_985);
    assert_eq!(status, CookieStatus::New);
    assert_eq!(both, octets::<24>("2464c4abcf10c957010000005cf79f111f8130c3eee29480"));
}

/// A.2: after forty minutes the cookie is valid, and is renewed.
#[test]
fn appendix_a_2_a_renewed_cookie() {
    let old: [u8; 24] = octets("2464c4abcf10c957010000005cf79f111f8130c3eee29480");
    let (status, both) = ask(&secrets(SECRET, None), &old, "198.51.100.100", 1_559_734_385);
    assert_eq!(status, CookieStatus::Valid);
    assert_eq!(both, octets::<24>("2464c4abcf10c957010000005cf7a871d4a564a1442aca77"));
}

/// 4.2 and A.3: non-zero reserved octets are hashed as received.
#[test]
fn appendix_a_3_reserved_octets() {
    let old: [u8; 24] = octets("fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5");
    let at = |now| ask(&secrets(SECRET, None), &old, "203.0.113.203", now);
    assert_eq!(at(1_559_727_985 + 1800).0, CookieStatus::Valid);
    assert_eq!(at(1_559_734_700).1, octets::<24>("fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e"));
}

/// 5 and A.4: cookies of the previous secret are valid, and are renewed with the current one.
#[test]
fn appendix_a_4_a_new_secret() {
    let (current, previous) = ("445536bcd2513298075a5d379663c962", "dd3bdf9344b678b185a6f5cb60fca715");
    let old: [u8; 24] = octets("22681ab97d52c298010000005cf7c57926556bd0934c72f8");
    let source = "2001:db8:220:1:59de:d0f4:8769:82b8";
    let now = 1_559_741_961;
    let (status, both) = ask(&secrets(current, Some(previous)), &old, source, now);
    assert_eq!(status, CookieStatus::Valid);
    assert_eq!(both, octets::<24>("22681ab97d52c298010000005cf7c609a6bb79d16625507a"));
    assert_eq!(ask(&secrets(previous, None), &old, source, now).0, CookieStatus::Valid);
    assert_eq!(ask(&secrets(current, None), &old, source, now).0, CookieStatus::Invalid);
}

/// 4.3: valid for an hour, and up to five minutes ahead of the clock, including where the clock wraps around.
#[test]
fn cookies_expire() {
    for made in [1_559_731_985, 0, u32::MAX, u32::MAX - 100] {
        let secrets = secrets(SECRET, None);
        let (_, cookie) = ask(&secrets, &[1; 8], "10.0.0.1", made);
        for (later, status) in [
            (0, CookieStatus::Valid),
            (3600, CookieStatus::Valid),
            (3601, CookieStatus::Invalid),
            (1 << 31, CookieStatus::Invalid),
            (0_u32.wrapping_sub(300), CookieStatus::Valid),
            (0_u32.wrapping_sub(301), CookieStatus::Invalid),
        ] {
            let (got, _) = ask(&secrets, &cookie, "10.0.0.1", made.wrapping_add(later));
            assert_eq!(got, status, "made at {made}, {later} s later");
        }
    }
}

/// 4.1: cookies of another version are not interpreted.
#[test]
fn cookies_of_other_versions_are_invalid() {
    let secrets = secrets(SECRET, None);
    let (_, mut cookie) = ask(&secrets, &[1; 8], "10.0.0.1", 5);
    for version in [0, 2, 255] {
        cookie[8] = version;
        assert_eq!(ask(&secrets, &cookie, "10.0.0.1", 5).0, CookieStatus::Invalid);
    }
}
