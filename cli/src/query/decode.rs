//! Decoding of a message record by record if hickory rejects it as a whole: one undecodable record must not hide the
//! others.

use std::fmt;
use std::ops::Range;

use hickory_proto::op::{Edns, Message, ResponseCode};
use hickory_proto::rr::rdata::NULL;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, DecodeError};
use thiserror::Error;

use crate::text::{show_name, show_text, show_type};

/// Length in octets of the part of the header in front of the counts of records, and of the whole header (RFC 1035
/// 4.1.1).
const BEFORE_COUNTS: usize = 6;
const HEADER: usize = 12;

/// Length in octets of a record's fields between owner and data: type, class, TTL and length (RFC 1035 4.1.3).
const FIXED: usize = 10;

/// The sections of records, in wire order.
const SECTIONS: [&str; 3] = ["answer", "authority", "additional"];

/// A message, and its faults.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// Undecodable records are in it as octets (RFC 3597 5).
    pub(crate) message: Message,
    /// Number of octets behind the end of the message.
    pub(crate) left_over: usize,
    pub(crate) faults: Vec<DecodeFault>,
}

/// A part of a message that cannot be decoded.
#[derive(Debug, Error)]
pub(crate) enum DecodeFault {
    /// The data is malformed, so the record is shown as octets.
    #[error("{place}, {} {}, does not decode and is shown as octets: {}", show_name(.owner), show_type(*.rtype),
            show_error(.source))]
    Data { place: RecordPlace, owner: Name, rtype: RecordType, source: DecodeError },
    /// The owner is malformed, so the record cannot be shown.
    #[error("{place}, of type {}, is left out, since its owner does not decode: {}", show_type(*.rtype),
            show_error(.source))]
    Owner { place: RecordPlace, rtype: RecordType, source: DecodeError },
    /// The packet ends within this record.
    #[error("{place} is cut off or malformed; it and all later records are missing")]
    Cut { place: RecordPlace },
}

impl DecodeFault {
    /// Returns true if records are missing from the message.
    pub(crate) const fn is_loss(&self) -> bool {
        matches!(self, Self::Owner { .. } | Self::Cut { .. })
    }
}

/// The position of a record: its section, its number in the section (from 1), and the header's count for the section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordPlace {
    section: usize,
    number: u16,
    of: u16,
}

impl fmt::Display for RecordPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let section = SECTIONS.get(self.section).unwrap_or(&"");
        write!(f, "{section} record {} of {}", self.number, self.of)
    }
}

/// Decodes a message; one that hickory rejects is decoded record by record. Fails if the header or the question is
/// malformed.
pub(crate) fn decode(packet: &[u8]) -> Result<Decoded, DecodeError> {
    let mut decoder = BinDecoder::new(packet);
    if let Ok(message) = Message::read(&mut decoder) {
        return Ok(Decoded { message, left_over: decoder.len(), faults: Vec::new() });
    }
    // Without records, hickory reads up to the question.
    let mut head = packet.to_vec();
    let counts = head.get_mut(BEFORE_COUNTS..HEADER).ok_or(DecodeError::InsufficientBytes)?;
    counts.fill(0);
    let mut decoder = BinDecoder::new(&head);
    let message = Message::read(&mut decoder)?;
    let mut walk = MessageWalk { packet, at: decoder.index(), message, faults: Vec::new() };
    let counts = packet.get(BEFORE_COUNTS..HEADER).unwrap_or_default().as_chunks().0;
    let places = counts.iter().enumerate().flat_map(|(section, count)| {
        let of = u16::from_be_bytes(*count);
        (1..=of).map(move |number| RecordPlace { section, number, of })
    });
    for place in places {
        let Some(frame) = frame(packet, walk.at) else {
            walk.faults.push(DecodeFault::Cut { place });
            walk.at = packet.len();
            break;
        };
        walk.read_record(place, &frame);
    }
    let MessageWalk { at, message, faults, .. } = walk;
    Ok(Decoded { message, left_over: packet.len() - at, faults })
}

/// Position in a packet while its records are read.
struct MessageWalk<'a> {
    packet: &'a [u8],
    /// Offset of the next record.
    at: usize,
    message: Message,
    faults: Vec<DecodeFault>,
}

impl MessageWalk<'_> {
    /// Reads the next record, decoded or as octets.
    fn read_record(&mut self, place: RecordPlace, frame: &RecordFrame) {
        let start = std::mem::replace(&mut self.at, frame.data.end);
        let octets = self.packet.get(..frame.data.end).unwrap_or_default();
        let decoded = read_at::<Record>(octets, start).and_then(|record| self.allow(place, record));
        let source = match decoded {
            Ok(record) if is_edns(place, &record) => return self.set_edns(&record),
            Ok(record) => return self.push(place, record),
            Err(error) => error,
        };
        let rtype = frame.rtype;
        match read_at::<Name>(octets, start) {
            Ok(owner) => {
                let record = frame.as_octets(&owner, octets);
                // The fixed fields of an OPT record are used even if its options are malformed: they have a part of
                // the rcode.
                if self.message.edns.is_none() && is_edns(place, &record) {
                    let mut bare = record.clone();
                    bare.data = RData::Update0(rtype);
                    self.set_edns(&bare);
                }
                self.push(place, record);
                self.faults.push(DecodeFault::Data { place, owner, rtype, source });
            }
            Err(source) => self.faults.push(DecodeFault::Owner { place, rtype, source }),
        }
    }

    /// Returns the record, unless hickory would reject the message because of it.
    fn allow(&self, place: RecordPlace, record: Record) -> Result<Record, DecodeError> {
        let rtype = record.record_type();
        let may_be_empty = matches!(rtype, RecordType::OPT | RecordType::NULL | RecordType::Unknown(_));
        if matches!(record.data, RData::Update0(_)) && !may_be_empty {
            return Err(DecodeError::InvalidEmptyRecord);
        }
        if rtype == RecordType::OPT && !is_edns(place, &record) {
            return Err(DecodeError::RecordNotInAdditionalSection(rtype));
        }
        if rtype == RecordType::OPT && self.message.edns.is_some() {
            return Err(DecodeError::DuplicateEdns);
        }
        Ok(record)
    }

    fn set_edns(&mut self, record: &Record) {
        let edns = Edns::from(record);
        let header = &mut self.message.metadata;
        header.response_code = ResponseCode::from(edns.rcode_high(), header.response_code.low());
        self.message.edns = Some(edns);
    }

    fn push(&mut self, place: RecordPlace, record: Record) {
        let Message { answers, authorities, additionals, .. } = &mut self.message;
        let section = match place.section {
            0 => answers,
            1 => authorities,
            _ => additionals,
        };
        section.push(record);
    }
}

/// Returns whether a record is the OPT record of EDNS(0) (RFC 6891 6.1.1).
fn is_edns(place: RecordPlace, record: &Record) -> bool {
    place.section == 2 && record.record_type() == RecordType::OPT && record.name.is_root()
}

/// Reads from octets that end with the record, so that data of the next record is never used.
fn read_at<'a, T: BinDecodable<'a>>(octets: &'a [u8], at: usize) -> Result<T, DecodeError> {
    let at = u16::try_from(at).map_err(|_| DecodeError::InsufficientBytes)?;
    T::read(&mut BinDecoder::new(octets).clone(at))
}

/// Returns the error as text. hickory reports the position where it stopped as a wrong length, regardless of the cause.
fn show_error(error: &DecodeError) -> String {
    match error {
        DecodeError::IncorrectRDataLengthRead { read, len, .. } => {
            format!("malformed from octet {read} of {len} on")
        }
        other => show_text(&other.to_string()),
    }
}

/// The fixed fields of a record, and the range of its data.
struct RecordFrame {
    rtype: RecordType,
    class: u16,
    ttl: u32,
    data: Range<usize>,
}

impl RecordFrame {
    /// Returns the record with its data as octets.
    fn as_octets(&self, owner: &Name, octets: &[u8]) -> Record {
        let data = match octets.get(self.data.clone()).unwrap_or_default() {
            [] => RData::Update0(self.rtype),
            data => RData::Unknown { code: self.rtype, rdata: NULL::with(data.to_vec()) },
        };
        let mut record = Record::from_rdata(owner.clone(), self.ttl, data);
        record.dns_class = match self.rtype {
            RecordType::OPT => DNSClass::for_opt(self.class),
            _ => DNSClass::from(self.class),
        };
        record
    }
}

/// Reads the fixed fields of the record at `at`; `None` if the packet ends within the record, or its owner has a
/// label of an unknown type.
fn frame(packet: &[u8], at: usize) -> Option<RecordFrame> {
    let (&[t0, t1, c0, c1, ttl @ .., l0, l1], data) =
        packet.get(skip_name(packet, at)?..)?.split_first_chunk::<FIXED>()?;
    let start = packet.len() - data.len();
    let end = start + usize::from(u16::from_be_bytes([l0, l1]));
    (end <= packet.len()).then(|| RecordFrame {
        rtype: RecordType::from(u16::from_be_bytes([t0, t1])),
        class: u16::from_be_bytes([c0, c1]),
        ttl: u32::from_be_bytes(ttl),
        data: start..end,
    })
}

/// Returns the position behind the name at `at`. A pointer ends a name (RFC 1035 4.1.4) and is not followed.
fn skip_name(packet: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let octet = *packet.get(at)?;
        match octet >> 6 {
            0 if octet == 0 => return Some(at + 1),
            0 => at += 1 + usize::from(octet),
            3 => return Some(at + 2),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::rdata::A;
    use proptest::prelude::*;

    use super::super::print::show_rdata;
    use super::*;

    /// The data of a NAPTR record with the flag `!`, which RFC 3403 4.1 does not allow.
    const NAPTR: &[u8] = b"\x00\x01\x00\x02\x01!\x00\x00\x00";

    /// Returns a reply to `x. A` with these counts of records, and these records.
    fn packet(counts: [u8; 3], records: &[&[u8]]) -> Vec<u8> {
        let [answers, authorities, additionals] = counts;
        let header = [0, 7, 0x80, 0, 0, 1, 0, answers, 0, authorities, 0, additionals];
        [&header, b"\x01x\x00\x00\x01\x00\x01".as_slice(), &records.concat()].concat()
    }

    /// Returns a record with the question's name as owner.
    fn record(rtype: u8, data: &[u8]) -> Vec<u8> {
        owned(b"\xc0\x0c", rtype, data)
    }

    fn owned(owner: &[u8], rtype: u8, data: &[u8]) -> Vec<u8> {
        let len = u8::try_from(data.len()).expect("little data");
        [owner, &[0, rtype, 0, 1, 0, 0, 0, 5, 0, len], data].concat()
    }

    fn shown(records: &[Record]) -> Vec<String> {
        let show = |record: &Record| {
            format!(
                "{} {} {}",
                show_name(&record.name),
                show_type(record.record_type()),
                show_rdata(&record.data)
            )
        };
        records.iter().map(show).collect()
    }

    fn notes(decoded: &Decoded) -> Vec<String> {
        decoded.faults.iter().map(DecodeFault::to_string).collect()
    }

    #[test]
    fn an_undecodable_record_does_not_hide_others() {
        let (naptr, address) = (record(35, NAPTR), record(1, &[10, 42, 2, 46]));
        let packet = packet([2, 0, 1], &[&naptr, &address, &address, &[0; 3]]);
        assert!(Message::from_vec(&packet).is_err(), "hickory reads it by now");
        let decoded = decode(&packet).expect("header and question are good");
        assert_eq!(shown(&decoded.message.answers), [r"x. NAPTR \# 9 000100020121000000", "x. A 10.42.2.46"]);
        assert_eq!(shown(&decoded.message.additionals), ["x. A 10.42.2.46"]);
        assert_eq!(decoded.left_over, 3);
        let [note] = notes(&decoded).try_into().expect("one fault");
        let expected = "answer record 1 of 2, x. NAPTR, does not decode and is shown as octets: malformed from octet 6 \
                        of 9 on";
        assert_eq!(note, expected);
        assert!(!decoded.faults[0].is_loss());
    }

    #[test]
    fn data_longer_than_its_type_is_octets() {
        let packet = packet([1, 0, 0], &[&record(1, &[10, 42, 2, 46, 1])]);
        let decoded = decode(&packet).expect("header and question are good");
        assert_eq!(shown(&decoded.message.answers), [r"x. A \# 5 0a2a022e01"]);
    }

    #[test]
    fn data_is_not_read_beyond_its_end() {
        let packet = packet([2, 0, 0], &[&record(1, &[10, 42]), &record(1, &[10, 42, 2, 46])]);
        let decoded = decode(&packet).expect("header and question are good");
        assert_eq!(shown(&decoded.message.answers), [r"x. A \# 2 0a2a", "x. A 10.42.2.46"]);
    }

    #[test]
    fn empty_data_of_known_types_is_malformed() {
        let unknown = [b"\xc0\x0c\xff\x00".as_slice(), &[0, 1, 0, 0, 0, 5, 0, 0]].concat();
        let packet = packet([2, 0, 0], &[&record(16, &[]), &unknown]);
        let decoded = decode(&packet).expect("header and question are good");
        assert_eq!(shown(&decoded.message.answers), [r"x. TXT \# 0", r"x. TYPE65280 \# 0"]);
        assert!(notes(&decoded)[0].contains("x. TXT"), "{decoded:?}");
        assert_eq!(decoded.faults.len(), 1);
    }

    #[test]
    fn a_record_without_readable_owner_is_named() {
        let forward = owned(b"\xc0\xff", 1, &[10, 42, 2, 46]);
        let packet = packet([2, 0, 0], &[&forward, &record(1, &[10, 42, 2, 46])]);
        let decoded = decode(&packet).expect("header and question are good");
        assert_eq!(shown(&decoded.message.answers), ["x. A 10.42.2.46"]);
        assert!(
            notes(&decoded)[0].starts_with("answer record 1 of 2, of type A, is left out"),
            "{decoded:?}"
        );
        assert!(decoded.faults[0].is_loss());
    }

    #[test]
    fn a_cut_message_keeps_its_whole_records() {
        let address = record(1, &[10, 42, 2, 46]);
        let whole = packet([2, 1, 0], &[&address, &address]);
        for cut in 1..address.len() {
            let decoded = decode(&whole[..whole.len() - cut]).expect("header and question are good");
            assert_eq!(decoded.message.answers.len(), 1);
            assert!(notes(&decoded)[0].starts_with("answer record 2 of 2 is cut off or malformed; "));
            assert_eq!(decoded.faults.len(), 1);
            assert_eq!(decoded.left_over, 0);
        }
    }

    #[test]
    fn an_undecodable_opt_still_extends_the_rcode() {
        // BADVERS in the TTL, and an option with a length beyond the data.
        let opt = [0, 0, 41, 4, 208, 1, 0, 0, 0, 0, 4, 0, 3, 0, 9];
        let packet = packet([0, 0, 2], &[&opt, &opt]);
        let decoded = decode(&packet).expect("header and question are good");
        assert_eq!(decoded.message.metadata.response_code, ResponseCode::from(1, 0));
        assert_eq!(decoded.message.edns.as_ref().map(Edns::max_payload), Some(1232));
        assert_eq!(shown(&decoded.message.additionals), [r". OPT \# 4 00030009"; 2]);
        assert_eq!(decoded.faults.len(), 2);
    }

    #[test]
    fn opt_among_the_answers_is_octets() {
        let opt = [0, 0, 41, 4, 208, 1, 0, 0, 0, 0, 4, 0, 3, 0, 0];
        let decoded = decode(&packet([1, 0, 0], &[&opt])).expect("header and question are good");
        assert_eq!(shown(&decoded.message.answers), [r". OPT \# 4 00030000"]);
        assert_eq!(decoded.message.edns, None);
    }

    #[test]
    fn a_whole_message_has_no_faults() {
        let decoded = decode(&packet([1, 0, 0], &[&record(1, &[10, 42, 2, 46])])).expect("a good message");
        assert_eq!(decoded.message.answers[0].data, RData::A(A::new(10, 42, 2, 46)));
        assert_eq!((decoded.left_over, decoded.faults.len()), (0, 0));
    }

    proptest! {
        #[test]
        fn any_octets_are_walked(counts: [u8; 3], tail in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(decoded) = decode(&packet(counts, &[&tail])) {
                let _ = (notes(&decoded), shown(&decoded.message.answers));
            }
        }
    }
}
