//! The identity of a pod.

use std::fmt;

use siphasher::sip128::{Hasher128, SipHasher24};

/// A pod's identity in 16 octets: what an update or a removal is matched by.
///
/// A name is not enough: a pod that was deleted and created again has the same name and another uid, and its
/// addresses are its own.
///
/// ```
/// use poddns_watch::Uid;
///
/// let uid = Uid::parse("6d0b0d0c-8f3c-4c1a-9d7e-0123456789ab");
/// assert_eq!(uid.to_string(), "6d0b0d0c-8f3c-4c1a-9d7e-0123456789ab");
/// assert_ne!(Uid::parse("any other text"), Uid::parse("and another"));
/// assert_eq!(Uid::of_name("default", "web-0"), Uid::of_name("default", "web-0"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid([u8; 16]);

/// Where the dashes of a UUID stand, in its textual form of 36 characters (RFC 9562 4).
const DASHES: [usize; 4] = [8, 13, 18, 23];

impl Uid {
    /// The identity behind `metadata.uid`.
    ///
    /// A UUID as Kubernetes writes it (lower case, with dashes) is taken octet by octet. Any other text is
    /// hashed to a UUID of version 8 (RFC 9562 5.8), a version that Kubernetes never hands out. The hash has
    /// a fixed key, for it must be the same in every run.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self::from_uuid(text).unwrap_or_else(|| Self::hashed(&[text]))
    }

    /// The identity of an object that has no uid, as in hand-written files: by its namespace and name.
    #[must_use]
    pub fn of_name(namespace: &str, name: &str) -> Self {
        Self::hashed(&[namespace, name])
    }

    /// The identity that [`Uid::as_bytes`] gave.
    #[must_use]
    pub const fn from_bytes(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// The 16 octets, the first of the text first.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    fn from_uuid(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.len() != 36 || DASHES.iter().any(|&at| text.get(at) != Some(&b'-')) {
            return None;
        }
        let mut octets = [0; 16];
        let mut digits = text.iter().enumerate().filter(|(at, _)| !DASHES.contains(at)).map(|(_, &c)| c);
        for octet in &mut octets {
            *octet = (nibble(digits.next()?)? << 4) | nibble(digits.next()?)?;
        }
        Some(Self(octets))
    }

    fn hashed(parts: &[&str]) -> Self {
        use std::hash::Hasher as _;
        let mut hasher = SipHasher24::new_with_key(b"poddns-watch uid");
        for part in parts {
            // The length keeps ("a", "bc") and ("ab", "c") apart.
            hasher.write_u64(part.len() as u64);
            hasher.write(part.as_bytes());
        }
        let mut octets = hasher.finish128().as_bytes();
        octets[6] = (octets[6] & 0x0f) | 0x80;
        octets[8] = (octets[8] & 0x3f) | 0x80;
        Self(octets)
    }
}

/// The value of a lower-case hexadecimal digit.
fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, octet) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{octet:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uid({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_kept_octet_by_octet() {
        let text = "00112233-4455-6677-8899-aabbccddeeff";
        let uid = Uid::parse(text);
        assert_eq!(uid.as_bytes(), b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff");
        assert_eq!(uid.to_string(), text);
    }

    #[test]
    fn any_other_text_is_hashed_and_never_meets_a_uuid_of_kubernetes() {
        let texts = [
            "",
            "x",
            "00112233-4455-6677-8899-AABBCCDDEEFF",
            "00112233445566778899aabbccddeeff",
            "00112233-4455-6677-8899-aabbccddeef",
            "00112233-4455-6677-8899-aabbccddeefg",
            "001122334-455-6677-8899-aabbccddeeff",
        ];
        let mut seen = std::collections::BTreeSet::new();
        for text in texts {
            let uid = Uid::parse(text);
            assert_eq!(uid.as_bytes()[6] >> 4, 8, "{text:?} is of version 8");
            assert!(seen.insert(uid), "{text:?} has a uid of its own");
        }
    }

    #[test]
    fn namespace_and_name_do_not_run_together() {
        assert_ne!(Uid::of_name("a", "bc"), Uid::of_name("ab", "c"));
        assert_ne!(Uid::of_name("a", "b"), Uid::parse("ab"));
    }
}
