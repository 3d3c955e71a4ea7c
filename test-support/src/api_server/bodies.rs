//! Whole bodies of responses, for benchmarks of decoders.

use super::encoding::{Encoding, ListMetadata, Wire};
use super::generated::MAX_PODS;
use super::store::{ListPosition, ObjectStore, View};

const ALL: View = View { resource: "pods", namespace: None, not_phases: Vec::new() };

fn store(pods: u32) -> ObjectStore {
    assert!(pods <= MAX_PODS);
    let mut store = ObjectStore::at(100);
    store.generate_pods(pods);
    store
}

/// Returns a list of `pods` generated pods.
#[must_use]
pub fn list(encoding: Encoding, pods: u32) -> Vec<u8> {
    page(encoding, pods, usize::MAX)
}

/// Returns the first page of such a list, with at most `limit` pods.
#[must_use]
pub fn page(encoding: Encoding, pods: u32, limit: usize) -> Vec<u8> {
    let (wire, store) = (Wire { only_metadata: false, encoding }, store(pods));
    let page = store.list(&ALL, &ListPosition::Generated(0), limit);
    let next = page.next.map(|(_, left)| ("token".to_owned(), left));
    let meta = ListMetadata { version: store.version, next };
    let mut body = wire.list_head("pods", &meta, &page.objects);
    for (number, object) in page.objects.iter().enumerate() {
        wire.item(object, number == 0, &mut body);
    }
    body.extend(wire.list_tail());
    body
}

/// Returns `count` changes of `count` generated pods, of all kinds in turn.
#[must_use]
pub fn events(encoding: Encoding, count: u32) -> Vec<u8> {
    let (wire, mut store) = (Wire { only_metadata: false, encoding }, store(count));
    let first = store.version;
    (0..count).for_each(|_| store.change_generated());
    let events = store.since(&ALL, first);
    events.iter().flat_map(|event| wire.event(event.kind, &event.object)).collect()
}

/// Returns three events of a watch: the bookmark that ends a streaming list, an ordinary bookmark, and a failure.
#[must_use]
pub fn end_events(encoding: Encoding) -> Vec<u8> {
    let wire = Wire { only_metadata: false, encoding };
    let status = serde_json::json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410,
                                    "reason": "Expired", "message": "too old"});
    [wire.bookmark("pods", 5, true), wire.bookmark("pods", 6, false), wire.error(&status)].concat()
}
