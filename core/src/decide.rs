//! The decision on a response before it is written: rcode, extended error and records.

use core::net::IpAddr;

use crate::config::{Config, Mode};
use crate::cookie::CookieStatus;
use crate::lookup::PodLookup;
use crate::policy::{self, AddressBits, Finding, PodName, Verdict};
use crate::reason::Reason;
use crate::reverse;
use crate::wire::edns;
use crate::wire::message::{Form, Message, Question};
use crate::wire::name::QuestionName;
use crate::wire::{Class, Ede, Opcode, Rcode, Rtype};
use crate::zone::{self, Place, Zone};

/// The content of a response.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decision<'a> {
    /// The rule that led to it.
    pub(crate) reason: Reason,
    pub(crate) rcode: Rcode,
    pub(crate) ede: Option<Ede>,
    pub(crate) records: Records<'a>,
}

/// The records of an answer. AA is set with all but `None`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Records<'a> {
    None,
    /// Information about the server.
    Chaos(&'a str),
    /// The zone's SOA in the authority section: NXDOMAIN and NODATA (RFC 2308 2).
    Negative(&'a Zone),
    Soa(&'a Zone),
    Ns(&'a Zone),
    Address(AddressBits),
    /// All addresses of this pod; NODATA of the zone if none is of the qtype.
    Pod(&'a Zone, PodName<'a>),
    /// The zone or its changes, which the driver writes.
    Transfer(&'a Zone),
    /// The answer to a signed query; the driver checks the signature first.
    Signed,
    /// Records of a reverse zone with its apex at this offset in the question's name. The names in its records are in
    /// the forward zone.
    Reverse {
        zone: &'a Zone,
        apex: u8,
        records: ReverseRecords,
    },
}

/// The records of an answer from a reverse zone.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ReverseRecords {
    Negative,
    Soa,
    Ns,
    /// The name of the pod that has this address.
    Ptr(IpAddr),
}

impl Decision<'_> {
    /// The response to a query for which a look-up is [`Unknown`](crate::Unknown).
    pub(crate) const UNKNOWN: Self = Self::bare(Reason::Unreadable, Rcode::SERVFAIL, Some(Ede::OTHER));

    /// The response to a client that the driver limits.
    pub(crate) const PROHIBITED: Self =
        Self::bare(Reason::ClientLimited, Rcode::REFUSED, Some(Ede::PROHIBITED));

    /// The response to a query with an option that its RFC forbids.
    pub(crate) const MALFORMED: Self = Self::bare(Reason::Malformed, Rcode::FORMERR, None);

    /// A response without records.
    const fn bare(reason: Reason, rcode: Rcode, ede: Option<Ede>) -> Self {
        Self { reason, rcode, ede, records: Records::None }
    }
}

/// Decides on any query with QR=0.
#[inline]
pub(crate) fn decide<'a, P: PodLookup + ?Sized>(
    config: &Config<'a>,
    pods: &P,
    message: &Message<'a>,
    cookie: CookieStatus,
) -> Decision<'a> {
    if message.header.opcode() != Opcode::QUERY {
        return Decision::bare(Reason::OpcodeNotServed, Rcode::NOTIMP, Some(Ede::NOT_SUPPORTED));
    }
    if message.form != Form::WellFormed {
        return malformed(config, message);
    }
    if let Some(edns) = message.edns {
        // RFC 6891 6.1.3: "If a responder does not implement the VERSION level of the request, then it MUST respond
        // with RCODE=BADVERS." The options of another version are not interpreted.
        if edns.version != edns::VERSION {
            return Decision::bare(Reason::EdnsVersionNotServed, Rcode::BADVERS, None);
        }
        if edns.options.is_none() {
            return Decision::bare(Reason::Malformed, Rcode::FORMERR, None);
        }
    }
    match message.question {
        None => Decision::bare(Reason::WithoutQuestion, without_question(cookie), None),
        Some(question) if question.class != Class::IN => chaos(config, question),
        Some(question) => internet(config, pods, question.name, question.rtype),
    }
}

/// Decides on a query that cannot be read to its end: FORMERR, or for the driver if only the signature at the end was
/// not read.
#[cold]
fn malformed<'a>(config: &Config<'_>, message: &Message<'_>) -> Decision<'a> {
    let is_signed = config.transfers && message.form == Form::Signed;
    let records = if is_signed { Records::Signed } else { Records::None };
    Decision { records, ..Decision::bare(Reason::Malformed, Rcode::FORMERR, None) }
}

/// The rcode for a query without a question: FORMERR (RFC 9619 4), unless the query has a cookie (RFC 7873 5.4), the
/// only purpose of such a query.
fn without_question(cookie: CookieStatus) -> Rcode {
    match cookie {
        CookieStatus::Absent => Rcode::FORMERR,
        CookieStatus::New | CookieStatus::Valid => Rcode::NOERROR,
        CookieStatus::Invalid => Rcode::BADCOOKIE,
    }
}

/// Decides on a query in class CH for information about the server (RFC 4892). Refuses all other questions of classes
/// other than IN.
fn chaos<'z>(config: &Config<'z>, question: Question<'_>) -> Decision<'z> {
    let is = |name: &[u8]| question.name.as_wire().eq_ignore_ascii_case(name);
    let text = if is(b"\x07version\x04bind\x00") || is(b"\x07version\x06server\x00") {
        config.chaos_version
    } else if is(b"\x02id\x06server\x00") || is(b"\x08hostname\x04bind\x00") {
        config.chaos_id
    } else {
        None
    };
    match text {
        Some(text) if question.class == Class::CH && matches!(question.rtype, Rtype::TXT | Rtype::ANY) => {
            let records = Records::Chaos(text);
            Decision { reason: Reason::ServerIdentity, rcode: Rcode::NOERROR, ede: None, records }
        }
        _ => Decision::bare(Reason::ClassNotServed, Rcode::REFUSED, Some(Ede::NOT_SUPPORTED)),
    }
}

/// Decides on a question of class IN; REFUSED if no zone has the name.
#[inline]
pub(crate) fn internet<'a, P: PodLookup + ?Sized>(
    config: &Config<'a>,
    pods: &P,
    name: QuestionName<'a>,
    rtype: Rtype,
) -> Decision<'a> {
    if matches!(rtype, Rtype::AXFR | Rtype::IXFR) {
        return transfer(config, name);
    }
    let Some((zone, place)) = zone::locate(config.zones, name) else {
        return if config.reverse_zones.is_empty() {
            Decision::bare(Reason::OutsideZones, Rcode::REFUSED, Some(Ede::NOT_AUTHORITATIVE))
        } else {
            reverse(config, &pods, name, rtype)
        };
    };
    let Verdict { finding, stale, reason } = policy::judge(config, pods, place);
    let (records, reason) = match finding {
        Finding::Unknown(ede) => return Decision::bare(reason, Rcode::SERVFAIL, Some(ede)),
        Finding::Nothing if !zone::is_above_a_zone(config.zones, name) => {
            let ede =
                if reason.is_guard() { Some(Ede::BLOCKED) } else { stale.then_some(Ede::STALE_NXDOMAIN) };
            return Decision { reason, rcode: Rcode::NXDOMAIN, ede, records: Records::Negative(zone) };
        }
        // RFC 8020 2: a name with names below it exists, so the response is NODATA, never NXDOMAIN.
        Finding::Nothing => (Records::Negative(zone), Reason::AboveZone),
        Finding::Empty => (Records::Negative(zone), reason),
        Finding::Apex => (at_apex(rtype, zone), reason),
        Finding::Address(address) => (at_address(rtype, zone, address), reason),
        Finding::Pod(pod) => (Records::Pod(zone, pod), reason),
    };
    let ede = stale.then_some(Ede::STALE_ANSWER);
    Decision { reason, rcode: Rcode::NOERROR, ede, records }
}

/// Decides on a zone transfer: for the driver if it transfers zones and the name is the apex of one, else REFUSED.
#[cold]
fn transfer<'a>(config: &Config<'a>, name: QuestionName<'_>) -> Decision<'a> {
    let reason = Reason::Transfer;
    if !config.transfers {
        return Decision::bare(reason, Rcode::REFUSED, Some(Ede::NOT_SUPPORTED));
    }
    match zone::locate_out_of_line(config.zones, name) {
        Some((zone, Place::Apex)) => {
            Decision { reason, rcode: Rcode::NOERROR, ede: None, records: Records::Transfer(zone) }
        }
        _ => Decision::bare(reason, Rcode::REFUSED, Some(Ede::NOT_AUTHORITATIVE)),
    }
}

/// Decides on a question of class IN for a name outside all forward zones. Takes a `dyn PodLookup`, to be compiled
/// only once: it is seldom called.
#[cold]
#[inline(never)]
fn reverse<'a>(
    config: &Config<'a>,
    pods: &dyn PodLookup,
    name: QuestionName<'a>,
    rtype: Rtype,
) -> Decision<'a> {
    let located = reverse::locate(config.reverse_zones, name).filter(|_| config.mode == Mode::Verified);
    let (Some((apex, place)), Some(zone)) = (located, config.zones.first()) else {
        return Decision::bare(Reason::OutsideZones, Rcode::REFUSED, Some(Ede::NOT_AUTHORITATIVE));
    };
    let Verdict { finding, stale, reason } = policy::judge_reverse(config, pods, place);
    let records = match finding {
        Finding::Unknown(ede) => return Decision::bare(reason, Rcode::SERVFAIL, Some(ede)),
        Finding::Apex if matches!(rtype, Rtype::SOA | Rtype::ANY) => ReverseRecords::Soa,
        Finding::Apex if rtype == Rtype::NS => ReverseRecords::Ns,
        Finding::Address(address) if matches!(rtype, Rtype::PTR | Rtype::ANY) => {
            ReverseRecords::Ptr(address.into())
        }
        _ => ReverseRecords::Negative,
    };
    let records = Records::Reverse { zone, apex, records };
    if finding == Finding::Nothing {
        let ede = if reason.is_guard() { Some(Ede::BLOCKED) } else { stale.then_some(Ede::STALE_NXDOMAIN) };
        return Decision { reason, rcode: Rcode::NXDOMAIN, ede, records };
    }
    Decision { reason, rcode: Rcode::NOERROR, ede: stale.then_some(Ede::STALE_ANSWER), records }
}

fn at_apex(rtype: Rtype, zone: &Zone) -> Records<'_> {
    match rtype {
        // RFC 8482 4.1: ANY is answered with one RRset of the responder's choice.
        Rtype::SOA | Rtype::ANY => Records::Soa(zone),
        Rtype::NS => Records::Ns(zone),
        _ => Records::Negative(zone),
    }
}

/// RFC 4074 3: a name without a record of the qtype is NODATA; after another rcode clients drop the other address
/// family as well.
fn at_address(rtype: Rtype, zone: &Zone, address: AddressBits) -> Records<'_> {
    let own = if matches!(address, AddressBits::V4(_)) { Rtype::A } else { Rtype::AAAA };
    if rtype == own || rtype == Rtype::ANY { Records::Address(address) } else { Records::Negative(zone) }
}
