//! The one entry: a query's octets in, a response's octets out.

use crate::audit::audit;
use crate::config::{Config, Mode};
use crate::cookie::{self, CookieStatus};
use crate::decide::{Decision, Records, ReverseRecords, decide};
use crate::lookup::{NoPods, PodLookup, Unknown};
use crate::policy::{self, PodName, is_allowed};
use crate::reason::Reason;
use crate::request::{DropReason, Outcome, Reply, Request, Transfer, Transport};
use crate::wire::edns::{self, Edns, option};
use crate::wire::header::{Header, flag};
use crate::wire::message::{Message, known_serial};
use crate::wire::name::QuestionName;
use crate::wire::reply::{
    Compressed, Full, OptRecord, PAYLOAD_SIZE, Pointer, RecordWriter, ReplyWriter, Section, Soa, Timers,
    Written,
};
use crate::wire::{Class, Ede, Rcode, Rtype};
use crate::zone::Zone;

/// The longest response over UDP, in octets, whatever the client could receive.
pub const MAX_UDP_REPLY: usize = PAYLOAD_SIZE as usize;

/// The shortest output buffer that [`respond`] works with, in octets: the size that every client of the DNS
/// can receive (RFC 1035 4.2.1).
pub const MIN_REPLY: usize = 512;

/// Maximum number of decisions on a query whose pod changes while it is answered. Each further one takes a pod that
/// was found by one look-up and was gone at the next, a microsecond later.
const MAX_DECISIONS: u32 = 3;

/// The longest TTL of a SOA record and so of a negative answer, in seconds.
const MAX_NEGATIVE_TTL: u16 = 300;

/// The response to a query.
///
/// Every packet has exactly one outcome, and none is an error: see [`Outcome`]. The response is written to the
/// front of `out`; octets behind its length may have been written as well and mean nothing. With a buffer of
/// [`MAX_UDP_REPLY`] octets nothing is truncated for want of room in it over UDP; over TCP up to 65,535 are
/// used.
///
/// It is a pure function: the same arguments give the same octets.
pub fn respond<P: PodLookup + ?Sized>(
    config: &Config<'_>,
    pods: &P,
    query: &[u8],
    request: &Request,
    out: &mut [u8],
) -> Outcome {
    respond_within(config, pods, query, request, out, MAX_DECISIONS)
}

/// Responds to a query, with so many decisions left. The last one is that nothing is known.
#[inline]
fn respond_within<P: PodLookup + ?Sized>(
    config: &Config<'_>,
    pods: &P,
    query: &[u8],
    request: &Request,
    out: &mut [u8],
    decisions: u32,
) -> Outcome {
    let Some(header) = Header::read(query) else {
        return Outcome::Drop(DropReason::Short);
    };
    if header.is_response() {
        return Outcome::Drop(DropReason::Response);
    }
    if out.len() < MIN_REPLY {
        return Outcome::Drop(DropReason::NoRoom);
    }
    let message =
        if request.cut { Message::read_question(&header, query) } else { Message::read(&header, query) };
    let (cookie, cookie_octets) = message.edns.and_then(|edns| check_cookie(config, edns, request)).unzip();
    let cookie = cookie.unwrap_or_default();
    let decision = match decisions {
        0 => Decision::UNKNOWN,
        _ => decide(config, pods, &message, cookie),
    };
    let opt = message.edns.map(|edns| opt(config, request, edns, &decision, cookie_octets));
    let opt = opt.as_ref().map_or(&[][..], OptRecord::as_bytes);
    match write(config, pods, request, &message, &decision, opt, out) {
        Ok((len, truncated)) => {
            let Decision { reason, rcode, ede, .. } = decision;
            let audit = match message.question {
                Some(question) if config.audit => audit(config, pods, question.name, reason),
                _ => None,
            };
            Outcome::Reply(Reply { len, rcode, ede, reason, audit, truncated, cookie })
        }
        Err(Unwritten::Outdated) => decide_again(config, pods, query, request, out, decisions),
        Err(Unwritten::Driver) => for_driver(config, &message, &decision, query, out),
        // Header, question and OPT fit in MIN_REPLY, so this is not reached.
        Err(Unwritten::Full) => Outcome::Drop(DropReason::NoRoom),
    }
}

/// Writes REFUSED with EDE 18 (Prohibited, RFC 8914 4.19) in place of the response to `query`: for a driver that limits
/// the questions of a client. Drops what [`respond`] drops.
#[cold]
#[inline(never)]
pub fn refuse(config: &Config<'_>, query: &[u8], request: &Request, out: &mut [u8]) -> Outcome {
    let Some(header) = Header::read(query) else {
        return Outcome::Drop(DropReason::Short);
    };
    if header.is_response() {
        return Outcome::Drop(DropReason::Response);
    }
    if out.len() < MIN_REPLY {
        return Outcome::Drop(DropReason::NoRoom);
    }
    let message = Message::read(&header, query);
    let (cookie, cookie_octets) = message.edns.and_then(|edns| check_cookie(config, edns, request)).unzip();
    let decision = Decision::PROHIBITED;
    let opt = message.edns.map(|edns| opt(config, request, edns, &decision, cookie_octets));
    let opt = opt.as_ref().map_or(&[][..], OptRecord::as_bytes);
    match write(config, &NoPods, request, &message, &decision, opt, out) {
        Ok((len, truncated)) => {
            let (Decision { reason, rcode, ede, .. }, cookie) = (decision, cookie.unwrap_or_default());
            Outcome::Reply(Reply { len, rcode, ede, reason, audit: None, truncated, cookie })
        }
        // Header, question and OPT fit in MIN_REPLY, so this is not reached.
        Err(_) => Outcome::Drop(DropReason::NoRoom),
    }
}

// Not a loop around all of it, which would cost every other query the variables that it keeps.
#[cold]
#[inline(never)]
fn decide_again<P: PodLookup + ?Sized>(
    config: &Config<'_>,
    pods: &P,
    query: &[u8],
    request: &Request,
    out: &mut [u8],
    decisions: u32,
) -> Outcome {
    respond_within(config, pods, query, request, out, decisions.saturating_sub(1))
}

/// A query that the driver answers: a transfer, or whatever is asked with a signature.
#[cold]
#[inline(never)]
fn for_driver(
    config: &Config<'_>,
    message: &Message<'_>,
    decision: &Decision<'_>,
    query: &[u8],
    out: &mut [u8],
) -> Outcome {
    let Records::Transfer(zone) = decision.records else { return Outcome::Signed };
    let is_ixfr = message.question.is_some_and(|question| question.rtype == Rtype::IXFR);
    let known = if is_ixfr { known_serial(message.header, query) } else { None };
    match config.zones.iter().position(|other| core::ptr::eq(other, zone)) {
        Some(zone) if known.is_some() || !is_ixfr => Outcome::Transfer(Transfer { zone, known }),
        // RFC 1995 3: an IXFR query has the client's SOA record.
        _ => {
            let (rcode, reason) = (Rcode::FORMERR, Reason::Malformed);
            let reply = bare(query, rcode, None, out).map(|len| Reply {
                len,
                rcode,
                ede: None,
                reason,
                truncated: false,
                cookie: CookieStatus::Absent,
                audit: None,
            });
            reply.map_or(Outcome::Drop(DropReason::NoRoom), Outcome::Reply)
        }
    }
}

/// Writes a response without records, and returns its length. `None` if there is no header or no room.
pub(crate) fn bare(query: &[u8], rcode: Rcode, ede: Option<Ede>, out: &mut [u8]) -> Option<usize> {
    let header = Header::read(query)?;
    let message = Message::read(&header, query);
    let opt = message.edns.map(|edns| {
        let mut opt = OptRecord::new(rcode, edns.dnssec_ok);
        if let Some(ede) = ede {
            opt.push_ede(ede);
        }
        opt
    });
    let opt = opt.as_ref().map_or(&[][..], OptRecord::as_bytes);
    let question = message.question.as_ref().map_or(&[][..], |question| question.octets);
    let max = out.len();
    ReplyWriter::new(out, max, question).ok()?.finish(Written::default(), &header, rcode, 0, opt).ok()
}

/// Why the records of a decision cannot be written.
#[derive(Clone, Copy, Debug)]
enum Unwritten {
    /// There is no room.
    Full,
    /// The pod that was decided on is gone, or can no longer be read.
    Outdated,
    /// The driver goes on.
    Driver,
}

impl From<Full> for Unwritten {
    fn from(Full: Full) -> Self {
        Self::Full
    }
}

/// Returns the status of the query's cookie and the cookie to send back; `None` if it has none or it is ignored.
fn check_cookie(config: &Config<'_>, edns: Edns<'_>, request: &Request) -> Option<(CookieStatus, [u8; 24])> {
    let cookie = edns.options?.cookie?;
    let secrets = config.cookies?;
    let client = request.source.to_canonical();
    if config.cookie_exempt.iter().any(|network| network.contains(&client)) {
        return None;
    }
    Some(cookie::check_and_renew(secrets, &cookie, client, request.now))
}

/// The OPT of the response: there if and only if the query has one (RFC 6891 6.1.1).
fn opt(
    config: &Config<'_>,
    request: &Request,
    edns: Edns<'_>,
    decision: &Decision<'_>,
    cookie: Option<[u8; 24]>,
) -> OptRecord {
    // Of another EDNS version nobody knows what its flags and options mean.
    let known = edns.version == edns::VERSION;
    let options = edns.options.filter(|_| known).unwrap_or_default();
    // RFC 3225 3: "The DO bit of the query MUST be copied in the response."
    let mut opt = OptRecord::new(decision.rcode, known && edns.dnssec_ok);
    if let (Some(id), true, false) = (config.nsid, options.nsid, request.truncate) {
        opt.push(option::NSID, id.get(..edns::MAX_NSID).unwrap_or(id));
    }
    if let Some(cookie) = cookie {
        opt.push(option::COOKIE, &cookie);
    }
    // RFC 7828 3.3.1: over UDP the option is ignored.
    if let (Some(timeout), true, Transport::Tcp) =
        (config.tcp_keepalive, options.tcp_keepalive, request.transport)
    {
        opt.push(option::TCP_KEEPALIVE, &timeout.to_be_bytes());
    }
    if let Some(ede) = decision.ede {
        opt.push_ede(ede);
    }
    opt
}

/// Writes a response that is decided on, with its OPT in wire form, empty for none: its length, and whether the
/// records had to be left out.
#[inline]
fn write<P: PodLookup + ?Sized>(
    config: &Config<'_>,
    pods: &P,
    request: &Request,
    message: &Message<'_>,
    decision: &Decision<'_>,
    opt: &[u8],
    out: &mut [u8],
) -> Result<(usize, bool), Unwritten> {
    let max = max_len(request.transport, message.edns.as_ref());
    let question = message.question.as_ref().map_or(&[][..], |question| question.octets);
    let mut writer = ReplyWriter::new(out, max, question)?;
    let mut flags = if matches!(decision.records, Records::None) { 0 } else { flag::AA };
    let records = match message.question {
        _ if request.truncate || request.cut => Err(Unwritten::Full),
        None => Ok(Written::default()),
        Some(question) => {
            let writer = writer.records(opt.len())?;
            records(config, pods, writer, question.name, question.rtype, decision.records)
        }
    };
    if let Err(unwritten @ (Unwritten::Outdated | Unwritten::Driver)) = records {
        return Err(unwritten);
    }
    // RFC 2181 9: no RRset is there in part.
    let truncated = records.is_err();
    if truncated {
        flags |= flag::TC;
    }
    let len = writer.finish(records.unwrap_or_default(), message.header, decision.rcode, flags, opt)?;
    Ok((len, truncated))
}

#[inline]
fn records<P: PodLookup + ?Sized>(
    config: &Config<'_>,
    pods: &P,
    mut writer: RecordWriter<'_>,
    name: QuestionName<'_>,
    rtype: Rtype,
    records: Records<'_>,
) -> Result<Written, Unwritten> {
    let ttl = config.ttl.as_secs();
    match records {
        Records::None => {}
        Records::Transfer(_) | Records::Signed => return Err(Unwritten::Driver),
        Records::Chaos(text) => writer.txt(Class::CH, text.as_bytes(), 0)?,
        Records::Negative(zone) => writer.soa(Section::Authority, &soa(config, pods, zone, name))?,
        Records::Soa(zone) => writer.soa(Section::Answer, &soa(config, pods, zone, name))?,
        Records::Ns(zone) => writer.ns(&soa(config, pods, zone, name).ns, ttl)?,
        Records::Address(address) => writer.address(address, ttl)?,
        Records::Reverse { zone, apex, records } => {
            reverse(config, pods, &mut writer, zone, Pointer::to(apex), records)?;
        }
        Records::Pod(zone, pod) => {
            if !addresses(config, pods, &mut writer, pod, rtype)? {
                writer.soa(Section::Authority, &soa(config, pods, zone, name))?;
            }
        }
    }
    Ok(writer.finish())
}

/// Writes the pod's addresses that are allowed and of type `rtype`; returns whether there are any.
///
/// That the pod exists was decided by an earlier look-up, and this one is of another moment. If it finds no allowed
/// address of any type, the decision is outdated: NODATA would say that the name exists.
fn addresses<P: PodLookup + ?Sized>(
    config: &Config<'_>,
    pods: &P,
    writer: &mut RecordWriter<'_>,
    pod: PodName<'_>,
    rtype: Rtype,
) -> Result<bool, Unwritten> {
    // ANY is answered with one RRset (RFC 8482 4.1): that of the first address.
    let mut is_ipv4 = match rtype {
        Rtype::A => Some(true),
        Rtype::AAAA => Some(false),
        Rtype::ANY => None,
        _ => return Ok(false),
    };
    let ttl = config.ttl.as_secs();
    let (mut exists, mut result) = (false, Ok(false));
    let read = pod.addresses(pods, &mut |address| {
        if !is_allowed(config, address) {
            return;
        }
        exists = true;
        if result.is_ok() && *is_ipv4.get_or_insert(address.is_ipv4()) == address.is_ipv4() {
            result = writer.address(address, ttl).map(|()| true);
        }
    });
    match read {
        Ok(()) if exists => Ok(result?),
        Ok(()) | Err(Unknown) => Err(Unwritten::Outdated),
    }
}

/// Writes records of a reverse zone. Nothing in the question is a suffix of their names, which are written whole.
#[cold]
#[inline(never)]
fn reverse<P: PodLookup + ?Sized>(
    config: &Config<'_>,
    pods: &P,
    writer: &mut RecordWriter<'_>,
    zone: &Zone,
    apex: Pointer,
    records: ReverseRecords,
) -> Result<(), Unwritten> {
    let ttl = config.ttl.as_secs();
    let section = match records {
        ReverseRecords::Ns => return Ok(writer.ns(&Compressed::whole(zone.ns.as_wire()), ttl)?),
        ReverseRecords::Soa => Section::Answer,
        ReverseRecords::Negative => Section::Authority,
        ReverseRecords::Ptr(address) => {
            let Ok(Some((pod, namespace))) = policy::name_of(config, pods, address) else {
                return Err(Unwritten::Outdated);
            };
            if writer.ptr([pod.as_bytes(), namespace.as_bytes()], zone.apex.as_wire(), ttl)? {
                return Ok(());
            }
            // The pod's name is too long to be asked for, so there is none.
            Section::Authority
        }
    };
    let (serial, minimum) = (pods.serial(), ttl.min(MAX_NEGATIVE_TTL));
    let ns = Compressed::whole(zone.ns.as_wire());
    let mailbox = Compressed::new_whole(Zone::MAILBOX, zone.domain.as_wire());
    let timers = Timers::WITHOUT_SECONDARIES;
    writer.soa(section, &Soa { owner: apex, ns, mailbox, serial, timers, minimum })?;
    Ok(())
}

fn soa<'z, P: PodLookup + ?Sized>(
    config: &Config<'_>,
    pods: &P,
    zone: &'z Zone,
    question: QuestionName<'_>,
) -> Soa<'z> {
    // Nothing of an index shows in such answers, so its changes are none of theirs: it may be there for an audit.
    let shows_nothing = config.mode == Mode::Insecure && !config.check_namespaces;
    let serial = if shows_nothing { 1 } else { pods.serial() };
    soa_of(config, zone, question, serial)
}

/// The SOA record of a version of a zone, compressed against the question's name, which is in the zone.
#[inline]
pub(crate) fn soa_of<'z>(
    config: &Config<'_>,
    zone: &'z Zone,
    question: QuestionName<'_>,
    serial: u32,
) -> Soa<'z> {
    let domain = Pointer::to(question.offset_of(&zone.domain));
    Soa {
        owner: Pointer::to(question.offset_of(&zone.apex)),
        ns: Compressed::below(&zone.ns, &zone.domain, domain),
        mailbox: Compressed::new(Zone::MAILBOX, domain),
        serial,
        timers: if config.transfers { Timers::WITH_SECONDARIES } else { Timers::WITHOUT_SECONDARIES },
        minimum: config.ttl.as_secs().min(MAX_NEGATIVE_TTL),
    }
}

fn max_len(transport: Transport, edns: Option<&Edns<'_>>) -> usize {
    match (transport, edns) {
        (Transport::Tcp, _) => usize::from(u16::MAX),
        (Transport::Udp, None) => MIN_REPLY,
        // RFC 6891 6.2.3: "Values lower than 512 MUST be treated as equal to 512."
        (Transport::Udp, Some(edns)) => usize::from(edns.payload_size).clamp(MIN_REPLY, MAX_UDP_REPLY),
    }
}
