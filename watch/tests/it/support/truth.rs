//! Contents that an index must have after a history, computed from the recordings without the code under test.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use poddns_core::{Label, PodLookup};
use poddns_watch::Index;
use serde_json::Value;

/// Pods and namespaces after a history of lists and events.
#[derive(Default)]
pub(crate) struct Truth {
    pods: BTreeMap<String, Value>,
    namespaces: BTreeSet<String>,
    /// Every namespace and every address that ever occurred, to check that deleted ones are absent.
    all: (BTreeSet<String>, BTreeSet<IpAddr>),
}

fn text(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

fn addresses(pod: &Value) -> impl Iterator<Item = IpAddr> {
    let ips = pod["status"]["podIPs"].as_array().into_iter().flatten();
    ips.map(|item| item["ip"].as_str().expect("an ip").parse().expect("an address"))
}

impl Truth {
    pub(crate) fn put(&mut self, object: &Value) {
        let uid = text(&object["metadata"]["uid"]);
        if object["metadata"].get("namespace").is_none() {
            let name = text(&object["metadata"]["name"]);
            self.all.0.insert(name.clone());
            self.namespaces.insert(name);
        } else {
            self.all.0.insert(text(&object["metadata"]["namespace"]));
            self.all.1.extend(addresses(object));
            self.pods.insert(uid, object.clone());
        }
    }

    pub(crate) fn delete(&mut self, object: &Value) {
        self.pods.remove(&text(&object["metadata"]["uid"]));
        if object["metadata"].get("namespace").is_none() {
            self.namespaces.remove(&text(&object["metadata"]["name"]));
        }
    }

    /// Applies a list of pods or namespaces.
    pub(crate) fn list(mut self, recording: &str) -> Self {
        let list: Value = serde_json::from_str(recording).expect("JSON");
        list["items"].as_array().expect("items").iter().for_each(|object| self.put(object));
        self
    }

    /// Applies the events of a watch.
    pub(crate) fn watch(mut self, recording: &str) -> Self {
        for line in recording.lines() {
            let event: Value = serde_json::from_str(line).expect("JSON");
            match event["type"].as_str() {
                Some("ADDED" | "MODIFIED") => self.put(&event["object"]),
                Some("DELETED") => self.delete(&event["object"]),
                Some("BOOKMARK") => {}
                other => panic!("what is {other:?}?"),
            }
        }
        self
    }

    /// Returns namespace, address and name of every pod that has not ended.
    fn served(&self) -> BTreeSet<(String, IpAddr, String)> {
        let ended = |pod: &Value| matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
        let facts = |pod: &Value| {
            let (namespace, name) = (text(&pod["metadata"]["namespace"]), text(&pod["metadata"]["name"]));
            addresses(pod).map(move |address| (namespace.clone(), address, name.clone())).collect::<Vec<_>>()
        };
        self.pods.values().filter(|pod| !ended(pod)).flat_map(facts).collect()
    }

    /// Fails unless an index that keeps names has exactly these contents.
    pub(crate) fn assert_is(&self, index: &Index) {
        assert_eq!(self.difference(index), None);
        let (namespaces, addresses) = &self.all;
        assert!(namespaces.len() > 1 && addresses.len() > 5, "the history is worth a test");
    }

    /// Returns the first difference from an index that keeps names.
    pub(crate) fn difference(&self, index: &Index) -> Option<String> {
        let served = self.served();
        let pods: BTreeSet<_> = served.iter().map(|(namespace, _, name)| (namespace, name)).collect();
        if index.stats().pods != pods.len() {
            return Some(format!("{} pods instead of {}", index.stats().pods, pods.len()));
        }
        let (namespaces, addresses) = &self.all;
        for namespace in namespaces {
            let label: Label = namespace.parse().expect("a label");
            if index.namespace_exists(&label).unwrap() != self.namespaces.contains(namespace) {
                return Some(format!("namespace {namespace}"));
            }
            for address in addresses {
                let expected = served.iter().any(|(of, has, _)| (of, has) == (namespace, address));
                if index.contains(&label, *address).unwrap() != expected {
                    return Some(format!("{namespace} {address}"));
                }
            }
        }
        pods.into_iter().find_map(|(namespace, name)| {
            let (of, pod): (Label, Label) =
                (namespace.parse().expect("a label"), name.parse().expect("a label"));
            let mut found = BTreeSet::new();
            index.addresses_of(&of, &pod, &mut |address| found.extend([address])).unwrap();
            let has = served.iter().filter(|(has, _, pod)| (has, pod) == (namespace, name));
            let expected: BTreeSet<IpAddr> = has.map(|(_, address, _)| *address).collect();
            (found != expected).then(|| format!("addresses of {namespace}/{name}"))
        })
    }
}
