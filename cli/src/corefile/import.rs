//! The meaning of a Corefile's `kubernetes` block for poddns, directive by directive.

use std::fmt::Write as _;
use std::net::IpAddr;

use poddns_core::IpCidr;

use super::parse::{Corefile, Directive, ServerBlock};

/// Default TTL of Kubernetes records in `CoreDNS` and in poddns, in seconds.
const DEFAULT_TTL: &str = "5";

/// Severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    /// Adopted, or irrelevant to pod records.
    Note,
    /// The behaviour differs, or a manual change is needed.
    Attention,
}

/// The meaning of one directive for poddns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ImportFinding {
    pub(super) line: usize,
    /// The directive as written.
    pub(super) directive: String,
    pub(super) meaning: String,
    pub(super) severity: Severity,
}

/// Settings adopted from a Corefile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Import {
    /// Cluster domains, in order, without duplicates.
    pub(super) domains: Vec<String>,
    /// `insecure` or `verified`; `None` if `CoreDNS` has no pod records.
    pub(super) pods: Option<String>,
    pub(super) ttl: Option<String>,
    pub(super) namespaces: Vec<String>,
    pub(super) kubeconfig: Option<String>,
    pub(super) context: Option<String>,
    /// The port of the server block.
    pub(super) port: Option<String>,
    /// `bind` directives of the server block, which the new block must have too.
    pub(super) bind: Vec<String>,
    /// Networks for which poddns is to serve reverse zones.
    pub(super) reverse_zones: Vec<IpCidr>,
    /// True if namespaces are to be hidden from clients that are not their pods.
    pub(super) visibility: bool,
    /// True if `kubernetes` passes reverse names that it does not have to the next plugin.
    pub(super) falls_through: bool,
    pub(super) findings: Vec<ImportFinding>,
}

impl Import {
    /// Returns true if poddns is configured for mode verified.
    pub(super) fn is_verified(&self) -> bool {
        self.pods.as_deref().is_none_or(|mode| mode == "verified")
    }

    fn found(&mut self, directive: &Directive, severity: Severity, meaning: impl Into<String>) {
        let (line, directive, meaning) = (directive.line, directive.to_string(), meaning.into());
        self.findings.push(ImportFinding { line, directive, meaning, severity });
    }

    fn note(&mut self, directive: &Directive, meaning: impl Into<String>) {
        self.found(directive, Severity::Note, meaning);
    }

    fn attention(&mut self, directive: &Directive, meaning: impl Into<String>) {
        self.found(directive, Severity::Attention, meaning);
    }

    /// Returns the pod zones that poddns serves.
    pub(super) fn zones(&self) -> impl Iterator<Item = String> {
        self.domains.iter().map(|domain| format!("pod.{domain}"))
    }
}

/// Reads all directives that concern pod records; `None` if no server block has a `kubernetes` directive with a
/// forward zone.
pub(super) fn import(corefile: &Corefile) -> Option<Import> {
    let mut import = Import::default();
    for block in &corefile.blocks {
        for directive in block.directives.iter().filter(|directive| directive.name == "kubernetes") {
            kubernetes(&mut import, block, directive);
        }
    }
    if import.domains.is_empty() {
        return None;
    }
    for block in &corefile.blocks {
        let serves = block.directives.iter().any(|directive| directive.name == "kubernetes");
        for directive in block.directives.iter().filter(|_| serves) {
            neighbour(&mut import, directive);
        }
    }
    import.findings.sort_by_key(|finding| finding.line);
    Some(import)
}

fn is_reverse(zone: &str) -> bool {
    zone.contains('/') || zone == "in-addr.arpa" || zone == "ip6.arpa" || {
        zone.ends_with(".in-addr.arpa") || zone.ends_with(".ip6.arpa")
    }
}

/// Adopts one `kubernetes` directive.
fn kubernetes(import: &mut Import, block: &ServerBlock, directive: &Directive) {
    let named = directive.arguments.iter().map(|zone| zone.trim_end_matches('.').to_ascii_lowercase());
    let mut zones: Vec<String> = named.collect();
    if zones.is_empty() {
        zones = block.addresses.iter().map(|address| address.zone.clone()).collect();
    }
    let (reverse, forward): (Vec<String>, Vec<String>) = zones.into_iter().partition(|zone| is_reverse(zone));
    let Some(first) = forward.first() else { return };
    if first.is_empty() {
        import.attention(directive, "names no zone and serves the root: name the cluster domain in it");
        return;
    }
    if !reverse.is_empty() {
        let meaning =
            format!("{}: stays with CoreDNS, which has the PTR records of Services", reverse.join(", "));
        import.note(directive, meaning);
    }
    import.note(directive, format!("domain = {}: poddns serves pod.<domain>", forward.join(", ")));
    for zone in forward {
        if !import.domains.contains(&zone) {
            import.domains.push(zone);
        }
    }
    import.port = block.addresses.iter().find_map(|address| address.port.clone()).or(import.port.take());
    let bind = block.directives.iter().filter(|each| each.name == "bind");
    import.bind.extend(bind.flat_map(|bind| bind.arguments.clone()));
    for option in &directive.block {
        kubernetes_option(import, option);
    }
    if !directive.block.iter().any(|option| option.name == "pods") {
        import.attention(
            directive,
            "without 'pods' CoreDNS answers no pod records; poddns will, in mode verified",
        );
    }
}

/// Adopts one line of a `kubernetes` block.
fn kubernetes_option(import: &mut Import, option: &Directive) {
    let first = option.arguments.first().cloned();
    match (option.name.as_str(), first) {
        ("pods", Some(mode)) => pods(import, option, &mode),
        ("ttl", Some(ttl)) => {
            import.note(option, format!("ttl = {ttl}"));
            import.ttl = Some(ttl);
        }
        ("namespaces", Some(_)) => {
            import.note(option, "namespace: poddns serves and watches only these");
            import.namespaces.clone_from(&option.arguments);
        }
        ("kubeconfig", Some(file)) => {
            import.attention(option, "kubeconfig: the file must be within reach of poddnsd as well");
            import.context = option.arguments.get(1).cloned();
            import.kubeconfig = Some(file);
        }
        ("endpoint", Some(url)) => {
            let meaning =
                format!("poddns takes the API server's address from a kubeconfig: write one for {url}");
            import.attention(option, meaning);
        }
        (name, _) => option_without_counterpart(import, option, name),
    }
}

/// Explains an option of `kubernetes` without a corresponding setting of poddns.
fn option_without_counterpart(import: &mut Import, option: &Directive, name: &str) {
    if name == "fallthrough" {
        let arpa = |zone: &String| zone.trim_end_matches('.') == "in-addr.arpa";
        import.falls_through |= option.arguments.is_empty() || option.arguments.iter().any(arpa);
    }
    match name {
        "tls" => import.attention(option, "belongs into the kubeconfig of poddnsd: client certificate, key and CA"),
        "labels" => import.attention(
            option,
            "poddns does not select by label: in mode verified it answers for all pods, CoreDNS only for these",
        ),
        "namespace_labels" => import.attention(
            option,
            "poddns does not select namespaces by label: name them with 'namespace'",
        ),
        "fallthrough" => import.attention(
            option,
            "stays with CoreDNS; poddns is authoritative for pod.<domain>, so a name without a pod is NXDOMAIN and goes \
             no further",
        ),
        "startup_timeout" => import.note(option, "no counterpart: poddns answers SERVFAIL until it has a list"),
        "apiserver_qps" | "apiserver_burst" | "apiserver_max_inflight" => {
            import.note(option, "no counterpart: poddns has two watches and no request rate worth a limit");
        }
        "endpoint_pod_names" | "noendpoints" | "ignore" | "multicluster" | "zonal" => {
            import.note(option, "concerns Services alone: stays with CoreDNS");
        }
        _ => import.attention(option, "unknown to this version of poddns: check whether it concerns pod records"),
    }
}

fn pods(import: &mut Import, option: &Directive, mode: &str) {
    match mode {
        "verified" => import.note(option, "pods = verified"),
        "insecure" => import.attention(
            option,
            "pods = insecure with check-namespaces answers the same names, including ones without a pod: change to \
             verified once nothing depends on those",
        ),
        "disabled" => import.attention(option, "CoreDNS answers no pod records; poddns will, in mode verified"),
        _ => import.attention(option, "no mode of CoreDNS: it will not start with this"),
    }
    import.pods = Some(mode.to_owned()).filter(|mode| mode == "verified" || mode == "insecure");
}

/// Explains directives beside `kubernetes` that depend on its pods or change the answers to clients.
fn neighbour(import: &mut Import, directive: &Directive) {
    match directive.name.as_str() {
        "autopath" if directive.arguments.iter().any(|argument| argument == "@kubernetes") => import.attention(
            directive,
            "needs 'pods verified' in CoreDNS itself: keep that there, poddns cannot feed it",
        ),
        "metadata" => import.note(
            directive,
            "kubernetes/client-* metadata comes from CoreDNS' own 'pods verified', not from poddns",
        ),
        "view" | "firewall" if uses_client_metadata(directive) => import.attention(
            directive,
            "uses kubernetes/client-*, which needs 'pods verified' in CoreDNS itself: keep that there",
        ),
        "cache" => import.note(
            directive,
            "does not apply to the new server block, which is better without one: poddns is as fast, and a cache \
             loses extended errors and keeps SERVFAIL",
        ),
        "loadbalance" | "log" | "errors" | "prometheus" | "rewrite" | "dnstap" | "acl" => {
            import.note(directive, "does not apply to the new server block: repeat it there if it is wanted");
        }
        _ => {}
    }
}

fn uses_client_metadata(directive: &Directive) -> bool {
    let here = std::iter::once(&directive.name).chain(&directive.arguments);
    here.into_iter().any(|text| text.contains("kubernetes/client"))
        || directive.block.iter().any(uses_client_metadata)
}

/// A setting derived from a Corefile: key of poddnsd's configuration, name of the chart's value, and the value, which
/// is the same in TOML and YAML. The chart has no value for settings that a pod receives from its cluster.
type ImportedSetting = (&'static str, Option<&'static str>, String);

fn settings(import: &Import) -> Vec<ImportedSetting> {
    let mode = import.pods.as_deref().unwrap_or("verified");
    let mut settings =
        vec![("pods", Some("pods"), quoted(mode)), ("domain", Some("clusterDomains"), list(&import.domains))];
    if mode == "insecure" {
        settings.push(("check-namespaces", Some("checkNamespaces"), "true".to_owned()));
    }
    if let Some(ttl) = import.ttl.as_deref().filter(|ttl| *ttl != DEFAULT_TTL && ttl.parse::<u32>().is_ok()) {
        settings.push(("ttl", Some("ttl"), ttl.to_owned()));
    }
    if !import.namespaces.is_empty() {
        settings.push(("namespace", Some("namespaces"), list(&import.namespaces)));
    }
    if import.is_verified() && !import.reverse_zones.is_empty() {
        let networks: Vec<String> = import.reverse_zones.iter().map(ToString::to_string).collect();
        settings.push(("reverse-zone", Some("reverseZones"), list(&networks)));
    }
    if import.is_verified() && import.visibility {
        settings.push(("visibility", None, quoted("namespace")));
    }
    for (key, value) in [("kubeconfig", &import.kubeconfig), ("context", &import.context)] {
        settings.extend(value.as_ref().map(|value| (key, None, quoted(value))));
    }
    settings
}

/// Returns the configuration of poddnsd, as TOML.
pub(super) fn config(import: &Import) -> String {
    let lines: Vec<String> =
        settings(import).iter().map(|(key, _, value)| format!("{key} = {value}\n")).collect();
    lines.concat()
}

/// Returns values of the Helm chart, as YAML.
pub(super) fn values(import: &Import, upstreams: &[IpAddr]) -> String {
    let settings = settings(import);
    let values = settings.iter().filter_map(|(_, name, value)| Some(format!("{}: {value}\n", (*name)?)));
    let addresses: Vec<String> = upstreams.iter().map(ToString::to_string).collect();
    let services = format!("services:\n  clusterIPs: {}\n", list(&addresses));
    let hides = import.is_verified() && import.visibility;
    let visibility = hides.then(|| "visibility: { clients: \"namespace\" }\n".to_owned());
    let lines: Vec<String> = values.chain(visibility).chain([services]).collect();
    lines.concat()
}

fn list(values: &[String]) -> String {
    let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
    format!("[{}]", values.join(", "))
}

/// Returns a basic string of TOML, which is also a double-quoted scalar of YAML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            _ if character.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(character));
            }
            _ => quoted.push(character),
        }
    }
    quoted + "\""
}
