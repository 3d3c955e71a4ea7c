//! Responder based on hickory-proto: decodes the query, builds another message, encodes it.

use std::net::IpAddr;
use std::sync::Arc;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::rdata::{A, AAAA, SOA};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder};
use poddns_core::{MAX_UDP_REPLY, Mode, PodLookup};
use poddns_watch::Index;

use super::PodFinder;
use crate::{DOMAIN, NOW, Responder, TTL, cases};

/// A responder based on hickory-proto.
pub struct HickoryResponder {
    pods: PodFinder,
    apex: Name,
    mname: Name,
    rname: Name,
    /// Reused, so that only the message itself is allocated.
    buffer: Vec<u8>,
}

impl HickoryResponder {
    /// Returns a responder for these pods, in mode verified or insecure.
    #[must_use]
    pub fn new(mode: Mode, pods: &Arc<Index>) -> Self {
        let name = |prefix: &str| Name::from_ascii(format!("{prefix}.{DOMAIN}.")).expect("a name");
        Self {
            pods: PodFinder { mode, index: Arc::clone(pods) },
            apex: name("pod"),
            mname: name("ns.dns"),
            rname: name("hostmaster"),
            buffer: Vec::with_capacity(MAX_UDP_REPLY),
        }
    }

    fn response(&self, query: &[u8]) -> Option<Message> {
        let &[id0, id1, flags, ..] = query else { return None };
        let Ok(mut query) = Message::from_vec(query) else {
            let mut response = Message::response(u16::from_be_bytes([id0, id1]), OpCode::Query);
            response.metadata.recursion_desired = flags & 1 != 0;
            response.metadata.response_code = ResponseCode::FormErr;
            return Some(response);
        };
        if query.metadata.message_type == MessageType::Response {
            return None;
        }
        let mut response = Message::response(query.metadata.id, query.metadata.op_code);
        response.metadata.recursion_desired = query.metadata.recursion_desired;
        if let Some(edns) = &query.edns {
            response.set_edns(renewed(edns));
        }
        let question = query.queries.pop().filter(|_| query.queries.is_empty());
        let Some(question) = question.filter(|_| query.metadata.op_code == OpCode::Query) else {
            response.metadata.response_code = ResponseCode::FormErr;
            return Some(response);
        };
        if question.query_class() == DNSClass::IN && self.apex.zone_of(question.name()) {
            response.metadata.authoritative = true;
            self.answer_from_zone(&mut response, question.name(), question.query_type());
        } else {
            response.metadata.response_code = ResponseCode::Refused;
        }
        response.add_query(question);
        Some(response)
    }

    fn answer_from_zone(&self, response: &mut Message, name: &Name, rtype: RecordType) {
        let mut labels = name.iter();
        let address = match (name.num_labels(), labels.next(), labels.next()) {
            (5, Some(label), Some(namespace)) => self.pods.find(label, namespace),
            _ => None,
        };
        let data = match (address, rtype) {
            (Some(IpAddr::V4(v4)), RecordType::A) => Some(RData::A(A(v4))),
            (Some(IpAddr::V6(v6)), RecordType::AAAA) => Some(RData::AAAA(AAAA(v6))),
            (Some(_), _) => None,
            (None, _) => {
                response.metadata.response_code = ResponseCode::NXDomain;
                None
            }
        };
        match data {
            Some(data) => response.add_answer(Record::from_rdata(name.clone(), TTL, data)),
            None => response.add_authority(Record::from_rdata(self.apex.clone(), TTL, self.soa())),
        };
    }

    fn soa(&self) -> RData {
        let serial = self.pods.index.serial();
        RData::SOA(SOA::new(self.mname.clone(), self.rname.clone(), serial, 7200, 1800, 86400, TTL))
    }
}

/// Returns the OPT of the response, with a new cookie if the query has one.
fn renewed(asked: &Edns) -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    edns.set_dnssec_ok(asked.flags().dnssec_ok);
    if let Some(EdnsOption::Unknown(_, cookie)) = asked.option(EdnsCode::Cookie)
        && let Some(client) = cookie.first_chunk()
    {
        if let Some(&[_, _, _, _, t0, t1, t2, t3]) = cookie.get(8..16).and_then(<[u8]>::first_chunk) {
            // No case needs the result, but its computation is part of the work.
            let ours = cases::cookie(*client, u32::from_be_bytes([t0, t1, t2, t3]));
            std::hint::black_box(ours[..] == cookie[..]);
        }
        let fresh = cases::cookie(*client, NOW).to_vec();
        edns.options_mut().insert(EdnsOption::Unknown(EdnsCode::Cookie.into(), fresh));
    }
    edns
}

impl Responder for HickoryResponder {
    const NAME: &'static str = "hickory-proto";

    fn answer(&mut self, query: &[u8], out: &mut [u8; MAX_UDP_REPLY]) -> Option<usize> {
        let response = self.response(query)?;
        self.buffer.clear();
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut encoder = BinEncoder::new(&mut buffer);
        let result = response.emit(&mut encoder);
        self.buffer = buffer;
        result.ok()?;
        out.get_mut(..self.buffer.len())?.copy_from_slice(&self.buffer);
        Some(self.buffer.len())
    }
}
