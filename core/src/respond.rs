//! The one entry: a query's octets in, a response's octets out.

use crate::Label;
use crate::config::{Config, Zone};
use crate::cookie::{self, CookieStatus};
use crate::decide::{Decision, Records, ZoneRecords, decide};
use crate::lookup::PodLookup;
use crate::message::{DropReason, Outcome, Reply, Request, Transport};
use crate::policy::is_allowed;
use crate::wire::edns::{self, Edns};
use crate::wire::header::{Header, flag};
use crate::wire::message::{Message, Question};
use crate::wire::reply::{Compressed, Full, Opt, PAYLOAD_SIZE, ReplyWriter, Section, Soa};
use crate::wire::{Class, Rtype};

/// The longest response over UDP, in octets, whatever the client could receive.
pub const MAX_UDP_REPLY: usize = PAYLOAD_SIZE as usize;

/// The shortest output buffer that [`respond`] works with, in octets: the size that every client of the DNS
/// can receive (RFC 1035 4.2.1).
pub const MIN_REPLY: usize = 512;

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
    let Some(header) = Header::read(query) else {
        return Outcome::Drop(DropReason::Short);
    };
    if header.is_response() {
        return Outcome::Drop(DropReason::Response);
    }
    if out.len() < MIN_REPLY {
        return Outcome::Drop(DropReason::NoRoom);
    }
    let message = Message::read(header, query);
    let (cookie, cookie_octets) = check_cookie(config, &message, request).unzip();
    let cookie = cookie.unwrap_or_default();
    let decision = decide(config, pods, &message, cookie);
    let opt = message.edns.map(|edns| opt(config, request, &edns, &decision, cookie_octets));
    let reply = Response { config, pods, message: &message, decision: &decision, opt: opt.as_ref() };
    match reply.write(request, out) {
        Ok((len, truncated)) => {
            Outcome::Reply(Reply { len, rcode: decision.rcode, ede: decision.ede, truncated, cookie })
        }
        // Header, question and OPT fit in MIN_REPLY, so this is not reached.
        Err(Full) => Outcome::Drop(DropReason::NoRoom),
    }
}

/// What the query's cookie tells, and the one to send back.
fn check_cookie(
    config: &Config<'_>,
    message: &Message<'_>,
    request: &Request,
) -> Option<(CookieStatus, [u8; 24])> {
    let cookie = message.edns?.options?.cookie?;
    Some(cookie::check_and_renew(config.cookies?, &cookie, request.source, request.now))
}

/// The OPT of the response: there if and only if the query has one (RFC 6891 6.1.1).
fn opt<'a>(
    config: &Config<'a>,
    request: &Request,
    edns: &Edns<'_>,
    decision: &Decision<'_>,
    cookie: Option<[u8; 24]>,
) -> Opt<'a> {
    // Of another EDNS version nobody knows what its flags and options mean.
    let known = edns.version == edns::VERSION;
    let options = edns.options.filter(|_| known).unwrap_or_default();
    Opt {
        // RFC 3225 3: "The DO bit of the query MUST be copied in the response."
        dnssec_ok: known && edns.dnssec_ok,
        nsid: config
            .nsid
            .filter(|_| options.nsid && !request.truncate)
            .map(|id| id.get(..Config::MAX_NSID).unwrap_or(id)),
        // RFC 7828 3.3.1: over UDP the option is ignored.
        tcp_keepalive: config
            .tcp_keepalive
            .filter(|_| options.tcp_keepalive && request.transport == Transport::Tcp),
        ede: decision.ede,
        cookie,
    }
}

/// A response that is decided on and not yet written.
struct Response<'a, P: ?Sized> {
    config: &'a Config<'a>,
    pods: &'a P,
    message: &'a Message<'a>,
    decision: &'a Decision<'a>,
    opt: Option<&'a Opt<'a>>,
}

impl<P: PodLookup + ?Sized> Response<'_, P> {
    /// The length, and whether the records had to be left out.
    fn write(&self, request: &Request, out: &mut [u8]) -> Result<(usize, bool), Full> {
        let max = max_len(request.transport, self.message.edns.as_ref());
        let mut writer = ReplyWriter::new(out, max, self.message.question.as_ref(), self.opt)?;
        let mut flags = match self.decision.records {
            Records::None => 0,
            Records::Chaos(_) | Records::Zone(..) => flag::AA,
        };
        let truncated = request.truncate || self.records(&mut writer).is_err();
        if truncated {
            writer.clear_records();
            flags |= flag::TC;
        }
        let len = writer.finish(&self.message.header, self.decision.rcode, flags, self.opt)?;
        Ok((len, truncated))
    }

    fn records(&self, writer: &mut ReplyWriter<'_>) -> Result<(), Full> {
        match (self.decision.records, self.message.question.as_ref()) {
            (Records::None, _) | (_, None) => Ok(()),
            (Records::Chaos(text), _) => writer.txt(Class::CH, text.as_bytes(), 0),
            (Records::Zone(zone, records), Some(question)) => {
                self.zone_records(writer, zone, records, question)
            }
        }
    }

    fn zone_records(
        &self,
        writer: &mut ReplyWriter<'_>,
        zone: &Zone,
        records: ZoneRecords,
        question: &Question<'_>,
    ) -> Result<(), Full> {
        let ttl = self.config.ttl.as_secs();
        match records {
            ZoneRecords::Negative => writer.soa(Section::Authority, &self.soa(zone, question)),
            ZoneRecords::Soa => writer.soa(Section::Answer, &self.soa(zone, question)),
            ZoneRecords::Ns => writer.ns(&self.soa(zone, question).ns, ttl),
            ZoneRecords::Address(address) => writer.address(address, ttl),
            ZoneRecords::Pod { namespace, name } => {
                if self.pod(writer, &namespace, &name, question.rtype)? {
                    return Ok(());
                }
                writer.soa(Section::Authority, &self.soa(zone, question))
            }
        }
    }

    /// Writes those of a pod's addresses that are allowed and of the type asked for; whether there was any.
    fn pod(
        &self,
        writer: &mut ReplyWriter<'_>,
        namespace: &Label,
        name: &Label,
        rtype: Rtype,
    ) -> Result<bool, Full> {
        // ANY is answered with one RRset (RFC 8482 4.1): that of the first address.
        let mut is_ipv4 = match rtype {
            Rtype::A => Some(true),
            Rtype::AAAA => Some(false),
            Rtype::ANY => None,
            _ => return Ok(false),
        };
        let ttl = self.config.ttl.as_secs();
        let mut result = Ok(false);
        self.pods.addresses_of(namespace, name, &mut |address| {
            if !is_allowed(self.config, address) {
                return;
            }
            if result.is_ok() && *is_ipv4.get_or_insert(address.is_ipv4()) == address.is_ipv4() {
                result = writer.address(address, ttl).map(|()| true);
            }
        });
        result
    }

    fn soa<'s>(&self, zone: &'s Zone, question: &Question<'_>) -> Soa<'s> {
        let domain = question.name.offset_of(&zone.domain);
        Soa {
            owner: Compressed::suffix(question.name.offset_of(&zone.apex)),
            ns: Compressed::below(&zone.ns, &zone.domain, domain),
            mailbox: Compressed::below(&zone.mailbox, &zone.domain, domain),
            serial: self.pods.serial(),
            minimum: self.config.ttl.as_secs().min(MAX_NEGATIVE_TTL),
        }
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
