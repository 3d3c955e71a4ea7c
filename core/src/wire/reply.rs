//! A response, written front to back into the driver's buffer.

use core::net::IpAddr;

use super::edns::{DO, VERSION, option};
use super::header::{self, Header, flag};
use super::message::Question;
use super::name::{Name, strip_suffix};
use super::types::{Class, Ede, Rcode, Rtype};

/// The two high bits of a compression pointer (RFC 1035 4.1.4).
const POINTER: u16 = 0xc000;

/// Where the question's name begins, for pointers to it.
const QUESTION_NAME: usize = header::LEN;

/// The payload size this server advertises, in octets: what crosses any path without fragments
/// (DNS flag day 2020). Also the limit of its own datagrams.
pub(crate) const PAYLOAD_SIZE: u16 = 1232;

/// Octets of an OPT record without options: root owner, type, class, TTL, data length.
const OPT_LEN: usize = 11;

/// Octets of an option in front of its data: code and length.
const OPTION_HEADER: usize = 4;

/// What the OPT record of the response says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Opt<'a> {
    pub(crate) dnssec_ok: bool,
    pub(crate) nsid: Option<&'a [u8]>,
    pub(crate) cookie: Option<[u8; 24]>,
    /// In units of 100 ms (RFC 7828 3.1).
    pub(crate) tcp_keepalive: Option<u16>,
    pub(crate) ede: Option<Ede>,
}

impl Opt<'_> {
    fn options_len(&self) -> usize {
        [
            self.nsid.map(<[u8]>::len),
            self.cookie.map(|cookie| cookie.len()),
            self.tcp_keepalive.map(|_| 2),
            self.ede.map(|_| 2),
        ]
        .into_iter()
        .flatten()
        .fold(0, |sum: usize, len| sum.saturating_add(OPTION_HEADER).saturating_add(len))
    }

    fn len(&self) -> usize {
        OPT_LEN.saturating_add(self.options_len())
    }
}

/// A section that records are counted in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Section {
    Answer,
    Authority,
}

/// Did not fit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Full;

/// A name to be written: some labels, then either a pointer to a name that is already there, or nothing more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compressed<'a> {
    pub(crate) labels: &'a [u8],
    pub(crate) target: Option<usize>,
}

impl Compressed<'_> {
    /// Octets that it takes.
    fn len(&self) -> usize {
        self.labels.len().saturating_add(if self.target.is_some() { 2 } else { 0 })
    }

    /// The name of the question.
    pub(crate) const QUESTION: Self = Self { labels: &[], target: Some(QUESTION_NAME) };

    /// The part of the question's name that begins `offset` octets into it.
    pub(crate) const fn suffix(offset: usize) -> Self {
        Self { labels: &[], target: Some(QUESTION_NAME.saturating_add(offset)) }
    }
}

impl<'a> Compressed<'a> {
    /// `name`, as a few labels in front of `ancestor` if it is below that, whose place in the question is
    /// `offset` octets in.
    pub(crate) fn below(name: &'a Name, ancestor: &Name, offset: usize) -> Self {
        match strip_suffix(name.as_wire(), ancestor.as_wire()) {
            Some(labels) => Self { labels, ..Compressed::suffix(offset) },
            None => Self { labels: name.as_wire(), target: None },
        }
    }
}

/// The fields of a SOA record (RFC 1035 3.3.13) that differ from zone to zone and from answer to answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Soa<'a> {
    pub(crate) owner: Compressed<'a>,
    pub(crate) ns: Compressed<'a>,
    pub(crate) mailbox: Compressed<'a>,
    pub(crate) serial: u32,
    pub(crate) minimum: u16,
}

/// Seconds between a secondary's look at the serial, between its retries, and until it gives up. CoreDNS'
/// values; this server has no secondaries.
const REFRESH: u32 = 7200;
const RETRY: u32 = 1800;
const EXPIRE: u32 = 86400;

/// A response under construction: header and question are there, records are appended.
#[derive(Debug)]
pub(crate) struct ReplyWriter<'o> {
    out: &'o mut [u8],
    len: usize,
    /// Where records may not reach: room for the OPT is kept.
    limit: usize,
    /// Where the question ends and records begin.
    records: usize,
    answers: u16,
    authorities: u16,
}

impl<'o> ReplyWriter<'o> {
    /// Begins a response of at most `max` octets, OPT included. `Full` if not even the question fits.
    pub(crate) fn new(
        out: &'o mut [u8],
        max: usize,
        question: Option<&Question<'_>>,
        opt: Option<&Opt<'_>>,
    ) -> Result<Self, Full> {
        let limit = max.min(out.len()).checked_sub(opt.map_or(0, Opt::len)).ok_or(Full)?;
        // The header comes last, when the counts are known.
        let mut writer = Self { out, len: header::LEN, limit, records: 0, answers: 0, authorities: 0 };
        writer.put(question.map_or(&[][..], |question| question.octets))?;
        writer.records = writer.len;
        Ok(writer)
    }

    /// What may still be written to.
    fn room(&mut self) -> Result<&mut [u8], Full> {
        self.out.get_mut(self.len..self.limit).ok_or(Full)
    }

    fn put(&mut self, octets: &[u8]) -> Result<(), Full> {
        let to = self.room()?.get_mut(..octets.len()).ok_or(Full)?;
        for (to, from) in to.iter_mut().zip(octets) {
            *to = *from;
        }
        self.len = self.len.saturating_add(octets.len());
        Ok(())
    }

    /// The same for a length that the compiler knows, which makes one of a few moves of it.
    #[inline]
    fn put_array<const N: usize>(&mut self, octets: [u8; N]) -> Result<(), Full> {
        *self.room()?.first_chunk_mut().ok_or(Full)? = octets;
        self.len = self.len.saturating_add(N);
        Ok(())
    }

    #[inline]
    fn name(&mut self, name: &Compressed<'_>) -> Result<(), Full> {
        if !name.labels.is_empty() {
            self.put(name.labels)?;
        }
        match name.target.and_then(|target| u16::try_from(target).ok()) {
            Some(target) => self.put_array((POINTER | target).to_be_bytes()),
            None => Ok(()),
        }
    }

    /// Appends a record but for its data, which the caller appends: `len` octets.
    #[inline]
    fn record(
        &mut self,
        section: Section,
        owner: &Compressed<'_>,
        (rtype, class, ttl): (Rtype, Class, u16),
        len: usize,
    ) -> Result<(), Full> {
        self.name(owner)?;
        let ([type0, type1], [class0, class1]) = (rtype.0.to_be_bytes(), class.0.to_be_bytes());
        let [ttl0, ttl1] = ttl.to_be_bytes();
        let [len0, len1] = u16::try_from(len).map_err(|_| Full)?.to_be_bytes();
        self.put_array([type0, type1, class0, class1, 0, 0, ttl0, ttl1, len0, len1])?;
        let count = match section {
            Section::Answer => &mut self.answers,
            Section::Authority => &mut self.authorities,
        };
        *count = count.checked_add(1).ok_or(Full)?;
        Ok(())
    }

    /// Appends an A or AAAA record of the question's name to the answer.
    #[inline]
    pub(crate) fn address(&mut self, address: IpAddr, ttl: u16) -> Result<(), Full> {
        match address {
            IpAddr::V4(v4) => {
                self.record(Section::Answer, &Compressed::QUESTION, (Rtype::A, Class::IN, ttl), 4)?;
                self.put_array(v4.octets())
            }
            IpAddr::V6(v6) => {
                self.record(Section::Answer, &Compressed::QUESTION, (Rtype::AAAA, Class::IN, ttl), 16)?;
                self.put_array(v6.octets())
            }
        }
    }

    /// Appends an NS record of the question's name to the answer.
    pub(crate) fn ns(&mut self, ns: &Compressed<'_>, ttl: u16) -> Result<(), Full> {
        self.record(Section::Answer, &Compressed::QUESTION, (Rtype::NS, Class::IN, ttl), ns.len())?;
        self.name(ns)
    }

    /// Appends a TXT record of one string, at most 255 octets of it, to the answer.
    pub(crate) fn txt(&mut self, class: Class, text: &[u8], ttl: u16) -> Result<(), Full> {
        let len = u8::try_from(text.len()).unwrap_or(u8::MAX);
        let text = text.get(..usize::from(len)).ok_or(Full)?;
        let data_len = text.len().saturating_add(1);
        self.record(Section::Answer, &Compressed::QUESTION, (Rtype::TXT, class, ttl), data_len)?;
        self.put_array([len])?;
        self.put(text)
    }

    /// Appends the zone's SOA record, its TTL the same as its MINIMUM (RFC 2308 5).
    pub(crate) fn soa(&mut self, section: Section, soa: &Soa<'_>) -> Result<(), Full> {
        let numbers = [soa.serial, REFRESH, RETRY, EXPIRE, u32::from(soa.minimum)].map(u32::to_be_bytes);
        let numbers = numbers.as_flattened();
        let len = soa.ns.len().saturating_add(soa.mailbox.len()).saturating_add(numbers.len());
        self.record(section, &soa.owner, (Rtype::SOA, Class::IN, soa.minimum), len)?;
        self.name(&soa.ns)?;
        self.name(&soa.mailbox)?;
        self.put(numbers)
    }

    /// Takes all records away again: for TC, so that no RRset is there in part (RFC 2181 9).
    pub(crate) fn clear_records(&mut self) {
        self.len = self.records;
        self.answers = 0;
        self.authorities = 0;
    }

    /// Appends the OPT, writes the header and tells the length. `flags` are AA and TC, where they apply.
    #[inline]
    pub(crate) fn finish(
        mut self,
        query: &Header,
        rcode: Rcode,
        flags: u16,
        opt: Option<&Opt<'_>>,
    ) -> Result<usize, Full> {
        if let Some(opt) = opt {
            self.limit = self.limit.saturating_add(opt.len());
            self.opt(rcode, opt)?;
        }
        let header = Header {
            id: query.id,
            flags: query.response_flags(rcode) | (flags & (flag::AA | flag::TC)),
            qdcount: u16::from(self.records > header::LEN),
            ancount: self.answers,
            nscount: self.authorities,
            arcount: u16::from(opt.is_some()),
        };
        *self.out.first_chunk_mut().ok_or(Full)? = header.octets();
        Ok(self.len)
    }

    fn opt(&mut self, rcode: Rcode, opt: &Opt<'_>) -> Result<(), Full> {
        let ([type0, type1], [size0, size1]) = (Rtype::OPT.0.to_be_bytes(), PAYLOAD_SIZE.to_be_bytes());
        let [flags0, flags1] = if opt.dnssec_ok { DO } else { 0 }.to_be_bytes();
        // RFC 6891 6.1.3: the OPT holds the "upper 8 bits of extended 12-bit RCODE".
        let [_, extended] = (rcode.0 >> 4).to_be_bytes();
        let [len0, len1] = u16::try_from(opt.options_len()).map_err(|_| Full)?.to_be_bytes();
        self.put_array([0, type0, type1, size0, size1, extended, VERSION, flags0, flags1, len0, len1])?;
        if let Some(nsid) = opt.nsid {
            self.option(option::NSID, nsid)?;
        }
        if let Some(cookie) = &opt.cookie {
            self.option(option::COOKIE, cookie)?;
        }
        if let Some(timeout) = opt.tcp_keepalive {
            self.option(option::TCP_KEEPALIVE, &timeout.to_be_bytes())?;
        }
        if let Some(ede) = opt.ede {
            self.option(option::EDE, &ede.0.to_be_bytes())?;
        }
        Ok(())
    }

    fn option(&mut self, code: u16, data: &[u8]) -> Result<(), Full> {
        let ([code0, code1], len) = (code.to_be_bytes(), u16::try_from(data.len()).map_err(|_| Full)?);
        let [len0, len1] = len.to_be_bytes();
        self.put_array([code0, code1, len0, len1])?;
        self.put(data)
    }
}
