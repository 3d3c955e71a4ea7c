//! The identity of a pod.

use std::fmt;

use siphasher::sip128::{Hasher128, SipHasher24};

/// A pod's identity in 16 bytes: a hash of its namespace and name, and one of its uid.
///
/// Kubernetes has at most one pod of a name in a namespace at a time, so 12 bytes hash namespace and name: a deleted
/// and re-created pod replaces the old one, even if the deletion event was missed. The other 4 bytes hash the uid, so
/// that a late removal of the old pod does not remove the new one.
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

/// Number of bytes of the hash of namespace and name.
const NAME: usize = 12;

impl Uid {
    /// Returns the identity of an object with a namespace, a name and a `metadata.uid`.
    ///
    /// The hashes have a fixed key, because they must be identical in every run.
    #[must_use]
    pub fn of_object(namespace: &str, name: &str, uid: &str) -> Self {
        let mut bytes = Self::hashed(&[namespace, name]);
        for (to, from) in bytes.iter_mut().skip(NAME).zip(Self::hashed(&[uid])) {
            *to = from;
        }
        Self(bytes)
    }

    /// Returns the identity of an object that is known only by one text.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(Self::hashed(&[text]))
    }

    /// Returns the identity of an object that has no uid, as in hand-written files.
    #[must_use]
    pub fn of_name(namespace: &str, name: &str) -> Self {
        Self::of_object(namespace, name, "")
    }

    /// Returns whether both have the same namespace and name.
    #[must_use]
    pub fn is_same_object(&self, other: &Self) -> bool {
        self.object() == other.object()
    }

    /// Returns the hash of namespace and name, as a number.
    pub(crate) fn object(&self) -> u128 {
        let mut bytes = self.0;
        bytes.iter_mut().skip(NAME).for_each(|byte| *byte = 0);
        u128::from_ne_bytes(bytes)
    }

    /// Returns the identity from the bytes that [`Uid::as_bytes`] returned.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Returns the 16 bytes, in the order of their hexadecimal text form.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    fn hashed(parts: &[&str]) -> [u8; 16] {
        use std::hash::Hasher as _;
        let mut hasher = SipHasher24::new_with_key(b"poddns-watch uid");
        for part in parts {
            // The length distinguishes ("a", "bc") from ("ab", "c").
            hasher.write_u64(part.len() as u64);
            hasher.write(part.as_bytes());
        }
        hasher.finish128().as_bytes()
    }
}

impl fmt::Display for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
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
