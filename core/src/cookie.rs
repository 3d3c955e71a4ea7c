//! DNS cookies (RFC 7873) in the format that servers can share (RFC 9018): proof that a client receives packets sent
//! to its address.

use core::fmt;
use core::net::IpAddr;

use siphasher::sip::SipHasher24;

use crate::wire::edns::Cookie;

/// The only version of server cookies (RFC 9018 4.1).
const VERSION: u8 = 1;

/// Length of a server cookie in octets: version, three reserved, timestamp, hash (RFC 9018 4).
const SERVER_LEN: usize = 16;

/// Lifetime of a server cookie, in seconds (RFC 9018 4.3).
const LIFETIME: u32 = 3600;

/// Maximum lead of the clock of another server with the same secret, in seconds (RFC 9018 4.3).
const CLOCK_SKEW: u32 = 300;

/// The secrets of server cookies. All servers behind one address must have the same.
///
/// Rollover that clients do not notice (RFC 9018 5): on all servers, set the new secret as `previous`; then swap the
/// two on all servers; an hour later remove the old one.
#[derive(Clone, PartialEq, Eq)]
pub struct CookieSecrets {
    /// Creates cookies and validates them.
    pub current: [u8; 16],
    /// Validates cookies only.
    pub previous: Option<[u8; 16]>,
}

impl fmt::Debug for CookieSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never shown: the secret is enough to forge cookies.
        f.debug_struct("CookieSecrets").finish_non_exhaustive()
    }
}

/// The result of checking a query's cookie. Exhaustive: RFC 7873 5.2 has these four cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CookieStatus {
    /// The query has no cookie, or the server does not use cookies.
    #[default]
    Absent,
    /// The query has a client cookie only.
    New,
    /// The client received the server cookie at this address, within the last hour.
    Valid,
    /// The server cookie is expired, or made with another secret, or for another address.
    Invalid,
}

/// A client's cookie after the check.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CheckedCookie {
    pub(crate) status: CookieStatus,
    /// The cookie for the response: the client cookie and a new server cookie.
    pub(crate) renewed: [u8; 24],
}

/// Checks the client's cookie and creates the one for the response.
pub(crate) fn check_and_renew(
    secrets: &CookieSecrets,
    cookie: &Cookie<'_>,
    source: IpAddr,
    now: u32,
) -> CheckedCookie {
    let status = if cookie.server.is_empty() {
        CookieStatus::New
    } else if is_valid(secrets, cookie, source, now) {
        CookieStatus::Valid
    } else {
        CookieStatus::Invalid
    };
    let [t0, t1, t2, t3] = now.to_be_bytes();
    let head = [VERSION, 0, 0, 0, t0, t1, t2, t3];
    let both = [*cookie.client, head, hash(&secrets.current, *cookie.client, source, head)];
    CheckedCookie { status, renewed: both.as_flattened().first_chunk().copied().unwrap_or_default() }
}

fn is_valid(secrets: &CookieSecrets, cookie: &Cookie<'_>, source: IpAddr, now: u32) -> bool {
    let Ok(given) = <[u8; SERVER_LEN]>::try_from(cookie.server) else {
        return false;
    };
    // RFC 9018 4.2: "the server MUST NOT enforce those fields to be zero" (the reserved octets); the hash covers them
    // as received.
    let [version, r0, r1, r2, t0, t1, t2, t3, given @ ..] = given;
    if version != VERSION {
        return false;
    }
    // RFC 9018 4.3: compared by serial number arithmetic, so the clock may wrap around.
    let age = now.wrapping_sub(u32::from_be_bytes([t0, t1, t2, t3]));
    if age > LIFETIME && age.wrapping_neg() > CLOCK_SKEW {
        return false;
    }
    let head = [version, r0, r1, r2, t0, t1, t2, t3];
    [Some(&secrets.current), secrets.previous.as_ref()]
        .into_iter()
        .flatten()
        .any(|secret| hash(secret, *cookie.client, source, head) == given)
}

/// Computes the hash of RFC 9018 4.4: over the client cookie, the server cookie up to the hash (version, reserved,
/// timestamp), and the client's address.
fn hash(secret: &[u8; 16], client: [u8; 8], source: IpAddr, head: [u8; 8]) -> [u8; 8] {
    let source = source.to_canonical();
    let input = match source {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            [client, head, [a, b, c, d, 0, 0, 0, 0], [0; 8]]
        }
        IpAddr::V6(v6) => {
            let octets = v6.octets();
            // Sixteen octets have two halves of eight, so the default is never used.
            let halves = [octets.first_chunk(), octets.last_chunk()];
            let [high, low] = halves.map(|half| half.copied().unwrap_or_default());
            [client, head, high, low]
        }
    };
    let used = if source.is_ipv4() { 20 } else { 32 };
    let input = input.as_flattened().get(..used).unwrap_or_default();
    SipHasher24::new_with_key(secret).hash(input).to_le_bytes()
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::String;
    use std::vec::Vec;

    fn octets<const N: usize>(hex: &str) -> [u8; N] {
        let digits: Vec<char> = hex.chars().collect();
        let bytes: Vec<u8> = digits
            .chunks(2)
            .filter_map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).ok())
            .collect();
        bytes.try_into().unwrap_or([0; N])
    }

    fn secrets(hex: &str) -> CookieSecrets {
        CookieSecrets { current: octets(hex), previous: None }
    }

    /// RFC 9018 Appendix A: the example cookies.
    #[test]
    fn cookies_equal_those_of_rfc_9018() {
        for (client, secret, source, time, server) in [
            (
                "2464c4abcf10c957",
                "e5e973e5a6b2a43f48e7dc849e37bfcf",
                "198.51.100.100",
                1_559_731_985,
                "010000005cf79f111f8130c3eee29480",
            ),
            (
                "fc93fc62807ddb86",
                "e5e973e5a6b2a43f48e7dc849e37bfcf",
                "203.0.113.203",
                1_559_734_700,
                "010000005cf7a9acf73a7810aca2381e",
            ),
            (
                "22681ab97d52c298",
                "445536bcd2513298075a5d379663c962",
                "2001:db8:220:1:59de:d0f4:8769:82b8",
                1_559_741_961,
                "010000005cf7c609a6bb79d16625507a",
            ),
        ] {
            let secrets = secrets(secret);
            let cookie = Cookie { client: &octets(client), server: &[] };
            let source = source.parse().unwrap_or(IpAddr::from([0; 4]));
            let CheckedCookie { status, renewed: both } = check_and_renew(&secrets, &cookie, source, time);
            assert_eq!(status, CookieStatus::New);
            assert_eq!(both.get(8..), Some(&octets::<16>(server)[..]), "{server}");
        }
    }

    /// RFC 9018 Appendix A.3: a cookie with non-zero reserved octets is valid, and its hash covers them.
    #[test]
    fn rfc_9018_reserved_octets_are_accepted() {
        let secrets = secrets("e5e973e5a6b2a43f48e7dc849e37bfcf");
        let source = IpAddr::from([203, 0, 113, 203]);
        let status = |server: &str| {
            let server = octets::<16>(server);
            let cookie = Cookie { client: &octets("fc93fc62807ddb86"), server: &server };
            // The example's query is sent when the cookie is almost two hours old; here the cookie must not be
            // expired.
            check_and_renew(&secrets, &cookie, source, 1_559_727_985 + 1800).status
        };
        assert_eq!(status("01abcdef5cf78f71a314227b6679ebf5"), CookieStatus::Valid);
        assert_eq!(status("01abcdee5cf78f71a314227b6679ebf5"), CookieStatus::Invalid, "a reserved octet");
        assert_eq!(status("02abcdef5cf78f71a314227b6679ebf5"), CookieStatus::Invalid, "the version");
    }

    /// RFC 9018 Appendix A.4: a client sends a cookie of the previous secret.
    #[test]
    fn rfc_9018_rolled_over_cookie_is_accepted() {
        let source = "2001:db8:220:1:59de:d0f4:8769:82b8".parse().unwrap_or(IpAddr::from([0; 4]));
        let server = octets::<16>("010000005cf7c57926556bd0934c72f8");
        let cookie = Cookie { client: &octets("22681ab97d52c298"), server: &server };
        let new = secrets("445536bcd2513298075a5d379663c962");
        let rolled =
            CookieSecrets { previous: Some(octets("dd3bdf9344b678b185a6f5cb60fca715")), ..new.clone() };
        let now = 1_559_741_961;
        assert_eq!(check_and_renew(&rolled, &cookie, source, now).status, CookieStatus::Valid);
        assert_eq!(check_and_renew(&new, &cookie, source, now).status, CookieStatus::Invalid);
    }

    #[test]
    fn cookie_expires_after_hour_or_elsewhere() {
        let secrets = secrets("e5e973e5a6b2a43f48e7dc849e37bfcf");
        let (here, there) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let now = 100;
        let first = Cookie { client: &[7; 8], server: &[] };
        let both = check_and_renew(&secrets, &first, here, now).renewed;
        let again = Cookie { client: &[7; 8], server: both.get(8..).unwrap_or_default() };
        let status = |source, at| check_and_renew(&secrets, &again, source, at).status;
        assert_eq!(status(here, now), CookieStatus::Valid);
        assert_eq!(status(here, now + 3600), CookieStatus::Valid);
        assert_eq!(status(here, now + 3601), CookieStatus::Invalid);
        // The clock of the server that created the cookie was ahead, and it wraps around.
        assert_eq!(status(here, now.wrapping_sub(300)), CookieStatus::Valid);
        assert_eq!(status(here, now.wrapping_sub(301)), CookieStatus::Invalid);
        assert_eq!(status(there, now), CookieStatus::Invalid);
        let other = Cookie { client: &[8; 8], ..again };
        assert_eq!(check_and_renew(&secrets, &other, here, now).status, CookieStatus::Invalid);
        // The same client over a dual-stack socket.
        let mapped = IpAddr::V6(core::net::Ipv4Addr::new(10, 0, 0, 1).to_ipv6_mapped());
        assert_eq!(status(mapped, now), CookieStatus::Valid);
    }

    #[test]
    fn cookie_of_previous_secret_is_renewed() {
        let old = secrets("e5e973e5a6b2a43f48e7dc849e37bfcf");
        let source = IpAddr::from([10, 0, 0, 1]);
        let both = check_and_renew(&old, &Cookie { client: &[7; 8], server: &[] }, source, 5).renewed;
        let cookie = Cookie { client: &[7; 8], server: both.get(8..).unwrap_or_default() };
        let new = CookieSecrets { current: [1; 16], previous: Some(old.current) };
        let CheckedCookie { status, renewed } = check_and_renew(&new, &cookie, source, 5);
        assert_eq!(status, CookieStatus::Valid);
        assert_ne!(renewed, both, "new cookies come from the new secret");
        let later = CookieSecrets { previous: None, ..new };
        assert_eq!(check_and_renew(&later, &cookie, source, 5).status, CookieStatus::Invalid);
    }
}
