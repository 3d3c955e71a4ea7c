//! Iteration over the contents of an index by its writer, for snapshots.

use std::net::IpAddr;

use poddns_core::Label;

use super::numbers::{Row, numbers};
use super::types::{MAX_ADDRESSES, PodRecord};
use super::writer::IndexWriter;

impl IndexWriter {
    /// Calls `each` with every pod, in no particular order. The name is empty if it is not kept.
    pub fn for_each_pod(&self, each: impl FnMut(&PodRecord<'_>)) {
        self.for_pods_from(0, u32::MAX, each);
    }

    /// Calls `each` with the pods in at most `rows` rows after row `first`, which is 0 in the first call. Returns the
    /// row after which to continue, if there are more. The index can change between two calls; a pod that stays in its
    /// row throughout is passed exactly once.
    pub(crate) fn for_pods_from(
        &self,
        first: u32,
        rows: u32,
        mut each: impl FnMut(&PodRecord<'_>),
    ) -> Option<u32> {
        let (next, highest) = (first.saturating_add(rows), self.pods.highest());
        let mut addresses = Vec::with_capacity(MAX_ADDRESSES);
        for row in numbers(first.saturating_add(1)..=next.min(highest)) {
            self.pass_pod(row, &mut addresses, &mut each);
        }
        (next < highest).then_some(next)
    }

    /// Calls `each` with the pod in a row, if there is one.
    pub(super) fn pass_pod(
        &self,
        row: Row,
        addresses: &mut Vec<IpAddr>,
        each: &mut impl FnMut(&PodRecord<'_>),
    ) {
        let entry = self.index.pods.entry(row);
        let namespace = entry.namespace().and_then(|namespace| self.index.namespaces.label(namespace));
        let Some(namespace) = namespace else { return };
        let name = self.index.names.as_ref().and_then(|names| names.of(row)?.label());
        addresses.clear();
        addresses.extend(self.index.addresses_in(entry).iter());
        let name = name.as_ref().map_or("", Label::as_str);
        each(&PodRecord { uid: self.pods.uid(row), namespace, name, addresses });
    }

    /// Calls `each` with every namespace that [`IndexWriter::apply_namespace`] has added, in no particular order.
    pub fn for_each_namespace(&self, each: impl FnMut(&Label)) {
        self.namespaces.for_each_known(each);
    }
}
