//! RFC 5936 (AXFR), RFC 1995 (IXFR) and RFC 8945 (TSIG) for a driver that transfers zones.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use hickory_proto::op::Message;
use hickory_proto::rr::{RData, Record};
use poddns_core::transfer::{
    MAX_TRANSFER_MESSAGE, Transfer, TransferMessage, TransferQuery, TransferRecord, respond_without_records,
};
use poddns_core::wire::{Ede, Rcode};
use poddns_core::{Config, Label, Mode, Outcome, Request, Transport, podip};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::support::query::{Edns, Query, record, tsig};
use crate::support::response::WireName;
use crate::support::{CLIENT, NOW, Server, config};

const AXFR: u16 = 252;
const IXFR: u16 = 251;
const APEX: &str = "pod.cluster.local";

fn server() -> Server<'static> {
    Server::new(Mode::Verified).with(|config| config.transfers = true)
}

fn outcome(query: &Query) -> Outcome {
    server().outcome(&query.octets(), &Request::new(Transport::Tcp, CLIENT, NOW)).0
}

fn soa(serial: u32) -> Vec<u8> {
    let data = [&[0, 0][..], &serial.to_be_bytes(), &[0; 16]].concat();
    record(&WireName::new(APEX).0, 6, 1, 0, &data)
}

#[test]
fn transfers_are_left_to_the_driver() {
    let axfr = Outcome::Transfer(Transfer { zone: 0, known: None });
    assert_eq!(outcome(&Query::new(APEX, AXFR)), axfr);
    assert_eq!(outcome(&Query::new("POD.Cluster.local", AXFR).edns(&Edns::new(1232))), axfr);
    let ixfr = Outcome::Transfer(Transfer { zone: 0, known: Some(7) });
    assert_eq!(outcome(&Query::new(APEX, IXFR).record(1, soa(7))), ixfr);
}

#[test]
fn ixfr_without_soa_is_formerr() {
    let broken = record(&WireName::new(APEX).0, 6, 1, 0, &[0; 21]);
    let other = record(&WireName::new(APEX).0, 1, 1, 0, &[10, 0, 0, 1]);
    let base = Query::new(APEX, IXFR);
    for query in [base.clone(), base.clone().record(1, broken), base.record(1, other)] {
        let response = server().tcp(&query.octets());
        assert_eq!(Rcode(response.rcode), Rcode::FORMERR, "{query:?}");
    }
}

#[test]
fn transfer_outside_the_apex_is_refused() {
    for name in ["default.pod.cluster.local", "cluster.local", "example.com"] {
        let response = server().tcp(&Query::new(name, AXFR).octets());
        assert_eq!(Rcode(response.rcode), Rcode::REFUSED, "{name}");
    }
}

#[test]
fn signed_queries_are_left_to_the_driver() {
    let base = Query::new("10-244-1-5.default.pod.cluster.local", 1);
    for query in [
        base.clone().record(2, tsig(255)),
        base.clone().edns(&Edns::new(1232)).record(2, tsig(255)),
        Query::new(APEX, AXFR).record(2, tsig(255)),
    ] {
        assert_eq!(outcome(&query), Outcome::Signed, "{query:?}");
    }
}

/// RFC 8945 5.2: one signature, of class ANY, as the last record.
#[test]
fn misplaced_signatures_are_formerr() {
    let base = Query::new("10-244-1-5.default.pod.cluster.local", 1);
    for query in [
        base.clone().record(2, tsig(255)).edns(&Edns::new(1232)),
        base.clone().record(2, tsig(255)).record(2, tsig(255)),
        base.clone().record(2, tsig(1)),
        base.clone().record(0, tsig(255)),
        base.record(1, tsig(255)),
    ] {
        let response = server().tcp(&query.octets());
        assert_eq!(Rcode(response.rcode), Rcode::FORMERR, "{query:?}");
    }
}

#[test]
fn secondaries_refresh_every_minute() {
    for (server, expected) in [(server(), [60, 30]), (Server::new(Mode::Verified), [7200, 1800])] {
        let (_, octets) =
            server.octets(&Query::new(APEX, 6).octets(), &Request::new(Transport::Tcp, CLIENT, NOW));
        let message = Message::from_vec(&octets).unwrap();
        let RData::SOA(soa) = &message.answers[0].data else { panic!("{message:?}") };
        assert_eq!([soa.refresh, soa.retry], expected);
    }
}

/// Writes records into as many messages as needed, and checks that hickory-proto reads each.
fn transfer(config: &Config<'_>, query: &[u8], room: usize, records: &[TransferRecord<'_>]) -> Vec<Message> {
    let query = TransferQuery::new(query).unwrap();
    let (mut messages, mut at) = (Vec::new(), 0);
    while at < records.len() {
        let mut out = vec![0xa5; room];
        let transfer = Transfer { zone: 0, known: None };
        let mut message = TransferMessage::begin(config, &query, transfer, &mut out).unwrap();
        if messages.is_empty() {
            message.soa(7).unwrap();
            message.ns().unwrap();
        }
        while at < records.len() && message.record(&records[at]).is_ok() {
            at += 1;
        }
        let len = message.finish();
        assert!(len <= MAX_TRANSFER_MESSAGE && len <= room);
        messages.push(Message::from_vec(&out[..len]).unwrap());
    }
    messages
}

fn addresses(messages: &[Message]) -> Vec<(String, IpAddr)> {
    let records = messages.iter().flat_map(|message| &message.answers);
    let address = |record: &Record| {
        let name = record.name.to_ascii();
        record.data.ip_addr().map(|address| (name, address))
    };
    records.filter_map(address).collect()
}

fn full_name(record: &TransferRecord<'_>) -> String {
    let label =
        record.name.map_or_else(|| podip::PodIpLabel::from(record.address).to_string(), str::to_owned);
    format!("{label}.{}.{APEX}.", record.namespace)
}

proptest! {
    #[test]
    fn hickory_decodes_written_messages(
        list in vec((0..400_usize, any::<bool>(), any::<bool>(), any::<[u8; 4]>()), 1..700),
        room in 300..20_000_usize,
        edns: bool,
    ) {
        let namespace = |number: usize| format!("ns{}{number}", "x".repeat(number % 40));
        let namespaces: Vec<String> = (0..400).map(namespace).collect();
        let records: Vec<TransferRecord<'_>> = list
            .iter()
            .map(|&(namespace, is_named, is_v6, bytes)| {
                let v6 = Ipv6Addr::from((0xfd << 120) | u128::from(u32::from_be_bytes(bytes)));
                TransferRecord {
                    namespace: &namespaces[namespace],
                    name: is_named.then_some("web-0"),
                    address: if is_v6 { v6.into() } else { bytes.into() },
                }
            })
            .collect();
        let mut config = config(Mode::Verified);
        config.pod_names = true;
        config.transfers = true;
        let query = Query::new(APEX, AXFR);
        let query = if edns { query.edns(&Edns::new(1232)) } else { query };
        let messages = transfer(&config, &query.octets(), room, &records);
        let expected: Vec<_> = records.iter().map(|record| (full_name(record), record.address)).collect();
        prop_assert_eq!(addresses(&messages), expected);
        for message in &messages {
            prop_assert!(message.metadata.authoritative);
            prop_assert_eq!(message.edns.is_some(), edns);
            prop_assert_eq!(message.queries.len(), 1);
        }
    }
}

#[test]
fn messages_are_full() {
    let records: Vec<_> = (0..5_000_u32)
        .map(|number| TransferRecord {
            namespace: "default",
            name: None,
            address: IpAddr::from((0x0a00_0000 + number).to_be_bytes()),
        })
        .collect();
    let config = config(Mode::Verified);
    let query = Query::new(APEX, AXFR).octets();
    let messages = transfer(&config, &query, 65_535, &records);
    assert_eq!(addresses(&messages).len(), 5_000);
    let (last, full) = messages.split_last().unwrap();
    // At most 30 octets each, with the name of the namespace compressed.
    assert!(full.iter().all(|message| message.answers.len() > 545), "{}", full[0].answers.len());
    assert!(!last.answers.is_empty());
}

#[test]
fn zone_equals_answers_of_verified() {
    let own = |text: &str| text.parse::<IpAddr>().unwrap();
    let mut config = config(Mode::Verified);
    let cidrs = ["10.0.0.0/8".parse().unwrap(), "::/0".parse().unwrap()];
    let namespaces: Vec<Label> = vec!["a".parse().unwrap()];
    (config.pod_cidrs, config.namespaces) = (&cidrs, &namespaces);
    let records = [
        ("a", None, "10.0.0.1", true),
        ("b", None, "10.0.0.1", false),
        ("a", None, "11.0.0.1", false),
        ("a", None, "::ffff:10.0.0.1", false),
        ("a", Some("web"), "10.0.0.1", true),
        ("a", Some("web"), "11.0.0.1", false),
        // A label that spells an address is not a pod's name.
        ("a", Some("10-0-0-9"), "10.0.0.1", false),
    ];
    for (pod_names, mode) in [(true, Mode::Verified), (false, Mode::Verified), (true, Mode::Insecure)] {
        (config.pod_names, config.mode) = (pod_names, mode);
        let given: Vec<_> = records
            .iter()
            .map(|&(namespace, name, address, _)| TransferRecord { namespace, name, address: own(address) })
            .collect();
        let expected: BTreeSet<_> = (given.iter().zip(records))
            .filter(|(given, (.., is_there))| {
                *is_there && mode == Mode::Verified && (pod_names || given.name.is_none())
            })
            .map(|(given, _)| (full_name(given), given.address))
            .collect();
        let messages = transfer(&config, &Query::new(APEX, AXFR).octets(), 1000, &given);
        assert_eq!(addresses(&messages).into_iter().collect::<BTreeSet<_>>(), expected);
    }
}

#[test]
fn refusal_has_question_and_extended_error() {
    let query = Query::new(APEX, AXFR).edns(&Edns::new(1232)).octets();
    let mut out = [0; 512];
    let reply = respond_without_records(&query, Rcode::REFUSED, Some(Ede(18)), &mut out).unwrap();
    let message = Message::from_vec(&out[..reply.len]).unwrap();
    assert_eq!(message.queries.len(), 1);
    assert!(message.answers.is_empty() && message.edns.is_some());
    assert_eq!(respond_without_records(&query[..11], Rcode::REFUSED, None, &mut out), None);
}
