//! Reading of a query.

use super::edns::{Edns, VERSION};
use super::header::{self, Header};
use super::name::{MAX_NAME, QuestionName};
use super::types::{Class, Opcode, Rtype};

/// The bits that distinguish compression pointers and the two reserved label types from a length octet (RFC 1035
/// 4.1.4).
const LABEL_TYPE: u8 = 0xc0;

/// The question of a query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question<'q> {
    pub(crate) name: QuestionName<'q>,
    pub(crate) rtype: Rtype,
    pub(crate) class: Class,
    /// The question's octets, which are echoed unchanged.
    pub(crate) octets: &'q [u8],
}

impl<'q> Question<'q> {
    /// Returns the question of a query; `None` if it does not have exactly one whole question.
    pub(crate) fn of(query: &'q [u8]) -> Option<Self> {
        let header = Header::read(query)?;
        let has_question = header.qdcount == 1 && header.opcode() == Opcode::QUERY;
        has_question.then_some(MessageReader { octets: query, at: header::LEN })?.question()
    }
}

/// A query as far as it could be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'q> {
    pub(crate) header: &'q Header,
    pub(crate) question: Option<Question<'q>>,
    pub(crate) edns: Option<Edns<'q>>,
    pub(crate) form: Form,
}

/// Result of reading a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A section is incomplete or malformed.
    Malformed,
    /// All sections are complete and well-formed, and the last record is a transaction signature.
    Signed,
    /// All sections are complete and well-formed.
    WellFormed,
}

impl<'q> Message<'q> {
    /// A query of which only the header has been read.
    #[inline]
    pub(crate) const fn new(header: &'q Header) -> Self {
        Self { header, question: None, edns: None, form: Form::Malformed }
    }

    /// Reads all sections.
    #[expect(
        clippy::inline_always,
        reason = "on the path of every query, and no longer inlined since it has further callers"
    )]
    #[inline(always)]
    pub(crate) fn read(&mut self, octets: &'q [u8]) {
        if self.read_sections(MessageReader { octets, at: header::LEN }).is_some() {
            self.form = Form::WellFormed;
        }
    }

    /// [`read`](Self::read), not inlined, for callers outside the path of every query.
    #[cold]
    #[inline(never)]
    pub(crate) fn read_out_of_line(header: &'q Header, octets: &'q [u8]) -> Self {
        let mut message = Self::new(header);
        message.read(octets);
        message
    }

    /// Reads only the question of an incomplete query.
    pub(crate) fn read_question(&mut self, octets: &'q [u8]) {
        let has_question = self.header.qdcount == 1 && self.header.opcode() == Opcode::QUERY;
        let mut reader = MessageReader { octets, at: header::LEN };
        self.question = if has_question { reader.question() } else { None };
        if self.header.qdcount <= 1 && self.question.is_some() == has_question {
            self.form = Form::WellFormed;
        }
    }

    /// Sets question and OPT as soon as they are read, so that they can be echoed even if a later fault makes this
    /// return `None`.
    #[expect(
        clippy::inline_always,
        reason = "on the path of every query, and no longer inlined since it has further callers"
    )]
    #[inline(always)]
    fn read_sections(&mut self, mut reader: MessageReader<'q>) -> Option<()> {
        let header = self.header;
        // RFC 9619 4: "A DNS message with OPCODE = 0 MUST NOT include a QDCOUNT parameter whose value is greater than
        // 1." Several questions, or those of another opcode, are skipped only to reach the OPT.
        if header.qdcount == 1 && header.opcode() == Opcode::QUERY {
            self.question = Some(reader.question()?);
        } else {
            for _ in 0..header.qdcount {
                reader.skip_question()?;
            }
        }
        for _ in 0..header.ancount {
            reader.record()?.plain()?;
        }
        for _ in 0..header.nscount {
            reader.record()?.plain()?;
        }
        for left in (0..header.arcount).rev() {
            let record = reader.record()?;
            match record.rtype {
                Rtype::OPT if record.owner_is_root && self.edns.is_none() => {
                    self.edns = Some(Edns::read(record.class, record.ttl, record.data));
                }
                // RFC 8945 5.1: the signature is the last record of the additional section.
                Rtype::TSIG if left == 0 && Class(record.class) == Class::ANY => {
                    let is_query = self.question.is_some() && header.qdcount == 1;
                    self.form = if is_query { Form::Signed } else { Form::Malformed };
                    return None;
                }
                // RFC 6891 6.1.1: "If a query message with more than one OPT RR is received, a FORMERR
                // (RCODE=1) MUST be returned."
                _ => record.plain()?,
            }
        }
        (header.qdcount <= 1).then_some(())
    }
}

/// Returns the serial of the client's version of the zone, of an IXFR query (RFC 1995 3: "the authority section
/// containing the SOA record of client's version of the zone").
pub(crate) fn known_serial(header: &Header, octets: &[u8]) -> Option<u32> {
    let mut reader = MessageReader { octets, at: header::LEN };
    reader.question()?;
    for _ in 0..header.ancount {
        reader.record()?;
    }
    if header.nscount == 0 {
        return None;
    }
    let record = reader.record()?;
    if record.rtype != Rtype::SOA {
        return None;
    }
    let mut data = MessageReader { octets: record.data, at: 0 };
    data.skip_name()?;
    data.skip_name()?;
    let serial = data.array().map(u32::from_be_bytes)?;
    // Only refresh, retry, expire and minimum follow.
    (data.octets.len().checked_sub(data.at) == Some(16)).then_some(serial)
}

/// Returns the data of the OPT record of a query with a supported opcode and EDNS version; `None` if there is none.
pub(crate) fn opt_data(octets: &[u8]) -> Option<&[u8]> {
    let header = Header::read(octets).filter(|header| header.opcode() == Opcode::QUERY)?;
    let mut reader = MessageReader { octets, at: header::LEN };
    for _ in 0..header.qdcount {
        reader.skip_question()?;
    }
    for count in [header.ancount, header.nscount, header.arcount] {
        for _ in 0..count {
            let record = reader.record()?;
            let [_, version, ..] = record.ttl;
            if record.rtype == Rtype::OPT {
                return Some(record.data).filter(|_| version == VERSION);
            }
        }
    }
    None
}

/// A record of a query. Only the OPT and the signature are used; the others are only checked for well-formedness.
struct Record<'q> {
    owner_is_root: bool,
    rtype: Rtype,
    class: u16,
    ttl: [u8; 4],
    data: &'q [u8],
}

impl Record<'_> {
    /// Returns `None` for a record that is not allowed in its place; all others are ignored.
    fn plain(&self) -> Option<()> {
        // An OPT is allowed once, at the root, in the additional section (RFC 6891 6.1.1). A transaction signature
        // that cannot be interpreted makes the message a FORMERR (RFC 8945 5.2): an unsigned answer would lack the
        // proof that the client requested.
        (!matches!(self.rtype, Rtype::OPT | Rtype::TSIG)).then_some(())
    }
}

/// A position in a message.
struct MessageReader<'q> {
    octets: &'q [u8],
    at: usize,
}

impl<'q> MessageReader<'q> {
    fn take(&mut self, len: usize) -> Option<&'q [u8]> {
        let end = self.at.checked_add(len)?;
        let taken = self.octets.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.first_chunk().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    #[inline]
    fn question(&mut self) -> Option<Question<'q>> {
        let name = QuestionName::read(self.octets.get(self.at..)?)?;
        let octets = self.take(name.as_wire().len().checked_add(4)?)?;
        let &[type0, type1, class0, class1] = octets.last_chunk()?;
        let (rtype, class) =
            (Rtype(u16::from_be_bytes([type0, type1])), Class(u16::from_be_bytes([class0, class1])));
        Some(Question { name, rtype, class, octets })
    }

    fn skip_question(&mut self) -> Option<()> {
        self.skip_name()?;
        self.take(4).map(|_| ())
    }

    fn record(&mut self) -> Option<Record<'q>> {
        let owner_is_root = self.skip_name()?;
        let rtype = Rtype(self.u16()?);
        let class = self.u16()?;
        let ttl = self.array()?;
        let len = self.u16()?;
        Some(Record { owner_is_root, rtype, class, ttl, data: self.take(usize::from(len))? })
    }

    /// Skips a name; returns whether it is the root. A compression pointer ends the name and is not followed, so
    /// there are no loops.
    fn skip_name(&mut self) -> Option<bool> {
        let start = self.at;
        loop {
            let [len] = self.array()?;
            match len & LABEL_TYPE {
                0 => self.take(usize::from(len))?,
                LABEL_TYPE => return self.take(1).map(|_| false),
                _ => return None,
            };
            let name_len = self.at.checked_sub(start)?;
            if name_len > MAX_NAME {
                return None;
            }
            if len == 0 {
                return Some(name_len == 1);
            }
        }
    }
}
