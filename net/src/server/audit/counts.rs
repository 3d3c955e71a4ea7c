//! Counters of an audit.

use poddns_core::AuditFinding;

/// Maximum number of pairs of name and client in a table.
pub(crate) const PAIRS: usize = 1024;

/// Number of findings.
pub(crate) const FINDINGS: usize = AuditFinding::ALL.len();

/// Numbers of audited queries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AuditCounts {
    /// Queries answered with the address in their name.
    pub(crate) queries: u64,
    /// Subset of `queries` that a forwarder sent without the address of its client.
    pub(crate) without_client: u64,
    /// Subset of `queries` that mode verified would not answer so, by [`AuditFinding::index`].
    pub(crate) findings: [u64; FINDINGS],
}

impl AuditCounts {
    pub(super) fn add(&mut self, other: &Self) {
        self.queries = self.queries.saturating_add(other.queries);
        self.without_client = self.without_client.saturating_add(other.without_client);
        for (sum, more) in self.findings.iter_mut().zip(other.findings) {
            *sum = sum.saturating_add(more);
        }
    }

    /// Returns the number of queries that mode verified would have refused.
    pub(crate) fn refused(&self) -> u64 {
        let all = self.findings.iter().fold(0, |sum: u64, &count| sum.saturating_add(count));
        all.saturating_sub(self.of(AuditFinding::NotReady))
    }

    pub(crate) fn of(&self, finding: AuditFinding) -> u64 {
        self.findings.get(finding.index()).copied().unwrap_or_default()
    }
}
