//! The pod index.

mod model;
mod types;
mod uid;

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::SystemTime;

use poddns_core::{Freshness, Label, Owner, PodLookup};

pub use types::{Change, IndexOptions, IndexStats, ListScope, MAX_ADDRESSES, PodRecord};
pub use uid::Uid;

use crate::freshness::Health;
use model::Model;

/// The most pods an index takes.
pub const MAX_PODS: usize = 1 << 28;

/// The pods and namespaces of a cluster, for readers. Made by [`index`].
#[derive(Debug)]
pub struct Index {
    model: RwLock<Model>,
    serial: AtomicU32,
    health: Health,
}

/// The only one who changes an [`Index`].
#[derive(Debug)]
pub struct IndexWriter {
    index: Arc<Index>,
}

/// An empty index, with its one writer.
#[must_use]
pub fn index(options: IndexOptions) -> (IndexWriter, Arc<Index>) {
    let model = RwLock::new(Model::new(options));
    let index = Arc::new(Index { model, serial: AtomicU32::new(1), health: Health::default() });
    (IndexWriter { index: Arc::clone(&index) }, index)
}

impl Index {
    fn read(&self) -> RwLockReadGuard<'_, Model> {
        self.model.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much is in it.
    #[must_use]
    pub fn stats(&self) -> IndexStats {
        IndexStats { pods: self.read().pods(), ..IndexStats::default() }
    }

    /// The state of the watches that feed it.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.health
    }
}

impl PodLookup for Index {
    fn namespace_exists(&self, namespace: &Label) -> bool {
        self.read().namespace_exists(namespace)
    }

    fn contains(&self, namespace: &Label, address: IpAddr) -> bool {
        self.read().contains(namespace, address)
    }

    fn addresses_of(&self, namespace: &Label, pod: &Label, each: &mut dyn FnMut(IpAddr)) {
        self.read().addresses_of(namespace, pod).into_iter().for_each(each);
    }

    fn owner_of(&self, address: IpAddr) -> Owner {
        self.read().owner_of(address)
    }

    fn freshness(&self) -> Freshness {
        self.health.freshness()
    }

    fn serial(&self) -> u32 {
        self.serial.load(Ordering::Acquire)
    }
}

impl IndexWriter {
    fn write(&mut self) -> RwLockWriteGuard<'_, Model> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        self.index.serial.fetch_max(u32::try_from(now).unwrap_or(u32::MAX), Ordering::Release);
        self.index.model.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The index that this writes.
    #[must_use]
    pub fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// Takes the pod as it is now, whatever was known of it. Also marks it as seen by the list under way.
    ///
    /// With pod names kept, another pod of the same namespace and name is gone from now on: Kubernetes has
    /// only one of a name at a time, so this one has taken its place.
    pub fn apply(&mut self, pod: &PodRecord<'_>) -> Change {
        self.write().apply(pod)
    }

    /// The pod is gone: deleted, or in phase Succeeded or Failed.
    pub fn remove(&mut self, uid: Uid) -> Change {
        self.write().remove(uid)
    }

    /// A list of pods begins: from now until [`IndexWriter::end_pod_list`], whatever is applied counts as
    /// seen. Answers do not change. If a list was cut off, begin again: what only that one has seen does not
    /// count.
    pub fn begin_pod_list(&mut self, scope: &ListScope) {
        self.write().begin_pod_list(scope);
    }

    /// The list that was begun is complete: removes the pods in its scope that it has not seen, and says how
    /// many those were. Without a beginning nothing happens.
    pub fn end_pod_list(&mut self, scope: &ListScope) -> usize {
        self.write().end_pod_list(scope)
    }

    /// The namespace exists.
    pub fn apply_namespace(&mut self, namespace: Label) -> Change {
        self.write().apply_namespace(namespace)
    }

    /// The namespace is gone. While there are still pods of it, it goes on existing for answers.
    pub fn remove_namespace(&mut self, namespace: &Label) -> Change {
        self.write().remove_namespace(namespace)
    }

    /// A list of namespaces begins, as [`IndexWriter::begin_pod_list`] for pods.
    pub fn begin_namespace_list(&mut self) {
        self.write().begin_namespace_list();
    }

    /// The list of namespaces is complete, as [`IndexWriter::end_pod_list`] for pods.
    pub fn end_namespace_list(&mut self) -> usize {
        self.write().end_namespace_list()
    }
}
