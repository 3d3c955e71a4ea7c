//! The pod object, reduced from some 10 KB to the few fields that responses depend on.

pub(crate) mod lenient;

use std::net::IpAddr;

use serde::de::{Deserialize, Deserializer};

use crate::metadata::Metadata;
use crate::quote::QuotedText;
use lenient::{Faults, Lenient, LenientObject};

/// A pod of `v1`, reduced while it is decoded.
///
/// It keeps `metadata.{name,namespace,uid,resourceVersion,deletionTimestamp}`, `spec.hostNetwork` and
/// `status.{phase,podIP,podIPs}`; the rest is skipped without being stored. No field can fail to decode: values of a
/// wrong type, or that cannot be parsed, are omitted and reported in [`fault`](Self::fault), so that one malformed pod
/// does not affect the rest of a list.
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    metadata: Metadata,
    host_network: bool,
    phase: Phase,
    addresses: Vec<IpAddr>,
    fault: Option<Box<str>>,
}

/// Phase of a pod: `status.phase`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Accepted; not all containers have started yet. It may already have an address.
    Pending,
    /// At least one container is running, starting or restarting.
    Running,
    /// All containers have terminated successfully and will not be restarted.
    Succeeded,
    /// All containers have terminated, at least one of them in failure, and will not be restarted.
    Failed,
    /// The node does not respond, the field is missing, or its value is unknown. The pod may be running.
    #[default]
    Unknown,
}

impl Phase {
    /// Returns whether a pod of this phase still owns its addresses: until it is `Succeeded` or `Failed`. From then on
    /// its containers never run again, and the address is free for another pod.
    ///
    /// This is true for `Unknown`: the pod has neither been deleted nor ended, only its node is unreachable. (`CoreDNS`
    /// excludes it.)
    #[must_use]
    pub const fn counts(self) -> bool {
        !matches!(self, Self::Succeeded | Self::Failed)
    }
}

impl Pod {
    /// Returns the pod's metadata.
    #[must_use]
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Returns the pod's phase.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Returns whether the pod shares its node's network, and therefore has the node's address.
    #[must_use]
    pub const fn host_network(&self) -> bool {
        self.host_network
    }

    /// Returns the pod's addresses, `status.podIPs` and `status.podIP` without duplicates. Empty until it has one.
    #[must_use]
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// Returns the fault of the object, for a log line; `None` if there is none. Fields that could be read are valid
    /// nevertheless.
    #[must_use]
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }
}

impl<'de> Deserialize<'de> for Pod {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut faults = Faults::default();
        let raw = Lenient::<LenientObject<RawPod>>::deserialize(deserializer)?;
        let fields = raw.take("the item", &mut faults).unwrap_or_default().0;
        Ok(Self::from_raw(fields, faults))
    }
}

impl Pod {
    /// Converts decoded fields to a pod.
    pub(crate) fn from_raw(raw: RawPod, mut faults: Faults) -> Self {
        let metadata = raw.metadata.into_metadata(&mut faults);
        let host_network = raw
            .spec
            .take("spec", &mut faults)
            .and_then(|spec| spec.0.host_network.take("spec.hostNetwork", &mut faults))
            .unwrap_or_default();
        let status = raw.status.take("status", &mut faults).unwrap_or_default().0;
        let phase = status.phase.take("status.phase", &mut faults).unwrap_or_default();
        let phase = Phase::parse(&phase, &mut faults);
        let addresses = addresses(status.pod_ip, status.pod_ips, &mut faults);
        Self::new(metadata, host_network, phase, addresses, faults)
    }

    /// Returns a pod from fields decoded from any format.
    pub(crate) fn new(
        metadata: Metadata,
        host_network: bool,
        phase: Phase,
        addresses: PodAddresses,
        mut faults: Faults,
    ) -> Self {
        let addresses = addresses.0;
        if addresses.is_empty() && phase == Phase::Running {
            faults.note(format_args!("it runs but has no address"));
        }
        Self { metadata, host_network, phase, addresses, fault: faults.into_text() }
    }
}

impl Phase {
    /// Parses `status.phase`. Adds unknown values to `faults`.
    pub(crate) fn parse(text: &str, faults: &mut Faults) -> Self {
        match text {
            "Pending" => Self::Pending,
            "Running" => Self::Running,
            "Succeeded" => Self::Succeeded,
            "Failed" => Self::Failed,
            // The API server treats a missing phase like an empty one.
            "Unknown" | "" => Self::Unknown,
            other => {
                faults.note(format_args!("status.phase is {}, which is not a pod phase", QuotedText(other)));
                Self::Unknown
            }
        }
    }
}

/// The addresses of a pod, without duplicates.
#[derive(Debug, Default)]
pub(crate) struct PodAddresses(Vec<IpAddr>);

impl PodAddresses {
    /// Adds the address at `path`. Adds text that is not an address to `faults`.
    pub(crate) fn add(&mut self, text: &str, path: &str, faults: &mut Faults) {
        // A pod without an address is encoded with an empty podIP.
        if text.is_empty() {
            return;
        }
        match text.parse::<IpAddr>() {
            Ok(address) if !self.0.contains(&address) => self.0.push(address),
            Ok(_) => {}
            Err(_) => faults.note(format_args!("{path} is {}, which is not an IP address", QuotedText(text))),
        }
    }
}

fn addresses(first: Lenient<String>, all: Lenient<RawAddressList>, faults: &mut Faults) -> PodAddresses {
    let mut addresses = PodAddresses::default();
    for item in all.take("status.podIPs", faults).unwrap_or_default() {
        let ip = item.take("an item of status.podIPs", faults).unwrap_or_default().0.ip;
        if let Some(ip) = ip.take("status.podIPs[].ip", faults) {
            addresses.add(&ip, "status.podIPs[].ip", faults);
        }
    }
    if let Some(ip) = first.take("status.podIP", faults) {
        addresses.add(&ip, "status.podIP", faults);
    }
    addresses
}

type RawAddressList = Vec<Lenient<LenientObject<RawAddress>>>;

/// The fields of an item of a list, before they are checked.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(crate) struct RawPod {
    /// The item's kind: present in a `List`, mostly absent in a `PodList`.
    pub(crate) kind: Lenient<String>,
    pub(crate) metadata: RawMetadata,
    spec: Lenient<LenientObject<RawSpec>>,
    status: Lenient<LenientObject<RawStatus>>,
}

pub(crate) type RawMetadata = Lenient<LenientObject<RawMetadataFields>>;

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
    /// Converts decoded fields to metadata.
    pub(crate) fn into_metadata(self, faults: &mut Faults) -> Metadata {
        if matches!(self, Self::Absent) {
            faults.note(format_args!("metadata is missing"));
        }
        let raw = self.take("metadata", faults).unwrap_or_default().0;
        let deleted = raw.deletion_timestamp.take("metadata.deletionTimestamp", faults);
        Metadata {
            name: raw.name.take("metadata.name", faults).unwrap_or_default(),
            namespace: raw.namespace.take("metadata.namespace", faults).unwrap_or_default(),
            uid: raw.uid.take("metadata.uid", faults).unwrap_or_default(),
            resource_version: raw
                .resource_version
                .take("metadata.resourceVersion", faults)
                .unwrap_or_default(),
            terminating: deleted.is_some(),
        }
    }
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
    pod_ips: Lenient<RawAddressList>,
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
    fn fields_of_an_answer_are_kept() {
        let pod = pod(r#"{
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "n", "namespace": "ns", "uid": "u", "resourceVersion": "7",
                         "deletionTimestamp": "2026-11-22T14:34:34Z",
                         "managedFields": [{"fieldsV1": {"f:spec": {}}}], "labels": {"a": "b"}},
            "spec": {"hostNetwork": true, "containers": [{"name": "c"}]},
            "status": {"phase": "Pending", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
                       "hostIP": "10.9.9.9"}}"#);
        let metadata = pod.metadata();
        assert_eq!((&*metadata.name, &*metadata.namespace), ("n", "ns"));
        assert_eq!((&*metadata.uid, &*metadata.resource_version), ("u", "7"));
        assert!(metadata.terminating);
        assert!(pod.host_network());
        assert_eq!(pod.phase(), Phase::Pending);
        let expected: [IpAddr; 2] = ["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        assert_eq!(pod.addresses(), expected);
        assert_eq!(pod.fault(), None);
    }

    #[test]
    fn pod_ip_alone_is_enough() {
        // As written by servers before 1.16.
        let pod = pod(r#"{"metadata": {}, "status": {"phase": "Running", "podIP": "10.0.0.1"}}"#);
        assert_eq!(pod.addresses(), ["10.0.0.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(pod.fault(), None);
    }

    #[test]
    fn malformed_fields_are_reported_and_ignored() {
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
                r#"{"metadata": {"deletionTimestamp": 7}}"#,
                "metadata.deletionTimestamp is a number, not a string",
            ),
            (r#"{"metadata": {}, "spec": []}"#, "spec is a list, not an object"),
            (
                r#"{"metadata": {}, "spec": {"hostNetwork": "yes"}}"#,
                "spec.hostNetwork is a string, not a boolean",
            ),
            (r#"{"metadata": {}, "status": 3.5}"#, "status is a number, not an object"),
            (
                r#"{"metadata": {}, "status": {"phase": "Napping"}}"#,
                "status.phase is \"Napping\", which is not a pod phase",
            ),
            (r#"{"metadata": {}, "status": {"phase": -1}}"#, "status.phase is a number, not a string"),
            (r#"{"metadata": {}, "status": {"phase": "Running"}}"#, "it runs but has no address"),
            (
                r#"{"metadata": {}, "status": {"podIP": "10.0.0.256"}}"#,
                "status.podIP is \"10.0.0.256\", which is not an IP address",
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
    fn valid_addresses_of_malformed_pod_stay() {
        let pod = pod(r#"{"metadata": {}, "status": {"phase": "Running", "podIP": "junk",
                          "podIPs": [{"ip": "10.0.0.1"}, {"ip": "junk"}, {"ip": "10.0.0.1"}, 4]}}"#);
        assert_eq!(pod.addresses(), ["10.0.0.1".parse::<IpAddr>().unwrap()]);
        assert!(pod.fault().is_some_and(|fault| fault.contains("junk")));
    }

    #[test]
    fn long_text_is_cut_in_messages() {
        let json = format!(r#"{{"metadata": {{}}, "status": {{"podIP": "{}"}}}}"#, "é".repeat(1000));
        assert!(pod(&json).fault().is_some_and(|fault| fault.len() < 500));
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
