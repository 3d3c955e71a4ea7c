//! Log lines about malformed objects: one per object, and a limited number per minute.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::decode::Object;
use super::stats::FeedStats;
use crate::quote::QuotedText;
use crate::{Metadata, PodRecord, Uid};

/// Maximum number of lines in one [`WINDOW`].
const MAX_LINES: u32 = 20;
/// Time for which objects beyond [`MAX_LINES`] are only counted, not logged.
const WINDOW: Duration = Duration::from_mins(1);
/// Maximum number of objects remembered as logged. When it is reached, all are forgotten and may be logged again.
const MAX_REMEMBERED: usize = 4096;

/// The log of malformed objects. Logs each object once.
pub(crate) struct FaultLog {
    stats: Arc<FeedStats>,
    logged: HashSet<Uid>,
    window: Instant,
    lines: u32,
    unlogged: u32,
}

impl FaultLog {
    pub(crate) fn new(stats: Arc<FeedStats>) -> Self {
        Self { stats, logged: HashSet::new(), window: Instant::now(), lines: 0, unlogged: 0 }
    }

    /// Counts a malformed object, and logs it the first time.
    pub(crate) fn log<K: Object>(&mut self, object: &K, fault: &str) {
        self.log_fault::<K>(object.metadata(), &format!("serving its valid fields: {fault}"));
    }

    /// Counts an object that cannot be decoded, and logs it the first time.
    pub(crate) fn log_lost<K: Object>(&mut self, metadata: &Metadata, cause: &str) {
        self.log_fault::<K>(metadata, &format!("not served: {cause}"));
    }

    /// Counts and logs an item of a file that is neither a pod nor a namespace. It counts for the resource pods, as all
    /// of a file does.
    pub(crate) fn log_other<K: Object>(&mut self, kind: Option<&str>, object: &K) {
        self.stats.pods.malformed.count();
        let message = "not served: an item of a list must be of kind Pod or Namespace";
        match kind {
            Some(kind) => self.log_line(&QuotedText(kind), object.metadata(), message),
            None => self.log_line(&"none", object.metadata(), message),
        }
    }

    /// Counts and logs an unusable item of a list in a file. `number` is its position in the list, from 1.
    pub(crate) fn log_unreadable(&mut self, number: u64, fault: &str) {
        self.stats.pods.malformed.count();
        if self.is_due(Uid::of_name(&number.to_string(), fault)) {
            warn!(item = number, "not served: the item cannot be read: {fault}");
        }
    }

    /// Counts and logs a pod that did not fit into the index.
    pub(crate) fn log_refused(&mut self, pod: &PodRecord<'_>) {
        self.stats.pods.malformed.count();
        if self.is_due(pod.uid) {
            let (namespace, name) = (pod.namespace.as_str(), pod.name);
            warn!(namespace, name, "the index is full; this pod is not served");
        }
    }

    /// Counts malformed objects of a file without logging them.
    pub(crate) fn count_more(&mut self, objects: u64) {
        self.stats.pods.malformed.add(objects);
        self.unlogged = self.unlogged.saturating_add(u32::try_from(objects).unwrap_or(u32::MAX));
    }

    fn log_fault<K: Object>(&mut self, metadata: &Metadata, fault: &str) {
        if K::KIND == "Pod" { &self.stats.pods } else { &self.stats.namespaces }.malformed.count();
        self.log_line(&K::KIND, metadata, &format!("malformed object, {fault}"));
    }

    fn log_line(&mut self, kind: &dyn fmt::Display, metadata: &Metadata, message: &str) {
        let Metadata { namespace, name, .. } = metadata;
        if self.is_due(Uid::of_name(namespace, name)) {
            let (namespace, name) = (QuotedText(namespace), QuotedText(name));
            warn!(%kind, %namespace, %name, "{message}");
        }
    }

    fn is_due(&mut self, object: Uid) -> bool {
        if self.logged.contains(&object) {
            return false;
        }
        if self.window.elapsed() > WINDOW {
            if self.unlogged > 0 {
                warn!(count = self.unlogged, "more malformed objects, not logged individually");
            }
            (self.window, self.lines, self.unlogged) = (Instant::now(), 0, 0);
        }
        if self.lines >= MAX_LINES {
            self.unlogged = self.unlogged.saturating_add(1);
            return false;
        }
        if self.logged.len() >= MAX_REMEMBERED {
            self.logged.clear();
        }
        self.lines += 1;
        self.logged.insert(object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn objects_are_logged_once_and_bounded() {
        let mut log = FaultLog::new(Arc::default());
        let uid = |n: u32| Uid::of_name("ns", &n.to_string());
        assert!(log.is_due(uid(0)));
        assert!(!log.is_due(uid(0)), "logged already");
        assert_eq!((1..100).filter(|n| log.is_due(uid(*n))).count(), 19, "twenty a minute");
        tokio::time::advance(WINDOW + Duration::from_millis(1)).await;
        assert!(log.is_due(uid(99)), "an object that was not logged is due in the next minute");
        assert!(!log.is_due(uid(0)));
        assert_eq!(log.unlogged, 0);
    }
}
