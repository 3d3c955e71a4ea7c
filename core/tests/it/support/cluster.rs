//! A cluster that does not change.

use core::net::IpAddr;

use poddns_core::{Freshness, Label, Owner, PodLookup, Unknown};

/// Namespaces and pods, looked through from front to back.
#[derive(Clone, Debug)]
pub(crate) struct Cluster {
    pub(crate) namespaces: Vec<Label>,
    pub(crate) pods: Vec<Pod>,
    pub(crate) freshness: Freshness,
    pub(crate) serial: u32,
}

#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) namespace: Label,
    pub(crate) name: Label,
    pub(crate) addresses: Vec<IpAddr>,
}

pub(crate) fn label(text: &str) -> Label {
    text.parse().unwrap_or_else(|why| panic!("{text:?} {why}"))
}

impl Cluster {
    /// The cluster of `data/cluster.tsv`. Pods that have ended are left out, as the watch does.
    pub(crate) fn recorded() -> Self {
        let (mut namespaces, mut pods) = (Vec::new(), Vec::new());
        for line in include_str!("../../data/cluster.tsv").lines().filter(|line| !line.starts_with('#')) {
            match line.split('\t').collect::<Vec<_>>()[..] {
                ["namespace", name] => namespaces.push(label(name)),
                ["pod", _, _, "Succeeded" | "Failed", _] => {}
                ["pod", namespace, name, _, addresses] => pods.push(Pod {
                    namespace: label(namespace),
                    name: label(name),
                    addresses: addresses.split(',').filter_map(|text| text.parse().ok()).collect(),
                }),
                _ => panic!("{line:?}"),
            }
        }
        assert_eq!((namespaces.len(), pods.len()), (9, 13));
        Self { namespaces, pods, freshness: Freshness::Fresh, serial: 1_795_360_627 }
    }

    /// The same, with this freshness.
    pub(crate) fn fresh(self, freshness: Freshness) -> Self {
        Self { freshness, ..self }
    }

    /// One more pod.
    pub(crate) fn pod(mut self, namespace: &str, name: &str, addresses: &[IpAddr]) -> Self {
        let addresses = addresses.to_vec();
        self.pods.push(Pod { namespace: label(namespace), name: label(name), addresses });
        self
    }
}

impl PodLookup for Cluster {
    fn namespace_exists(&self, namespace: &Label) -> Result<bool, Unknown> {
        Ok(self.namespaces.contains(namespace))
    }

    fn contains(&self, namespace: &Label, address: IpAddr) -> Result<bool, Unknown> {
        Ok(self.pods.iter().any(|pod| pod.namespace == *namespace && pod.addresses.contains(&address)))
    }

    fn addresses_of(
        &self,
        namespace: &Label,
        pod: &Label,
        each: &mut dyn FnMut(IpAddr),
    ) -> Result<(), Unknown> {
        let named = self.pods.iter().find(|have| have.namespace == *namespace && have.name == *pod);
        named.into_iter().flat_map(|pod| &pod.addresses).for_each(|&address| each(address));
        Ok(())
    }

    fn owner_of(&self, address: IpAddr) -> Result<Owner, Unknown> {
        let mut owners = self.pods.iter().filter(|pod| pod.addresses.contains(&address));
        Ok(match (owners.next(), owners.next()) {
            (None, _) => Owner::Nobody,
            (Some(pod), None) => Owner::Pod { namespace: pod.namespace, name: Some(pod.name) },
            (Some(_), Some(_)) => Owner::Shared,
        })
    }

    fn freshness(&self) -> Freshness {
        self.freshness
    }

    fn serial(&self) -> u32 {
        self.serial
    }
}
