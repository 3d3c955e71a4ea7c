//! Turns objects into index operations, at once: nothing of an object is kept.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kube::{Resource, ResourceExt};
use poddns_core::Label;

use super::HostNetwork;
use super::drive::Target;
use super::faults::FaultLog;
use crate::namespace::Namespace;
use crate::pod::Pod;
use crate::{Change, IndexWriter, ListScope, PodRecord, Uid};

/// The one writer of the index, shared by the watches of one feed. They run in one task, so nobody waits.
#[derive(Clone)]
pub(crate) struct SharedWriter(Arc<Mutex<IndexWriter>>);

impl SharedWriter {
    pub(crate) fn new(writer: IndexWriter) -> Self {
        Self(Arc::new(Mutex::new(writer)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, IndexWriter> {
        // Each operation of the writer is whole, so a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where pods go.
pub(crate) struct PodTarget {
    writer: SharedWriter,
    scope: ListScope,
    host_network: HostNetwork,
    faults: FaultLog,
}

impl PodTarget {
    pub(crate) fn new(
        writer: SharedWriter,
        namespace: Option<Label>,
        host_network: HostNetwork,
        faults: FaultLog,
    ) -> Self {
        let scope = namespace.map_or(ListScope::All, ListScope::Namespace);
        Self { writer, scope, host_network, faults }
    }

    fn is_served(&self, pod: &Pod) -> bool {
        pod.phase().counts()
            && !pod.addresses().is_empty()
            && (self.host_network == HostNetwork::Include || !pod.host_network())
    }
}

impl Target for PodTarget {
    type Object = Pod;

    fn begin(&mut self) {
        self.writer.lock().begin_pod_list(&self.scope);
    }

    fn apply(&mut self, pod: &Pod) {
        if let Some(fault) = pod.fault() {
            self.faults.log(pod, fault);
        }
        let Some(uid) = uid(pod) else { return };
        let namespace = match pod.namespace().unwrap_or_default().parse::<Label>() {
            Ok(namespace) => namespace,
            Err(error) => {
                self.faults.log(pod, &format!("metadata.namespace {error}"));
                return;
            }
        };
        let change = if self.is_served(pod) {
            let name = pod.meta().name.as_deref().unwrap_or_default();
            let record = PodRecord { uid, namespace, name, addresses: pod.addresses() };
            self.writer.lock().apply(&record)
        } else {
            self.writer.lock().remove(uid)
        };
        if change == Change::Refused {
            self.faults.log(pod, "the index is full; this pod is not served");
        }
    }

    fn delete(&mut self, pod: &Pod) {
        if let Some(uid) = uid(pod) {
            self.writer.lock().remove(uid);
        }
    }

    fn end(&mut self) -> usize {
        self.writer.lock().end_pod_list(&self.scope)
    }
}

/// The pod's identity; by name if it has no uid, and `None` if it has no name either.
fn uid(pod: &Pod) -> Option<Uid> {
    let metadata = pod.meta();
    match (&metadata.uid, &metadata.namespace, &metadata.name) {
        (Some(uid), _, _) if !uid.is_empty() => Some(Uid::parse(uid)),
        (_, Some(namespace), Some(name)) => Some(Uid::of_name(namespace, name)),
        _ => None,
    }
}

/// Where namespaces go.
pub(crate) struct NamespaceTarget {
    writer: SharedWriter,
    /// Those that are served; all if empty.
    only: Vec<Label>,
    faults: FaultLog,
}

impl NamespaceTarget {
    pub(crate) fn new(writer: SharedWriter, only: Vec<Label>, faults: FaultLog) -> Self {
        Self { writer, only, faults }
    }

    /// A namespace that exists, by name.
    pub(crate) fn apply_label(&mut self, label: Label) {
        if self.only.is_empty() || self.only.contains(&label) {
            self.writer.lock().apply_namespace(label);
        }
    }

    fn label(&mut self, namespace: &Namespace) -> Option<Label> {
        if let Some(fault) = namespace.fault() {
            self.faults.log(namespace, fault);
        }
        match namespace.meta().name.as_deref().unwrap_or_default().parse() {
            Ok(label) => Some(label),
            Err(error) => {
                self.faults.log(namespace, &format!("metadata.name {error}"));
                None
            }
        }
    }
}

impl Target for NamespaceTarget {
    type Object = Namespace;

    fn begin(&mut self) {
        self.writer.lock().begin_namespace_list();
    }

    fn apply(&mut self, namespace: &Namespace) {
        if let Some(label) = self.label(namespace) {
            self.apply_label(label);
        }
    }

    fn delete(&mut self, namespace: &Namespace) {
        if let Some(label) = self.label(namespace) {
            self.writer.lock().remove_namespace(&label);
        }
    }

    fn end(&mut self) -> usize {
        self.writer.lock().end_namespace_list()
    }
}
