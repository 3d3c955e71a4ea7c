//! The slim pod: of some 10 KB of a pod as the API server sends it, the few fields that an answer needs.

pub(crate) mod lenient;

use std::borrow::Cow;
use std::net::IpAddr;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Resource;
use kube::api::ObjectMeta;
use serde::de::{Deserialize, Deserializer};

use lenient::{Faults, Lenient, Object, Quoted};

/// A pod of `v1`, cut down while it is decoded.
///
/// It keeps `metadata.{name,namespace,uid,resourceVersion,deletionTimestamp}`, `spec.hostNetwork` and
/// `status.{phase,podIP,podIPs}`; the rest is skipped without being stored. No field can fail to decode: what
/// has the wrong type or cannot be read is left out and said in [`fault`](Self::fault), so that one malformed
/// pod never costs the list it came in.
///
/// ```
/// use poddns_watch::{Phase, Pod};
///
/// let pod: Pod = serde_json::from_str(
///     r#"{"metadata": {"name": "web", "namespace": "default"},
///         "status": {"phase": "Running", "podIPs": [{"ip": "10.42.2.46"}, {"ip": "fd00::46"}]}}"#,
/// )?;
/// assert_eq!(pod.phase(), Phase::Running);
/// assert_eq!(pod.addresses().len(), 2);
/// assert_eq!(pod.fault(), None);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Pod {
    metadata: ObjectMeta,
    host_network: bool,
    phase: Phase,
    addresses: Vec<IpAddr>,
    fault: Option<Box<str>>,
}

/// Where a pod is in its life: `status.phase`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Accepted, its containers not yet all started. It may have an address already.
    Pending,
    /// At least one container runs, starts or restarts.
    Running,
    /// All containers ended well, for good.
    Succeeded,
    /// All containers ended, one of them badly, for good.
    Failed,
    /// The node cannot be asked, the field is missing, or its value is none of the others. The pod may well
    /// run.
    #[default]
    Unknown,
}

impl Phase {
    /// Whether a pod of this phase still owns its addresses: until it is `Succeeded` or `Failed`, when its
    /// containers are gone for good and the address is free for another pod.
    ///
    /// `Unknown` counts: the pod is neither deleted nor ended, its node is merely out of reach. (`CoreDNS`
    /// drops it.)
    #[must_use]
    pub const fn counts(self) -> bool {
        !matches!(self, Self::Succeeded | Self::Failed)
    }
}

impl Pod {
    /// Where the pod is in its life.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether it shares the network of its node, and so has the node's address.
    #[must_use]
    pub const fn host_network(&self) -> bool {
        self.host_network
    }

    /// Its addresses, `status.podIPs` with `status.podIP`, each once. Empty before it has one.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// What is wrong with the object, for a log line. The fields that could be read hold nevertheless.
    #[must_use]
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }
}

impl Resource for Pod {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Pod".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "pods".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

impl<'de> Deserialize<'de> for Pod {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut faults = Faults::default();
        let raw = Lenient::<Object<RawPod>>::deserialize(deserializer)?;
        let fields = raw.take("the item", &mut faults).unwrap_or_default().0;
        Ok(Self::from_raw(fields, faults))
    }
}

impl Pod {
    /// Reads the fields that were kept.
    pub(crate) fn from_raw(raw: RawPod, mut faults: Faults) -> Self {
        let metadata = raw.metadata.into_meta(&mut faults);
        let host_network = raw
            .spec
            .take("spec", &mut faults)
            .and_then(|spec| spec.0.host_network.take("spec.hostNetwork", &mut faults))
            .unwrap_or_default();
        let status = raw.status.take("status", &mut faults).unwrap_or_default().0;
        let phase = phase(status.phase, &mut faults);
        let addresses = addresses(status.pod_ip, status.pod_ips, &mut faults);
        if addresses.is_empty() && phase == Phase::Running {
            faults.note(format_args!("it runs but has no address"));
        }
        Self { metadata, host_network, phase, addresses, fault: faults.into_text() }
    }
}

fn phase(field: Lenient<String>, faults: &mut Faults) -> Phase {
    let Some(text) = field.take("status.phase", faults) else { return Phase::Unknown };
    match text.as_str() {
        "Pending" => Phase::Pending,
        "Running" => Phase::Running,
        "Succeeded" => Phase::Succeeded,
        "Failed" => Phase::Failed,
        // The API server takes a missing phase for an empty one.
        "Unknown" | "" => Phase::Unknown,
        other => {
            faults.note(format_args!("status.phase is {}, which is no phase of a pod", Quoted(other)));
            Phase::Unknown
        }
    }
}

fn addresses(first: Lenient<String>, all: Lenient<RawAddresses>, faults: &mut Faults) -> Vec<IpAddr> {
    let all = all.take("status.podIPs", faults).unwrap_or_default();
    let mut addresses = Vec::with_capacity(all.len());
    let mut add = |text: Option<String>, path: &str, faults: &mut Faults| {
        // An empty podIP is how a pod without one is written.
        let Some(text) = text.filter(|text| !text.is_empty()) else { return };
        match text.parse::<IpAddr>() {
            Ok(address) if !addresses.contains(&address) => addresses.push(address),
            Ok(_) => {}
            Err(_) => faults.note(format_args!("{path} is {}, which is no IP address", Quoted(&text))),
        }
    };
    for item in all {
        let ip = item.take("an item of status.podIPs", faults).unwrap_or_default().0.ip;
        add(ip.take("status.podIPs[].ip", faults), "status.podIPs[].ip", faults);
    }
    add(first.take("status.podIP", faults), "status.podIP", faults);
    addresses
}

type RawAddresses = Vec<Lenient<Object<RawAddress>>>;

/// The fields of an item of a list, before they are read.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(crate) struct RawPod {
    /// The item's kind: present in a `List`, mostly absent in a `PodList`.
    pub(crate) kind: Lenient<String>,
    pub(crate) metadata: RawMetadata,
    spec: Lenient<Object<RawSpec>>,
    status: Lenient<Object<RawStatus>>,
}

pub(crate) type RawMetadata = Lenient<Object<RawMetadataFields>>;

#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct RawMetadataFields {
    name: Lenient<String>,
    namespace: Lenient<String>,
    uid: Lenient<String>,
    resource_version: Lenient<String>,
    deletion_timestamp: Lenient<String>,
}

impl RawMetadata {
    /// The metadata that was kept. What else `ObjectMeta` has stays empty.
    pub(crate) fn into_meta(self, faults: &mut Faults) -> ObjectMeta {
        if matches!(self, Self::Absent) {
            faults.note(format_args!("metadata is missing"));
        }
        let raw = self.take("metadata", faults).unwrap_or_default().0;
        let deleted = raw.deletion_timestamp.take("metadata.deletionTimestamp", faults);
        ObjectMeta {
            name: raw.name.take("metadata.name", faults),
            namespace: raw.namespace.take("metadata.namespace", faults),
            uid: raw.uid.take("metadata.uid", faults),
            resource_version: raw.resource_version.take("metadata.resourceVersion", faults),
            deletion_timestamp: deleted.and_then(|text| time(&text, faults)),
            ..ObjectMeta::default()
        }
    }
}

fn time(text: &str, faults: &mut Faults) -> Option<Time> {
    let time = text.parse().ok().map(Time);
    if time.is_none() {
        faults.note(format_args!("metadata.deletionTimestamp is {}, which is no time", Quoted(text)));
    }
    time
}

#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawSpec {
    host_network: Lenient<bool>,
}

#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
struct RawStatus {
    phase: Lenient<String>,
    #[serde(rename = "podIP")]
    pod_ip: Lenient<String>,
    #[serde(rename = "podIPs")]
    pod_ips: Lenient<RawAddresses>,
}

#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
struct RawAddress {
    ip: Lenient<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(json: &str) -> Pod {
        serde_json::from_str(json).unwrap_or_else(|error| panic!("{error} in {json}"))
    }

    #[test]
    fn keeps_what_an_answer_needs() {
        let pod = pod(r#"{
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "n", "namespace": "ns", "uid": "u", "resourceVersion": "7",
                         "deletionTimestamp": "2026-11-22T14:34:34Z",
                         "managedFields": [{"fieldsV1": {"f:spec": {}}}], "labels": {"a": "b"}},
            "spec": {"hostNetwork": true, "containers": [{"name": "c"}]},
            "status": {"phase": "Pending", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
                       "hostIP": "10.9.9.9"}}"#);
        assert_eq!(pod.meta().name.as_deref(), Some("n"));
        assert_eq!(pod.meta().namespace.as_deref(), Some("ns"));
        assert_eq!(pod.meta().uid.as_deref(), Some("u"));
        assert_eq!(pod.meta().resource_version.as_deref(), Some("7"));
        assert!(pod.meta().deletion_timestamp.is_some());
        assert!(pod.meta().labels.is_none() && pod.meta().managed_fields.is_none());
        assert!(pod.host_network());
        assert_eq!(pod.phase(), Phase::Pending);
        let expected: [IpAddr; 2] = ["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        assert_eq!(pod.addresses(), expected);
        assert_eq!(pod.fault(), None);
    }

    #[test]
    fn pod_ip_alone_is_enough() {
        // As servers before 1.16 write it.
        let pod = pod(r#"{"metadata": {}, "status": {"phase": "Running", "podIP": "10.0.0.1"}}"#);
        assert_eq!(pod.addresses(), ["10.0.0.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(pod.fault(), None);
    }

    #[test]
    fn what_is_malformed_is_said_and_left_out() {
        let cases = [
            ("null", "metadata is missing"),
            ("17", "the item is a number, not an object; metadata is missing"),
            (r#"["x", {"metadata": 1}]"#, "the item is a list, not an object; metadata is missing"),
            (r#"{"metadata": null}"#, "metadata is missing"),
            (r#"{"metadata": "x"}"#, "metadata is a string, not an object"),
            (r#"{"metadata": {"name": 7}}"#, "metadata.name is a number, not a string"),
            (r#"{"metadata": {"name": {"a": [1]}}}"#, "metadata.name is an object, not a string"),
            (r#"{"metadata": {"uid": true}}"#, "metadata.uid is a boolean, not a string"),
            (
                r#"{"metadata": {"deletionTimestamp": "soon"}}"#,
                "metadata.deletionTimestamp is \"soon\", which is no time",
            ),
            (r#"{"metadata": {}, "spec": []}"#, "spec is a list, not an object"),
            (
                r#"{"metadata": {}, "spec": {"hostNetwork": "yes"}}"#,
                "spec.hostNetwork is a string, not a boolean",
            ),
            (r#"{"metadata": {}, "status": 3.5}"#, "status is a number, not an object"),
            (
                r#"{"metadata": {}, "status": {"phase": "Napping"}}"#,
                "status.phase is \"Napping\", which is no phase of a pod",
            ),
            (r#"{"metadata": {}, "status": {"phase": -1}}"#, "status.phase is a number, not a string"),
            (r#"{"metadata": {}, "status": {"phase": "Running"}}"#, "it runs but has no address"),
            (
                r#"{"metadata": {}, "status": {"podIP": "10.0.0.256"}}"#,
                "status.podIP is \"10.0.0.256\", which is no IP address",
            ),
            (r#"{"metadata": {}, "status": {"podIPs": {}}}"#, "status.podIPs is an object, not a list"),
            (
                r#"{"metadata": {}, "status": {"podIPs": ["10.0.0.1"]}}"#,
                "an item of status.podIPs is a string, not an object",
            ),
            (
                r#"{"metadata": {}, "status": {"podIPs": [{"ip": 10}]}}"#,
                "status.podIPs[].ip is a number, not a string",
            ),
        ];
        for (json, fault) in cases {
            assert_eq!(pod(json).fault(), Some(fault), "{json}");
        }
    }

    #[test]
    fn what_is_merely_absent_is_no_fault() {
        for json in [
            r#"{"metadata": {}}"#,
            r#"{"metadata": {}, "spec": null, "status": null}"#,
            r#"{"metadata": {"name": null, "labels": null}, "spec": {"hostNetwork": null}, "status": {}}"#,
            r#"{"metadata": {}, "status": {"phase": null, "podIP": null, "podIPs": null}}"#,
            r#"{"metadata": {}, "status": {"phase": "", "podIP": "", "podIPs": []}}"#,
            r#"{"metadata": {}, "status": {"podIPs": [{}, {"ip": null}, null]}}"#,
        ] {
            assert_eq!(pod(json).fault(), None, "{json}");
            assert_eq!(pod(json).phase(), Phase::Unknown, "{json}");
        }
    }

    #[test]
    fn the_good_addresses_of_a_malformed_pod_stay() {
        let pod = pod(r#"{"metadata": {}, "status": {"phase": "Running", "podIP": "junk",
                          "podIPs": [{"ip": "10.0.0.1"}, {"ip": "junk"}, {"ip": "10.0.0.1"}, 4]}}"#);
        assert_eq!(pod.addresses(), ["10.0.0.1".parse::<IpAddr>().unwrap()]);
        assert!(pod.fault().is_some_and(|fault| fault.contains("junk")));
    }

    #[test]
    fn long_text_is_cut_in_messages() {
        let json = format!(r#"{{"metadata": {{}}, "status": {{"podIP": "{}"}}}}"#, "é".repeat(1000));
        assert!(pod(&json).fault().is_some_and(|fault| fault.len() < 200));
    }

    #[test]
    fn a_pod_counts_until_it_ends() {
        for (phase, counts) in [
            (Phase::Pending, true),
            (Phase::Running, true),
            (Phase::Unknown, true),
            (Phase::Succeeded, false),
            (Phase::Failed, false),
        ] {
            assert_eq!(phase.counts(), counts, "{phase:?}");
        }
    }

    #[test]
    fn broken_syntax_still_fails() {
        assert!(serde_json::from_str::<Pod>(r#"{"metadata": {"name": "n""#).is_err());
    }
}
