//! A version of a pods file, decoded and not yet in the index.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use poddns_core::Label;

use super::faults::FaultLog;
use super::machine::target::ObjectTarget;
use super::manifest::{ListKind, ManifestItem, ManifestPart};
use super::scope::{HostNetwork, Scope};
use super::target::{NamespaceTarget, PodTarget};
use crate::namespace::Namespace;
use crate::pod::Pod;
use crate::pod::lenient::Faults;
use crate::{MAX_ADDRESSES, PodRecord, Uid};

/// Maximum number of malformed objects that are kept for the log; further ones are only counted.
const MAX_FAULTS: usize = 64;

/// The part of a file that is stored in the index, some 60 bytes per pod.
#[derive(Default)]
pub(crate) struct StagedPods {
    only: Vec<Label>,
    with_pods: bool,
    host_network: HostNetwork,
    /// Namespaces that exist.
    existing: BTreeSet<Label>,
    labels: Vec<Label>,
    numbers: BTreeMap<Label, u32>,
    pods: Vec<StagedPod>,
    /// Names and addresses of the pods, concatenated.
    names: String,
    addresses: Vec<IpAddr>,
    list: CurrentList,
    faults: Vec<FaultyObject>,
    /// Number of malformed objects beyond [`MAX_FAULTS`].
    more_faults: u64,
}

struct StagedPod {
    uid: Uid,
    /// Index in `labels`.
    namespace: u32,
    name_length: u8,
    addresses: u8,
    has_kind: bool,
    is_served: bool,
}

/// The list that is being read. Its kind, known at its end, determines the kind of items without one.
#[derive(Default)]
struct CurrentList {
    items: u64,
    first_pod: usize,
    /// Namespaces and faults of items without a kind, and some of these items.
    existing: BTreeSet<Label>,
    faults: Vec<FaultyObject>,
    kindless: Vec<Namespace>,
    kindless_count: u64,
}

/// An object to be logged.
enum FaultyObject {
    Pod(Pod, Option<String>),
    Namespace(Namespace),
    /// An object of another kind, or of none.
    Other(Option<String>, Namespace),
    /// The number of an item in its list, from 1, and its fault.
    Unreadable(u64, String),
}

impl StagedPods {
    /// Returns an empty version of a file, to be read for this scope.
    pub(crate) fn new(scope: &Scope) -> Self {
        Self {
            only: scope.namespaces.clone(),
            with_pods: scope.pods,
            host_network: scope.host_network,
            ..Self::default()
        }
    }

    /// Adds a part of the file.
    pub(crate) fn add(&mut self, entry: ManifestPart) {
        match entry {
            ManifestPart::Item(item) => {
                self.list.items += 1;
                self.item(item);
            }
            ManifestPart::Unreadable(fault) => {
                self.list.items += 1;
                self.note(FaultyObject::Unreadable(self.list.items, fault));
            }
            ManifestPart::End(kind) => self.end(kind),
        }
    }

    fn item(&mut self, item: ManifestItem) {
        let mut faults = Faults::default();
        let mut raw = item.take("the item", &mut faults).unwrap_or_default().0;
        match std::mem::take(&mut raw.kind).take("kind", &mut faults) {
            Some(kind) if kind == "Pod" => self.pod(Pod::from_raw(raw, faults), true),
            Some(kind) if kind == "Namespace" => self.namespace(Namespace::from_raw(raw, faults)),
            Some(kind) => {
                self.note(FaultyObject::Other(Some(kind), Namespace::from_raw(raw, Faults::default())));
            }
            None => {
                self.list.kindless_count += 1;
                if self.list.kindless.len() < MAX_FAULTS {
                    let object = Namespace::from_raw(raw.clone(), Faults::default());
                    self.list.kindless.push(object);
                }
                self.pod(Pod::from_raw(raw, faults), false);
            }
        }
    }

    fn namespace(&mut self, namespace: Namespace) {
        let label = namespace.metadata().name.parse::<Label>();
        self.existing.extend(label);
        if label.is_err() || namespace.fault().is_some() {
            self.note(FaultyObject::Namespace(namespace));
        }
    }

    fn pod(&mut self, pod: Pod, has_kind: bool) {
        let label = pod.metadata().namespace.parse::<Label>().ok();
        if label.is_some_and(|label| !self.only.is_empty() && !self.only.contains(&label)) {
            return;
        }
        // A pod proves that its namespace exists, even if the pod has ended.
        let existing = if has_kind { &mut self.existing } else { &mut self.list.existing };
        existing.extend(label);
        if !self.with_pods {
            return;
        }
        let fault = match PodTarget::record(&pod) {
            Ok(record) => {
                if PodTarget::is_served(&pod, self.host_network) {
                    self.put(&record, has_kind);
                }
                None
            }
            Err(fault) => Some(fault),
        };
        if fault.is_some() || pod.fault().is_some() {
            let fault = FaultyObject::Pod(pod, fault);
            if has_kind {
                self.note(fault);
            } else if self.list.faults.len() < MAX_FAULTS {
                self.list.faults.push(fault);
            }
        }
    }

    fn put(&mut self, record: &PodRecord<'_>, has_kind: bool) {
        let namespace = *self.numbers.entry(record.namespace).or_insert_with(|| {
            self.labels.push(record.namespace);
            u32::try_from(self.labels.len() - 1).unwrap_or(u32::MAX)
        });
        // Names that are not labels are not kept by the index either.
        let name = if record.name.parse::<Label>().is_ok() { record.name } else { "" };
        let before = self.addresses.len();
        self.names.push_str(name);
        self.addresses.extend(record.addresses.iter().take(MAX_ADDRESSES));
        self.pods.push(StagedPod {
            uid: record.uid,
            namespace,
            name_length: u8::try_from(name.len()).unwrap_or_default(),
            addresses: u8::try_from(self.addresses.len() - before).unwrap_or_default(),
            has_kind,
            is_served: true,
        });
    }

    fn end(&mut self, kind: ListKind) {
        let list = std::mem::take(&mut self.list);
        self.list.first_pod = self.pods.len();
        match kind {
            ListKind::PodList => {
                self.existing.extend(list.existing);
                list.faults.into_iter().for_each(|fault| self.note(fault));
            }
            ListKind::List => {
                for pod in self.pods.iter_mut().skip(list.first_pod) {
                    pod.is_served &= pod.has_kind;
                }
                self.more_faults += list.kindless_count - list.kindless.len() as u64;
                list.kindless.into_iter().for_each(|object| self.note(FaultyObject::Other(None, object)));
            }
        }
    }

    fn note(&mut self, fault: FaultyObject) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(fault);
        } else {
            self.more_faults += 1;
        }
    }

    /// Makes the index equal to this version.
    pub(crate) fn apply(self, pods: &mut PodTarget, namespaces: &mut NamespaceTarget, faults: &mut FaultLog) {
        pods.begin();
        namespaces.begin();
        self.existing.iter().for_each(|&label| namespaces.apply_label(label));
        let (mut names, mut addresses) = (self.names.as_str(), self.addresses.as_slice());
        for pod in &self.pods {
            let (name, of_pod);
            (name, names) = names.split_at_checked(pod.name_length.into()).unwrap_or_default();
            (of_pod, addresses) = addresses.split_at_checked(pod.addresses.into()).unwrap_or_default();
            let Some(&namespace) = self.labels.get(pod.namespace as usize) else { continue };
            if pod.is_served {
                pods.put(&PodRecord { uid: pod.uid, namespace, name, addresses: of_pod });
            }
        }
        namespaces.end();
        pods.end();
        for fault in &self.faults {
            match fault {
                FaultyObject::Pod(pod, fault) => {
                    let text = [pod.fault(), fault.as_deref()];
                    let text: Vec<_> = text.into_iter().flatten().collect();
                    faults.log(pod, &text.join("; "));
                }
                FaultyObject::Namespace(namespace) => drop(namespaces.label(namespace)),
                FaultyObject::Other(kind, object) => faults.log_other(kind.as_deref(), object),
                FaultyObject::Unreadable(number, fault) => faults.log_unreadable(*number, fault),
            }
        }
        faults.count_more(self.more_faults);
    }
}
