//! The resources that feeds read.

use std::fmt;

/// A resource that feeds read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Resource {
    /// Pods and their addresses.
    Pods,
    /// The namespaces that exist.
    Namespaces,
}

impl Resource {
    /// Returns the plural, as in URLs and in RBAC rules: `pods` or `namespaces`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pods => "pods",
            Self::Namespaces => "namespaces",
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
