//! Listing of the pods that a server answers from, one page at a time.

use std::fmt;
use std::net::IpAddr;
use std::ops::ControlFlow;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};

use poddns_core::Label;
use poddns_watch::Index;
use thiserror::Error;

/// Maximum number of rows of the index that are read for one page, which takes well under a millisecond.
const MAX_ROWS_PER_PAGE: u32 = 8192;

/// A pod that a server answers from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodEntry {
    /// The pod's namespace.
    pub namespace: Label,
    /// The pod's name, if the index keeps names and this one is a single label.
    pub name: Option<Label>,
    /// The pod's addresses, at least one.
    pub addresses: Vec<IpAddr>,
}

/// One page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodPage {
    /// The pods of this page; may be empty even if it is not the last page.
    pub pods: Vec<PodEntry>,
    /// Beginning of the next page; `None` on the last page.
    pub next: Option<PodCursor>,
}

/// The beginning of a page, displayed like `7-8193`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PodCursor {
    /// Serial number of the index in this process.
    index: u64,
    row: u32,
}

/// Reason why pods cannot be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ListError {
    /// The server has no pods, or cannot list them.
    #[error("this server keeps no pods: its mode or its embedder does without")]
    NoPods,
    /// The source of the pods has not been opened yet.
    #[error("the pods have not been read yet; retry")]
    NotRead,
    /// The cursor belongs to an index that has been replaced.
    #[error("the pods have been read anew since the last page; list them from the beginning")]
    Expired,
}

impl fmt::Display for PodCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.index, self.row)
    }
}

impl FromStr for PodCursor {
    type Err = ListError;

    fn from_str(text: &str) -> Result<Self, ListError> {
        let (index, row) = text.split_once('-').ok_or(ListError::Expired)?;
        let parsed = index.parse().ok().zip(row.parse().ok());
        parsed.map(|(index, row)| Self { index, row }).ok_or(ListError::Expired)
    }
}

/// Identity of an index, unique in this process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IndexId(u64);

impl IndexId {
    pub(crate) fn new() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed))
    }

    /// Returns at most `limit` of the pods for which `wanted` returns true, starting at the cursor.
    pub(crate) fn page(
        self,
        index: &Index,
        from: Option<PodCursor>,
        limit: usize,
        wanted: &dyn Fn(&PodEntry) -> bool,
    ) -> Result<PodPage, ListError> {
        let first = match from {
            None => 0,
            Some(cursor) if cursor.index == self.0 => cursor.row,
            Some(_) => return Err(ListError::Expired),
        };
        let mut pods = Vec::new();
        let next = index.scan(first, MAX_ROWS_PER_PAGE, |pod| {
            let addresses = pod.addresses().collect();
            let entry = PodEntry { namespace: pod.namespace, name: pod.name, addresses };
            if wanted(&entry) {
                pods.push(entry);
            }
            if pods.len() >= limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        Ok(PodPage { pods, next: next.map(|row| PodCursor { index: self.0, row }) })
    }
}
