//! The index as it should be, in the plainest code that does it: the reference of property tests and fuzzing.

use std::collections::BTreeMap;
use std::net::IpAddr;

use poddns_core::{Label, Owner};

use super::{Change, IndexOptions, ListScope, MAX_ADDRESSES, PodRecord, Uid};

/// Pods and namespaces in ordered maps.
#[derive(Debug, Default)]
pub(crate) struct Model {
    options: IndexOptions,
    pods: BTreeMap<Uid, Pod>,
    /// The namespaces that the namespace watch has told of, and whether the list under way has.
    namespaces: BTreeMap<Label, bool>,
}

#[derive(Debug)]
struct Pod {
    namespace: Label,
    /// Kept only if the options say so, and if it is a single label.
    name: Option<Label>,
    addresses: Vec<IpAddr>,
    seen: bool,
}

impl Model {
    pub(crate) fn new(options: IndexOptions) -> Self {
        Self { options, ..Self::default() }
    }

    pub(crate) fn apply(&mut self, record: &PodRecord<'_>) -> Change {
        let mut addresses = Vec::new();
        for &address in record.addresses {
            if !addresses.contains(&address) && addresses.len() < MAX_ADDRESSES {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            return self.remove(record.uid);
        }
        let namespace = record.namespace;
        let name = if self.options.pod_names { record.name.parse::<Label>().ok() } else { None };
        if name.is_some() {
            let same = |pod: &Pod| pod.namespace == namespace && pod.name == name;
            self.pods.retain(|&uid, pod| uid == record.uid || !same(pod));
        }
        let next = Pod { namespace, name, addresses, seen: true };
        let told = |pod: &Pod| (pod.namespace, pod.name, pod.addresses.clone());
        let new = told(&next);
        match self.pods.insert(record.uid, next) {
            None => Change::Added,
            Some(old) if told(&old) == new => Change::Unchanged,
            Some(_) => Change::Updated,
        }
    }

    pub(crate) fn remove(&mut self, uid: Uid) -> Change {
        self.pods.remove(&uid).map_or(Change::Unchanged, |_| Change::Removed)
    }

    pub(crate) fn begin_pod_list(&mut self, scope: &ListScope) {
        for pod in self.pods.values_mut().filter(|pod| scope.covers(&pod.namespace)) {
            pod.seen = false;
        }
    }

    pub(crate) fn end_pod_list(&mut self, scope: &ListScope) -> usize {
        let before = self.pods.len();
        self.pods.retain(|_, pod| pod.seen || !scope.covers(&pod.namespace));
        before - self.pods.len()
    }

    pub(crate) fn apply_namespace(&mut self, namespace: Label) -> Change {
        match self.namespaces.insert(namespace, true) {
            None => Change::Added,
            Some(_) => Change::Unchanged,
        }
    }

    pub(crate) fn remove_namespace(&mut self, namespace: &Label) -> Change {
        self.namespaces.remove(namespace).map_or(Change::Unchanged, |_| Change::Removed)
    }

    pub(crate) fn begin_namespace_list(&mut self) {
        self.namespaces.values_mut().for_each(|seen| *seen = false);
    }

    pub(crate) fn end_namespace_list(&mut self) -> usize {
        let before = self.namespaces.len();
        self.namespaces.retain(|_, seen| *seen);
        before - self.namespaces.len()
    }

    pub(crate) fn namespace_exists(&self, namespace: &Label) -> bool {
        self.namespaces.contains_key(namespace) || self.pods.values().any(|pod| pod.namespace == *namespace)
    }

    pub(crate) fn contains(&self, namespace: &Label, address: IpAddr) -> bool {
        self.pods.values().any(|pod| pod.namespace == *namespace && pod.addresses.contains(&address))
    }

    pub(crate) fn addresses_of(&self, namespace: &Label, pod: &Label) -> Vec<IpAddr> {
        let named = |known: &&Pod| known.namespace == *namespace && known.name.as_ref() == Some(pod);
        self.pods.values().find(named).map(|pod| pod.addresses.clone()).unwrap_or_default()
    }

    pub(crate) fn owner_of(&self, address: IpAddr) -> Owner {
        let mut owners = self.pods.values().filter(|pod| pod.addresses.contains(&address));
        match (owners.next(), owners.next()) {
            (None, _) => Owner::Nobody,
            (Some(pod), None) => Owner::Pod { namespace: pod.namespace, name: pod.name },
            (Some(_), Some(_)) => Owner::Shared,
        }
    }

    pub(crate) fn pods(&self) -> usize {
        self.pods.len()
    }
}
