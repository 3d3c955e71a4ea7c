//! List methods, and the choice between them.
//!
//! | method | request | CPU of the API server | its memory, at the peak | servers |
//! |---|---|---|---|---|
//! | [`Cached`](ListMethod::Cached) | one list from the watch cache | 0.34 / 1.41 / 2.82 s | 94 / 496 / 669 MiB | all; before 1.33 the encoded list is in its memory as a whole |
//! | [`Streaming`](ListMethod::Streaming) | a watch that begins with all objects | 0.37 / 1.85 / 3.60 s | 133 / 714 / 1403 MiB | 1.32, 1.34 and newer |
//! | [`Paged`](ListMethod::Paged) | a consistent list in pages of 500 | 0.35 / 1.76 / 7.35 s | 101 / 668 / 456 MiB | all; before 1.34 each page is read from etcd |
//!
//! The figures are for 10,000 / 50,000 / 100,000 pods in protobuf, from a kube-apiserver 1.36.2 (as JSON: 1.28 / 6.24 /
//! 12.25 s for a streaming list). In this process all three take the same bounded memory: objects are decoded as their
//! bytes arrive.
//!
//! The order of preference is that of the table. `Cached` is not used for a [consistent](ListConsistency::Consistent)
//! read: a server older than 1.31 would read everything from etcd at once. Such a read uses `Streaming`, or `Paged` if
//! the server has no streaming lists. `Paged` works with every server, so it is the last resort and is never given up.

use std::fmt;

use super::request::ListConsistency;

/// A method of listing all objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListMethod {
    /// One list from the API server's watch cache, without pages.
    Cached,
    /// A watch that begins with all objects (KEP-3157).
    Streaming,
    /// A consistent list in pages.
    Paged,
}

impl ListMethod {
    const COUNT: usize = 3;

    const fn number(self) -> usize {
        match self {
            Self::Cached => 0,
            Self::Streaming => 1,
            Self::Paged => 2,
        }
    }
}

impl fmt::Display for ListMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cached => "list from the watch cache",
            Self::Streaming => "streaming list",
            Self::Paged => "list in pages",
        })
    }
}

/// Number of consecutive failures after which a method is given up.
const FAILURES: u32 = 2;
/// Maximum number of objects in a page that was made larger.
const LARGEST_PAGE: u32 = 16_000;

/// The list methods in use, and their failures with this server.
#[derive(Clone, Debug)]
pub(crate) struct MethodChoice {
    preferred: Vec<ListMethod>,
    given_up: [bool; ListMethod::COUNT],
    failures: [u32; ListMethod::COUNT],
    page_size: u32,
}

impl MethodChoice {
    /// Returns the choice between `preferred` methods, in this order, with pages of `page_size` objects (at least one).
    pub(crate) fn new(preferred: &[ListMethod], page_size: u32) -> Self {
        Self {
            preferred: preferred.to_vec(),
            given_up: [false; ListMethod::COUNT],
            failures: [0; ListMethod::COUNT],
            page_size: page_size.max(1),
        }
    }

    /// Returns the method for the next list.
    pub(crate) fn choose(&self, read: &ListConsistency) -> ListMethod {
        let suits = |method: &ListMethod| match method {
            ListMethod::Cached => {
                *read != ListConsistency::Consistent && !self.is_given_up(ListMethod::Cached)
            }
            other => !self.is_given_up(*other),
        };
        self.preferred.iter().copied().find(suits).unwrap_or(ListMethod::Paged)
    }

    pub(crate) const fn page_size(&self) -> u32 {
        self.page_size
    }

    /// Reports that a list of this method is complete.
    pub(crate) fn succeeded(&mut self, method: ListMethod) {
        self.failures[method.number()] = 0;
    }

    /// Reports that the server does not support the method. Returns whether another method remains.
    pub(crate) fn give_up(&mut self, method: ListMethod) -> bool {
        let another = method != ListMethod::Paged;
        self.given_up[method.number()] = another;
        another
    }

    /// Reports that a list by this method failed. Returns whether the method is given up because of that.
    pub(crate) fn failed(&mut self, method: ListMethod) -> bool {
        let failures = &mut self.failures[method.number()];
        *failures += 1;
        *failures >= FAILURES && self.give_up(method)
    }

    /// Enlarges the pages, after a list that expired between two pages.
    pub(crate) fn enlarge_pages(&mut self) {
        self.page_size = self.page_size.saturating_mul(4).clamp(1, LARGEST_PAGE.max(self.page_size));
    }

    fn is_given_up(&self, method: ListMethod) -> bool {
        self.given_up[method.number()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [ListMethod; 3] = [ListMethod::Cached, ListMethod::Streaming, ListMethod::Paged];

    #[test]
    fn consistent_reads_bypass_the_cache() {
        let listing = MethodChoice::new(&ALL, 500);
        assert_eq!(listing.choose(&ListConsistency::Any), ListMethod::Cached);
        assert_eq!(listing.choose(&ListConsistency::NotOlderThan("7".to_owned())), ListMethod::Cached);
        assert_eq!(listing.choose(&ListConsistency::Consistent), ListMethod::Streaming);
    }

    #[test]
    fn paging_remains_when_methods_fail() {
        let mut listing = MethodChoice::new(&ALL, 500);
        assert!(listing.give_up(ListMethod::Cached));
        assert_eq!(listing.choose(&ListConsistency::Any), ListMethod::Streaming);
        assert!(!listing.failed(ListMethod::Streaming));
        assert!(listing.failed(ListMethod::Streaming));
        assert_eq!(listing.choose(&ListConsistency::Any), ListMethod::Paged);
        for _ in 0..9 {
            assert!(!listing.failed(ListMethod::Paged), "the last resort");
        }
        assert_eq!(listing.choose(&ListConsistency::Any), ListMethod::Paged);
    }

    #[test]
    fn failures_in_a_row_are_counted() {
        let mut listing = MethodChoice::new(&ALL, 500);
        for _ in 0..9 {
            assert!(!listing.failed(ListMethod::Cached));
            listing.succeeded(ListMethod::Cached);
        }
    }

    #[test]
    fn pages_grow_to_a_limit() {
        let mut listing = MethodChoice::new(&ALL, 250);
        listing.enlarge_pages();
        assert_eq!(listing.page_size(), 1000);
        for _ in 0..9 {
            listing.enlarge_pages();
        }
        assert_eq!(listing.page_size(), LARGEST_PAGE);
        assert_eq!(MethodChoice::new(&ALL, 0).page_size(), 1);
    }
}
