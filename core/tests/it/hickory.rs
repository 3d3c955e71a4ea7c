//! Comparison with hickory-proto: this crate reads every query that hickory-proto reads, and hickory-proto reads
//! every response as intended.

use hickory_proto::op::{Edns as HickoryEdns, Message, MessageType, OpCode, Query as HickoryQuery};
use hickory_proto::rr::{DNSClass, Name as HickoryName, RData, Record as HickoryRecord, RecordType};
use poddns_core::wire::Rcode;
use poddns_core::{Mode, Request, Transport};
use proptest::prelude::*;

use crate::support::generate::{broken_query, plain_query, setting};
use crate::support::query::{Edns, Query, tsig};
use crate::support::response::{AA, RD, Record, Response, TC, WireName};
use crate::support::{CLIENT, CLUSTER, NOW, Server};

/// A query that hickory-proto accepts and that this crate answers with FORMERR, intentionally.
struct Exception {
    what: &'static str,
    why: &'static str,
    applies: fn(&Walk) -> bool,
    example: fn(Query) -> Query,
}

const EXCEPTIONS: [Exception; 5] = [
    Exception {
        what: "a compression pointer in the question",
        why: "there is no name in front of it that it could point to (RFC 1035 4.1.4)",
        applies: |walk| walk.pointer_in_question,
        example: |_| Query::of(&[0xc0, 4], 1, 1).count(0, 1),
    },
    Exception {
        what: "a TSIG",
        why: "it cannot be checked, so the query must not be answered as if it had been (RFC 8945 5.2)",
        applies: |walk| walk.tsig,
        example: |query| query.record(2, tsig(255)),
    },
    Exception {
        what: "an OPT whose owner is a pointer to a root label",
        why: "RFC 6891 6.1.2: \"MUST be 0 (root domain)\"",
        applies: |walk| walk.opt_owner_is_pointer,
        example: |query| query.record(2, [&[0xc0, 4][..], &Edns::new(512).record()[1..]].concat()),
    },
    Exception {
        what: "options that do not fill the OPT's data",
        why: "they are malformed (RFC 6891 6.1.2)",
        applies: |walk| walk.options.is_none(),
        example: |query| query.edns(&Edns::new(512).raw(&[0, 12])),
    },
    Exception {
        what: "a COOKIE of a length that there is none of",
        why: "RFC 7873 5.2.2",
        applies: |walk| {
            let cookie = walk.options.iter().flatten().find(|(code, _)| *code == 10);
            cookie.is_some_and(|(_, len)| !matches!(len, 8 | 16..=40))
        },
        example: |query| query.edns(&Edns::new(512).option(10, &[1; 9])),
    },
];

/// Fields that the exceptions depend on, read from the octets without either decoder.
#[derive(Debug, Default)]
struct Walk {
    pointer_in_question: bool,
    tsig: bool,
    opt_owner_is_pointer: bool,
    /// Code and length of each option; `None` if they do not fill the data.
    options: Option<Vec<(u16, usize)>>,
}

/// Skips a name; returns whether it is, or ends in, a pointer.
fn skip_name(octets: &[u8], at: &mut usize) -> bool {
    loop {
        let len = octets[*at];
        *at += 1;
        match len {
            0 => return false,
            1..=63 => *at += usize::from(len),
            _ => {
                *at += 1;
                return true;
            }
        }
    }
}

fn options(mut data: &[u8]) -> Option<Vec<(u16, usize)>> {
    let mut options = Vec::new();
    while !data.is_empty() {
        let [code0, code1, len0, len1, rest @ ..] = data else { return None };
        let len = usize::from(u16::from_be_bytes([*len0, *len1]));
        options.push((u16::from_be_bytes([*code0, *code1]), len));
        data = rest.get(len..)?;
    }
    Some(options)
}

impl Walk {
    /// Reads a message with one question that hickory-proto has read, so that nothing is out of bounds.
    fn new(octets: &[u8]) -> Self {
        let u16_at = |at: usize| u16::from_be_bytes([octets[at], octets[at + 1]]);
        let mut at = 12;
        let mut walk = Self {
            pointer_in_question: skip_name(octets, &mut at),
            options: Some(vec![]),
            ..Self::default()
        };
        at += 4;
        for _ in 0..u16_at(6) + u16_at(8) + u16_at(10) {
            let pointer = skip_name(octets, &mut at);
            let (rtype, len) = (u16_at(at), usize::from(u16_at(at + 8)));
            walk.tsig |= rtype == 250;
            if rtype == 41 {
                walk.opt_owner_is_pointer = pointer;
                // Options of another version are not interpreted, so they cannot be malformed.
                if octets[at + 5] == 0 {
                    walk.options = options(&octets[at + 10..at + 10 + len]);
                }
            }
            at += 10 + len;
        }
        walk
    }
}

/// Returns true if hickory-proto reads the octets as a query that this crate answers: of opcode 0, with one question.
fn is_query(octets: &[u8]) -> bool {
    Message::from_vec(octets).is_ok_and(|message| {
        (message.metadata.message_type, message.metadata.op_code) == (MessageType::Query, OpCode::Query)
            && message.queries.len() == 1
    })
}

fn accepts(octets: &[u8]) -> bool {
    let (_, response) =
        Server::new(Mode::Verified).outcome(octets, &Request::new(Transport::Udp, CLIENT, NOW));
    response.is_some_and(|response| Rcode(response.rcode) != Rcode::FORMERR)
}

#[test]
fn every_exception_has_an_example() {
    for Exception { what, why, applies, example } in &EXCEPTIONS {
        let octets = example(Query::new("10-244-1-5.default.pod.cluster.local", 1)).octets();
        assert!(is_query(&octets), "hickory-proto refuses {what} as well");
        assert!(!accepts(&octets), "{what} is accepted, although {why}");
        let walk = Walk::new(&octets);
        assert!(applies(&walk), "{what}: {walk:?}");
        assert_eq!(EXCEPTIONS.iter().filter(|other| (other.applies)(&walk)).count(), 1, "{what}");
    }
}

/// Converts hickory-proto's decoding of a record to this crate's types.
fn decoded(record: &HickoryRecord) -> Record {
    let name = |name: &HickoryName| {
        let mut wire = Vec::new();
        for label in name {
            wire.push(u8::try_from(label.len()).unwrap());
            wire.extend_from_slice(label);
        }
        wire.push(0);
        wire
    };
    let data = match &record.data {
        RData::A(address) => address.octets().to_vec(),
        RData::AAAA(address) => address.octets().to_vec(),
        RData::NS(ns) => name(ns),
        RData::PTR(to) => name(to),
        RData::SOA(soa) => {
            let numbers = [
                soa.serial,
                soa.refresh.cast_unsigned(),
                soa.retry.cast_unsigned(),
                soa.expire.cast_unsigned(),
                soa.minimum,
            ];
            [name(&soa.mname), name(&soa.rname), numbers.map(u32::to_be_bytes).concat()].concat()
        }
        RData::TXT(txt) => txt
            .txt_data
            .iter()
            .flat_map(|text| [&[u8::try_from(text.len()).unwrap()], &text[..]].concat())
            .collect(),
        other => panic!("{other:?}"),
    };
    Record {
        owner: WireName(name(&record.name)),
        rtype: record.record_type().into(),
        class: record.dns_class.into(),
        ttl: record.ttl,
        data,
    }
}

/// Checks that both decoders agree.
fn agrees(octets: &[u8], ours: &Response) -> Result<(), TestCaseError> {
    let theirs = Message::from_vec(octets).map_err(|why| TestCaseError::fail(format!("{why}: {ours:?}")))?;
    let section = |records: &[HickoryRecord]| records.iter().map(decoded).collect::<Vec<_>>();
    let meta = theirs.metadata;
    prop_assert_eq!((meta.id, u16::from(meta.response_code)), (ours.id, ours.rcode));
    prop_assert_eq!(u16::from(u8::from(meta.op_code)) << 11, ours.flags & 0x7800);
    prop_assert_eq!(meta.message_type, MessageType::Response);
    let flags = [meta.authoritative, meta.truncation, meta.recursion_desired];
    prop_assert_eq!(flags, [AA, TC, RD].map(|flag| ours.has(flag)));
    prop_assert!(!meta.recursion_available && !meta.authentic_data && !meta.checking_disabled);
    prop_assert_eq!(section(&theirs.answers), &ours.answer[..]);
    prop_assert_eq!(section(&theirs.authorities), &ours.authority[..]);
    prop_assert!(theirs.additionals.is_empty());
    let question: Vec<_> = theirs
        .queries
        .iter()
        .map(|query| {
            let wire: Vec<u8> = query
                .name
                .iter()
                .flat_map(|label| [&[u8::try_from(label.len()).unwrap()], label].concat())
                .chain([0])
                .collect();
            (wire, u16::from(query.query_type), u16::from(query.query_class))
        })
        .collect();
    let asked =
        ours.question.iter().map(|question| (question.name.0.clone(), question.rtype, question.class));
    prop_assert_eq!(question, asked.collect::<Vec<_>>());
    let opt = theirs.edns.map(|edns| {
        (edns.max_payload(), edns.version(), u16::from(*edns.flags()), edns.options().as_ref().len())
    });
    prop_assert_eq!(
        opt,
        ours.opt.as_ref().map(|opt| (opt.payload_size, opt.version, opt.flags, opt.options.len()))
    );
    Ok(())
}

proptest! {
    /// A packet that hickory-proto reads as a query with one question is not malformed for this crate, except for the
    /// exceptions.
    #[test]
    fn queries_hickory_reads_are_accepted(octets in broken_query()) {
        if is_query(&octets) {
            let walk = Walk::new(&octets);
            let exception = EXCEPTIONS.iter().find(|exception| (exception.applies)(&walk));
            prop_assert_eq!(accepts(&octets), exception.is_none(), "{:?}", exception.map(|it| it.what));
        }
    }

    /// hickory-proto reads every response, with the same flags, records and OPT.
    #[test]
    fn hickory_reads_every_response(
        setting in setting(),
        octets in prop_oneof![plain_query().prop_map(|query| query.octets()), broken_query()],
        tcp in any::<bool>(),
    ) {
        let transport = if tcp { Transport::Tcp } else { Transport::Udp };
        let request = Request::new(transport, CLIENT, NOW);
        let server = setting.server();
        if let (_, Some(response)) = server.outcome(&octets, &request) {
            agrees(&server.octets(&octets, &request).1, &response)?;
        }
    }
}

/// End to end: hickory-proto queries each pod of the cluster and reads its address.
#[test]
fn hickory_finds_every_pod() {
    let mut found = 0;
    for pod in &CLUSTER.pods {
        for &address in &pod.addresses {
            let label = poddns_core::podip::PodIpLabel::from(address);
            let name = format!("{label}.{}.pod.cluster.local.", pod.namespace);
            let rtype = if address.is_ipv4() { RecordType::A } else { RecordType::AAAA };
            let mut query = HickoryQuery::query(HickoryName::from_ascii(&name).unwrap(), rtype);
            query.set_query_class(DNSClass::IN);
            let mut message = Message::new(7, MessageType::Query, OpCode::Query);
            message.metadata.recursion_desired = true;
            message.add_query(query);
            let mut edns = HickoryEdns::new();
            edns.set_max_payload(1232).set_version(0);
            message.set_edns(edns);

            let request = Request::new(Transport::Udp, CLIENT, NOW);
            let (_, octets) = Server::new(Mode::Verified).octets(&message.to_vec().unwrap(), &request);
            let response = Message::from_vec(&octets).unwrap();
            let addresses: Vec<_> = response.answers.iter().map(|record| record.data.ip_addr()).collect();
            assert_eq!(addresses, [Some(address)], "{name}");
            assert_eq!(response.answers[0].name, HickoryName::from_ascii(&name).unwrap());
            assert!(response.metadata.authoritative && response.edns.is_some());
            found += 1;
        }
    }
    assert_eq!(found, 14);
}
