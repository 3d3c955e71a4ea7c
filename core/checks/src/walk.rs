//! A second decoder of DNS messages, independent of the one under test: slow, strict, and in the order of RFC 1035 4.

use std::ops::Range;

/// The labels of a name, without the root.
pub(crate) type LabelVec = Vec<Vec<u8>>;

pub(crate) mod rtype {
    pub(crate) const A: u16 = 1;
    pub(crate) const NS: u16 = 2;
    pub(crate) const SOA: u16 = 6;
    pub(crate) const PTR: u16 = 12;
    pub(crate) const TXT: u16 = 16;
    pub(crate) const AAAA: u16 = 28;
    pub(crate) const OPT: u16 = 41;
    pub(crate) const TSIG: u16 = 250;
    pub(crate) const IXFR: u16 = 251;
    pub(crate) const AXFR: u16 = 252;
    pub(crate) const ANY: u16 = 255;
}

#[derive(Debug)]
pub(crate) struct DecodedMessage {
    pub(crate) id: u16,
    pub(crate) flags: u16,
    pub(crate) questions: Vec<DecodedQuestion>,
    pub(crate) answers: Vec<DecodedRecord>,
    pub(crate) authorities: Vec<DecodedRecord>,
    pub(crate) additionals: Vec<DecodedRecord>,
    /// Number of octets behind the last record.
    pub(crate) rest: usize,
}

#[derive(Debug)]
pub(crate) struct DecodedQuestion {
    pub(crate) name: LabelVec,
    pub(crate) rtype: u16,
    pub(crate) class: u16,
    pub(crate) octets: Range<usize>,
}

#[derive(Debug)]
pub(crate) struct DecodedRecord {
    /// `None` if the name ends in a pointer that was not followed.
    pub(crate) owner: Option<LabelVec>,
    pub(crate) rtype: u16,
    pub(crate) class: u16,
    pub(crate) ttl: u32,
    pub(crate) data: Range<usize>,
}

/// The treatment of compression pointers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pointers {
    /// Pointers are an error.
    Forbid,
    /// A pointer ends the name; its target is ignored.
    Skip,
    /// Pointers are followed and must point backwards (RFC 1035 4.1.4: "a prior occurrence of the same name").
    Follow,
}

/// Reads a message; `owners` applies to the owners of its records. Questions have no pointers.
pub(crate) fn message(octets: &[u8], owners: Pointers) -> Option<DecodedMessage> {
    let field = |index: usize| {
        let pair = octets.get(2 * index..2 * index + 2)?;
        Some(u16::from_be_bytes([pair[0], pair[1]]))
    };
    let mut at = 12;
    let mut questions = Vec::new();
    for _ in 0..field(2)? {
        questions.push(question(octets, &mut at)?);
    }
    let mut section =
        |count: u16| (0..count).map(|_| record(octets, &mut at, owners)).collect::<Option<Vec<_>>>();
    let (answers, authorities, additionals) = (section(field(3)?)?, section(field(4)?)?, section(field(5)?)?);
    let rest = octets.len() - at;
    Some(DecodedMessage {
        id: field(0)?,
        flags: field(1)?,
        questions,
        answers,
        authorities,
        additionals,
        rest,
    })
}

/// Reads the first question alone, of a message that may be malformed further on.
pub(crate) fn question(octets: &[u8], at: &mut usize) -> Option<DecodedQuestion> {
    let start = *at;
    let name = name(octets, at, Pointers::Forbid)??;
    let (rtype, class) = (u16(octets, at)?, u16(octets, at)?);
    Some(DecodedQuestion { name, rtype, class, octets: start..*at })
}

fn record(octets: &[u8], at: &mut usize, owners: Pointers) -> Option<DecodedRecord> {
    let owner = name(octets, at, owners)?;
    let (rtype, class) = (u16(octets, at)?, u16(octets, at)?);
    let ttl = u32::from(u16(octets, at)?) << 16 | u32::from(u16(octets, at)?);
    let len = usize::from(u16(octets, at)?);
    let data = *at..*at + len;
    octets.get(data.clone())?;
    *at += len;
    Some(DecodedRecord { owner, rtype, class, ttl, data })
}

/// Returns `None` if there is no name, `Some(None)` for a name with a pointer that was skipped.
#[expect(clippy::option_option, reason = "there are three cases, and two callers that want one each")]
pub(crate) fn name(octets: &[u8], at: &mut usize, pointers: Pointers) -> Option<Option<LabelVec>> {
    let mut labels = LabelVec::new();
    // `start` is the beginning of the part being read: pointers must point in front of it.
    let (mut start, mut here, mut len, mut jumped) = (*at, *at, 1, false);
    loop {
        let octet = *octets.get(here)?;
        here += 1;
        match (octet >> 6, pointers) {
            (0, _) if octet == 0 => {
                if !jumped {
                    *at = here;
                }
                return Some(Some(labels));
            }
            (0, _) => {
                let end = here + usize::from(octet);
                labels.push(octets.get(here..end)?.to_vec());
                len += usize::from(octet) + 1;
                if len > 255 {
                    return None;
                }
                here = end;
            }
            (3, Pointers::Skip) => {
                octets.get(here)?;
                *at = here + 1;
                return Some(None);
            }
            (3, Pointers::Follow) => {
                let target = usize::from(octet & 0x3f) << 8 | usize::from(*octets.get(here)?);
                if !jumped {
                    *at = here + 1;
                }
                if target >= start {
                    return None;
                }
                (jumped, start, here) = (true, target, target);
            }
            _ => return None,
        }
    }
}

pub(crate) fn u16(octets: &[u8], at: &mut usize) -> Option<u16> {
    let pair = octets.get(*at..*at + 2)?;
    *at += 2;
    Some(u16::from_be_bytes([pair[0], pair[1]]))
}

/// Returns codes and values of the options of an OPT record; `None` if they do not fill it exactly.
pub(crate) fn options(mut data: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let mut options = Vec::new();
    while !data.is_empty() {
        let mut at = 0;
        let (code, len) = (u16(data, &mut at)?, usize::from(u16(data, &mut at)?));
        options.push((code, data.get(4..4 + len)?));
        data = &data[4 + len..];
    }
    Some(options)
}
