//! The part of a cluster that an index contains.

use poddns_core::Label;

/// The part of a cluster that is stored in the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Watch pods, for mode `verified`. If false, only namespaces are watched, for mode `insecure` with
    /// `check-namespaces`.
    pub pods: bool,
    /// The namespaces to serve; all if empty. If not empty, pods are watched per namespace, so that permissions in
    /// these namespaces suffice. Whether they exist is reported by one watch of all namespaces.
    pub namespaces: Vec<Label>,
    /// Treatment of pods with `hostNetwork: true`, which have their node's address.
    pub host_network: HostNetwork,
    /// Keep pod names, for queries by name and PTR.
    pub pod_names: bool,
}

impl Default for Scope {
    /// Returns the scope of all pods of all namespaces, without names.
    fn default() -> Self {
        Self { pods: true, namespaces: Vec::new(), host_network: HostNetwork::Include, pod_names: false }
    }
}

impl Scope {
    /// Returns the scope as text, one line per part.
    pub(super) fn lines(&self) -> String {
        let Self { pods, namespaces, host_network, pod_names } = self;
        let host_network = match host_network {
            HostNetwork::Include => "include",
            HostNetwork::Exclude => "exclude",
        };
        let mut names: Vec<&str> = namespaces.iter().map(Label::as_str).collect();
        names.sort_unstable();
        names.dedup();
        let names = if names.is_empty() { "all".to_owned() } else { names.join(", ") };
        let lines = [
            format!("pods: {pods}"),
            format!("host-network: {host_network}"),
            format!("pod-names: {pod_names}"),
            format!("namespaces: {names}"),
        ];
        lines.join("\n")
    }
}

/// Treatment of pods with `hostNetwork: true`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostNetwork {
    /// They are served, at the node's address.
    #[default]
    Include,
    /// They are not served.
    Exclude,
}
