//! A strict decoder of responses: counts must match, no octets may be left over, compression pointers must point
//! backwards, and record data must be valid for its type.

use core::fmt;
use core::net::IpAddr;

use poddns_core::wire::Ede;

pub(crate) const AA: u16 = 0x0400;
pub(crate) const TC: u16 = 0x0200;
pub(crate) const RD: u16 = 0x0100;

/// A name in wire form, uncompressed, with its case unchanged.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WireName(pub(crate) Vec<u8>);

impl WireName {
    /// Parses dotted text without escapes.
    pub(crate) fn new(text: &str) -> Self {
        let mut wire = Vec::new();
        for label in text.split('.').filter(|label| !label.is_empty()) {
            wire.push(u8::try_from(label.len()).expect("a label of at most 255 octets"));
            wire.extend_from_slice(label.as_bytes());
        }
        wire.push(0);
        Self(wire)
    }

    /// Returns the labels from left to right, without length octets and root.
    pub(crate) fn labels(&self) -> Vec<&[u8]> {
        let mut labels = Vec::new();
        let mut rest = &self.0[..];
        while let Some((&len, tail)) = rest.split_first().filter(|(len, _)| **len > 0) {
            let (label, tail) = tail.split_at(usize::from(len));
            labels.push(label);
            rest = tail;
        }
        labels
    }
}

impl fmt::Display for WireName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for label in self.labels() {
            write!(f, "{}.", label.escape_ascii())?;
        }
        Ok(())
    }
}

impl fmt::Debug for WireName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    pub(crate) name: WireName,
    pub(crate) rtype: u16,
    pub(crate) class: u16,
}

impl Question {
    pub(crate) fn octets(&self) -> Vec<u8> {
        [&self.name.0[..], &self.rtype.to_be_bytes(), &self.class.to_be_bytes()].concat()
    }
}

/// A record; names in its data are uncompressed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Record {
    pub(crate) owner: WireName,
    pub(crate) rtype: u16,
    pub(crate) class: u16,
    pub(crate) ttl: u32,
    pub(crate) data: Vec<u8>,
}

impl Record {
    /// The address of an A or AAAA record.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self.rtype {
            1 => <[u8; 4]>::try_from(&self.data[..]).ok().map(IpAddr::from),
            28 => <[u8; 16]>::try_from(&self.data[..]).ok().map(IpAddr::from),
            _ => None,
        }
    }

    /// Returns the five numbers at the end of a SOA record: serial, refresh, retry, expire, minimum.
    pub(crate) fn soa_numbers(&self) -> [u32; 5] {
        assert_eq!(self.rtype, 6, "{self:?}");
        let (_, numbers) = self.data.split_at(self.data.len() - 20);
        core::array::from_fn(|at| {
            u32::from_be_bytes(numbers[4 * at..4 * at + 4].try_into().expect("four octets"))
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opt {
    pub(crate) payload_size: u16,
    pub(crate) version: u8,
    pub(crate) flags: u16,
    pub(crate) options: Vec<(u16, Vec<u8>)>,
}

impl Opt {
    pub(crate) fn option(&self, code: u16) -> Option<&[u8]> {
        self.options.iter().find(|(have, _)| *have == code).map(|(_, data)| &data[..])
    }
}

/// A response, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) len: usize,
    pub(crate) id: u16,
    /// The flags field without the four bits of the rcode.
    pub(crate) flags: u16,
    /// Including the OPT's part.
    pub(crate) rcode: u16,
    pub(crate) question: Option<Question>,
    pub(crate) answer: Vec<Record>,
    pub(crate) authority: Vec<Record>,
    /// Excluding the OPT.
    pub(crate) additional: Vec<Record>,
    pub(crate) opt: Option<Opt>,
}

impl Response {
    /// Decodes a whole message, or returns the fault.
    pub(crate) fn decode(octets: &[u8]) -> Result<Self, String> {
        let mut reader = Reader { octets, at: 0 };
        let [id, flags, questions, answers, authorities, additionals] = [(); 6].map(|()| reader.u16());
        let question = match questions? {
            0 => None,
            1 => Some(reader.question()?),
            _ => return Err("more than one question".into()),
        };
        let mut section = |count: u16| (0..count).map(|_| reader.record()).collect::<Result<Vec<_>, _>>();
        let (answer, authority, additional) =
            (section(answers?)?, section(authorities?)?, section(additionals?)?);
        if reader.at != octets.len() {
            return Err(format!("{} octets left over", octets.len() - reader.at));
        }
        if answer.iter().chain(&authority).any(|record| record.rtype == 41) {
            return Err("an OPT outside of the additional section".into());
        }
        let (mut opts, additional): (Vec<_>, Vec<_>) =
            additional.into_iter().partition(|record| record.rtype == 41);
        let (flags, mut rcode) = (flags.clone()? & 0xfff0, flags? & 0xf);
        let opt = opts.pop();
        if !opts.is_empty() {
            return Err("two OPTs".into());
        }
        if let Some(record) = &opt {
            rcode |= u16::from(record.ttl.to_be_bytes()[0]) << 4;
        }
        let opt = opt.map(|record| read_opt(&record)).transpose()?;
        Ok(Self { len: octets.len(), id: id?, flags, rcode, question, answer, authority, additional, opt })
    }

    /// Returns true if this flag is set.
    pub(crate) fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// Returns the INFO-CODE of the extended error option, if there is one.
    pub(crate) fn ede(&self) -> Option<Ede> {
        let (code, _text) = self.opt.as_ref()?.option(15)?.split_first_chunk().expect("a code");
        Some(Ede(u16::from_be_bytes(*code)))
    }

    /// Returns all addresses of the answer section, which must not contain anything else.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        self.answer
            .iter()
            .map(|record| record.address().unwrap_or_else(|| panic!("{record:?} in {self:?}")))
            .collect()
    }
}

fn read_opt(record: &Record) -> Result<Opt, String> {
    if record.owner.0 != [0] {
        return Err("an OPT whose owner is not the root".into());
    }
    let [_, version, flags0, flags1] = record.ttl.to_be_bytes();
    let mut reader = Reader { octets: &record.data, at: 0 };
    let mut options = Vec::new();
    while reader.at < record.data.len() {
        let (code, len) = (reader.u16()?, reader.u16()?);
        options.push((code, reader.take(usize::from(len))?.to_vec()));
    }
    Ok(Opt { payload_size: record.class, version, flags: u16::from_be_bytes([flags0, flags1]), options })
}

struct Reader<'o> {
    octets: &'o [u8],
    at: usize,
}

impl<'o> Reader<'o> {
    fn take(&mut self, len: usize) -> Result<&'o [u8], String> {
        let end = self.at + len;
        let taken = self.octets.get(self.at..end).ok_or_else(|| format!("cut off at {}", self.at))?;
        self.at = end;
        Ok(taken)
    }

    fn u8(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    fn u16(&mut self) -> Result<u16, String> {
        Ok(u16::from_be_bytes([self.u8()?, self.u8()?]))
    }

    fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from(self.u16()?) << 16 | u32::from(self.u16()?))
    }

    fn name(&mut self) -> Result<WireName, String> {
        let mut wire = Vec::new();
        let mut at = self.at;
        let mut end = None;
        // Each pointer must point in front of the first octet of the name that contains it.
        let mut before = at;
        loop {
            let len = *self.octets.get(at).ok_or("a name is cut off")?;
            match len {
                0..=63 => {
                    let label = self.octets.get(at..=at + usize::from(len)).ok_or("a label is cut off")?;
                    wire.extend_from_slice(label);
                    at += label.len();
                    if len == 0 {
                        break;
                    }
                }
                0xc0..=0xff => {
                    let low = *self.octets.get(at + 1).ok_or("a pointer is cut off")?;
                    let target = usize::from(len & 0x3f) << 8 | usize::from(low);
                    if target >= before || target < 12 {
                        return Err(format!("the pointer at {at} leads to {target}"));
                    }
                    end.get_or_insert(at + 2);
                    (at, before) = (target, target);
                }
                _ => return Err(format!("label type {len:#x} at {at}")),
            }
        }
        self.at = end.unwrap_or(at);
        if wire.len() > 255 { Err("a name of more than 255 octets".into()) } else { Ok(WireName(wire)) }
    }

    fn question(&mut self) -> Result<Question, String> {
        Ok(Question { name: self.name()?, rtype: self.u16()?, class: self.u16()? })
    }

    fn record(&mut self) -> Result<Record, String> {
        let owner = self.name()?;
        let (rtype, class, ttl) = (self.u16()?, self.u16()?, self.u32()?);
        let len = usize::from(self.u16()?);
        let end = self.at + len;
        let data = self.data(rtype, len)?;
        if self.at != end {
            return Err(format!("the data of a record of type {rtype} ends at {}, not at {end}", self.at));
        }
        Ok(Record { owner, rtype, class, ttl, data })
    }

    fn data(&mut self, rtype: u16, len: usize) -> Result<Vec<u8>, String> {
        Ok(match rtype {
            1 => self.take(4)?.to_vec(),
            28 => self.take(16)?.to_vec(),
            2 | 12 => self.name()?.0,
            6 => [self.name()?.0, self.name()?.0, self.take(20)?.to_vec()].concat(),
            16 => {
                let data = self.take(len)?;
                let mut rest = data;
                while let Some((&len, tail)) = rest.split_first() {
                    rest = tail.get(usize::from(len)..).ok_or("a text is cut off")?;
                }
                data.to_vec()
            }
            33 => [self.take(6)?.to_vec(), self.name()?.0].concat(),
            41 => self.take(len)?.to_vec(),
            _ => return Err(format!("a record of type {rtype}, which no test expects")),
        })
    }
}
