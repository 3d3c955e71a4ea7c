//! Positions in a cluster's history.

/// A `resourceVersion`.
///
/// Kubernetes calls it opaque; since 1.35 it promises that versions of one resource compare as numbers (KEP-5504),
/// which they have always done. One that is no number compares to nothing, so no conclusion is drawn from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResourceVersion {
    text: String,
    number: Option<u64>,
}

impl ResourceVersion {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.to_owned(), number: text.parse().ok() }
    }

    /// Replaces it without allocating.
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

    /// Returns whether it is known to lie before another one.
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
