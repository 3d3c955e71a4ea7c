//! The pod index, in memory.
//!
//! [`index()`] returns an [`Index`], shared by any number of readers, and its one [`IndexWriter`]. A pod takes a row of
//! 24 bytes in an array, and for each address one word in a hash table of 64-bit words. Most look-ups read only that
//! word. A million pods with one address each take 44 bytes per pod in total.
//!
//! | part | contents | bytes per pod |
//! |---|---|---|
//! | `pods` | rows: uid (16), address, namespace, mark of the list under way (8) | 24 |
//! | `pods` | row by uid, in a table of 32-bit words | 6.3 |
//! | `addresses` | address and namespace, in a table of 64-bit words | 12.8 |
//! | `addresses`, `sharing` | IPv6 addresses, and addresses that several pods share: slots and tables of their own | 0 |
//! | `namespaces` | each namespace once, by number | 0 |
//! | `names` | if kept: octets, their place (4), row by name (6.3) | 0 |
//! | `segments` | unused elements: the next segment of an array has at most 1/32 of its present size | 0.5 |
//!
//! - **Load factor**: a table, whose buckets are cache lines, grows by one bucket when it is 6/7 full.
//! - **Growth**: the new bucket takes half of the words of an existing one (linear hashing). No table is ever copied or
//!   stored twice; see `table`. Nothing shrinks, but free slots are reused; see `free_list`.
//! - **Readers** do not lock, wait or allocate, and finish in a bounded number of steps; `sync` has the protocol that
//!   ensures this, with the memory orderings.
//! - **Exact matches**: hashes only choose the bucket; keys are compared in full.
//! - **Batches**: the cache misses of a batch of look-ups overlap; see `prefetch`.
//!
//! `docs/pod-index.md` has the arithmetic, the costs of the special cases, and measurements.

#![allow(clippy::cast_possible_truncation, reason = "fields are packed into words; a cast extracts one")]

mod addresses;
mod contents;
mod free_list;
mod hash;
mod inline_vec;
mod label;
#[cfg(any(test, feature = "fuzzing"))]
pub mod model;
mod names;
mod namespaces;
mod numbers;
mod pods;
mod prefetch;
mod reader;
mod scan;
mod segments;
mod shared_writer;
mod sharing;
#[cfg(all(test, not(poddns_loom)))]
mod stops;
mod sync;
mod table;
mod tracker;
mod types;
mod uid;
mod versions;
mod visible_change;
mod writer;

pub use reader::Index;
pub use scan::IndexedPod;
pub(crate) use shared_writer::SharedWriter;
pub use types::{
    Change, IndexOptions, IndexStats, ListScope, MAX_ADDRESSES, MAX_PODS, PodComparison, PodRecord,
};
pub use uid::Uid;
pub use writer::{IndexWriter, index};
