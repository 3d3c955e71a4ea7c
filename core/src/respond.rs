//! The entry point: reads a query's octets and writes a response's octets.

use crate::audit::audit;
use crate::client::{Identity, identify};
use crate::config::Config;
use crate::cookie::{self, CheckedCookie, CookieStatus};
use crate::decide::{Decision, Records, decide};
use crate::lookup::{NoPods, PodLookup};
use crate::reason::Reason;
use crate::records::{Unwritten, records};
use crate::request::{DropReason, Outcome, Reply, Request, Transfer, Transport};
use crate::visible::Visible;
use crate::wire::edns::{self, Edns, option};
use crate::wire::header::{Header, flag};
use crate::wire::message::{Message, Question, known_serial};
use crate::wire::opt::{MAX_OPT, OptRecord, PAYLOAD_SIZE, RDLENGTH};
use crate::wire::reply::{RecordsWritten, ReplyWriter};
use crate::wire::subnet::{self, Malformed, Subnet};
use crate::wire::{Ede, Rcode, Rtype};

/// Maximum length of a response over UDP, in octets, even if the client advertises a larger payload size.
pub const MAX_UDP_REPLY: usize = PAYLOAD_SIZE as usize;

/// Minimum length of the output buffer of [`respond`], in octets: the message size that every DNS client can receive
/// (RFC 1035 4.2.1).
pub const MIN_REPLY: usize = 512;

/// Maximum number of decisions on one query for a pod that changes while it is answered. Another decision is needed
/// only if a pod that one look-up found is gone at the next, a microsecond later.
const MAX_DECISIONS: u32 = 3;

/// Writes the response to a query to the front of `out`.
///
/// Every packet has exactly one [`Outcome`], and none is an error. Octets behind the response's length may be
/// overwritten as well and are meaningless. A buffer of [`MAX_UDP_REPLY`] octets never causes truncation over UDP;
/// over TCP up to 65,535 octets are used.
///
/// This is a pure function: the same arguments produce the same octets.
pub fn respond<P: PodLookup + ?Sized>(
    config: &Config<'_>,
    pods: &P,
    query: &[u8],
    request: &Request,
    out: &mut [u8],
) -> Outcome {
    respond_within(config, pods, query, request, out, (), MAX_DECISIONS)
}

/// Responds if something depends on the client. Out of line, to keep the code for other responses small.
#[cold]
#[inline(never)]
fn respond_to_client<P: PodLookup + ?Sized>(
    config: &Config<'_>,
    pods: &P,
    query: &[u8],
    request: &Request,
    out: &mut [u8],
) -> Outcome {
    let Identity { client, subnet } = if config.hides_pods() {
        match identify(config, query, request.source) {
            Ok(identity) => identity,
            Err(Malformed) => return respond_with(config, query, request, out, &Decision::MALFORMED),
        }
    } else {
        // An audit changes no response.
        Identity::UNKNOWN
    };
    let visible = Visible::new(config, pods, client);
    match respond_within(config, &visible, query, request, out, subnet, MAX_DECISIONS) {
        Outcome::Reply(reply) if reply.rcode == Rcode::NXDOMAIN && visible.has_hidden() => {
            Outcome::Reply(Reply { reason: Reason::NotVisible, ..reply })
        }
        Outcome::Reply(reply) if config.audit => Outcome::Reply(audited(config, pods, query, reply)),
        outcome => outcome,
    }
}

/// Adds the audit finding to a reply.
fn audited<P: PodLookup + ?Sized>(config: &Config<'_>, pods: &P, query: &[u8], reply: Reply) -> Reply {
    let found = Question::of(query).and_then(|question| audit(config, pods, question.name, reply.reason));
    Reply { audit: found, ..reply }
}

/// An addition to the OPT of a response that depends on the client.
trait Addition: Copy {
    /// Buffer for an OPT with the addition.
    type Buffer: Default;

    /// Responds by the client's view if something depends on the client; else `None`.
    fn respond_to_client<P: PodLookup + ?Sized>(
        config: &Config<'_>,
        pods: &P,
        query: &[u8],
        request: &Request,
        out: &mut [u8],
    ) -> Option<Outcome>;

    /// Appends the addition to the OPT of a response to this decision.
    fn append<'a>(self, opt: &'a [u8], decision: &Decision<'_>, buffer: &'a mut Self::Buffer) -> &'a [u8];
}

/// No addition: it is not yet decided whether something depends on the client, or nothing does.
impl Addition for () {
    type Buffer = ();

    #[inline]
    fn respond_to_client<P: PodLookup + ?Sized>(
        config: &Config<'_>,
        pods: &P,
        query: &[u8],
        request: &Request,
        out: &mut [u8],
    ) -> Option<Outcome> {
        config.depends_on_client().then(|| respond_to_client(config, pods, query, request, out))
    }

    #[inline]
    fn append<'a>(self, opt: &'a [u8], _: &Decision<'_>, (): &'a mut ()) -> &'a [u8] {
        opt
    }
}

/// Buffer for an OPT with a client subnet option.
struct SubnetBuffer([u8; MAX_OPT + subnet::MAX_OPTION]);

impl Default for SubnetBuffer {
    fn default() -> Self {
        Self([0; MAX_OPT + subnet::MAX_OPTION])
    }
}

/// RFC 7871 7.2.1: a server "that has implemented this protocol and receives an ECS option MUST include an ECS option
/// in its response".
impl Addition for Option<Subnet<'_>> {
    type Buffer = SubnetBuffer;

    /// Returns `None`: the response is already made for the client.
    fn respond_to_client<P: PodLookup + ?Sized>(
        _: &Config<'_>,
        _: &P,
        _: &[u8],
        _: &Request,
        _: &mut [u8],
    ) -> Option<Outcome> {
        None
    }

    fn append<'a>(self, opt: &'a [u8], decision: &Decision<'_>, buffer: &'a mut SubnetBuffer) -> &'a [u8] {
        let SubnetBuffer(buffer) = buffer;
        // A decision by the index, or by a guard on an address, depends on the client.
        let is_scoped = decision.reason.is_of_index() || decision.reason.is_guard();
        let with_subnet = |subnet: Subnet<'_>| {
            let (front, rest) = buffer.split_at_mut_checked(opt.len())?;
            let added = subnet.write(is_scoped, rest)?;
            for (to, from) in front.iter_mut().zip(opt) {
                *to = *from;
            }
            let options = opt.len().checked_sub(RDLENGTH.end)?.checked_add(added)?;
            let [high, low] = u16::try_from(options).ok()?.to_be_bytes();
            for (to, from) in front.get_mut(RDLENGTH)?.iter_mut().zip([high, low]) {
                *to = from;
            }
            opt.len().checked_add(added)
        };
        // The options of a malformed query are not trusted.
        let is_due = !opt.is_empty() && decision.rcode != Rcode::FORMERR;
        match self.filter(|_| is_due).and_then(with_subnet) {
            Some(len) => buffer.get(..len).unwrap_or(opt),
            None => opt,
        }
    }
}

/// Responds to a query with at most this many decisions. With none left, the response is SERVFAIL.
#[inline]
fn respond_within<P: PodLookup + ?Sized, A: Addition>(
    config: &Config<'_>,
    pods: &P,
    query: &[u8],
    request: &Request,
    out: &mut [u8],
    addition: A,
    decisions: u32,
) -> Outcome {
    if let Some(outcome) = A::respond_to_client(config, pods, query, request, out) {
        return outcome;
    }
    let Some(header) = Header::read(query) else {
        return Outcome::Drop(DropReason::Short);
    };
    if let Some(reason) = drop_reason(&header, out) {
        return Outcome::Drop(reason);
    }
    let mut message = Message::new(&header);
    if request.cut {
        message.read_question(query);
    } else {
        message.read(query);
    }
    let checked = message.edns.as_ref().and_then(|edns| check_cookie(config, edns, request));
    let cookie = checked.as_ref().map_or(CookieStatus::Absent, |checked| checked.status);
    let decision = match decisions {
        0 => Decision::UNKNOWN,
        _ => decide(config, pods, &message, cookie),
    };
    let opt = message.edns.as_ref().map(|edns| opt(config, request, edns, &decision, checked.as_ref()));
    let opt = opt.as_ref().map_or(&[][..], OptRecord::as_bytes);
    let mut buffer = A::Buffer::default();
    let opt = addition.append(opt, &decision, &mut buffer);
    match write(config, pods, request, &message, &decision, opt, out) {
        Ok(written) => reply(&decision, written, cookie),
        Err(Unwritten::Outdated) => decide_again(config, pods, query, request, out, addition, decisions),
        Err(Unwritten::Driver) => for_driver(config, &message, &decision, query, out),
        // Header, question and OPT fit in MIN_REPLY, so this is not reached.
        Err(Unwritten::Full) => Outcome::Drop(DropReason::NoRoom),
    }
}

/// Returns the reason why a packet with this header gets no response.
#[inline]
fn drop_reason(header: &Header, out: &[u8]) -> Option<DropReason> {
    if header.is_response() {
        Some(DropReason::Response)
    } else if out.len() < MIN_REPLY {
        Some(DropReason::NoRoom)
    } else {
        None
    }
}

/// Returns the outcome for a response to this decision, with its length and whether it is truncated.
#[inline]
fn reply(decision: &Decision<'_>, (len, truncated): (usize, bool), cookie: CookieStatus) -> Outcome {
    let Decision { reason, rcode, ede, .. } = *decision;
    Outcome::Reply(Reply { len, rcode, ede, reason, audit: None, truncated, cookie })
}

/// Writes REFUSED with EDE 18 (Prohibited, RFC 8914 4.19) in place of the response to `query`: for a driver that limits
/// the questions of a client. Drops what [`respond`] drops.
#[cold]
#[inline(never)]
pub fn refuse(config: &Config<'_>, query: &[u8], request: &Request, out: &mut [u8]) -> Outcome {
    respond_with(config, query, request, out, &Decision::PROHIBITED)
}

/// Writes a response that has no records, regardless of the question.
#[inline(never)]
fn respond_with(
    config: &Config<'_>,
    query: &[u8],
    request: &Request,
    out: &mut [u8],
    decision: &Decision<'_>,
) -> Outcome {
    let Some(header) = Header::read(query) else {
        return Outcome::Drop(DropReason::Short);
    };
    if let Some(reason) = drop_reason(&header, out) {
        return Outcome::Drop(reason);
    }
    let message = Message::read_out_of_line(&header, query);
    let checked = message.edns.as_ref().and_then(|edns| check_cookie(config, edns, request));
    let cookie = checked.as_ref().map_or(CookieStatus::Absent, |checked| checked.status);
    let opt = message.edns.as_ref().map(|edns| opt(config, request, edns, decision, checked.as_ref()));
    let opt = opt.as_ref().map_or(&[][..], OptRecord::as_bytes);
    match write(config, &NoPods, request, &message, decision, opt, out) {
        Ok(written) => reply(decision, written, cookie),
        // Header, question and OPT fit in MIN_REPLY, so this is not reached.
        Err(_) => Outcome::Drop(DropReason::NoRoom),
    }
}

// A call rather than a loop in `respond_within`, where the variables of the loop would cost every query.
#[cold]
#[inline(never)]
fn decide_again<P: PodLookup + ?Sized, A: Addition>(
    config: &Config<'_>,
    pods: &P,
    query: &[u8],
    request: &Request,
    out: &mut [u8],
    addition: A,
    decisions: u32,
) -> Outcome {
    respond_within(config, pods, query, request, out, addition, decisions.saturating_sub(1))
}

/// Returns the outcome for a query that the driver answers: a transfer, or any signed query.
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
        // RFC 1995 3: the query must have the client's SOA record.
        _ => {
            let len = bare(query, Rcode::FORMERR, None, out);
            len.map_or(Outcome::Drop(DropReason::NoRoom), |len| {
                reply(&Decision::MALFORMED, (len, false), CookieStatus::Absent)
            })
        }
    }
}

/// Writes a response without records and returns its length; `None` if the query has no header or `out` is too short.
pub(crate) fn bare(query: &[u8], rcode: Rcode, ede: Option<Ede>, out: &mut [u8]) -> Option<usize> {
    let header = Header::read(query)?;
    let message = Message::read_out_of_line(&header, query);
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
    ReplyWriter::new(out, max, question).ok()?.finish(RecordsWritten::default(), &header, rcode, 0, opt).ok()
}

/// Checks the query's cookie; `None` if it has none or it is ignored.
fn check_cookie(config: &Config<'_>, edns: &Edns<'_>, request: &Request) -> Option<CheckedCookie> {
    let cookie = edns.options.as_ref()?.cookie?;
    let secrets = config.cookies?;
    let client = request.source.to_canonical();
    if config.cookie_exempt.iter().any(|network| network.contains(&client)) {
        return None;
    }
    Some(cookie::check_and_renew(secrets, &cookie, client, request.now))
}

/// Returns the OPT of the response, which has one if and only if the query has one (RFC 6891 6.1.1).
fn opt(
    config: &Config<'_>,
    request: &Request,
    edns: &Edns<'_>,
    decision: &Decision<'_>,
    cookie: Option<&CheckedCookie>,
) -> OptRecord {
    // Flags and options of another EDNS version may have another meaning.
    let known = edns.version == edns::VERSION;
    let options = edns.options.filter(|_| known).unwrap_or_default();
    // RFC 3225 3: "The DO bit of the query MUST be copied in the response."
    let mut opt = OptRecord::new(decision.rcode, known && edns.dnssec_ok);
    if let (Some(id), true, false) = (config.nsid, options.nsid, request.truncate) {
        opt.push(option::NSID, id.get(..edns::MAX_NSID).unwrap_or(id));
    }
    if let Some(CheckedCookie { renewed, .. }) = cookie {
        opt.push(option::COOKIE, renewed);
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

/// Writes the response to a decision, with its OPT in wire form (empty for none). Returns its length, and whether the
/// records were left out.
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
        None => Ok(RecordsWritten::default()),
        Some(question) => {
            let writer = writer.records(opt.len())?;
            records(config, pods, writer, question.name, question.rtype, decision.records)
        }
    };
    if let Err(unwritten @ (Unwritten::Outdated | Unwritten::Driver)) = records {
        return Err(unwritten);
    }
    // RFC 2181 9: an RRset is never sent in part.
    let truncated = records.is_err();
    if truncated {
        flags |= flag::TC;
    }
    let len = writer.finish(records.unwrap_or_default(), message.header, decision.rcode, flags, opt)?;
    Ok((len, truncated))
}

fn max_len(transport: Transport, edns: Option<&Edns<'_>>) -> usize {
    match (transport, edns) {
        (Transport::Tcp, _) => usize::from(u16::MAX),
        (Transport::Udp, None) => MIN_REPLY,
        // RFC 6891 6.2.3: "Values lower than 512 MUST be treated as equal to 512."
        (Transport::Udp, Some(edns)) => usize::from(edns.payload_size).clamp(MIN_REPLY, MAX_UDP_REPLY),
    }
}
