//! Positions in a cluster's history.

/// A `resourceVersion`.
///
/// Kubernetes documents it as opaque; since 1.35 it guarantees that versions of one resource compare as numbers
/// (KEP-5504), as they have always done. A version that is not a number is not comparable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResourceVersion {
    text: String,
    number: Option<u64>,
}

impl ResourceVersion {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), number: text.parse().ok() }
    }

    /// Replaces the version without allocating.
    pub(crate) fn set(&mut self, text: &str) {
        self.text.clear();
        self.text.push_str(text);
        self.number = text.parse().ok();
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the version as a number, if it is one.
    pub(crate) const fn number(&self) -> Option<u64> {
        self.number
    }

    /// Returns whether this version is known to be before `other`.
    pub(crate) fn is_before(&self, other: &Self) -> bool {
        matches!((self.number, other.number), (Some(this), Some(other)) if this < other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_numeric_versions_compare() {
        assert!(ResourceVersion::new("9").is_before(&ResourceVersion::new("10")));
        assert!(!ResourceVersion::new("10").is_before(&ResourceVersion::new("10")));
        assert!(!ResourceVersion::new("11").is_before(&ResourceVersion::new("10")));
        assert!(!ResourceVersion::new("a").is_before(&ResourceVersion::new("b")));
        assert!(!ResourceVersion::new("").is_before(&ResourceVersion::new("1")));
    }
}
