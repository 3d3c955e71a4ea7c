//! Responder based on the library `domain` of NLnet Labs: parses the query and builds the response in place, without
//! allocation.

use std::net::IpAddr;
use std::sync::Arc;

use domain::base::iana::{Class, Opcode, Rcode, Rtype};
use domain::base::message_builder::{MessageBuilder, PushError, StaticCompressor};
use domain::base::name::{Name, ParsedName};
use domain::base::opt::Cookie;
use domain::base::wire::Composer;
use domain::base::{Message, Serial, Ttl};
use domain::dep::octseq::{OctetsBuilder, ShortBuf, Truncate};
use domain::rdata::{A, Aaaa, Soa};
use poddns_core::{MAX_UDP_REPLY, Mode, PodLookup};
use poddns_watch::Index;

use super::PodFinder;
use crate::{CLIENT, NOW, Responder, SECRET, TTL};

const APEX: &[u8] = b"\x03pod\x07cluster\x05local\x00";
const MNAME: &[u8] = b"\x02ns\x03dns\x07cluster\x05local\x00";
const RNAME: &[u8] = b"\x0ahostmaster\x07cluster\x05local\x00";

/// A responder based on `domain`.
pub struct DomainResponder {
    pods: PodFinder,
}

impl DomainResponder {
    /// Returns a responder for these pods, in mode verified or insecure.
    #[must_use]
    pub fn new(mode: Mode, pods: &Arc<Index>) -> Self {
        Self { pods: PodFinder { mode, index: Arc::clone(pods) } }
    }

    fn respond(
        &self,
        query: &Message<[u8]>,
        out: &mut [u8; MAX_UDP_REPLY],
    ) -> Result<Option<usize>, PushError> {
        if query.header().qr() {
            return Ok(None);
        }
        let builder = MessageBuilder::from_target(StaticCompressor::new(Front { out, len: 0 }))?;
        let question = match query.sole_question() {
            Ok(question) if query.header().opcode() == Opcode::QUERY => question,
            _ => {
                let mut builder = builder;
                builder.header_mut().set_id(query.header().id());
                builder.header_mut().set_qr(true);
                builder.header_mut().set_rd(query.header().rd());
                builder.header_mut().set_rcode(Rcode::FORMERR);
                return Ok(Some(builder.as_slice().len()));
            }
        };
        let (name, apex) = (question.qname(), name(APEX));
        let ours = question.qclass() == Class::IN && name.ends_with(&apex);
        let (rcode, address) = match self.find(name).filter(|_| ours) {
            Some(address) => (Rcode::NOERROR, Some(address)),
            None if ours => (Rcode::NXDOMAIN, None),
            None => (Rcode::REFUSED, None),
        };
        let mut answer = builder.start_answer(query, rcode)?;
        answer.header_mut().set_aa(ours);
        let ttl = Ttl::from_secs(TTL);
        let authority = match (address, question.qtype()) {
            (Some(IpAddr::V4(v4)), Rtype::A) => {
                answer.push((name, Class::IN, ttl, A::new(v4)))?;
                answer.authority()
            }
            (Some(IpAddr::V6(v6)), Rtype::AAAA) => {
                answer.push((name, Class::IN, ttl, Aaaa::new(v6)))?;
                answer.authority()
            }
            _ if ours => {
                let mut authority = answer.authority();
                authority.push((apex, Class::IN, ttl, self.soa()))?;
                authority
            }
            _ => answer.authority(),
        };
        let Some(asked) = query.opt() else { return Ok(Some(authority.as_slice().len())) };
        let mut additional = authority.additional();
        additional.opt(|opt| {
            opt.set_udp_payload_size(1232);
            opt.set_dnssec_ok(asked.dnssec_ok());
            if let Some(cookie) = asked.opt().cookie() {
                let in_time = |time: Serial| NOW.wrapping_sub(time.into_int()) <= 3600;
                std::hint::black_box(cookie.check_server_hash(CLIENT, &SECRET, in_time));
                opt.cookie(Cookie::create_response(&cookie, Serial(NOW), CLIENT, &SECRET))?;
            }
            Ok(())
        })?;
        Ok(Some(additional.as_slice().len()))
    }

    fn find(&self, name: &ParsedName<&[u8]>) -> Option<IpAddr> {
        let mut labels = name.iter();
        let (label, namespace) = (labels.next()?, labels.next()?);
        // Includes the root label.
        (labels.count() == 4).then(|| self.pods.find(label.as_slice(), namespace.as_slice()))?
    }

    fn soa(&self) -> Soa<&'static Name<[u8]>> {
        let [refresh, retry, expire, minimum] = [7200, 1800, 86400, TTL].map(Ttl::from_secs);
        let serial = Serial(self.pods.index.serial());
        Soa::new(name(MNAME), name(RNAME), serial, refresh, retry, expire, minimum)
    }
}

fn name(wire: &'static [u8]) -> &'static Name<[u8]> {
    Name::from_slice(wire).expect("a name")
}

impl Responder for DomainResponder {
    const NAME: &'static str = "domain";

    fn answer(&mut self, query: &[u8], out: &mut [u8; MAX_UDP_REPLY]) -> Option<usize> {
        self.respond(Message::from_slice(query).ok()?, out).ok()?
    }
}

/// The beginning of a buffer, written in place. The library's own arrays would cost a copy.
struct Front<'a> {
    out: &'a mut [u8; MAX_UDP_REPLY],
    len: usize,
}

impl OctetsBuilder for Front<'_> {
    type AppendError = ShortBuf;

    fn append_slice(&mut self, slice: &[u8]) -> Result<(), ShortBuf> {
        let end = self.len + slice.len();
        self.out.get_mut(self.len..end).ok_or(ShortBuf)?.copy_from_slice(slice);
        self.len = end;
        Ok(())
    }
}

impl Truncate for Front<'_> {
    fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

impl AsRef<[u8]> for Front<'_> {
    fn as_ref(&self) -> &[u8] {
        &self.out[..self.len]
    }
}

impl AsMut<[u8]> for Front<'_> {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.out[..self.len]
    }
}

impl Composer for Front<'_> {}
