//! The server block that forwards pod zones to poddns, for a given version of `CoreDNS`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use poddns_core::ReverseZones;

use super::import::Import;
use super::parse::{Corefile, ServerBlock};

/// A version of `CoreDNS`. It does not start with unknown directives, so the output depends on its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CorednsVersion(u32, u32, u32);

impl CorednsVersion {
    /// The first version with `failover` in `forward` (coredns#7458).
    const FAILOVER: Self = Self(1, 13, 0);
    /// The first version with several `forward` in a server block (coredns#5127).
    const MANY_FORWARDS: Self = Self(1, 9, 4);
    /// The first version with `servfail` in `cache` (coredns#5320).
    const CACHE_SERVFAIL: Self = Self(1, 9, 4);
}

impl FromStr for CorednsVersion {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "not a version of CoreDNS; give one such as 1.13.1";
        let mut numbers = text.trim_start_matches('v').splitn(3, '.').map(str::parse::<u32>);
        match (numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor)), patch) => {
                Ok(Self(major, minor, patch.transpose().map_err(|_| WRONG)?.unwrap_or_default()))
            }
            _ => Err(WRONG),
        }
    }
}

impl fmt::Display for CorednsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// Settings of the forwarding of the zones.
#[derive(Clone, Debug)]
pub(super) struct ForwardPlan {
    pub(super) upstreams: Vec<IpAddr>,
    pub(super) version: CorednsVersion,
    /// Time that responses are cached, in seconds; `None` for no cache.
    pub(super) cache: Option<u32>,
}

impl ForwardPlan {
    /// Returns the addresses as arguments of `forward`.
    fn targets(&self) -> String {
        let targets: Vec<String> = self.upstreams.iter().map(ToString::to_string).collect();
        targets.join(" ")
    }

    /// Returns the contents of the server block, as directives with their blocks.
    pub(super) fn directives(&self, import: &Import) -> Vec<(String, Vec<String>)> {
        let mut lines = Vec::new();
        if !import.bind.is_empty() {
            lines.push((format!("bind {}", import.bind.join(" ")), Vec::new()));
        }
        lines.push(("errors".to_owned(), Vec::new()));
        if let Some(seconds) = self.cache {
            let servfail = if self.version >= CorednsVersion::CACHE_SERVFAIL {
                vec!["servfail 0".to_owned()]
            } else {
                Vec::new()
            };
            lines.push((format!("cache {seconds}"), servfail));
        }
        if import.visibility {
            // Replaces an option from the client.
            lines.push(("rewrite edns0 subnet set 32 128".to_owned(), Vec::new()));
        }
        lines.push(self.forward("."));
        lines
    }

    /// Returns the directive that forwards a zone.
    fn forward(&self, zone: &str) -> (String, Vec<String>) {
        let mut block = vec!["policy sequential".to_owned()];
        if self.version >= CorednsVersion::FAILOVER && self.upstreams.len() > 1 {
            block.push("failover SERVFAIL REFUSED".to_owned());
        }
        (format!("forward {zone} {}", self.targets()), block)
    }

    /// Returns true if a server block can have several `forward` directives.
    pub(super) fn has_many(&self) -> bool {
        self.version >= CorednsVersion::MANY_FORWARDS
    }

    /// Returns the lines that forward the reverse zones: for the server block with `kubernetes`, or as separate
    /// server blocks.
    pub(super) fn reverse(&self, import: &Import) -> String {
        let zones = ReverseZones::new(&import.reverse_zones).unwrap_or_default();
        if self.has_many() {
            return zones.apexes().map(|apex| text(&[self.forward(&apex.to_string())])).collect();
        }
        let port = import.port.as_deref().unwrap_or("53");
        let block = |apex| format!("{apex}:{port} {{\n{}}}\n", text(&self.directives(import)));
        zones.apexes().map(block).collect()
    }

    /// Returns a hint on what a newer version of `CoreDNS` would allow, and the option for that; `None` if nothing.
    pub(super) fn newer(&self) -> Option<String> {
        (self.version < CorednsVersion::FAILOVER && self.upstreams.len() > 1).then(|| {
            let version = CorednsVersion::FAILOVER;
            format!(
                "CoreDNS {version} and later can ask the second server where the first answers SERVFAIL, as while it starts:\n\
                 --coredns-version {version} adds `failover`. The version is the tag of the image of CoreDNS."
            )
        })
    }

    /// Returns the server block as text.
    pub(super) fn block(&self, import: &Import) -> String {
        let port = import.port.as_deref().unwrap_or("53");
        let zones: Vec<String> = import.zones().map(|zone| format!("{zone}:{port}")).collect();
        format!("{} {{\n{}}}\n", zones.join(" "), text(&self.directives(import)))
    }
}

/// Returns directives with their blocks as the lines inside of a server block.
fn text(directives: &[(String, Vec<String>)]) -> String {
    let mut text = String::new();
    for (directive, block) in directives {
        let lines: String = block.iter().map(|line| ["        ", line, "\n"].concat()).collect();
        let block = if lines.is_empty() { String::new() } else { [" {\n", &lines, "    }"].concat() };
        text.extend(["    ", directive, &block, "\n"]);
    }
    text
}

/// Returns the existing server block for a pod zone, if there is one.
pub(super) fn existing<'a>(corefile: &'a Corefile, import: &Import) -> Option<&'a ServerBlock> {
    let zones: Vec<String> = import.zones().collect();
    corefile.blocks.iter().find(|block| block.addresses.iter().any(|address| zones.contains(&address.zone)))
}

/// Returns the Corefile with the server block appended, unless one serves the zone already.
pub(super) fn with_block(text: &str, corefile: &Corefile, import: &Import, forward: &ForwardPlan) -> String {
    if existing(corefile, import).is_some() {
        return text.to_owned();
    }
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let block = forward.block(import);
    match corefile.braceless.and_then(|at| text.split_at_checked(at)) {
        // Only a Corefile with a single server block may lack braces.
        Some((addresses, rest)) => format!("{addresses} {{{rest}{end}}}\n{block}"),
        None => format!("{text}{end}{block}"),
    }
}
