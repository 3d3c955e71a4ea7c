//! Writing of a response into the driver's buffer.

use core::mem;
use core::net::IpAddr;

use super::header::{self, Header, flag};
use super::name::{MAX_NAME, Name, strip_suffix};
use super::types::{Class, Rcode, Rtype};

/// The two high bits of a compression pointer (RFC 1035 4.1.4).
const POINTER: u16 = 0xc000;

/// Offset of the question's name, for pointers to it: directly behind the header.
const QUESTION_NAME: u16 = 12;
const _: () = assert!(QUESTION_NAME as usize == header::LEN);

/// The section in which a record is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Section {
    Answer,
    Authority,
}

/// The error for octets that do not fit into the buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Full;

/// A compression pointer (RFC 1035 4.1.4).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pointer(u16);

impl Pointer {
    /// Points to the question's name.
    const QUESTION: Self = Self::to(0);

    /// Points to the suffix of the question's name at this offset in the name.
    pub(crate) const fn to(offset: u8) -> Self {
        // Below 2^14, so the two high bits stay unchanged.
        Self(POINTER | QUESTION_NAME.saturating_add(offset as u16))
    }

    /// Points to a name at this offset in the message, below 2^14.
    pub(crate) const fn at(place: u16) -> Self {
        Self(POINTER | place)
    }
}

/// A name to be written: labels, followed by a pointer to an existing name or by a name in full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compressed<'a> {
    labels: &'a [u8],
    target: Target<'a>,
}

/// The last part of a name to be written.
#[derive(Clone, Copy, Debug)]
enum Target<'a> {
    Pointer(Pointer),
    /// A name in full, in wire form.
    Octets(&'a [u8]),
}

impl<'a> Compressed<'a> {
    /// Labels in wire form, followed by a pointer.
    pub(crate) const fn new(labels: &'a [u8], target: Pointer) -> Self {
        Self { labels, target: Target::Pointer(target) }
    }

    /// A whole name in wire form.
    pub(crate) const fn whole(name: &'a [u8]) -> Self {
        Self::new_whole(&[], name)
    }

    /// Labels in wire form, followed by a whole name.
    pub(crate) const fn new_whole(labels: &'a [u8], name: &'a [u8]) -> Self {
        Self { labels, target: Target::Octets(name) }
    }

    /// Compresses `name` if it is below `ancestor`, to which `target` points.
    pub(crate) fn below(name: &'a Name, ancestor: &Name, target: Pointer) -> Self {
        match strip_suffix(name.as_wire(), ancestor.as_wire()) {
            Some(labels) => Self::new(labels, target),
            None => Self::whole(name.as_wire()),
        }
    }

    /// Returns the length in octets.
    fn len(&self) -> usize {
        let target = match self.target {
            Target::Pointer(_) => 2,
            Target::Octets(name) => name.len(),
        };
        self.labels.len().saturating_add(target)
    }
}

/// The variable fields of a SOA record (RFC 1035 3.3.13).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Soa<'a> {
    pub(crate) owner: Pointer,
    pub(crate) ns: Compressed<'a>,
    pub(crate) mailbox: Compressed<'a>,
    pub(crate) serial: u32,
    pub(crate) timers: Timers,
    pub(crate) minimum: u16,
}

/// Intervals of a secondary's checks of the serial and of its retries, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timers {
    refresh: u32,
    retry: u32,
}

impl Timers {
    /// The values of CoreDNS, for zones without secondaries.
    pub(crate) const WITHOUT_SECONDARIES: Self = Self { refresh: 7200, retry: 1800 };
    /// Short, so that a lost NOTIFY delays a secondary by at most a minute.
    pub(crate) const WITH_SECONDARIES: Self = Self { refresh: 60, retry: 30 };
}

/// Time until a secondary discards the zone, in seconds.
const EXPIRE: u32 = 86400;

/// The unused rest of a buffer. After octets that do not fit it is empty, so nothing is written in part.
#[derive(Debug)]
pub(super) struct Room<'o>(pub(super) &'o mut [u8]);

impl Room<'_> {
    pub(super) fn put(&mut self, octets: &[u8]) -> Result<(), Full> {
        let (to, rest) = mem::take(&mut self.0).split_at_mut_checked(octets.len()).ok_or(Full)?;
        for (to, from) in to.iter_mut().zip(octets) {
            *to = *from;
        }
        self.0 = rest;
        Ok(())
    }

    /// [`put`](Self::put) for a length known at compile time, which becomes a few move instructions.
    #[inline]
    pub(super) fn put_array<const N: usize>(&mut self, octets: [u8; N]) -> Result<(), Full> {
        let (to, rest) = mem::take(&mut self.0).split_first_chunk_mut().ok_or(Full)?;
        *to = octets;
        self.0 = rest;
        Ok(())
    }
}

/// A response under construction: the question is written, records and OPT follow.
#[derive(Debug)]
pub(crate) struct ReplyWriter<'o> {
    /// Limited to the maximum length of the response.
    out: &'o mut [u8],
    /// Offset of the records, directly behind the question.
    records: usize,
}

/// A writer that appends the records of a response.
#[derive(Debug)]
pub(crate) struct RecordWriter<'o> {
    room: Room<'o>,
    /// Initial length of the room.
    capacity: usize,
    answers: u16,
    authorities: u16,
}

/// Numbers of records, and their length. None by default.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RecordsWritten {
    len: usize,
    answers: u16,
    authorities: u16,
}

impl RecordsWritten {
    /// Length of the records in octets.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }
}

impl<'o> ReplyWriter<'o> {
    /// Begins a response of at most `max` octets. Returns `Full` if the question does not fit.
    #[inline]
    pub(crate) fn new(out: &'o mut [u8], max: usize, question: &[u8]) -> Result<Self, Full> {
        let max = max.min(out.len());
        let out = out.get_mut(..max).ok_or(Full)?;
        // The header is written last, when the counts are known.
        Room(out.get_mut(header::LEN..).ok_or(Full)?).put(question)?;
        Ok(Self { out, records: header::LEN.saturating_add(question.len()) })
    }

    /// Returns a writer of records that reserves `reserved` octets for the OPT. The records become part of the
    /// response when they are passed to [`finish`](Self::finish).
    #[inline]
    pub(crate) fn records(&mut self, reserved: usize) -> Result<RecordWriter<'_>, Full> {
        let end = self.out.len().checked_sub(reserved).ok_or(Full)?;
        let room = self.out.get_mut(self.records..end).ok_or(Full)?;
        Ok(RecordWriter { capacity: room.len(), room: Room(room), answers: 0, authorities: 0 })
    }

    /// Appends the OPT in wire form (empty for none), writes the header and returns the length. `flags` are AA and
    /// TC, where they apply.
    #[inline]
    pub(crate) fn finish(
        self,
        records: RecordsWritten,
        query: &Header,
        rcode: Rcode,
        flags: u16,
        opt: &[u8],
    ) -> Result<usize, Full> {
        let len = self.records.saturating_add(records.len);
        Room(self.out.get_mut(len..).ok_or(Full)?).put(opt)?;
        let header = Header {
            id: query.id,
            flags: query.response_flags(rcode) | (flags & (flag::AA | flag::TC)),
            qdcount: u16::from(self.records > header::LEN),
            ancount: records.answers,
            nscount: records.authorities,
            arcount: u16::from(!opt.is_empty()),
        };
        *self.out.first_chunk_mut().ok_or(Full)? = header.octets();
        Ok(len.saturating_add(opt.len()))
    }
}

impl<'o> RecordWriter<'o> {
    /// Returns a writer to this buffer.
    pub(crate) fn over(room: &'o mut [u8]) -> Self {
        Self { capacity: room.len(), room: Room(room), answers: 0, authorities: 0 }
    }
}

impl RecordWriter<'_> {
    /// Returns the counts and the length of the records written.
    #[inline]
    pub(crate) fn finish(self) -> RecordsWritten {
        // The room only shrinks, so the subtraction does not wrap.
        let len = self.capacity.wrapping_sub(self.room.0.len());
        RecordsWritten { len, answers: self.answers, authorities: self.authorities }
    }

    #[inline]
    fn name(&mut self, name: &Compressed<'_>) -> Result<(), Full> {
        self.room.put(name.labels)?;
        match name.target {
            Target::Pointer(Pointer(target)) => self.room.put_array(target.to_be_bytes()),
            Target::Octets(name) => self.room.put(name),
        }
    }

    /// Appends a record except for its data of `len` octets, which the caller appends.
    #[inline]
    fn record(
        &mut self,
        section: Section,
        Pointer(owner): Pointer,
        (rtype, class, ttl): (Rtype, Class, u16),
        len: usize,
    ) -> Result<(), Full> {
        let len = u16::try_from(len).map_err(|_| Full)?;
        // RFC 1035 4.1.3: the TTL has four octets; the first two are always zero.
        let numbers = [owner, rtype.0, class.0, 0, ttl, len].map(u16::to_be_bytes);
        let [[owner0, owner1], [type0, type1], [class0, class1], _, [ttl0, ttl1], [len0, len1]] = numbers;
        self.room.put_array([owner0, owner1, type0, type1, class0, class1, 0, 0, ttl0, ttl1, len0, len1])?;
        let count = match section {
            Section::Answer => &mut self.answers,
            Section::Authority => &mut self.authorities,
        };
        // A message of 65,535 octets has no room for so many records.
        *count = count.wrapping_add(1);
        Ok(())
    }

    /// Appends an A or AAAA record of the question's name to the answer.
    #[inline]
    pub(crate) fn address(&mut self, address: IpAddr, ttl: u16) -> Result<(), Full> {
        match address {
            IpAddr::V4(v4) => {
                self.record(Section::Answer, Pointer::QUESTION, (Rtype::A, Class::IN, ttl), 4)?;
                self.room.put_array(v4.octets())
            }
            IpAddr::V6(v6) => {
                self.record(Section::Answer, Pointer::QUESTION, (Rtype::AAAA, Class::IN, ttl), 16)?;
                self.room.put_array(v6.octets())
            }
        }
    }

    /// Appends an A or AAAA record to the answer; its owner has these labels in front of the name that `target`
    /// points to.
    pub(crate) fn pod(
        &mut self,
        labels: &[&[u8]],
        Pointer(target): Pointer,
        address: IpAddr,
        ttl: u16,
    ) -> Result<(), Full> {
        for label in labels {
            self.room.put_array([u8::try_from(label.len()).map_err(|_| Full)?])?;
            self.room.put(label)?;
        }
        match address {
            IpAddr::V4(v4) => {
                self.record(Section::Answer, Pointer(target), (Rtype::A, Class::IN, ttl), 4)?;
                self.room.put_array(v4.octets())
            }
            IpAddr::V6(v6) => {
                self.record(Section::Answer, Pointer(target), (Rtype::AAAA, Class::IN, ttl), 16)?;
                self.room.put_array(v6.octets())
            }
        }
    }

    /// Appends an NS record of the question's name to the answer.
    pub(crate) fn ns(&mut self, ns: &Compressed<'_>, ttl: u16) -> Result<(), Full> {
        self.record(Section::Answer, Pointer::QUESTION, (Rtype::NS, Class::IN, ttl), ns.len())?;
        self.name(ns)
    }

    /// Appends a PTR record of the question's name to the answer; its target has these labels in front of a whole
    /// name in wire form. Returns false if that name is longer than a name can be.
    pub(crate) fn ptr(&mut self, labels: [&[u8]; 2], name: &[u8], ttl: u16) -> Result<bool, Full> {
        let len =
            labels.iter().fold(name.len(), |sum, label| sum.saturating_add(label.len()).saturating_add(1));
        if len > MAX_NAME {
            return Ok(false);
        }
        self.record(Section::Answer, Pointer::QUESTION, (Rtype::PTR, Class::IN, ttl), len)?;
        for label in labels {
            self.room.put_array([u8::try_from(label.len()).map_err(|_| Full)?])?;
            self.room.put(label)?;
        }
        self.room.put(name)?;
        Ok(true)
    }

    /// Appends a TXT record of one string, limited to 255 octets, to the answer.
    pub(crate) fn txt(&mut self, class: Class, text: &[u8], ttl: u16) -> Result<(), Full> {
        let len = u8::try_from(text.len()).unwrap_or(u8::MAX);
        let text = text.get(..usize::from(len)).ok_or(Full)?;
        let data_len = text.len().saturating_add(1);
        self.record(Section::Answer, Pointer::QUESTION, (Rtype::TXT, class, ttl), data_len)?;
        self.room.put_array([len])?;
        self.room.put(text)
    }

    /// Appends the zone's SOA record, with its MINIMUM as TTL (RFC 2308 5).
    pub(crate) fn soa(&mut self, section: Section, soa: &Soa<'_>) -> Result<(), Full> {
        let numbers = [soa.serial, soa.timers.refresh, soa.timers.retry, EXPIRE, u32::from(soa.minimum)];
        let len = soa.ns.len().saturating_add(soa.mailbox.len()).saturating_add(size_of_val(&numbers));
        self.record(section, soa.owner, (Rtype::SOA, Class::IN, soa.minimum), len)?;
        self.name(&soa.ns)?;
        self.name(&soa.mailbox)?;
        numbers.into_iter().try_for_each(|number| self.room.put_array(number.to_be_bytes()))
    }
}
