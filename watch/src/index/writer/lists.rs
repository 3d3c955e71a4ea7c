//! Lists of pods and namespaces: marking of the listed objects, and removal of the others.

use std::sync::Arc;

use poddns_core::Label;

use super::super::label::PackedLabel;
use super::super::numbers::{Row, numbers};
use super::super::types::{ListScope, PodRecord};
use super::super::visible_change::VisibleChange;
use super::IndexWriter;

impl IndexWriter {
    /// Begins a list of pods: until [`IndexWriter::end_pod_list`], every applied pod is marked as seen. Responses do
    /// not change. If a list was interrupted, call this again: the marks of the interrupted list are cleared.
    ///
    /// Takes one pass over all pods, a few milliseconds for a million.
    pub fn begin_pod_list(&mut self, scope: &ListScope) {
        if let Some(tracker) = &mut self.tracker {
            tracker.begin_list(scope);
        }
        self.begin_pod_comparison(scope);
    }

    /// Begins a comparison of the pods in a scope: until [`IndexWriter::sweep_pod_list`], every applied or compared pod
    /// is marked as seen. Unlike a list it may be abandoned, so versions of the zone do not wait for its end.
    pub fn begin_pod_comparison(&mut self, scope: &ListScope) {
        for row in self.rows_in(scope) {
            self.pods.set(row, self.index.pods.entry(row).with_seen(false));
        }
    }

    /// Ends a list: removes the pods in its scope that it has not seen, and returns their number. Does nothing if no
    /// list was begun.
    ///
    /// Do not let a list of [`ListScope::All`] overlap with one of a namespace.
    pub fn end_pod_list(&mut self, scope: &ListScope) -> usize {
        self.sweep_pod_list(scope, |_| {})
    }

    /// As [`end_pod_list`](Self::end_pod_list), but calls `each` with every pod before it is removed.
    pub fn sweep_pod_list(&mut self, scope: &ListScope, mut each: impl FnMut(&PodRecord<'_>)) -> usize {
        let (mut removed, mut visible) = (0, VisibleChange::NO);
        for row in self.rows_in(scope) {
            if !self.index.pods.entry(row).is_seen() {
                self.pass_pod(row, &mut Vec::new(), &mut each);
                visible |= self.remove_row(row);
                removed += 1;
            }
        }
        self.publish(visible);
        if let Some(tracker) = &mut self.tracker {
            tracker.end_list(scope);
        }
        removed
    }

    /// Begins a list of namespaces, like [`IndexWriter::begin_pod_list`] for pods.
    pub fn begin_namespace_list(&mut self) {
        self.namespaces.begin_list();
    }

    /// Ends a list of namespaces, like [`IndexWriter::end_pod_list`] for pods.
    pub fn end_namespace_list(&mut self) -> usize {
        self.sweep_namespace_list(|_| {})
    }

    /// As [`end_namespace_list`](Self::end_namespace_list), but calls `each` with every namespace before it is removed.
    pub fn sweep_namespace_list(&mut self, each: impl FnMut(&Label)) -> usize {
        let (removed, visible) = self.namespaces.end_list(&self.index.epoch, each);
        self.publish(visible);
        removed
    }

    /// Marks a namespace as seen by the list under way if it is known, and returns whether it is.
    pub fn mark_namespace(&mut self, namespace: &Label) -> bool {
        self.namespaces.mark(namespace)
    }

    /// Returns the rows of the pods in a scope.
    fn rows_in(&self, scope: &ListScope) -> impl Iterator<Item = Row> + use<> {
        let index = Arc::clone(&self.index);
        let only = match scope {
            ListScope::All => None,
            // A namespace that does not exist has no rows.
            ListScope::Namespace(label) => Some(index.namespaces.find(&PackedLabel::new(label))),
        };
        numbers(1..=self.pods.highest()).filter(move |&row| {
            let namespace = index.pods.entry(row).namespace();
            namespace.is_some() && only.is_none_or(|only| only == namespace)
        })
    }
}
