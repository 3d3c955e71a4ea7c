//! Applies decoded objects to the index. Objects are not kept.

use poddns_core::Label;

use super::decode::MalformedObject;
use super::faults::FaultLog;
use super::machine::target::{IndexDifference, ObjectKey, ObjectTarget};
use super::scope::HostNetwork;
use crate::index::{Change, ListScope, PodComparison, PodRecord, SharedWriter, Uid};
use crate::metadata::Metadata;
use crate::namespace::Namespace;
use crate::pod::Pod;
use crate::quote::QuotedText;

/// Target of pods.
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

    /// Returns whether the pod has addresses to be served.
    pub(crate) fn is_served(pod: &Pod, host_network: HostNetwork) -> bool {
        pod.phase().counts()
            && !pod.addresses().is_empty()
            && (host_network == HostNetwork::Include || !pod.host_network())
    }

    /// Returns the pod as a record for the index, or the reason why it has none.
    pub(crate) fn record(pod: &Pod) -> Result<PodRecord<'_>, String> {
        let uid = uid(pod).ok_or_else(|| "metadata has neither a uid nor a name".to_owned())?;
        let namespace = pod.metadata().namespace.parse::<Label>();
        let namespace = namespace.map_err(|error| format!("metadata.namespace {error}"))?;
        let name = pod.metadata().name.as_str();
        Ok(PodRecord { uid, namespace, name, addresses: pod.addresses() })
    }

    /// Stores a served pod in the index.
    pub(crate) fn put(&mut self, record: &PodRecord<'_>) {
        if self.writer.lock().apply(record) == Change::Refused {
            self.faults.log_refused(record);
        }
    }
}

impl ObjectTarget for PodTarget {
    type Object = Pod;

    fn begin(&mut self) {
        self.writer.lock().begin_pod_list(&self.scope);
    }

    fn apply(&mut self, pod: &Pod) {
        if let Some(fault) = pod.fault() {
            self.faults.log(pod, fault);
        }
        match Self::record(pod) {
            Ok(record) if Self::is_served(pod, self.host_network) => self.put(&record),
            Ok(record) => drop(self.writer.lock().apply(&PodRecord { addresses: &[], ..record })),
            Err(fault) => self.faults.log(pod, &fault),
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

    fn key(&self, object: &Self::Object) -> ObjectKey {
        key(object.metadata())
    }

    fn version<'a>(&self, object: &'a Self::Object) -> &'a str {
        &object.metadata().resource_version
    }

    fn malformed(&mut self, object: &MalformedObject) {
        self.faults.log_lost::<Self::Object>(&object.metadata, &object.cause);
    }

    fn begin_comparison(&mut self) {
        self.writer.lock().begin_pod_comparison(&self.scope);
    }

    fn compare(&mut self, pod: &Pod) -> Option<IndexDifference> {
        let record = Self::record(pod).ok()?;
        let addresses = if Self::is_served(pod, self.host_network) { record.addresses } else { &[] };
        let record = PodRecord { addresses, ..record };
        match self.writer.lock().compare(&record) {
            PodComparison::Same => None,
            PodComparison::Missing => Some(IndexDifference::Missing),
            PodComparison::Different => Some(IndexDifference::Changed),
        }
    }

    fn end_comparison(&mut self, each: &mut dyn FnMut(String)) {
        self.writer.lock().sweep_pod_list(&self.scope, |pod| {
            let name = if pod.name.is_empty() { "(name not kept)" } else { pod.name };
            each(format!("{}/{name} {:?}", pod.namespace, pod.addresses));
        });
    }

    fn name(&self, object: &Self::Object) -> String {
        shown_name(object.metadata())
    }
}

/// Returns the pod's identity; `None` if it has neither a name nor a uid.
fn uid(pod: &Pod) -> Option<Uid> {
    let Metadata { uid, namespace, name, .. } = pod.metadata();
    match (name.is_empty(), uid.is_empty()) {
        (false, _) => Some(Uid::of_object(namespace, name, uid)),
        (true, false) => Some(Uid::parse(uid)),
        (true, true) => None,
    }
}

/// Returns the namespace and name of an object, for messages.
fn shown_name(Metadata { namespace, name, .. }: &Metadata) -> String {
    let shown = if namespace.is_empty() { name.clone() } else { format!("{namespace}/{name}") };
    QuotedText(&shown).to_string()
}

/// Returns the identity of an object by namespace and name.
fn key(metadata: &Metadata) -> ObjectKey {
    Uid::of_name(&metadata.namespace, &metadata.name).object()
}

/// Target of namespaces.
pub(crate) struct NamespaceTarget {
    writer: SharedWriter,
    /// The namespaces that are served; all if empty.
    only: Vec<Label>,
    faults: FaultLog,
}

impl NamespaceTarget {
    pub(crate) fn new(writer: SharedWriter, only: Vec<Label>, faults: FaultLog) -> Self {
        Self { writer, only, faults }
    }

    /// Adds an existing namespace by its name.
    pub(crate) fn apply_label(&mut self, label: Label) {
        if self.only.is_empty() || self.only.contains(&label) {
            self.writer.lock().apply_namespace(label);
        }
    }

    /// Returns the name of a namespace, and logs its fault, if any.
    pub(crate) fn label(&mut self, namespace: &Namespace) -> Option<Label> {
        if let Some(fault) = namespace.fault() {
            self.faults.log(namespace, fault);
        }
        match namespace.metadata().name.parse() {
            Ok(label) => Some(label),
            Err(error) => {
                self.faults.log(namespace, &format!("metadata.name {error}"));
                None
            }
        }
    }
}

impl ObjectTarget for NamespaceTarget {
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

    fn key(&self, object: &Self::Object) -> ObjectKey {
        key(object.metadata())
    }

    fn version<'a>(&self, object: &'a Self::Object) -> &'a str {
        &object.metadata().resource_version
    }

    fn malformed(&mut self, object: &MalformedObject) {
        self.faults.log_lost::<Self::Object>(&object.metadata, &object.cause);
    }

    fn begin_comparison(&mut self) {
        self.writer.lock().begin_namespace_list();
    }

    fn compare(&mut self, namespace: &Namespace) -> Option<IndexDifference> {
        let label = self.label(namespace)?;
        if !self.only.is_empty() && !self.only.contains(&label) {
            return None;
        }
        let known = self.writer.lock().mark_namespace(&label);
        (!known).then_some(IndexDifference::Missing)
    }

    fn end_comparison(&mut self, each: &mut dyn FnMut(String)) {
        self.writer.lock().sweep_namespace_list(|label| each(label.to_string()));
    }

    fn name(&self, object: &Self::Object) -> String {
        shown_name(object.metadata())
    }
}
