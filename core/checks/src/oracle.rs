//! A second implementation of the responder's decisions: on the messages of the other decoder, with text and the
//! standard library's parsers, following the documented contract.

use std::net::IpAddr;

use poddns_core::podip::PodIpLabel;
use poddns_core::{Config, CookieStatus, Freshness, IpCidr, Label, Mode, Owner, PodLookup, Visibility};

use super::cluster::TestCluster;
use super::podip;
use super::settings::{NAMESPACES, OwnedConfig};
use super::walk::{self, LabelVec, Pointers, rtype};

/// An answer, except for its wire form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) rcode: u16,
    pub(crate) ede: Option<u16>,
    pub(crate) records: ExpectedRecords,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ExpectedRecords {
    None,
    /// The SOA of the zone in the authority section, with the number of labels that the question has in front of the
    /// apex.
    Negative(usize),
    Soa,
    Ns,
    Addresses(Vec<IpAddr>),
    /// A PTR to the name with these labels.
    Pointer(LabelVec),
    Text(String),
}

/// The content of a name.
enum NameContent {
    Nothing,
    /// Unknown at the moment, with the extended error.
    Unknown(u16),
    Apex,
    Empty,
    Addresses(Vec<IpAddr>),
    Pointer(LabelVec),
}

/// The content of a name, whether it is from a stale index, and whether a guard forbids it.
struct NameState {
    content: NameContent,
    stale: bool,
    blocked: bool,
}

impl From<NameContent> for NameState {
    fn from(content: NameContent) -> Self {
        Self { content, stale: false, blocked: false }
    }
}

const NOERROR: u16 = 0;
const FORMERR: u16 = 1;
const SERVFAIL: u16 = 2;
const NXDOMAIN: u16 = 3;
const NOTIMP: u16 = 4;
const REFUSED: u16 = 5;
const BADVERS: u16 = 16;
const BADCOOKIE: u16 = 23;

const IN: u16 = 1;
const CH: u16 = 3;

pub(crate) struct Oracle<'a> {
    pub(crate) settings: &'a OwnedConfig<'a>,
    pub(crate) cluster: &'a TestCluster,
    pub(crate) source: IpAddr,
}

/// Namespaces that the client of a query sees.
enum VisibleNamespaces {
    Everything,
    /// The namespaces of this client's pods; nothing if it is not known.
    OfClient(Option<IpAddr>),
}

/// A query in which all sections are well-formed.
pub(crate) struct ParsedQuery {
    message: walk::DecodedMessage,
    pub(crate) edns: Option<QueryEdns>,
}

pub(crate) struct QueryEdns {
    pub(crate) size: u16,
    version: u8,
    options_are_good: bool,
}

/// Returns `None` if the query is malformed.
pub(crate) fn parse(query: &[u8]) -> Option<ParsedQuery> {
    let message = walk::message(query, Pointers::Skip)?;
    let mut edns = None;
    let owned = message.answers.iter().chain(&message.authorities).map(|record| (record, false));
    for (record, additional) in owned.chain(message.additionals.iter().map(|record| (record, true))) {
        match record.rtype {
            rtype::TSIG => return None,
            rtype::OPT => {
                if !additional || edns.is_some() || record.owner.as_ref().is_none_or(|name| !name.is_empty())
                {
                    return None;
                }
                let options = walk::options(&query[record.data.clone()]);
                let mut cookies = options.iter().flatten().filter(|(code, _)| *code == 10);
                edns = Some(QueryEdns {
                    size: record.class,
                    version: u8::try_from(record.ttl >> 16 & 0xff).expect("one octet"),
                    options_are_good: options.is_some()
                        && cookies.next().is_none_or(|(_, value)| matches!(value.len(), 8 | 16..=40)),
                });
            }
            _ => {}
        }
    }
    (message.questions.len() <= 1).then_some(ParsedQuery { message, edns })
}

/// Returns the client subnet options of a well-formed query of opcode 0 and EDNS version 0.
fn subnets(query: &[u8]) -> Vec<Vec<u8>> {
    let Some(ParsedQuery { message, edns: Some(QueryEdns { version: 0, .. }) }) = parse(query) else {
        return Vec::new();
    };
    let opt = message.additionals.iter().find(|record| record.rtype == rtype::OPT);
    let options = opt.and_then(|opt| walk::options(&query[opt.data.clone()]));
    options.into_iter().flatten().filter(|(code, _)| *code == 8).map(|(_, value)| value.to_vec()).collect()
}

/// Returns the address of a client subnet option, if it is complete; `Err` if the option is malformed. Works on text,
/// unlike `core`.
fn subnet_client(option: &[u8]) -> Result<Option<IpAddr>, ()> {
    let [0, family @ 1..=2, source, 0, address @ ..] = option else { return Err(()) };
    let bits: String = address.iter().map(|octet| format!("{octet:08b}")).collect::<Vec<_>>().concat();
    let most = [0, 32, 128][usize::from(*family)];
    let source = usize::from(*source);
    if source > most || bits.len() / 8 != source.div_ceil(8) || bits[source..].contains('1') {
        return Err(());
    }
    let whole = source == most && source > 0;
    let address = match whole.then_some(address) {
        Some(&[a, b, c, d]) => Some(IpAddr::from([a, b, c, d])),
        Some(address) => <[u8; 16]>::try_from(address).ok().map(IpAddr::from),
        None => None,
    };
    Ok(address.map(|address| address.to_canonical()))
}

impl Oracle<'_> {
    /// Returns the namespaces that the client sees; `Err` if a forwarder's option is malformed, or if there are two.
    fn sight(&self, query: &[u8]) -> Result<VisibleNamespaces, ()> {
        let config = self.config();
        if config.mode != Mode::Verified || config.visibility == Visibility::All {
            return Ok(VisibleNamespaces::Everything);
        }
        let source = self.source.to_canonical();
        let client = if self.is_forwarder() {
            match &subnets(query)[..] {
                [] => None,
                [option] => subnet_client(option)?,
                _ => return Err(()),
            }
        } else {
            Some(source)
        };
        let is_among =
            |client: IpAddr| self.settings.visible_to.iter().any(|network| network.contains(&client));
        Ok(if client.is_some_and(is_among) {
            VisibleNamespaces::Everything
        } else {
            VisibleNamespaces::OfClient(client)
        })
    }

    fn is_forwarder(&self) -> bool {
        let source = self.source.to_canonical();
        self.settings.trusted.iter().any(|network| network.contains(&source))
    }

    /// Returns the client subnet option of a response with this rcode; `of_client` is true if the response depends on
    /// the client.
    pub(crate) fn subnet(&self, query: &[u8], rcode: u16, of_client: bool) -> Option<Vec<u8>> {
        let config = self.config();
        let hides = config.mode == Mode::Verified && config.visibility == Visibility::Namespace;
        let well_formed = query[2] & 0x78 == 0 && rcode != FORMERR;
        let mut option =
            subnets(query).into_iter().next().filter(|_| hides && well_formed && self.is_forwarder())?;
        option[3] = if of_client { option[2] } else { 0 };
        Some(option)
    }

    /// Returns true if the client sees the namespace.
    fn sees(&self, sight: &VisibleNamespaces, namespace: &Label) -> bool {
        match sight {
            VisibleNamespaces::Everything => true,
            VisibleNamespaces::OfClient(client) => {
                client.is_some_and(|client| self.cluster.contains(namespace, client).unwrap())
            }
        }
    }

    fn config(&self) -> Config<'_> {
        self.settings.config()
    }

    /// Returns the response to a query of at least twelve octets with QR=0.
    pub(crate) fn answer(&self, query: &[u8], cookie: CookieStatus) -> Expected {
        let bare = |rcode, ede| Expected { rcode, ede, records: ExpectedRecords::None };
        if query[2] >> 3 & 0xf != 0 {
            return bare(NOTIMP, Some(21));
        }
        let Some(ParsedQuery { message, edns }) = parse(query) else {
            return bare(FORMERR, None);
        };
        match edns {
            Some(edns) if edns.version != 0 => return bare(BADVERS, None),
            Some(edns) if !edns.options_are_good => return bare(FORMERR, None),
            _ => {}
        }
        let Ok(sight) = self.sight(query) else {
            return bare(FORMERR, None);
        };
        let Some(question) = message.questions.first() else {
            return match cookie {
                CookieStatus::Absent => bare(FORMERR, None),
                CookieStatus::New | CookieStatus::Valid => bare(NOERROR, None),
                CookieStatus::Invalid => bare(BADCOOKIE, None),
            };
        };
        match (question.rtype, question.class) {
            (rtype::AXFR | rtype::IXFR, _) => bare(REFUSED, Some(21)),
            (_, IN) => self.internet(&question.name, question.rtype, &sight),
            (rtype::TXT | rtype::ANY, CH) => match self.chaos(&question.name) {
                Some(text) => Expected { rcode: NOERROR, ede: None, records: ExpectedRecords::Text(text) },
                None => bare(REFUSED, Some(21)),
            },
            _ => bare(REFUSED, Some(21)),
        }
    }

    fn chaos(&self, name: &LabelVec) -> Option<String> {
        let config = self.config();
        let name: Vec<String> = name.iter().map(|label| label.escape_ascii().to_string()).collect();
        match name.join(".").to_ascii_lowercase().as_str() {
            "version.bind" | "version.server" => config.chaos_version.map(str::to_owned),
            "id.server" | "hostname.bind" => config.chaos_id.map(str::to_owned),
            _ => None,
        }
    }

    fn internet(&self, name: &LabelVec, qtype: u16, sight: &VisibleNamespaces) -> Expected {
        let depths = self.settings.zones.iter().filter_map(|zone| {
            let depth = name.len().checked_sub(zone.apex().labels().count())?;
            let same = |(label, own): (&Vec<u8>, &[u8])| label.eq_ignore_ascii_case(own);
            name[depth..].iter().zip(zone.apex().labels()).all(same).then_some(depth)
        });
        let (depth, verdict) = match (depths.min(), self.reverse(name, sight)) {
            (Some(depth), _) => (depth, self.find(&name[..depth], sight)),
            (None, Some(found)) => found,
            (None, None) => {
                return Expected { rcode: REFUSED, ede: Some(20), records: ExpectedRecords::None };
            }
        };
        let NameState { content, stale, blocked } = verdict;
        let negative = ExpectedRecords::Negative(depth);
        let (rcode, records) = match (content, qtype) {
            (NameContent::Unknown(code), _) => {
                return Expected { rcode: SERVFAIL, ede: Some(code), records: ExpectedRecords::None };
            }
            (NameContent::Nothing, _) if self.is_above_a_zone(name) => (NOERROR, negative),
            (NameContent::Nothing, _) => (NXDOMAIN, negative),
            (NameContent::Apex, rtype::SOA | rtype::ANY) => (NOERROR, ExpectedRecords::Soa),
            (NameContent::Apex, rtype::NS) => (NOERROR, ExpectedRecords::Ns),
            (NameContent::Pointer(to), rtype::PTR | rtype::ANY) => (NOERROR, ExpectedRecords::Pointer(to)),
            (NameContent::Apex | NameContent::Empty | NameContent::Pointer(_), _) => (NOERROR, negative),
            (NameContent::Addresses(all), _) => {
                let first = all[0].is_ipv4();
                let wanted = all.into_iter().filter(|address| match qtype {
                    rtype::A => address.is_ipv4(),
                    rtype::AAAA => address.is_ipv6(),
                    rtype::ANY => address.is_ipv4() == first,
                    _ => false,
                });
                match wanted.collect::<Vec<_>>() {
                    none if none.is_empty() => (NOERROR, negative),
                    some => (NOERROR, ExpectedRecords::Addresses(some)),
                }
            }
        };
        // Each extended error belongs to one rcode.
        let ede = match rcode {
            NXDOMAIN if blocked => Some(15),
            NXDOMAIN => stale.then_some(19),
            _ => stale.then_some(3),
        };
        Expected { rcode, ede, records }
    }

    fn is_above_a_zone(&self, name: &LabelVec) -> bool {
        self.settings.zones.iter().any(|zone| {
            let apex: Vec<&[u8]> = zone.apex().labels().collect();
            let same = |(own, label): (&&[u8], &Vec<u8>)| own.eq_ignore_ascii_case(label);
            apex.len() > name.len() && apex.iter().rev().zip(name.iter().rev()).all(same)
        })
    }

    fn find(&self, labels: &[Vec<u8>], sight: &VisibleNamespaces) -> NameState {
        let config = self.config();
        match labels {
            [] => NameContent::Apex.into(),
            [.., namespace] if labels.len() <= 2 && config.mode != Mode::Disabled => {
                let Some(namespace) = self.namespace(namespace) else { return NameContent::Nothing.into() };
                match labels {
                    [label, _] => self.pod(label, &namespace, sight),
                    _ if config.mode == Mode::Insecure && !config.check_namespaces => {
                        NameContent::Empty.into()
                    }
                    _ => self.look(|| {
                        if self.cluster.namespace_exists(&namespace).unwrap() && self.sees(sight, &namespace)
                        {
                            NameContent::Empty
                        } else {
                            NameContent::Nothing
                        }
                    }),
                }
            }
            _ => NameContent::Nothing.into(),
        }
    }

    /// Returns the content of a name of a reverse zone, with the labels that it has in front of the zone.
    fn reverse(&self, name: &LabelVec, sight: &VisibleNamespaces) -> Option<(usize, NameState)> {
        let config = self.config();
        let text: Vec<String> = name.iter().rev().map(|label| label.escape_ascii().to_string()).collect();
        let lower: Vec<String> = text.iter().map(|label| label.to_ascii_lowercase()).collect();
        let zone = self
            .settings
            .networks
            .iter()
            .flat_map(zones)
            .filter(|zone| lower.starts_with(zone))
            .max_by_key(Vec::len)?;
        if config.mode != Mode::Verified || config.zones.is_empty() {
            return None;
        }
        let (whole, is_part): (usize, fn(&str) -> bool) = if zone[1] == "ip6" {
            (32, |label| label.len() == 1 && u8::from_str_radix(label, 16).is_ok())
        } else {
            (4, |label| label.parse::<u8>().is_ok_and(|octet| octet.to_string() == label))
        };
        let parts = &lower[2..];
        let content = match parts.len() {
            _ if lower.len() == zone.len() => NameContent::Apex.into(),
            len if len > whole || !parts.iter().all(|label| is_part(label)) => NameContent::Nothing.into(),
            len if len < whole => NameContent::Empty.into(),
            _ if whole == 4 => self.pointer(parts.join(".").parse().expect("an address"), sight),
            _ => {
                let groups: Vec<String> = parts.chunks(4).map(<[String]>::concat).collect();
                self.pointer(groups.join(":").parse().expect("an address"), sight)
            }
        };
        Some((lower.len() - zone.len(), content))
    }

    /// Returns the name that an address points to.
    fn pointer(&self, address: IpAddr, sight: &VisibleNamespaces) -> NameState {
        if is_mapped(address) {
            return NameContent::Nothing.into();
        }
        if self.settings.blocks(address) {
            return NameState { blocked: true, ..NameContent::Nothing.into() };
        }
        self.look(|| match self.cluster.owner_of(address).unwrap() {
            Owner::None => NameContent::Nothing,
            // Namespaces of shared addresses are not known, so whether two of them have one in common is not known
            // either.
            Owner::Shared => {
                let is_shared = |client| self.cluster.owner_of(client) == Ok(Owner::Shared);
                let seen = match sight {
                    VisibleNamespaces::Everything => true,
                    VisibleNamespaces::OfClient(Some(client)) if is_shared(*client) => *client == address,
                    VisibleNamespaces::OfClient(_) => NAMESPACES.iter().any(|name| {
                        let namespace = name.parse().expect("a label");
                        self.cluster.contains(&namespace, address).unwrap() && self.sees(sight, &namespace)
                    }),
                };
                if seen { NameContent::Empty } else { NameContent::Nothing }
            }
            Owner::Pod { namespace, .. } if !self.sees(sight, &namespace) => NameContent::Nothing,
            Owner::Pod { namespace, .. } if self.namespace(namespace.as_bytes()).is_none() => {
                NameContent::Nothing
            }
            Owner::Pod { namespace, name } => {
                let name = name.filter(|_| self.config().pod_names);
                let name = name.filter(|name| podip::spelled(name.as_bytes()).is_none());
                let dashed = PodIpLabel::from(address).to_string();
                let pod = name.map_or(dashed, |name| name.to_string());
                let apex = self.config().zones[0].apex().labels().map(<[u8]>::to_vec);
                let to: LabelVec =
                    [pod, namespace.to_string()].map(String::into_bytes).into_iter().chain(apex).collect();
                let octets: usize = to.iter().map(|label| label.len() + 1).sum();
                if octets < 255 { NameContent::Pointer(to) } else { NameContent::Empty }
            }
        })
    }

    /// Returns the label in lower case, if it is a namespace that is served.
    fn namespace(&self, label: &[u8]) -> Option<Label> {
        let text = std::str::from_utf8(label).ok()?.to_ascii_lowercase();
        let namespace = text.parse().ok()?;
        let narrowed = !self.settings.namespaces.is_empty();
        (!narrowed || self.settings.namespaces.contains(&namespace)).then_some(namespace)
    }

    fn pod(&self, label: &[u8], namespace: &Label, sight: &VisibleNamespaces) -> NameState {
        let config = self.config();
        let Some(address) = podip::spelled(label) else {
            return self.pod_name(label, namespace, sight);
        };
        if is_mapped(address) {
            return NameContent::Nothing.into();
        }
        if self.settings.blocks(address) {
            return NameState { blocked: true, ..NameContent::Nothing.into() };
        }
        let given = |yes| if yes { NameContent::Addresses(vec![address]) } else { NameContent::Nothing };
        match (config.mode, config.check_namespaces) {
            (Mode::Verified, _) => self.look(|| {
                given(self.sees(sight, namespace) && self.cluster.contains(namespace, address).unwrap())
            }),
            (_, true) => self.look(|| given(self.cluster.namespace_exists(namespace).unwrap())),
            (_, false) => given(true).into(),
        }
    }

    fn pod_name(&self, label: &[u8], namespace: &Label, sight: &VisibleNamespaces) -> NameState {
        let config = self.config();
        let name = std::str::from_utf8(label).ok().and_then(|text| text.to_ascii_lowercase().parse().ok());
        let Some(name) = name.filter(|_| config.mode == Mode::Verified && config.pod_names) else {
            return NameContent::Nothing.into();
        };
        let mut all = Vec::new();
        if self.sees(sight, namespace) {
            self.cluster.addresses_of(namespace, &name, &mut |address| all.push(address)).unwrap();
        }
        all.retain(|address| !is_mapped(*address));
        let is_any = !all.is_empty();
        all.retain(|address| !self.settings.blocks(*address));
        let all_blocked = is_any && all.is_empty();
        let verdict =
            self.look(|| if all.is_empty() { NameContent::Nothing } else { NameContent::Addresses(all) });
        NameState { blocked: all_blocked, ..verdict }
    }

    /// Returns the result of a look-up, or unknown if the index is too stale.
    fn look(&self, look: impl FnOnce() -> NameContent) -> NameState {
        let freshness = self.cluster.freshness();
        if freshness == Freshness::Unsynced {
            return NameContent::Unknown(14).into();
        }
        match (freshness.age(), self.config().max_staleness) {
            (Some(age), Some(most)) if age > most => NameContent::Unknown(22).into(),
            (age, _) => NameState { stale: age.is_some(), ..look().into() },
        }
    }
}

/// Returns the reverse zones of a network, each as its labels from the root: the labels that all of its addresses
/// have in common, then each label that can be the next.
fn zones(network: &IpCidr) -> Vec<Vec<String>> {
    let (family, bits) = if network.is_ipv4() { ("in-addr", 8) } else { ("ip6", 4) };
    let text = |address: IpAddr| -> Vec<String> {
        match address {
            IpAddr::V4(v4) => v4.octets().iter().map(ToString::to_string).collect(),
            IpAddr::V6(v6) => format!("{:032x}", v6.to_bits()).chars().map(String::from).collect(),
        }
    };
    let len = usize::from(network.network_length()).div_ceil(bits);
    let mut zones: Vec<Vec<String>> = Vec::new();
    let first = text(network.first_address());
    for last in 0..1_u32 << bits {
        let last = if bits == 8 { last.to_string() } else { format!("{last:x}") };
        let mut parts = first[..len].to_vec();
        if let Some(end) = parts.last_mut() {
            *end = last;
        }
        let mut whole = first.clone();
        whole[..len].clone_from_slice(&parts);
        let address = if bits == 8 {
            whole.join(".").parse::<IpAddr>()
        } else {
            whole.chunks(4).map(<[String]>::concat).collect::<Vec<_>>().join(":").parse()
        };
        let zone: Vec<String> = ["arpa", family].map(str::to_owned).into_iter().chain(parts).collect();
        if network.contains(&address.expect("an address")) && !zones.contains(&zone) {
            zones.push(zone);
        }
    }
    zones
}

/// Returns true for an IPv4-mapped address, which is never returned.
fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some())
}
