//! The objects of the fake API server, their versions, and their history.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::{Value, json};

use super::generated::{self, GeneratedPods, PodChange};
use super::object::ApiObject;

/// Maximum number of changes of a resource in the history.
const MAX_HISTORY: usize = 1 << 16;

/// A change of an object, in the form in which a watch reports it.
#[derive(Clone, Debug)]
pub(super) struct ObjectEvent {
    pub(super) version: u64,
    pub(super) kind: &'static str,
    pub(super) object: ApiObject,
    /// The object before the change, which decides whether a selector matched it.
    pub(super) before: Option<ApiObject>,
}

/// A position in a list, after which the next page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ListPosition {
    /// Generated pods are first; the next page begins with this number.
    Generated(u32),
    /// Namespace and name of the last object of the page.
    After(String, String),
}

/// A page of a list.
pub(super) struct ListPage {
    pub(super) objects: Vec<ApiObject>,
    /// The beginning of the next page and an estimate of the number of remaining objects; `None` at the end of the
    /// list.
    pub(super) next: Option<(ListPosition, usize)>,
}

/// All objects, by resource.
#[derive(Default)]
pub(super) struct ObjectStore {
    pub(super) version: u64,
    /// The last compacted version. The history contains later changes only.
    pub(super) compacted: u64,
    pub(super) generated: GeneratedPods,
    objects: BTreeMap<&'static str, BTreeMap<(String, String), Arc<Value>>>,
    events: BTreeMap<&'static str, VecDeque<ObjectEvent>>,
}

fn resource(object: &Value) -> &'static str {
    match object["kind"].as_str() {
        Some("Namespace") => "namespaces",
        _ => "pods",
    }
}

fn key(object: &Value) -> (String, String) {
    let field = |name: &str| object["metadata"][name].as_str().unwrap_or_default().to_owned();
    (field("namespace"), field("name"))
}

impl ObjectStore {
    /// Returns an empty store with this version and no history.
    pub(super) fn at(version: u64) -> Self {
        Self { version, ..Self::default() }
    }

    /// Replaces all generated pods by `count` new ones, and creates their namespaces.
    pub(super) fn generate_pods(&mut self, count: u32) {
        generated::namespaces().for_each(|namespace| self.put(namespace));
        self.generated = GeneratedPods::new(count, self.version);
    }

    /// Makes the next change of the generated pods, if there are any.
    pub(super) fn change_generated(&mut self) {
        let Some(change) = self.generated.change(self.version + 1) else { return };
        self.version += 1;
        let kind = match change {
            PodChange { before: None, .. } => "ADDED",
            _ if change.is_deletion() => "DELETED",
            _ => "MODIFIED",
        };
        let (before, object) = (change.before.map(ApiObject::Generated), ApiObject::Generated(change.after));
        self.record("pods", ObjectEvent { version: self.version, kind, object, before });
    }

    /// Creates or replaces an object, and gives it a new resourceVersion.
    pub(super) fn put(&mut self, mut object: Value) {
        self.version += 1;
        if object["metadata"].is_object() {
            object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        }
        let resource = resource(&object);
        let (key, object) = (key(&object), Arc::new(object));
        let before = self.objects.entry(resource).or_default().insert(key, Arc::clone(&object));
        let kind = if before.is_some() { "MODIFIED" } else { "ADDED" };
        let (before, object) = (before.map(ApiObject::Put), ApiObject::Put(object));
        self.record(resource, ObjectEvent { version: self.version, kind, object, before });
    }

    pub(super) fn delete(&mut self, resource: &'static str, namespace: &str, name: &str) {
        self.version += 1;
        let key = (namespace.to_owned(), name.to_owned());
        let before = self.objects.entry(resource).or_default().remove(&key).expect("it exists");
        let mut object = Value::clone(&before);
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let (before, object) = (Some(ApiObject::Put(before)), ApiObject::put(object));
        self.record(resource, ObjectEvent { version: self.version, kind: "DELETED", object, before });
    }

    fn record(&mut self, resource: &'static str, event: ObjectEvent) {
        let events = self.events.entry(resource).or_default();
        if events.len() == MAX_HISTORY
            && let Some(forgotten) = events.pop_front()
        {
            self.compacted = forgotten.version;
        }
        events.push_back(event);
    }

    /// Discards the history, like a compaction of etcd.
    pub(super) fn compact(&mut self) {
        self.compacted = self.version;
        self.events.clear();
    }

    /// Returns at most `limit` selected objects, beginning at a position.
    pub(super) fn list(&self, view: &View, from: &ListPosition, limit: usize) -> ListPage {
        let (number, after) = match from {
            ListPosition::Generated(number) => (*number, None),
            ListPosition::After(namespace, name) => (u32::MAX, Some((namespace.clone(), name.clone()))),
        };
        let is_of_pods = view.resource == "pods";
        let generated = self.generated.from(number).filter(|_| is_of_pods).copied().map(ApiObject::Generated);
        let put = self.objects.get(view.resource).into_iter().flatten();
        let put = put.filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after));
        let put = put.map(|(_, object)| ApiObject::Put(Arc::clone(object)));
        let mut selected = generated.chain(put).filter(|object| view.shows(object));
        let objects: Vec<ApiObject> = selected.by_ref().take(limit).collect();
        let next = selected.next().zip(objects.last()).map(|(next, last)| position(last, &next));
        let next = next.map(|next| {
            let left = self.count_from(view.resource, &next);
            (next, left)
        });
        ListPage { objects, next }
    }

    /// Returns the number of objects from a position to the end, selected or not.
    fn count_from(&self, resource: &str, position: &ListPosition) -> usize {
        let put = self.objects.get(resource).map_or(0, BTreeMap::len);
        match position {
            ListPosition::Generated(number) => self.generated.count_from(*number) + put,
            ListPosition::After(namespace, name) => {
                let after = (namespace.clone(), name.clone());
                self.objects.get(resource).into_iter().flatten().filter(|(key, _)| **key > after).count()
            }
        }
    }

    /// Returns the events after a version that this view selects.
    pub(super) fn since(&self, view: &View, version: u64) -> Vec<ObjectEvent> {
        let Some(events) = self.events.get(view.resource) else { return Vec::new() };
        let first = events.partition_point(|event| event.version <= version);
        events.range(first..).filter_map(|event| view.see(event)).collect()
    }
}

/// Returns the position between two consecutive objects.
fn position(last: &ApiObject, next: &ApiObject) -> ListPosition {
    match (last, next) {
        (_, ApiObject::Generated(pod)) => ListPosition::Generated(pod.number),
        (ApiObject::Generated(_), ApiObject::Put(_)) => ListPosition::Generated(u32::MAX),
        (ApiObject::Put(object), ApiObject::Put(_)) => {
            let (namespace, name) = key(object);
            ListPosition::After(namespace, name)
        }
    }
}

/// Selection of a request: a namespace and a field selector.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) resource: &'static str,
    pub(super) namespace: Option<String>,
    /// Phases that `status.phase!=` excludes.
    pub(super) not_phases: Vec<String>,
}

impl View {
    pub(super) fn shows(&self, object: &ApiObject) -> bool {
        let is_selected = |only: &str| object.namespace().is_some_and(|namespace| namespace == only);
        self.namespace.as_deref().is_none_or(is_selected)
            && !self.not_phases.iter().any(|not| not == object.phase())
    }

    /// Returns the event in the form of a real server: an object that no longer matches is deleted, an object that now
    /// matches is added.
    fn see(&self, event: &ObjectEvent) -> Option<ObjectEvent> {
        let before = event.before.as_ref().is_some_and(|object| self.shows(object));
        let after = event.kind != "DELETED" && self.shows(&event.object);
        let kind = match (before, after) {
            (false, false) => return None,
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
        };
        Some(ObjectEvent { kind, ..event.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api_server::{namespace, pod};

    const ALL: View = View { resource: "pods", namespace: None, not_phases: Vec::new() };

    #[test]
    fn pages_have_generated_and_put_objects() {
        let mut store = ObjectStore::at(100);
        store.generate_pods(5);
        store.put(namespace("web"));
        for name in ["a", "b", "c"] {
            store.put(pod("web", name, &["10.0.0.1"]));
        }
        for limit in 1..10 {
            let (mut position, mut seen) = (ListPosition::Generated(0), Vec::new());
            loop {
                let page = store.list(&ALL, &position, limit);
                seen.extend(page.objects.iter().map(|object| object.namespace().unwrap().into_owned()));
                let Some((next, left)) = page.next else { break };
                assert_eq!(seen.len() + left, 8, "limit {limit}");
                position = next;
            }
            let expected = ["team-0", "team-1", "team-2", "team-3", "team-4", "web", "web", "web"];
            assert_eq!(seen, expected, "limit {limit}");
        }
        let web = View { namespace: Some("web".to_owned()), ..ALL };
        assert_eq!(store.list(&web, &ListPosition::Generated(0), usize::MAX).objects.len(), 3);
    }

    #[test]
    fn history_has_changes_after_a_version() {
        let mut store = ObjectStore::at(100);
        store.generate_pods(8);
        let first = store.version;
        (0..3).for_each(|_| store.change_generated());
        let kinds = |version| store.since(&ALL, version).iter().map(|event| event.kind).collect::<Vec<_>>();
        assert_eq!(kinds(first), ["MODIFIED", "MODIFIED", "DELETED"]);
        assert_eq!(kinds(store.version - 1), ["DELETED"]);
        assert!(kinds(store.version).is_empty());
    }

    #[test]
    fn history_is_bounded() {
        let mut store = ObjectStore::at(100);
        store.generate_pods(8);
        let first = store.version;
        (0..=MAX_HISTORY).for_each(|_| store.change_generated());
        assert_eq!(store.compacted, first + 1);
        assert_eq!(store.since(&ALL, first).len(), MAX_HISTORY);
    }
}
