//! The recorded cluster.

use poddns_core::{Freshness, Label};
use poddns_core_checks::{TestCluster, TestPod};

pub(crate) fn label(text: &str) -> Label {
    text.parse().unwrap_or_else(|why| panic!("{text:?} {why}"))
}

/// Returns the cluster of `data/cluster.tsv`. Pods that have ended are left out, as by the watch.
pub(crate) fn recorded() -> TestCluster {
    let (mut namespaces, mut pods) = (Vec::new(), Vec::new());
    for line in include_str!("../../data/cluster.tsv").lines().filter(|line| !line.starts_with('#')) {
        match line.split('\t').collect::<Vec<_>>()[..] {
            ["namespace", name] => namespaces.push(label(name)),
            ["pod", _, _, "Succeeded" | "Failed", _] => {}
            ["pod", namespace, name, _, addresses] => pods.push(TestPod {
                namespace: label(namespace),
                name: label(name),
                addresses: addresses.split(',').filter_map(|text| text.parse().ok()).collect(),
            }),
            _ => panic!("{line:?}"),
        }
    }
    assert_eq!((namespaces.len(), pods.len()), (9, 13));
    TestCluster { namespaces, pods, freshness: Freshness::Fresh, serial: 1_795_360_627 }
}
