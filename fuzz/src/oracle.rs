//! What must be answered to a query, worked out a second time: from the other reader's view of it, with text and
//! the standard library's parsers, in the words of the contract.

use std::net::IpAddr;

use poddns_core::{Config, CookieStatus, Freshness, Label, Mode, PodLookup};

use super::cluster::Cluster;
use super::podip;
use super::settings::Owned;
use super::walk::{self, Labels, Pointers, rtype};

/// An answer, but for its wire form.
#[derive(Debug, PartialEq, Eq)]
pub struct Expected {
    pub rcode: u16,
    pub ede: Option<u16>,
    pub records: Records,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Records {
    None,
    /// The SOA of the zone in the authority section; how many labels the question has in front of its apex.
    Negative(usize),
    Soa,
    Ns,
    Addresses(Vec<IpAddr>),
    Text(String),
}

/// What is at a name.
enum Finding {
    Nothing,
    /// Not known now, with the code that says why.
    Unknown(u16),
    Apex,
    Empty,
    Addresses(Vec<IpAddr>),
}

/// A finding, whether the index that it is from is stale, and whether a guard forbids what is there.
struct Verdict {
    finding: Finding,
    stale: bool,
    blocked: bool,
}

impl From<Finding> for Verdict {
    fn from(finding: Finding) -> Self {
        Self { finding, stale: false, blocked: false }
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

pub struct Oracle<'a> {
    pub settings: &'a Owned<'a>,
    pub cluster: &'a Cluster,
}

/// A query that is well formed from its first octet to its last record.
pub struct Parsed {
    message: walk::Message,
    pub edns: Option<Edns>,
}

pub struct Edns {
    pub size: u16,
    version: u8,
    options_are_good: bool,
}

/// `None` if it is not well formed.
pub fn parse(query: &[u8]) -> Option<Parsed> {
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
                edns = Some(Edns {
                    size: record.class,
                    version: u8::try_from(record.ttl >> 16 & 0xff).expect("one octet"),
                    options_are_good: options.is_some()
                        && cookies.next().is_none_or(|(_, value)| matches!(value.len(), 8 | 16..=40)),
                });
            }
            _ => {}
        }
    }
    (message.questions.len() <= 1).then_some(Parsed { message, edns })
}

impl Oracle<'_> {
    fn config(&self) -> Config<'_> {
        self.settings.config()
    }

    /// What to answer to a query of at least twelve octets with QR=0.
    pub fn answer(&self, query: &[u8], cookie: CookieStatus) -> Expected {
        let bare = |rcode, ede| Expected { rcode, ede, records: Records::None };
        if query[2] >> 3 & 0xf != 0 {
            return bare(NOTIMP, Some(21));
        }
        let Some(Parsed { message, edns }) = parse(query) else {
            return bare(FORMERR, None);
        };
        match edns {
            Some(edns) if edns.version != 0 => return bare(BADVERS, None),
            Some(edns) if !edns.options_are_good => return bare(FORMERR, None),
            _ => {}
        }
        let Some(question) = message.questions.first() else {
            return match cookie {
                CookieStatus::Absent => bare(FORMERR, None),
                CookieStatus::New | CookieStatus::Valid => bare(NOERROR, None),
                CookieStatus::Invalid => bare(BADCOOKIE, None),
            };
        };
        match (question.rtype, question.class) {
            (rtype::AXFR | rtype::IXFR, _) => bare(REFUSED, Some(21)),
            (_, IN) => self.internet(&question.name, question.rtype),
            (rtype::TXT | rtype::ANY, CH) => match self.chaos(&question.name) {
                Some(text) => Expected { rcode: NOERROR, ede: None, records: Records::Text(text) },
                None => bare(REFUSED, Some(21)),
            },
            _ => bare(REFUSED, Some(21)),
        }
    }

    fn chaos(&self, name: &Labels) -> Option<String> {
        let config = self.config();
        let name: Vec<String> = name.iter().map(|label| label.escape_ascii().to_string()).collect();
        match name.join(".").to_ascii_lowercase().as_str() {
            "version.bind" | "version.server" => config.chaos_version.map(str::to_owned),
            "id.server" | "hostname.bind" => config.chaos_id.map(str::to_owned),
            _ => None,
        }
    }

    fn internet(&self, name: &Labels, qtype: u16) -> Expected {
        let depths = self.settings.zones.iter().filter_map(|zone| {
            let depth = name.len().checked_sub(zone.apex().labels().count())?;
            let same = |(label, own): (&Vec<u8>, &[u8])| label.eq_ignore_ascii_case(own);
            name[depth..].iter().zip(zone.apex().labels()).all(same).then_some(depth)
        });
        let Some(depth) = depths.min() else {
            return Expected { rcode: REFUSED, ede: Some(20), records: Records::None };
        };
        let Verdict { finding, stale, blocked } = self.find(&name[..depth]);
        let negative = Records::Negative(depth);
        let (rcode, records) = match (finding, qtype) {
            (Finding::Unknown(code), _) => {
                return Expected { rcode: SERVFAIL, ede: Some(code), records: Records::None };
            }
            (Finding::Nothing, _) if self.is_above_a_zone(name) => (NOERROR, negative),
            (Finding::Nothing, _) => (NXDOMAIN, negative),
            (Finding::Apex, rtype::SOA | rtype::ANY) => (NOERROR, Records::Soa),
            (Finding::Apex, rtype::NS) => (NOERROR, Records::Ns),
            (Finding::Apex | Finding::Empty, _) => (NOERROR, negative),
            (Finding::Addresses(all), _) => {
                let first = all[0].is_ipv4();
                let wanted = all.into_iter().filter(|address| match qtype {
                    rtype::A => address.is_ipv4(),
                    rtype::AAAA => address.is_ipv6(),
                    rtype::ANY => address.is_ipv4() == first,
                    _ => false,
                });
                match wanted.collect::<Vec<_>>() {
                    none if none.is_empty() => (NOERROR, negative),
                    some => (NOERROR, Records::Addresses(some)),
                }
            }
        };
        // A code is of the rcode that it goes with.
        let ede = match rcode {
            NXDOMAIN if blocked => Some(15),
            NXDOMAIN => stale.then_some(19),
            _ => stale.then_some(3),
        };
        Expected { rcode, ede, records }
    }

    fn is_above_a_zone(&self, name: &Labels) -> bool {
        self.settings.zones.iter().any(|zone| {
            let apex: Vec<&[u8]> = zone.apex().labels().collect();
            let same = |(own, label): (&&[u8], &Vec<u8>)| own.eq_ignore_ascii_case(label);
            apex.len() > name.len() && apex.iter().rev().zip(name.iter().rev()).all(same)
        })
    }

    fn find(&self, labels: &[Vec<u8>]) -> Verdict {
        let config = self.config();
        match labels {
            [] => Finding::Apex.into(),
            [.., namespace] if labels.len() <= 2 && config.mode != Mode::Disabled => {
                let Some(namespace) = self.namespace(namespace) else { return Finding::Nothing.into() };
                match labels {
                    [label, _] => self.pod(label, &namespace),
                    _ if config.mode == Mode::Insecure && !config.check_namespaces => Finding::Empty.into(),
                    _ => self.look(|| {
                        if self.cluster.namespace_exists(&namespace).unwrap() {
                            Finding::Empty
                        } else {
                            Finding::Nothing
                        }
                    }),
                }
            }
            _ => Finding::Nothing.into(),
        }
    }

    /// The label, in lower case, if it can be a namespace that is served.
    fn namespace(&self, label: &[u8]) -> Option<Label> {
        let text = std::str::from_utf8(label).ok()?.to_ascii_lowercase();
        let namespace = text.parse().ok()?;
        let narrowed = !self.settings.namespaces.is_empty();
        (!narrowed || self.settings.namespaces.contains(&namespace)).then_some(namespace)
    }

    fn pod(&self, label: &[u8], namespace: &Label) -> Verdict {
        let config = self.config();
        let Some(address) = podip::spelled(label) else {
            return self.pod_name(label, namespace);
        };
        if is_mapped(address) {
            return Finding::Nothing.into();
        }
        if self.settings.blocks(address) {
            return Verdict { blocked: true, ..Finding::Nothing.into() };
        }
        let given = |yes| if yes { Finding::Addresses(vec![address]) } else { Finding::Nothing };
        match (config.mode, config.check_namespaces) {
            (Mode::Verified, _) => self.look(|| given(self.cluster.contains(namespace, address).unwrap())),
            (_, true) => self.look(|| given(self.cluster.namespace_exists(namespace).unwrap())),
            (_, false) => given(true).into(),
        }
    }

    fn pod_name(&self, label: &[u8], namespace: &Label) -> Verdict {
        let config = self.config();
        let name = std::str::from_utf8(label).ok().and_then(|text| text.to_ascii_lowercase().parse().ok());
        let Some(name) = name.filter(|_| config.mode == Mode::Verified && config.pod_names) else {
            return Finding::Nothing.into();
        };
        let mut all = Vec::new();
        self.cluster.addresses_of(namespace, &name, &mut |address| all.push(address)).unwrap();
        all.retain(|address| !is_mapped(*address));
        let is_any = !all.is_empty();
        all.retain(|address| !self.settings.blocks(*address));
        let all_blocked = is_any && all.is_empty();
        let verdict = self.look(|| if all.is_empty() { Finding::Nothing } else { Finding::Addresses(all) });
        Verdict { blocked: all_blocked, ..verdict }
    }

    /// What the index says, as far as it may be believed.
    fn look(&self, look: impl FnOnce() -> Finding) -> Verdict {
        let freshness = self.cluster.freshness();
        if freshness == Freshness::Unsynced {
            return Finding::Unknown(14).into();
        }
        match (freshness.age(), self.config().max_staleness) {
            (Some(age), Some(most)) if age > most => Finding::Unknown(22).into(),
            (age, _) => Verdict { stale: age.is_some(), ..look().into() },
        }
    }
}

/// Whether it is an IPv4-mapped address, which is given to nobody.
fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some())
}
