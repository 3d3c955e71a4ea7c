//! The identity of a pod.

use std::fmt;

use siphasher::sip128::{Hasher128, SipHasher24};

/// A pod's identity in 16 bytes: which object it is, and which of those that had its name one after the other.
///
/// A name has one pod at a time, so 12 bytes are of namespace and name: an update of a pod that was deleted and created
/// again replaces the old one, even if nobody was told of the deletion. The other 4 are of the uid: a removal that
/// comes late does not remove the new one.
///
/// ```
/// use poddns_watch::Uid;
///
/// let uid = Uid::of_object("default", "web-0", "6d0b0d0c-8f3c-4c1a-9d7e-0123456789ab");
/// let successor = Uid::of_object("default", "web-0", "0b34f2f1-1f0e-4b7c-8d55-ba9876543210");
/// assert_ne!(uid, successor);
/// assert!(uid.is_same_object(&successor));
/// assert!(!uid.is_same_object(&Uid::of_object("default", "web-1", "6d0b0d0c-8f3c-4c1a-9d7e-0123456789ab")));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid([u8; 16]);

/// Bytes of the name.
const NAME: usize = 12;

impl Uid {
    /// The identity of an object with a namespace, a name and a `metadata.uid`.
    ///
    /// The hashes have a fixed key, for they must be the same in every run.
    #[must_use]
    pub fn of_object(namespace: &str, name: &str, uid: &str) -> Self {
        let mut bytes = Self::hashed(&[namespace, name]);
        for (to, from) in bytes.iter_mut().skip(NAME).zip(Self::hashed(&[uid])) {
            *to = from;
        }
        Self(bytes)
    }

    /// The identity of an object of which nothing but a text is known.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(Self::hashed(&[text]))
    }

    /// The identity of an object that has no uid, as in hand-written files.
    #[must_use]
    pub fn of_name(namespace: &str, name: &str) -> Self {
        Self::of_object(namespace, name, "")
    }

    /// Whether both are of the same namespace and name.
    #[must_use]
    pub fn is_same_object(&self, other: &Self) -> bool {
        self.object() == other.object()
    }

    /// The identity by namespace and name alone, as a number.
    pub(crate) fn object(&self) -> u128 {
        let mut bytes = self.0;
        bytes.iter_mut().skip(NAME).for_each(|byte| *byte = 0);
        u128::from_ne_bytes(bytes)
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

    fn hashed(parts: &[&str]) -> [u8; 16] {
        use std::hash::Hasher as _;
        let mut hasher = SipHasher24::new_with_key(b"poddns-watch uid");
        for part in parts {
            // The length keeps ("a", "bc") and ("ab", "c") apart.
            hasher.write_u64(part.len() as u64);
            hasher.write(part.as_bytes());
        }
        hasher.finish128().as_bytes()
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
    fn namespace_and_name_do_not_run_together() {
        assert_ne!(Uid::of_name("a", "bc"), Uid::of_name("ab", "c"));
        assert_ne!(Uid::of_name("a", "b"), Uid::parse("ab"));
    }
}
