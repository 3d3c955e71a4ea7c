//! Explanations of answers, from the same rules and index as the answers.

use core::fmt;
use core::net::IpAddr;

use crate::audit::{AuditFinding, audit};
use crate::config::Config;
use crate::decide::{Decision, Records, ReverseRecords, internet};
use crate::lookup::{Freshness, Owner, PodLookup};
use crate::policy::is_allowed;
use crate::reason::Reason;
use crate::reverse::{self, ReversePlace};
use crate::visible::Visible;
use crate::wire::name::QuestionName;
use crate::wire::{Ede, Rcode, Rtype};
use crate::zone::{self, Place, Zone};
use crate::{Label, podip};

/// The answer to a question of class IN, and the reason for it.
///
/// Its [`Display`](fmt::Display) is the reason as text, without the answer.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Explanation<'a> {
    /// The response code.
    pub rcode: Rcode,
    /// The extended error.
    pub ede: Option<Ede>,
    /// True if the answer section is not empty.
    pub has_records: bool,
    /// The rule that led to the response.
    pub reason: Reason,
    /// The qtype.
    pub rtype: Rtype,
    /// The zone that contains the name.
    pub zone: Option<&'a Zone>,
    /// The first label of the name, if it is that of a pod.
    pub label: Option<&'a [u8]>,
    /// The label of the namespace.
    pub namespace: Option<&'a [u8]>,
    /// The address that the first label spells, or that a reverse name stands for.
    pub address: Option<IpAddr>,
    /// The owner of that address, if the answer is from the index or a guard; `None` if it cannot be read.
    pub owner: Option<Owner>,
    /// True if the cluster has the namespace, if the answer is from the index or a guard; `None` if it cannot be read.
    pub namespace_exists: Option<bool>,
    /// The cause for which mode verified would have refused the name, if mode insecure answered it and the audit is
    /// on.
    pub audit: Option<AuditFinding>,
    /// The state of the index.
    pub freshness: Freshness,
    /// The client of the response, if not all clients see all pods and a client was passed.
    pub client: Option<IpAddr>,
    /// True if not all clients see all pods.
    hides_pods: bool,
    zones: &'a [Zone],
}

/// Explains the response of [`respond`](crate::respond) to a well-formed query of class IN, by the same rules. If not
/// all clients see all pods, it explains the response to a client that sees all; see [`explain_to`].
///
/// `name` is in wire form, uncompressed; the result is `None` if it is not exactly one whole name. Owner and
/// namespace are looked up after the decision, so they can contradict it if the index changes in between.
pub fn explain<'a, P: PodLookup + ?Sized>(
    config: &Config<'a>,
    pods: &P,
    name: &'a [u8],
    rtype: Rtype,
) -> Option<Explanation<'a>> {
    explain_decision(config, pods, None, name, |question| internet(config, pods, question, rtype), rtype)
}

/// Explains the response to a query from this client, as [`client_of`](crate::client_of()) returns it.
pub fn explain_to<'a, P: PodLookup + ?Sized>(
    config: &Config<'a>,
    pods: &P,
    client: IpAddr,
    name: &'a [u8],
    rtype: Rtype,
) -> Option<Explanation<'a>> {
    let client = client.to_canonical();
    let decide = |question| {
        let visible = Visible::new(config, &pods, Some(client));
        let decision = internet(config, &visible, question, rtype);
        let is_hidden = decision.rcode == Rcode::NXDOMAIN && visible.has_hidden();
        if is_hidden { Decision { reason: Reason::NotVisible, ..decision } } else { decision }
    };
    explain_decision(config, pods, config.hides_pods().then_some(client), name, decide, rtype)
}

fn explain_decision<'a, P: PodLookup + ?Sized>(
    config: &Config<'a>,
    pods: &P,
    client: Option<IpAddr>,
    name: &'a [u8],
    decide: impl FnOnce(QuestionName<'a>) -> Decision<'a>,
    rtype: Rtype,
) -> Option<Explanation<'a>> {
    let question = QuestionName::read(name).filter(|read| read.as_wire().len() == name.len())?;
    let decision = decide(question);
    let (zone, place) = zone::locate(config.zones, question).unzip();
    let (label, namespace) = match place {
        Some(Place::Pod { label, namespace }) => (Some(label), Some(namespace)),
        Some(Place::Namespace(namespace)) => (None, Some(namespace)),
        _ => (None, None),
    };
    let address = match reverse::locate(config.reverse_zones, question) {
        Some((_, ReversePlace::Whole(address))) => Some(address),
        _ => label.and_then(podip::parse),
    };
    let indexed = decision.reason.is_of_index() || decision.reason.is_guard();
    let exists = |label: Label| pods.namespace_exists(&label).ok();
    Some(Explanation {
        rcode: decision.rcode,
        ede: decision.ede,
        has_records: has_records(config, pods, &decision, rtype),
        reason: decision.reason,
        rtype,
        zone,
        label,
        namespace,
        address,
        owner: address.filter(|_| indexed).and_then(|address| pods.owner_of(address).ok()),
        namespace_exists: namespace.filter(|_| indexed).and_then(Label::from_wire).and_then(exists),
        audit: if config.audit { audit(config, pods, question, decision.reason) } else { None },
        freshness: pods.freshness(),
        client,
        hides_pods: config.hides_pods(),
        zones: config.zones,
    })
}

fn has_records<P: PodLookup + ?Sized>(
    config: &Config<'_>,
    pods: &P,
    decision: &Decision<'_>,
    rtype: Rtype,
) -> bool {
    match decision.records {
        Records::None | Records::Negative(_) | Records::Signed => false,
        Records::Chaos(_) | Records::Soa(_) | Records::Ns(_) | Records::Address(_) | Records::Transfer(_) => {
            true
        }
        Records::Reverse { records, .. } => !matches!(records, ReverseRecords::Negative),
        Records::Pod(_, pod) => {
            let mut found = false;
            let read = pod.addresses(pods, &mut |address| {
                let of_type = match rtype {
                    Rtype::A => address.is_ipv4(),
                    Rtype::AAAA => address.is_ipv6(),
                    other => other == Rtype::ANY,
                };
                found |= of_type && is_allowed(config, address);
            });
            read.is_ok() && found
        }
    }
}

/// A label as text that is safe to print.
struct Quoted<'a>(&'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.escape_ascii())
    }
}

impl fmt::Display for Explanation<'_> {
    /// The reason, on one line, without a full stop: `10.42.2.46 is a pod of 'web', not of 'default'; the index is in
    /// sync`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            Reason::OutsideZones => self.outside_zones(f)?,
            reason if reason.is_guard() || reason.is_of_index() => self.lookup_reason(f)?,
            _ => self.rule_reason(f)?,
        }
        if self.rcode == Rcode::NOERROR && !self.has_records {
            write!(f, "; it has no record of type {}", self.rtype)?;
        }
        if self.reason.is_of_index() || self.audit.is_some() {
            f.write_str("; ")?;
            self.index(f)?;
        }
        self.visibility(f)?;
        match self.audit {
            Some(finding) => write!(f, "; mode verified would refuse it: {}", finding.as_str()),
            None => Ok(()),
        }
    }
}

impl Explanation<'_> {
    fn outside_zones(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is in no zone of this server, which has")?;
        for (number, zone) in self.zones.iter().enumerate() {
            write!(f, "{} {}", if number == 0 { "" } else { "," }, zone.apex())?;
        }
        Ok(())
    }

    fn index(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.freshness {
            Freshness::Unsynced => f.write_str("the cluster has not been listed yet"),
            Freshness::Fresh => f.write_str("the index is in sync with the cluster"),
            Freshness::Stale { age } | Freshness::Resyncing { age } => {
                write!(f, "the index was last in sync {} s ago", age.as_secs())
            }
        }
    }

    /// Writes which clients get this response, if it depends on the client.
    fn visibility(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let depends = self.reason.is_of_index() && self.rcode == Rcode::NOERROR;
        match (self.client, self.namespace) {
            _ if !self.hides_pods || !depends => Ok(()),
            (Some(client), _) => write!(f, "; {client} may see it"),
            (None, Some(namespace)) => {
                write!(f, "; only pods of {} and clients of visible-to see it", Quoted(namespace))
            }
            (None, None) => f.write_str("; only pods of its namespace and clients of visible-to see it"),
        }
    }

    /// Writes reasons that follow from the name and the configuration alone, or from the state of the index.
    fn rule_reason(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = Quoted(self.label.unwrap_or_default());
        let namespace = Quoted(self.namespace.unwrap_or_default());
        match self.reason {
            Reason::Transfer => f.write_str("zones are not transferred"),
            Reason::Apex => f.write_str("it is the apex of a zone"),
            Reason::AboveZone => f.write_str("it has no records of its own, but a zone begins below it"),
            Reason::PartOfAddress => f.write_str("it has no records of its own, but addresses are below it"),
            Reason::NotAnAddress => f.write_str("a label of it is no part of an address"),
            Reason::TooManyLabels if self.zone.is_none() => {
                f.write_str("no name has more labels in front of the zone than an address")
            }
            Reason::TooManyLabels => f.write_str("no name has more than two labels in front of the zone"),
            Reason::NotANamespace => write!(f, "no namespace can be named {namespace}"),
            Reason::ModeDisabled => f.write_str("mode disabled has no pod records"),
            Reason::NamespaceNotServed if self.zone.is_none() => {
                f.write_str("the configuration serves some namespaces only, and the pod's is none of them")
            }
            Reason::NamespaceNotServed => {
                write!(f, "the configuration serves some namespaces only, and {namespace} is none of them")
            }
            Reason::NamespaceUnchecked => f.write_str("mode insecure assumes that every namespace exists"),
            Reason::AddressUnchecked => {
                f.write_str("mode insecure answers with the address in the name, whether or not a pod has it")
            }
            Reason::PodNamesNotServed => {
                write!(f, "{label} is not a dashed address, and names of pods are not served")
            }
            Reason::NotAPodName => {
                write!(f, "{label} is neither a dashed address nor a name that a pod can have")
            }
            Reason::Unreadable => f.write_str("the index changed in every attempt to read it; retry"),
            Reason::TooStale => {
                self.index(f)?;
                f.write_str(", longer than max-staleness allows")
            }
            Reason::MappedAddress if self.zone.is_none() => {
                f.write_str("it is an IPv4-mapped address, which no pod has")
            }
            Reason::MappedAddress => write!(f, "{label} is an IPv4-mapped address, which no pod has"),
            _ => self.index(f),
        }
    }

    /// Writes reasons that concern an address, a pod or a namespace of the cluster.
    fn lookup_reason(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = Quoted(self.label.unwrap_or_default());
        let namespace = Quoted(self.namespace.unwrap_or_default());
        match (self.reason, self.address) {
            (Reason::OutsidePodCidrs, Some(address)) => write!(f, "{address} is outside pod-cidr"),
            (Reason::OutsidePodCidrs, None) => write!(f, "all addresses of pod {label} are outside pod-cidr"),
            (Reason::SpecialAddress, Some(address)) => {
                write!(f, "{address} is a special address, which block-special forbids")
            }
            (Reason::SpecialAddress, None) => {
                write!(f, "block-special forbids all addresses of pod {label}")
            }
            (Reason::NamespaceExists, _) => write!(f, "namespace {namespace} exists"),
            (Reason::NoSuchNamespace, _) => write!(f, "there is no namespace {namespace}"),
            (Reason::AddressOfNamespace, _) => write!(
                f,
                "namespace {namespace} exists, and mode insecure answers with the address in the name, whether or not a pod has it"
            ),
            (Reason::PodOfAddress, Some(address)) => match self.owner {
                Some(Owner::Pod { namespace, name: Some(name) }) => {
                    write!(f, "{address} is pod '{name}' of '{namespace}'")
                }
                Some(Owner::Pod { namespace, name: None }) => {
                    write!(f, "{address} is a pod of '{namespace}'")
                }
                _ => write!(f, "{address} was a pod's a moment ago"),
            },
            (Reason::NotVisible, _) => self.hidden(f),
            (Reason::SharedAddress, Some(address)) => write!(f, "several pods share {address}"),
            (Reason::NoPodHasAddress, Some(address)) if self.namespace.is_none() => {
                write!(f, "no pod has {address}")
            }
            (Reason::PodHasAddress, Some(address)) => write!(f, "{address} is a pod of {namespace}"),
            (Reason::NoPodHasAddress, Some(address)) => self.not_a_pod(f, address, &namespace),
            (Reason::PodExists, _) => write!(f, "{namespace} has a pod named {label}"),
            _ => {
                write!(f, "{namespace} has no pod named {label}")?;
                self.missing_namespace(f)
            }
        }
    }

    fn not_a_pod(&self, f: &mut fmt::Formatter<'_>, address: IpAddr, namespace: &Quoted<'_>) -> fmt::Result {
        match self.owner {
            Some(Owner::None) => write!(f, "no pod has {address}")?,
            Some(Owner::Pod { namespace: other, .. })
                if self.namespace.is_some_and(|label| Label::from_wire(label) == Some(other)) =>
            {
                write!(f, "no pod of {namespace} had {address} a moment ago, but one has it now")?;
            }
            Some(Owner::Pod { namespace: other, name: Some(name) }) => {
                write!(f, "{address} is pod '{name}' of '{other}', not of {namespace}")?;
            }
            Some(Owner::Pod { namespace: other, name: None }) => {
                write!(f, "{address} is a pod of '{other}', not of {namespace}")?;
            }
            Some(Owner::Shared) => {
                write!(f, "several pods share {address}, and none of them is of {namespace}")?;
            }
            None => write!(f, "no pod of {namespace} has {address}")?,
        }
        self.missing_namespace(f)
    }

    fn hidden(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.client {
            Some(client) => write!(f, "{client} may not see it: ")?,
            None => f.write_str("the client may not see it: ")?,
        }
        match self.namespace {
            Some(namespace) => write!(f, "it is no pod of {} and not in visible-to", Quoted(namespace)),
            None => f.write_str("it is no pod of the namespace of that address and not in visible-to"),
        }
    }

    fn missing_namespace(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace_exists == Some(false) {
            f.write_str(", and there is no such namespace")
        } else {
            Ok(())
        }
    }
}
