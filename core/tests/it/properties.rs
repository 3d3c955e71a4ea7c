//! Properties of the responses to arbitrary queries.

use poddns_core::podip;
use poddns_core::wire::Rcode;
use poddns_core::{DropReason, Label, Name, Outcome, Request, Transport};
use proptest::prelude::*;

use crate::support::generate::{broken_query, plain_query, rtype, setting, valid_name};
use crate::support::query::Query;
use crate::support::response::{Question, Record, Response, WireName};
use crate::support::{CLIENT, NOW, Server};

fn transport() -> impl Strategy<Value = Transport> {
    prop_oneof![Just(Transport::Udp), Just(Transport::Tcp)]
}

/// Returns the length of the only question of a query of opcode 0, if it is well-formed. Independent of the crate's
/// reader, so that it does not have the same faults.
fn question_len(octets: &[u8]) -> Option<usize> {
    let one = octets.get(4..6)? == [0, 1] && octets[2] & 0x78 == 0;
    let mut at = 12;
    while octets.get(at).filter(|_| one)? & 0xc0 == 0 {
        let len = usize::from(octets[at]);
        at += len + 1;
        if len == 0 {
            let len = at + 4 - 12;
            return (at - 12 <= 255 && octets.len() >= 12 + len).then_some(len);
        }
    }
    None
}

/// Checks the contract for arbitrary octets; `check` in the support module has the rest of it.
fn keeps_the_contract(server: &Server<'_>, octets: &[u8], transport: Transport) -> Result<(), TestCaseError> {
    let request = Request::new(transport, CLIENT, NOW);
    let (outcome, response) = server.outcome(octets, &request);
    prop_assert_eq!(server.octets(octets, &request), server.octets(octets, &request), "the same twice");
    let expected = match octets {
        [] | [_] | [_, _] => Some(DropReason::Short),
        _ if octets.len() < 12 => Some(DropReason::Short),
        [_, _, flags, ..] if flags & 0x80 != 0 => Some(DropReason::Response),
        _ => None,
    };
    if let Some(reason) = expected {
        prop_assert_eq!(outcome, Outcome::Drop(reason));
        return Ok(());
    }
    let Some(response) = response else { panic!("{outcome:?}") };
    let echoed = response.question.as_ref().map(Question::octets);
    let asked = question_len(octets).map(|len| octets[12..12 + len].to_vec());
    prop_assert_eq!(echoed, asked, "the question is echoed if and only if it could be read");
    Ok(())
}

/// Returns the response with all letters in lower case.
fn folded(response: Response) -> Response {
    let name = |name: WireName| WireName(name.0.to_ascii_lowercase());
    let record = |record: Record| Record {
        owner: name(record.owner),
        data: record.data.to_ascii_lowercase(),
        ..record
    };
    let section = |section: Vec<Record>| section.into_iter().map(record).collect();
    let question = response.question.map(|mut question| {
        question.name = name(question.name);
        question
    });
    Response {
        question,
        answer: section(response.answer),
        authority: section(response.authority),
        ..response
    }
}

/// Changes the case of the letters selected by `bits`. Length octets are not letters.
fn with_case(name: &[u8], bits: &[bool]) -> Vec<u8> {
    let flip =
        |(&octet, &bit): (&u8, &bool)| if bit && octet.is_ascii_alphabetic() { octet ^ 0x20 } else { octet };
    name.iter().zip(bits.iter().cycle()).map(flip).collect()
}

proptest! {
    #[test]
    fn any_octets_keep_the_contract(
        setting in setting(),
        octets in prop::collection::vec(any::<u8>(), 0..600),
        transport in transport(),
    ) {
        keeps_the_contract(&setting.server(), &octets, transport)?;
    }

    #[test]
    fn broken_queries_keep_the_contract(setting in setting(), octets in broken_query(), transport in transport()) {
        keeps_the_contract(&setting.server(), &octets, transport)?;
    }

    /// Over UDP no response is longer than the client can receive.
    #[test]
    fn responses_fit_the_client(setting in setting(), query in plain_query(), size in any::<u16>()) {
        let server = setting.server();
        let edns = crate::support::query::Edns::new(size);
        let name = query.octets();
        let one = question_len(&name).expect("a plain query");
        let plain = Query::of(&name[12..8 + one], u16::from_be_bytes([name[8 + one], name[9 + one]]), 1);
        prop_assert!(server.udp(&plain.octets()).len <= 512);
        prop_assert!(server.udp(&plain.edns(&edns).octets()).len <= usize::from(size.clamp(512, 1232)));
    }

    /// Answers do not depend on the case of the question, except for the case of the names in them.
    #[test]
    fn case_does_not_matter(
        setting in setting(),
        name in valid_name(),
        rtype in rtype(),
        bits in prop::collection::vec(any::<bool>(), 1..40),
    ) {
        let server = setting.server();
        let ask = |name: &[u8]| server.udp(&Query::of(name, rtype, 1).octets());
        prop_assert_eq!(folded(ask(&name)), folded(ask(&with_case(&name, &bits))));
    }

    #[test]
    fn rcode_is_independent_of_qtype(setting in setting(), name in valid_name(), first in rtype(), second in rtype()) {
        let server = setting.server();
        let rcode = |rtype| server.udp(&Query::of(&name, rtype, 1).octets()).rcode;
        prop_assert_eq!(rcode(first), rcode(second));
    }

    /// RFC 8020: no name exists below a name that does not exist.
    #[test]
    fn nothing_is_below_a_name_error(setting in setting(), name in valid_name(), rtype in rtype()) {
        let server = setting.server();
        let rcode = |name: &[u8]| Rcode(server.udp(&Query::of(name, rtype, 1).octets()).rcode);
        // From the name itself to the root.
        let mut exists = false;
        let mut at = 0;
        loop {
            let rcode = rcode(&name[at..]);
            prop_assert!(!exists || rcode != Rcode::NXDOMAIN, "something is below {}", WireName(name[at..].to_vec()));
            exists |= rcode == Rcode::NOERROR;
            match name[at] {
                0 => break,
                len => at += usize::from(len) + 1,
            }
        }
    }

    /// In mode verified, every address in an answer belongs to a pod of that namespace.
    #[test]
    fn verified_answers_addresses_of_pods_only(setting in setting(), name in valid_name(), rtype in rtype()) {
        let server = setting.server();
        let verified = server.with(|config| config.mode = poddns_core::Mode::Verified);
        let response = verified.udp(&Query::of(&name, rtype, 1).octets());
        for address in response.answer.iter().filter_map(Record::address) {
            let name = WireName(name.clone());
            let labels = name.labels();
            let namespace = Label::from_wire(labels[1]).expect("a namespace");
            prop_assert_eq!(verified.pods.contains(&namespace, address), Ok(true));
            if let Some(asked) = podip::parse(labels[0]) {
                prop_assert_eq!(asked, address);
            }
        }
    }

    /// Writing and reading a name returns the same name.
    #[test]
    fn written_names_parse_back(labels in prop::collection::vec("[A-Za-z0-9_-]{1,20}", 1..12)) {
        let text = labels.join(".");
        let name: Name = text.parse().expect("at most 253 characters");
        prop_assert_eq!(name.to_string(), text.clone() + ".");
        prop_assert_eq!(name.to_string().parse::<Name>(), Ok(name));
        prop_assert_eq!(name.as_wire(), &WireName::new(&text).0[..]);
        prop_assert!(name.labels().eq(labels.iter().map(String::as_bytes)));
        prop_assert_eq!(text.to_ascii_uppercase().parse::<Name>(), Ok(name));
    }

    /// No text causes a panic when parsed as a name or label.
    #[test]
    fn any_text_is_read(text in any::<String>()) {
        let _ = text.parse::<Name>();
        if let Ok(label) = text.parse::<Label>() {
            prop_assert_eq!(label.as_str(), &text);
            prop_assert_eq!(Label::from_wire(text.to_ascii_uppercase().as_bytes()), Some(label));
        }
    }
}
