//! The object or patch that adds the server block to a platform's `CoreDNS`.

use std::net::IpAddr;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::block::{ForwardPlan, with_block};
use super::import::Import;
use super::parse::{Corefile, Directive, ServerBlock};

/// Platform on which `CoreDNS` runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Platform {
    /// `ConfigMap` coredns in kube-system
    Kubeadm,
    /// `ConfigMap` coredns-custom
    K3s,
    /// `HelmChartConfig` rke2-coredns
    Rke2,
    /// Configuration values of the CoreDNS add-on
    Eks,
    /// `ConfigMap` coredns-custom
    Aks,
    /// dns.operator
    Openshift,
    /// `ConfigMap` kube-dns
    Gke,
    /// `ConfigMap` coredns in kube-system
    Talos,
}

/// Inputs for an object.
pub(super) struct PlatformInput<'a> {
    pub(super) text: &'a str,
    pub(super) corefile: &'a Corefile,
    pub(super) import: &'a Import,
    pub(super) forward: &'a ForwardPlan,
}

impl Platform {
    /// Returns the object, preceded by comments on how to apply and undo it.
    pub(super) fn object(self, source: &PlatformInput<'_>) -> String {
        let PlatformInput { text, corefile, import, forward } = source;
        let whole = || with_block(text, corefile, import, forward);
        let object = match self {
            Self::Kubeadm | Self::Talos => config_map("coredns", "Corefile", &whole()),
            Self::K3s | Self::Aks => config_map("coredns-custom", "poddns.server", &forward.block(import)),
            Self::Rke2 => helm_chart_config(source),
            Self::Eks => pretty(&json!({ "corefile": whole() })),
            Self::Openshift => {
                pretty(&json!({ "spec": { "servers": [operator_server(import, &forward.upstreams)] } }))
            }
            Self::Gke => config_map("kube-dns", "stubDomains", &stub_domains(import, &forward.upstreams)),
        };
        let zone = import.zones().next().unwrap_or_default();
        let [apply, undo] = self.hints();
        format!(
            "# Apply: {apply}\n# Undo:  {undo}\n\
             # Check: poddns query @<cluster DNS> +short NS {zone}   (prints a name; CoreDNS by itself has none)\n{object}"
        )
    }

    /// Returns the commands that apply the object and undo it.
    const fn hints(self) -> [&'static str; 2] {
        match self {
            Self::Kubeadm | Self::Talos => {
                ["kubectl apply -f FILE", "apply the Corefile without its last server block"]
            }
            Self::K3s | Self::Aks => [
                "kubectl apply -f FILE && kubectl -n kube-system rollout restart deployment/coredns \
                 (merge it with a ConfigMap coredns-custom that is there already)",
                "kubectl -n kube-system patch configmap coredns-custom --type=json \
                 -p '[{\"op\":\"remove\",\"path\":\"/data/poddns.server\"}]'",
            ],
            Self::Rke2 => {
                ["kubectl apply -f FILE", "kubectl -n kube-system delete helmchartconfig rke2-coredns"]
            }
            Self::Eks => [
                "aws eks update-addon --cluster-name NAME --addon-name coredns --configuration-values file://FILE \
                 (without these comments)",
                "the same with the Corefile without its last server block",
            ],
            Self::Openshift => [
                "oc patch dns.operator/default --type=merge --patch-file FILE \
                 (add servers that are there already: a merge replaces the list)",
                "the same without the server named poddns",
            ],
            Self::Gke => [
                "kubectl apply -f FILE (merge it with stubDomains that are there already)",
                "remove the entry from stubDomains",
            ],
        }
    }
}

fn pretty(value: &Value) -> String {
    // `{:#}` indents by two.
    format!("{value:#}\n")
}

fn config_map(name: &str, key: &str, text: &str) -> String {
    let mut object = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: kube-system\ndata:\n  {key}: {}\n",
        block_scalar(text)
    );
    for line in text.trim_end_matches('\n').split('\n') {
        let indent = if line.is_empty() { "" } else { "    " };
        object.extend([indent, line, "\n"]);
    }
    object
}

/// Returns the header of a YAML literal block scalar: an indentation indicator if the text begins with white space,
/// and a chomping indicator.
fn block_scalar(text: &str) -> String {
    let indent = if text.starts_with(char::is_whitespace) { "2" } else { "" };
    let chomp = if text.ends_with('\n') { "" } else { "-" };
    format!("|{indent}{chomp}")
}

fn stub_domains(import: &Import, upstreams: &[IpAddr]) -> String {
    let upstreams: Vec<String> = upstreams.iter().map(ToString::to_string).collect();
    let domains = import.zones().map(|zone| (zone, json!(upstreams))).collect();
    pretty(&Value::Object(domains))
}

fn operator_server(import: &Import, upstreams: &[IpAddr]) -> Value {
    let upstreams: Vec<String> = upstreams.iter().map(ToString::to_string).collect();
    let zones: Vec<String> = import.zones().collect();
    json!({ "name": "poddns", "zones": zones, "forwardPlugin": { "policy": "Sequential", "upstreams": upstreams } })
}

/// Returns the values of the `CoreDNS` chart. They replace all server blocks, so they contain the existing ones.
fn helm_chart_config(source: &PlatformInput<'_>) -> String {
    let mut servers: Vec<Value> = source.corefile.blocks.iter().map(chart_server).collect();
    if super::block::existing(source.corefile, source.import).is_none() {
        let zones: Vec<Value> = source.import.zones().map(|zone| json!({ "zone": zone })).collect();
        let plugins = source.forward.directives(source.import);
        let plugins: Vec<Value> =
            plugins.iter().map(|(line, block)| plugin(line, &block.join("\n"))).collect();
        servers
            .push(json!({ "zones": zones, "port": port(source.import.port.as_deref()), "plugins": plugins }));
    }
    let values = pretty(&json!({ "servers": servers }));
    let mut object = String::from(
        "apiVersion: helm.cattle.io/v1\nkind: HelmChartConfig\nmetadata:\n  name: rke2-coredns\n  namespace: kube-system\n\
         spec:\n  valuesContent: |\n",
    );
    for line in values.lines() {
        object.extend(["    ", line, "\n"]);
    }
    object
}

fn port(port: Option<&str>) -> u16 {
    port.and_then(|port| port.parse().ok()).unwrap_or(53)
}

fn chart_server(block: &ServerBlock) -> Value {
    let zones: Vec<Value> = block
        .addresses
        .iter()
        .map(|address| {
            let zone = if address.zone.is_empty() { "." } else { &address.zone };
            match &address.scheme {
                Some(scheme) => json!({ "zone": zone, "scheme": format!("{scheme}://") }),
                None => json!({ "zone": zone }),
            }
        })
        .collect();
    let plugins: Vec<Value> = block
        .directives
        .iter()
        .map(|directive| plugin(&directive.to_string(), &inner(&directive.block, 0)))
        .collect();
    let first = block.addresses.iter().find_map(|address| address.port.as_deref());
    json!({ "zones": zones, "port": port(first), "plugins": plugins })
}

fn plugin(line: &str, block: &str) -> Value {
    let (name, parameters) = line.split_once(' ').unwrap_or((line, ""));
    let mut plugin = json!({ "name": name });
    for (key, text) in [("parameters", parameters), ("configBlock", block)] {
        if !text.is_empty() {
            plugin[key] = json!(text);
        }
    }
    plugin
}

/// Returns the lines of a directive's block.
fn inner(directives: &[Directive], depth: usize) -> String {
    let indent = "    ".repeat(depth);
    let lines = directives.iter().map(|directive| match directive.block.as_slice() {
        [] => format!("{indent}{directive}"),
        block => format!("{indent}{directive} {{\n{}\n{indent}}}", inner(block, depth + 1)),
    });
    lines.collect::<Vec<_>>().join("\n")
}
