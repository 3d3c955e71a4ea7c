//! Findings of the audits of one or more servers, read from their `/audit`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::admin::text;
use crate::outcome::CommandError;
use crate::text::show_text;

/// Supported version of the format of `/audit`.
const VERSION: u64 = 1;

/// A name that would break, and a client that queries it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AuditedName {
    pub(super) name: String,
    /// Empty if the forwarder did not send it.
    pub(super) client: String,
}

/// Number, times and reason of the queries for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AuditOccurrences {
    pub(super) namespace: String,
    pub(super) address: String,
    pub(super) reason: String,
    /// The namespace of the pod that has the address now, if exactly one pod has it.
    pub(super) owner: Option<String>,
    pub(super) count: u64,
    pub(super) first: u64,
    pub(super) last: u64,
}

/// The findings of all servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AuditFindings {
    /// Time that every server has observed, in seconds.
    pub(super) observed: u64,
    pub(super) queries: u64,
    pub(super) without_client: u64,
    pub(super) not_ready: u64,
    pub(super) refused: u64,
    /// True if there may be further pairs.
    pub(super) more: bool,
    pub(super) pairs: BTreeMap<AuditedName, AuditOccurrences>,
    /// Errors of the files in which the audit is kept.
    pub(super) file_errors: Vec<String>,
    /// The time of the last server's document, in Unix seconds.
    pub(super) now: u64,
}

impl AuditFindings {
    /// Reads a document of `/audit`.
    pub(super) fn read(document: &Value) -> Result<Self, CommandError> {
        let version = number(document, "version");
        if version != VERSION {
            return Err(CommandError::run(format!(
                "the server's /audit is of version {version}, and this poddns reads version {VERSION}: use the poddns of \
                 the server's release"
            )));
        }
        let refused = document.get("refused").and_then(Value::as_object).into_iter().flatten();
        let mut findings = Self {
            observed: number(document, "observed_seconds"),
            queries: number(document, "queries"),
            without_client: number(document, "queries_without_client"),
            not_ready: number(document, "not_ready"),
            refused: refused.filter_map(|(_, count)| count.as_u64()).fold(0, u64::saturating_add),
            now: number(document, "now_unix_seconds"),
            ..Self::default()
        };
        let pairs = document.get("pairs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let full = pairs.len() as u64 >= number(document, "max_pairs").max(1);
        findings.more = full || number(document, "missed") > 0;
        for pair in pairs {
            findings.add(AuditedName::read(pair), AuditOccurrences::read(pair));
        }
        if let Some(error) = document.pointer("/file/error").and_then(Value::as_str) {
            findings.file_errors.push(show_text(error));
        }
        Ok(findings)
    }

    fn add(&mut self, pair: AuditedName, finding: AuditOccurrences) {
        match self.pairs.get_mut(&pair) {
            Some(known) => known.join(finding),
            None => drop(self.pairs.insert(pair, finding)),
        }
    }

    /// Adds the findings of another server, which receives other queries. The time observed is that of the server
    /// that has observed for the shorter time.
    pub(super) fn join(mut self, other: Self) -> Self {
        self.observed = self.observed.min(other.observed);
        self.queries = self.queries.saturating_add(other.queries);
        self.without_client = self.without_client.saturating_add(other.without_client);
        self.not_ready = self.not_ready.saturating_add(other.not_ready);
        self.refused = self.refused.saturating_add(other.refused);
        self.more |= other.more;
        self.now = self.now.max(other.now);
        self.file_errors.extend(other.file_errors);
        for (pair, finding) in other.pairs {
            self.add(pair, finding);
        }
        self
    }

    pub(super) fn breaks(&self) -> bool {
        self.refused > 0 || !self.pairs.is_empty()
    }

    /// Number of different names.
    pub(super) fn names(&self) -> usize {
        self.pairs.keys().map(|pair| pair.name.as_str()).collect::<BTreeSet<_>>().len()
    }

    /// Number of different clients, as far as forwarders send them.
    pub(super) fn clients(&self) -> usize {
        let clients = self.pairs.keys().map(|pair| pair.client.as_str());
        clients.filter(|client| !client.is_empty()).collect::<BTreeSet<_>>().len()
    }

    /// Returns the pairs, the most frequent first.
    pub(super) fn ranked(&self) -> Vec<(&AuditedName, &AuditOccurrences)> {
        let mut pairs: Vec<_> = self.pairs.iter().collect();
        pairs.sort_by_key(|(_, finding)| std::cmp::Reverse(finding.count));
        pairs
    }
}

impl AuditedName {
    fn read(pair: &Value) -> Self {
        Self { name: show_text(text(pair, "name")), client: show_text(text(pair, "client")) }
    }
}

impl AuditOccurrences {
    fn read(pair: &Value) -> Self {
        let owner = pair.get("owner").filter(|owner| !owner.is_null());
        Self {
            namespace: show_text(text(pair, "namespace")),
            address: show_text(text(pair, "address")),
            reason: show_text(text(pair, "reason")),
            owner: owner.map(|owner| show_text(text(owner, "namespace"))),
            count: number(pair, "count"),
            first: number(pair, "first_unix_seconds"),
            last: number(pair, "last_unix_seconds"),
        }
    }

    fn join(&mut self, other: Self) {
        let count = self.count.saturating_add(other.count);
        let first = self.first.min(other.first);
        if other.last > self.last {
            *self = other;
        }
        (self.count, self.first) = (count, first);
    }

    /// Returns why the name would break and what to do.
    pub(super) fn advice(&self, name: &str) -> String {
        let Self { namespace, address, reason, owner, .. } = self;
        match (reason.as_str(), owner) {
            ("no-such-namespace", _) => {
                format!(
                    "there is no namespace '{namespace}': correct the name where it is used, or remove it there"
                )
            }
            ("no-such-pod", _) => format!(
                "no pod had {address}: clients that ask for a removed pod must notice its removal; what never was a pod needs \
                 a Service, or the address itself"
            ),
            ("other-namespace", Some(owner)) if owner != namespace => {
                let label = name.split('.').next().unwrap_or_default();
                format!(
                    "{address} is of a pod of '{owner}': use {label}.{owner} in place of {label}.{namespace}"
                )
            }
            ("other-namespace", _) => {
                format!("pods of other namespaces had {address}: name the namespace of the pod that is meant")
            }
            _ => format!("verified would not answer it ({reason}): see `poddns explain {name}`"),
        }
    }

    pub(super) fn json(&self, pair: &AuditedName) -> Value {
        json!({
            "name": pair.name,
            "client": (!pair.client.is_empty()).then_some(&pair.client),
            "reason": self.reason,
            "advice": self.advice(&pair.name),
            "owner": self.owner,
            "count": self.count,
            "first_unix_seconds": self.first,
            "last_unix_seconds": self.last,
        })
    }
}

fn number(document: &Value, field: &str) -> u64 {
    document.get(field).and_then(Value::as_u64).unwrap_or_default()
}

/// Returns a document of `/audit` with these pairs: namespace, client, reason and count.
#[cfg(test)]
pub(super) fn document(observed: u64, pairs: &[(&str, Option<&str>, &str, u64)]) -> Value {
    let pair = |&(namespace, client, reason, count): &(&str, Option<&str>, &str, u64)| {
        json!({
            "name": format!("10-42-2-46.{namespace}.pod.cluster.local"), "namespace": namespace,
            "address": "10.42.2.46", "client": client, "reason": reason, "owner": { "namespace": "db" },
            "count": count, "first_unix_seconds": 50, "last_unix_seconds": 60 + count,
        })
    };
    let refused: u64 = pairs.iter().map(|pair| pair.3).sum();
    json!({
        "version": 1, "now_unix_seconds": 1000, "observed_seconds": observed, "queries": 1_204_311,
        "queries_without_client": 0, "not_ready": 0, "refused": { "no-such-pod": refused },
        "pairs": pairs.iter().map(pair).collect::<Vec<_>>(), "max_pairs": 1024, "missed": 0, "file": null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_added_up() {
        let one = document(500, &[("web", Some("10.42.0.9"), "no-such-pod", 2)]);
        let two =
            document(300, &[("web", Some("10.42.0.9"), "other-namespace", 3), ("x", None, "no-such-pod", 1)]);
        let findings = AuditFindings::read(&one).unwrap().join(AuditFindings::read(&two).unwrap());
        assert_eq!((findings.observed, findings.queries, findings.refused), (300, 2_408_622, 6));
        assert_eq!((findings.names(), findings.clients()), (2, 1));
        let (_, most) = findings.ranked()[0];
        assert_eq!((most.count, most.first, most.last, most.reason.as_str()), (5, 50, 63, "other-namespace"));
    }

    #[test]
    fn advice_fits_the_reason() {
        let name = "10-42-2-46.web.pod.cluster.local";
        let of = |reason| {
            let document = document(1, &[("web", None, reason, 1)]);
            let findings = AuditFindings::read(&document).unwrap();
            findings.ranked()[0].1.advice(name)
        };
        assert!(of("no-such-namespace").starts_with("there is no namespace 'web'"));
        assert!(of("no-such-pod").starts_with("no pod had 10.42.2.46"));
        assert!(of("other-namespace").ends_with("use 10-42-2-46.db in place of 10-42-2-46.web"));
        assert!(of("new-reason").contains("poddns explain 10-42-2-46.web.pod.cluster.local"));
    }

    #[test]
    fn other_versions_are_refused() {
        let error = AuditFindings::read(&json!({ "version": 2 })).unwrap_err();
        assert!(error.to_string().contains("of version 2"), "{error}");
    }
}
