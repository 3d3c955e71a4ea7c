//! State of the in-process API server: objects, their versions, and their history.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A change, as watches tell it.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) version: u64,
    pub(super) kind: &'static str,
    pub(super) object: Value,
    /// The object before, which decides whether a selector saw it.
    pub(super) before: Option<Value>,
}

/// Objects of one resource, by namespace and name.
#[derive(Default)]
pub(super) struct Cluster {
    pub(super) version: u64,
    /// Versions up to this are compacted away.
    pub(super) compacted: u64,
    objects: BTreeMap<&'static str, BTreeMap<(String, String), Value>>,
    events: BTreeMap<&'static str, Vec<Event>>,
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

impl Cluster {
    /// An empty one, with some history behind it.
    pub(super) fn at(version: u64) -> Self {
        Self { version, ..Self::default() }
    }

    /// Creates or replaces an object, and stamps it with a new version.
    pub(super) fn put(&mut self, mut object: Value) {
        self.version += 1;
        if object["metadata"].is_object() {
            object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        }
        let resource = resource(&object);
        let before = self.objects.entry(resource).or_default().insert(key(&object), object.clone());
        let kind = if before.is_some() { "MODIFIED" } else { "ADDED" };
        self.tell(resource, Event { version: self.version, kind, object, before });
    }

    pub(super) fn delete(&mut self, resource: &'static str, namespace: &str, name: &str) {
        self.version += 1;
        let key = (namespace.to_owned(), name.to_owned());
        let mut object = self.objects.entry(resource).or_default().remove(&key).expect("it exists");
        let before = Some(object.clone());
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.tell(resource, Event { version: self.version, kind: "DELETED", object, before });
    }

    fn tell(&mut self, resource: &'static str, event: Event) {
        self.events.entry(resource).or_default().push(event);
    }

    /// Forgets history, as etcd's compaction does.
    pub(super) fn compact(&mut self) {
        self.compacted = self.version;
        self.events.clear();
    }

    /// Returns the selected objects after a key, at most `limit`, and whether there are more.
    pub(super) fn list(
        &self,
        view: &View,
        after: Option<&(String, String)>,
        limit: usize,
    ) -> (Vec<Value>, bool) {
        let all = self.objects.get(view.resource);
        let mut found = all
            .into_iter()
            .flatten()
            .filter(|(key, _)| after.is_none_or(|after| *key > after))
            .map(|(_, object)| object)
            .filter(|object| view.shows(object));
        let page: Vec<Value> = found.by_ref().take(limit).cloned().collect();
        let more = found.next().is_some();
        (page, more)
    }

    /// The events after a version, as this view sees them.
    pub(super) fn since(&self, view: &View, version: u64) -> Vec<Event> {
        let events = self.events.get(view.resource).into_iter().flatten();
        events.filter(|event| event.version > version).filter_map(|event| view.see(event)).collect()
    }
}

/// Selection of a request: one namespace, one field selector.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) resource: &'static str,
    pub(super) namespace: Option<String>,
    /// Phases that `status.phase!=` names.
    pub(super) not_phases: Vec<String>,
}

impl View {
    pub(super) fn shows(&self, object: &Value) -> bool {
        let namespace = object["metadata"]["namespace"].as_str();
        let phase = object["status"]["phase"].as_str().unwrap_or_default();
        self.namespace.as_deref().is_none_or(|only| namespace == Some(only))
            && !self.not_phases.iter().any(|not| not == phase)
    }

    /// As the real server does: an object that stops matching is deleted, one that begins to is added.
    fn see(&self, event: &Event) -> Option<Event> {
        let before = event.before.as_ref().is_some_and(|object| self.shows(object));
        let after = event.kind != "DELETED" && self.shows(&event.object);
        let kind = match (before, after) {
            (false, false) => return None,
            (false, true) => "ADDED",
            (true, true) => "MODIFIED",
            (true, false) => "DELETED",
        };
        Some(Event { kind, ..event.clone() })
    }
}

/// An object cut down to what `as=PartialObjectMetadata` gives.
pub(super) fn partial(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

/// A running pod with these addresses.
pub fn pod(namespace: &str, name: &str, addresses: &[&str]) -> Value {
    let ips: Vec<Value> = addresses.iter().map(|ip| json!({"ip": ip})).collect();
    json!({
        "kind": "Pod", "apiVersion": "v1",
        "metadata": {"namespace": namespace, "name": name, "uid": format!("{namespace}/{name}")},
        "spec": {"containers": [{"name": "c", "image": "example.invalid/x:1"}]},
        "status": {"phase": "Running", "podIP": addresses.first(), "podIPs": ips},
    })
}

/// A namespace.
pub fn namespace(name: &str) -> Value {
    json!({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": name, "uid": name},
           "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}})
}
