//! One call of `respond`, and checks of properties that every call has.

use std::net::IpAddr;

use hickory_proto::op as hickory;
use poddns_core::{
    AuditFinding, Config, DropReason, MAX_UDP_REPLY, MIN_REPLY, Mode, Outcome, PodLookup, Reason, Reply,
    Request, Transport, Visibility, respond,
};

use super::cluster::TestCluster;
use super::oracle::{self, Expected, ExpectedRecords, Oracle};
use super::prefetch;
use super::settings::OwnedConfig;
use super::walk::{self, DecodedMessage, DecodedRecord, LabelVec, Pointers, rtype};

const QR: u16 = 0x8000;
const OPCODE: u16 = 0x7800;
const AA: u16 = 0x0400;
const TC: u16 = 0x0200;
const RD: u16 = 0x0100;
const RCODE: u16 = 0x000f;

pub(crate) struct CheckedExchange<'a> {
    pub(crate) settings: &'a OwnedConfig<'a>,
    pub(crate) cluster: &'a TestCluster,
    pub(crate) request: Request,
    /// Length of the output buffer in octets.
    pub(crate) room: usize,
}

impl CheckedExchange<'_> {
    fn config(&self) -> Config<'_> {
        self.settings.config()
    }

    fn outcome(&self, query: &[u8], fill: u8) -> (Outcome, Vec<u8>) {
        let mut out = vec![fill; self.room];
        let outcome = respond(&self.config(), self.cluster, query, &self.request, &mut out);
        (outcome, out)
    }

    /// Returns the response, if there is one, written to a buffer filled with `fill`.
    pub(crate) fn respond(&self, query: &[u8], fill: u8) -> Option<(Reply, Vec<u8>)> {
        match self.outcome(query, fill) {
            (Outcome::Reply(reply), mut out) => {
                assert!(reply.len <= out.len(), "{} octets in a buffer of {}", reply.len, out.len());
                out.truncate(reply.len);
                Some((reply, out))
            }
            _ => None,
        }
    }

    /// Sends the query and checks the outcome.
    pub(crate) fn check(&self, query: &[u8]) {
        prefetch::check(&self.config(), self.cluster, &self.request, query);
        let (outcome, _) = self.outcome(query, 0x00);
        let drop = if query.len() < 12 {
            Some(DropReason::Short)
        } else if query[2] & 0x80 != 0 {
            Some(DropReason::Response)
        } else if self.room < MIN_REPLY {
            Some(DropReason::NoRoom)
        } else {
            None
        };
        if let Some(reason) = drop {
            assert_eq!(outcome, Outcome::Drop(reason));
            return;
        }
        let Some((reply, octets)) = self.respond(query, 0x00) else {
            panic!("no response: {outcome:?}");
        };
        let again = self.respond(query, 0xff);
        assert_eq!(again, Some((reply, octets.clone())), "the same arguments, another response");

        let Some(message) = walk::message(&octets, Pointers::Follow) else {
            panic!("malformed: {}", octets.escape_ascii());
        };
        assert_eq!(message.rest, 0, "octets behind the last record");
        check_header(query, &reply, &message);
        check_question(query, &octets, &message);
        self.check_opt(query, &reply, &octets, &message);
        self.check_length(query, &reply, &octets);
        self.check_records(query, &reply, &octets, &message);
        check_against_hickory(&reply, &octets, &message);
        self.check_letter_case(query, &reply, &octets);
        self.check_audit(query, &reply, &octets);
    }

    /// Checks that the audit affects only `Reply::audit`, which must agree with the answer of mode verified.
    fn check_audit(&self, query: &[u8], reply: &Reply, octets: &[u8]) {
        let ask = |mode: Mode, audit: bool| {
            let mut config = self.config();
            (config.mode, config.audit, config.max_staleness) = (mode, audit, None);
            config.visibility = Visibility::All;
            let mut out = vec![0; self.room];
            match respond(&config, self.cluster, query, &self.request, &mut out) {
                Outcome::Reply(reply) => (reply, out[..reply.len].to_vec()),
                outcome => panic!("no response: {outcome:?}"),
            }
        };
        assert_eq!(reply.audit, None, "a finding without the audit");
        if self.config().mode != Mode::Insecure {
            return;
        }
        let (plain, _) = ask(Mode::Insecure, false);
        let (audited, same) = ask(Mode::Insecure, true);
        if self.config().max_staleness.is_none() {
            assert_eq!(same, octets, "the audit changes the response");
        }
        let mut without = audited;
        without.audit = None;
        assert_eq!(without, plain, "the audit changes the reply");
        let is_address = matches!(plain.reason, Reason::AddressUnchecked | Reason::AddressOfNamespace);
        let verified = ask(Mode::Verified, false).0.reason;
        match audited.audit {
            _ if !is_address => assert_eq!(audited.audit, None),
            None => assert_eq!(verified, Reason::PodHasAddress),
            Some(AuditFinding::NotReady) => assert_eq!(verified, Reason::Unsynced),
            Some(_) => {
                assert!(matches!(verified, Reason::NoPodHasAddress | Reason::AboveZone), "{verified:?}");
            }
        }
    }

    fn check_opt(&self, query: &[u8], reply: &Reply, octets: &[u8], message: &DecodedMessage) {
        let opts: Vec<&DecodedRecord> =
            message.additionals.iter().filter(|record| record.rtype == rtype::OPT).collect();
        assert_eq!(opts.len(), message.additionals.len(), "additional records other than OPT");
        assert!(opts.len() <= 1);
        match oracle::parse(query) {
            Some(parsed) => assert_eq!(opts.len(), usize::from(parsed.edns.is_some())),
            None if query[10..12] == [0, 0] => assert!(opts.is_empty(), "an OPT that nobody asked for"),
            None => {}
        }
        let Some(opt) = opts.first() else {
            return;
        };
        assert_eq!(opt.owner, Some(LabelVec::new()));
        assert_eq!(usize::from(opt.class), MAX_UDP_REPLY);
        assert_eq!(opt.ttl >> 16, u32::from(reply.rcode.0 >> 4) << 8, "extended rcode, version 0");
        assert_eq!(opt.ttl & 0x7fff, 0, "flags other than DO");
        let options = walk::options(&octets[opt.data.clone()]).expect("options that fill the OPT");
        let mut codes: Vec<u16> = options.iter().map(|(code, _)| *code).collect();
        let ede = options.iter().find(|(code, _)| *code == 15).map(|(_, value)| *value);
        assert_eq!(ede, reply.ede.map(|ede| ede.0.to_be_bytes()).as_ref().map(<[u8; 2]>::as_slice));
        if self.request.transport == Transport::Udp {
            assert!(!codes.contains(&11), "keepalive over UDP");
        }
        let oracle = Oracle { settings: self.settings, cluster: self.cluster, source: self.request.source };
        let subnet = options.iter().find(|(code, _)| *code == 8).map(|(_, value)| value.to_vec());
        let of_client = reply.reason.is_of_index() || reply.reason.is_guard();
        assert_eq!(subnet, oracle.subnet(query, reply.rcode.0, of_client), "client subnet");
        codes.sort_unstable();
        assert!(codes.windows(2).all(|pair| pair[0] != pair[1]), "an option twice");
        assert!(codes.iter().all(|code| [3, 8, 10, 11, 15].contains(code)), "an unknown option");
    }

    /// Checks that the response is no longer than the client can receive, and truncated only if it would be.
    fn check_length(&self, query: &[u8], reply: &Reply, octets: &[u8]) {
        assert_eq!(reply.len, octets.len());
        let datagram = match oracle::parse(query).and_then(|parsed| parsed.edns) {
            Some(edns) => usize::from(edns.size).clamp(MIN_REPLY, MAX_UDP_REPLY),
            // The OPT may have been read before a fault further on.
            None if reply.rcode.0 == 1 || query[2] & 0x78 != 0 => MAX_UDP_REPLY,
            None => MIN_REPLY,
        };
        let limit = match self.request.transport {
            Transport::Udp => datagram,
            Transport::Tcp => usize::from(u16::MAX),
        }
        .min(self.room);
        assert!(octets.len() <= limit, "{} octets where {limit} are allowed", octets.len());
        if reply.truncated {
            let request = Request::new(Transport::Tcp, self.request.source, self.request.now);
            let whole = CheckedExchange { request, room: usize::from(u16::MAX), ..*self };
            let (whole, octets) = whole.respond(query, 0).expect("a response over TCP");
            // The keepalive option is sent over TCP only.
            let keepalive = self.request.transport == Transport::Udp && has_keepalive(&octets);
            assert!(!whole.truncated);
            assert!(
                whole.len - if keepalive { 6 } else { 0 } > limit,
                "truncated, but {} fit in {limit}",
                whole.len
            );
        }
    }

    fn check_records(&self, query: &[u8], reply: &Reply, octets: &[u8], message: &DecodedMessage) {
        let oracle = Oracle { settings: self.settings, cluster: self.cluster, source: self.request.source };
        let Expected { rcode, ede, records } = oracle.answer(query, reply.cookie);
        assert_eq!(reply.rcode.0, rcode, "rcode; expected {records:?}");
        assert_eq!(reply.ede.map(|ede| ede.0), ede, "EDE; expected {records:?}");
        assert_eq!(message.flags & AA != 0, records != ExpectedRecords::None, "AA; expected {records:?}");
        if reply.truncated {
            assert!(message.answers.is_empty() && message.authorities.is_empty(), "part of an RRset");
            return;
        }
        let asked = message.questions.first();
        let soas = usize::from(matches!(records, ExpectedRecords::Negative(_)));
        assert_eq!(message.authorities.len(), soas, "expected {records:?}");
        match records {
            ExpectedRecords::None => assert!(message.answers.is_empty()),
            ExpectedRecords::Negative(depth) => {
                assert!(message.answers.is_empty());
                let name = &asked.expect("a question").name;
                self.check_soa(octets, &message.authorities[0], &name[depth..]);
            }
            ExpectedRecords::Soa => {
                let [soa] = &message.answers[..] else { panic!("one SOA, not {:?}", message.answers) };
                self.check_soa(octets, soa, &asked.expect("a question").name);
            }
            ExpectedRecords::Ns => {
                let [ns] = &message.answers[..] else { panic!("one NS, not {:?}", message.answers) };
                assert_eq!((ns.rtype, ns.ttl), (rtype::NS, self.config().ttl.as_secs().into()));
            }
            ExpectedRecords::Addresses(addresses) => {
                let given: Vec<IpAddr> =
                    message.answers.iter().map(|record| address(octets, record)).collect();
                assert_eq!(given, addresses);
                let ttl = u32::from(self.config().ttl.as_secs());
                let owner = Some(&asked.expect("a question").name);
                let same = |record: &DecodedRecord| record.ttl == ttl && record.owner.as_ref() == owner;
                assert!(message.answers.iter().all(same));
            }
            ExpectedRecords::Pointer(to) => {
                let [ptr] = &message.answers[..] else { panic!("one PTR, not {:?}", message.answers) };
                assert_eq!(
                    (ptr.rtype, ptr.class, ptr.ttl),
                    (rtype::PTR, 1, self.config().ttl.as_secs().into())
                );
                assert_eq!(ptr.owner.as_ref(), Some(&asked.expect("a question").name));
                let mut at = ptr.data.start;
                assert_eq!(walk::name(octets, &mut at, Pointers::Follow), Some(Some(to)));
                assert_eq!(at, ptr.data.end);
            }
            ExpectedRecords::Text(text) => {
                let [record] = &message.answers[..] else { panic!("one TXT, not {:?}", message.answers) };
                let [len, string @ ..] = &octets[record.data.clone()] else { panic!("a TXT without string") };
                assert_eq!((record.rtype, record.class, usize::from(*len)), (rtype::TXT, 3, string.len()));
                assert_eq!(string, &text.as_bytes()[..text.len().min(255)]);
            }
        }
    }

    fn check_soa(&self, octets: &[u8], soa: &DecodedRecord, apex: &[Vec<u8>]) {
        let ttl = u32::from(self.config().ttl.as_secs()).min(300);
        assert_eq!((soa.rtype, soa.class, soa.ttl), (rtype::SOA, 1, ttl));
        assert_eq!(soa.owner.as_deref(), Some(apex));
        let mut at = soa.data.start;
        let mut name = || walk::name(octets, &mut at, Pointers::Follow).flatten().expect("a name");
        let (_, mailbox) = (name(), name());
        let is_reverse = apex.last().is_some_and(|label| label.eq_ignore_ascii_case(b"arpa"));
        let first = self.config().zones.first().map(|zone| zone.domain().labels().map(<[u8]>::to_vec));
        let domain = first.filter(|_| is_reverse).map_or_else(|| apex[1..].to_vec(), Iterator::collect);
        assert_eq!((&mailbox[0][..], &mailbox[1..]), (&b"hostmaster"[..], &domain[..]));
        let [serial, .., minimum] = octets[at..soa.data.end].as_chunks::<4>().0 else {
            panic!("five numbers")
        };
        let shows_nothing = self.config().mode == Mode::Insecure && !self.config().check_namespaces;
        let expected = if shows_nothing { 1 } else { self.cluster.serial() };
        assert_eq!(u32::from_be_bytes(*serial), expected);
        assert_eq!(u32::from_be_bytes(*minimum), ttl, "RFC 2308 5: the TTL is the MINIMUM");
        assert_eq!(soa.data.end - at, 20);
    }

    /// Checks that the answer does not depend on the case of the question's letters, except for the echoed question
    /// (RFC 4343).
    fn check_letter_case(&self, query: &[u8], reply: &Reply, octets: &[u8]) {
        let mut at = 12;
        let Some(question) = walk::question(query, &mut at) else { return };
        let mut other = query.to_vec();
        let mut here = question.octets.start;
        for label in &question.name {
            for octet in &mut other[here + 1..=here + label.len()] {
                let lower = octet.is_ascii_lowercase();
                if lower { octet.make_ascii_uppercase() } else { octet.make_ascii_lowercase() }
            }
            here += label.len() + 1;
        }
        let (other_reply, other_octets) = self.respond(&other, 0).expect("a response");
        assert_eq!(other_reply, *reply, "letter case matters");
        let behind = if octets[4..6] == [0, 1] { question.octets.end } else { 12 };
        assert_eq!(other_octets[behind..], octets[behind..], "letter case matters");
    }
}

fn check_header(query: &[u8], reply: &Reply, message: &DecodedMessage) {
    let asked = u16::from_be_bytes([query[2], query[3]]);
    assert_eq!(message.id, u16::from_be_bytes([query[0], query[1]]));
    assert_eq!(message.flags & (OPCODE | RD), asked & (OPCODE | RD), "not echoed");
    let zero = message.flags & !(QR | OPCODE | AA | TC | RD | RCODE);
    assert_eq!(message.flags & QR, QR);
    assert_eq!(zero, 0, "RA, Z, AD or CD is set");
    assert_eq!(message.flags & TC != 0, reply.truncated);
    assert_eq!(message.flags & RCODE, reply.rcode.0 & RCODE);
}

fn check_question(query: &[u8], octets: &[u8], message: &DecodedMessage) {
    let mut at = 12;
    let one = query[2..6] == [query[2], query[3], 0, 1] && query[2] & 0x78 == 0;
    let asked = walk::question(query, &mut at).filter(|_| one);
    let echoed = message.questions.first();
    assert!(message.questions.len() <= 1);
    assert_eq!(
        echoed.map(|question| &octets[question.octets.clone()]),
        asked.map(|question| &query[question.octets]),
        "the question is not echoed as it came"
    );
}

fn has_keepalive(octets: &[u8]) -> bool {
    let message = walk::message(octets, Pointers::Follow).expect("a response");
    let opt = message.additionals.first().and_then(|opt| walk::options(&octets[opt.data.clone()]));
    opt.is_some_and(|options| options.iter().any(|(code, _)| *code == 11))
}

fn address(octets: &[u8], record: &DecodedRecord) -> IpAddr {
    assert_eq!(record.class, 1);
    match (record.rtype, &octets[record.data.clone()]) {
        (rtype::A, &[a, b, c, d]) => [a, b, c, d].into(),
        (rtype::AAAA, data) => <[u8; 16]>::try_from(data).expect("16 octets").into(),
        _ => panic!("{record:?} is no address"),
    }
}

/// Checks that hickory-proto reads the response as the same message.
fn check_against_hickory(reply: &Reply, octets: &[u8], message: &DecodedMessage) {
    let read = match hickory::Message::from_vec(octets) {
        Ok(read) => read,
        Err(error) => panic!("hickory-proto: {error}: {}", octets.escape_ascii()),
    };
    assert_eq!(read.metadata.id, message.id);
    assert_eq!(read.metadata.message_type, hickory::MessageType::Response);
    assert_eq!(
        u16::from(read.metadata.response_code),
        reply.rcode.0 & if read.edns.is_some() { 0xfff } else { 0xf }
    );
    assert_eq!(read.queries.len(), message.questions.len());
    assert_eq!(read.answers.len(), message.answers.len());
    assert_eq!(read.authorities.len(), message.authorities.len());
    assert_eq!(read.edns.is_some(), !message.additionals.is_empty());
    for (record, own) in read.answers.iter().zip(&message.answers) {
        let owner: LabelVec = record.name.iter().map(<[u8]>::to_vec).collect();
        assert_eq!(Some(owner), own.owner);
        if own.rtype == rtype::A || own.rtype == rtype::AAAA {
            assert_eq!(record.data.ip_addr(), Some(address(octets, own)));
        }
    }
}
