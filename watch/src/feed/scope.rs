//! The part of a cluster that an index holds.

use poddns_core::Label;

/// The part of a cluster that goes into the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Watch pods, for mode `verified`. If not, only namespaces are watched, for `insecure` with `check-namespaces`.
    pub pods: bool,
    /// The namespaces to serve; all if empty. If not, pods are watched namespace by namespace, so that permissions in
    /// these are enough. One watch of all the cluster's namespaces reports which of them exist.
    pub namespaces: Vec<Label>,
    /// True if pods with `hostNetwork: true` are served, under their node's address.
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
    /// Returns the scope as text, a line for each part.
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

/// Treatment of pods that share their node's network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostNetwork {
    /// They are served, under the node's address.
    #[default]
    Include,
    /// They are not served.
    Exclude,
}
