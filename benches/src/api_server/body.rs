//! Whole bodies, for benchmarks of decoders.

use super::format::{Format, ListMeta, Object, Resource};
use super::objects::{Cluster, FIRST_VERSION};

/// A list of so many pods.
#[must_use]
pub fn list(format: Format, pods: u32) -> Vec<u8> {
    let cluster = Cluster::new(pods);
    let all = || cluster.from(0).map(|pod| Object::Pod(*pod));
    let meta = ListMeta { version: FIRST_VERSION, next: None };
    let mut body = format.list_head(Resource::Pods, &meta, all());
    for (number, pod) in all().enumerate() {
        format.item(&pod, number == 0, &mut body);
    }
    body.extend(format.list_tail());
    body
}

/// As many changes of pods, of all kinds in turn.
#[must_use]
pub fn events(format: Format, count: u32) -> Vec<u8> {
    let mut cluster = Cluster::new(count);
    let changes = (0..count).map_while(|_| cluster.change());
    changes.flat_map(|change| format.event(change.kind.name(), &Object::Pod(change.pod))).collect()
}
