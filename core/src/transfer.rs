//! Zone transfers (RFC 5936, RFC 1995): the query, and the messages of the response.
//!
//! With [`Config::transfers`], [`respond`](crate::respond()) returns [`Outcome::Transfer`](crate::Outcome::Transfer)
//! for a transfer query, and the driver decides whether the client may transfer the zone. It then writes each
//! message: [`TransferMessage::begin`], records until one does not fit, [`TransferMessage::finish`].
//!
//! | answer | records, in this order |
//! |---|---|
//! | full zone (AXFR) | SOA, NS, all addresses, SOA |
//! | changes (IXFR) | new SOA; for each version: previous SOA, removed records, its own SOA, added records; new SOA |
//! | no changes, or over UDP | SOA |
//!
//! Every message repeats the question, so that all names can be compressed against it.

use core::net::IpAddr;

pub use crate::request::Transfer;

use crate::config::{Config, Mode};
use crate::label::Label;
use crate::podip::{self, PodIpLabel};
use crate::policy::{is_allowed, is_served};
use crate::records::soa_of;
use crate::request::Reply;
use crate::wire::header::{self, Header, flag};
use crate::wire::message::Message;
use crate::wire::name::MAX_NAME;
use crate::wire::opt::OptRecord;
use crate::wire::reply::{Full, Pointer, RecordWriter, Section};
use crate::wire::{Ede, Rcode};
use crate::zone::Zone;

/// Maximum length of a message of a transfer, in octets: the range of a compression pointer (RFC 1035 4.1.4).
pub const MAX_TRANSFER_MESSAGE: usize = (1 << 14) - 1;

/// An address record of a zone: for the dashed address, or for a pod's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferRecord<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// Name of the pod, for a record of that name; `None` for a record of the canonical dashed address.
    pub name: Option<&'a str>,
    /// The address.
    pub address: IpAddr,
}

/// The error for a record that does not fit into the rest of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageFull;

impl From<Full> for MessageFull {
    fn from(_: Full) -> Self {
        Self
    }
}

/// Number of slots for namespaces to compress against, by hash.
const NAMESPACES: usize = 128;

/// One message of the answer to a transfer, under construction.
#[derive(Debug)]
pub struct TransferMessage<'a> {
    config: &'a Config<'a>,
    zone: &'a Zone,
    query: Message<'a>,
    out: &'a mut [u8],
    /// Number of octets written.
    at: usize,
    /// End of the room for records.
    end: usize,
    answers: u16,
    /// Offsets of the namespaces' names, by [`hash`]; 0 for an empty slot.
    namespaces: [u16; NAMESPACES],
}

impl<'a> TransferMessage<'a> {
    /// Begins a message in `out`, of which at most [`MAX_TRANSFER_MESSAGE`] octets are used. `query` must be the
    /// query for which `transfer` was returned. `None` if it has no question or `transfer` no zone, or if there is no
    /// room for a record.
    #[must_use]
    pub fn begin(
        config: &'a Config<'a>,
        query: &'a TransferQuery<'a>,
        transfer: Transfer,
        out: &'a mut [u8],
    ) -> Option<Self> {
        let zone = config.zones.get(transfer.zone)?;
        let query = query.message();
        let question = query.question?;
        let reserved = if query.edns.is_some() { OptRecord::EMPTY_LEN } else { 0 };
        let end = out.len().min(MAX_TRANSFER_MESSAGE).checked_sub(reserved)?;
        let at = header::LEN.checked_add(question.octets.len())?;
        let room = out.get_mut(header::LEN..at)?;
        room.iter_mut().zip(question.octets).for_each(|(to, from)| *to = *from);
        let namespaces = [0; NAMESPACES];
        (at < end).then_some(Self { config, zone, query, out, at, end, answers: 0, namespaces })
    }

    /// Returns whether the message has no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.answers == 0
    }

    /// Appends the SOA record of a version.
    pub fn soa(&mut self, serial: u32) -> Result<(), MessageFull> {
        let (config, zone) = (self.config, self.zone);
        let Some(question) = self.query.question else { return Err(MessageFull) };
        self.append(|writer| writer.soa(Section::Answer, &soa_of(config, zone, question.name, serial)))
    }

    /// Appends the NS record.
    pub fn ns(&mut self) -> Result<(), MessageFull> {
        let (config, zone) = (self.config, self.zone);
        let Some(question) = self.query.question else { return Err(MessageFull) };
        let ttl = config.ttl.as_secs();
        self.append(|writer| writer.ns(&soa_of(config, zone, question.name, 0).ns, ttl))
    }

    /// Appends an address record, unless [`respond`](crate::respond()) would not return it in mode verified.
    pub fn record(&mut self, record: &TransferRecord<'_>) -> Result<(), MessageFull> {
        if !is_in_zone(self.config, record) {
            return Ok(());
        }
        let formatted;
        let label = if let Some(name) = record.name {
            name.as_bytes()
        } else {
            formatted = PodIpLabel::from(record.address);
            formatted.as_bytes()
        };
        let namespace = record.namespace.as_bytes();
        let apex = self.zone.apex().as_wire().len();
        // A name longer than the limit cannot be queried either.
        let len = label.len().saturating_add(namespace.len()).saturating_add(2).saturating_add(apex);
        if len > MAX_NAME {
            return Ok(());
        }
        let (address, ttl, apex) = (record.address, self.config.ttl.as_secs(), Pointer::to(0));
        if let Some(known) = self.known(namespace) {
            return self.append(|writer| writer.pod(&[label], known, address, ttl));
        }
        // Offset of the namespace's label, behind the first label.
        let place = self.at.saturating_add(label.len()).saturating_add(1);
        self.append(|writer| writer.pod(&[label, namespace], apex, address, ttl))?;
        if let (Some(slot), Ok(place)) = (self.namespaces.get_mut(hash(namespace)), u16::try_from(place)) {
            *slot = place;
        }
        Ok(())
    }

    /// Writes the header and the OPT, and returns the length in octets.
    #[must_use]
    pub fn finish(self) -> usize {
        let Self { query, out, at, answers, .. } = self;
        let opt = query.edns.map(|edns| OptRecord::new(Rcode::NOERROR, edns.dnssec_ok));
        let opt = opt.as_ref().map_or(&[][..], OptRecord::as_bytes);
        let end = at.saturating_add(opt.len());
        // `begin` has reserved room for the OPT.
        if let Some(room) = out.get_mut(at..end) {
            room.iter_mut().zip(opt).for_each(|(to, from)| *to = *from);
        }
        let header = Header {
            id: query.header.id,
            flags: query.header.response_flags(Rcode::NOERROR) | flag::AA,
            qdcount: 1,
            ancount: answers,
            nscount: 0,
            arcount: u16::from(!opt.is_empty()),
        };
        if let Some(room) = out.first_chunk_mut() {
            *room = header.octets();
        }
        end
    }

    fn append(
        &mut self,
        write: impl FnOnce(&mut RecordWriter<'_>) -> Result<(), Full>,
    ) -> Result<(), MessageFull> {
        let room = self.out.get_mut(self.at..self.end).ok_or(MessageFull)?;
        let mut writer = RecordWriter::over(room);
        write(&mut writer)?;
        self.at = self.at.saturating_add(writer.finish().len());
        // A message of 16,383 octets has no room for so many records.
        self.answers = self.answers.wrapping_add(1);
        Ok(())
    }

    /// Returns a pointer to the name of a namespace, if the message contains it.
    fn known(&self, namespace: &[u8]) -> Option<Pointer> {
        let &place = self.namespaces.get(hash(namespace))?;
        let (&len, rest) = self.out.get(usize::from(place)..)?.split_first()?;
        let is_same = place != 0 && rest.get(..usize::from(len))? == namespace;
        is_same.then(|| Pointer::at(place))
    }
}

/// Returns true if mode verified would return the record: guards apply, and a label that spells an address is never a
/// pod's name.
fn is_in_zone(config: &Config<'_>, record: &TransferRecord<'_>) -> bool {
    let is_named = match record.name {
        Some(name) => config.pod_names && podip::parse(name.as_bytes()).is_none(),
        None => true,
    };
    config.mode == Mode::Verified
        && is_named
        && is_allowed(config, record.address)
        && Label::from_wire(record.namespace.as_bytes())
            .is_some_and(|namespace| is_served(config, &namespace))
}

/// Returns a slot number below [`NAMESPACES`].
fn hash(namespace: &[u8]) -> usize {
    // FNV-1a.
    let hash = namespace
        .iter()
        .fold(0x811c_9dc5_u32, |hash, &octet| (hash ^ u32::from(octet)).wrapping_mul(0x0100_0193));
    let [high, low, ..] = hash.to_be_bytes();
    usize::from(high ^ low) % NAMESPACES
}

/// A query for a transfer, to be read again for each message.
#[derive(Debug)]
pub struct TransferQuery<'q> {
    header: Header,
    octets: &'q [u8],
}

impl<'q> TransferQuery<'q> {
    /// Returns `None` if the query is shorter than a header.
    #[must_use]
    pub fn new(octets: &'q [u8]) -> Option<Self> {
        Some(Self { header: Header::read(octets)?, octets })
    }

    fn message(&self) -> Message<'_> {
        Message::read_out_of_line(&self.header, self.octets)
    }
}

/// Writes a response without records to the front of `out`, such as REFUSED to a client that may not transfer the
/// zone. `None` if `query` has no header, or `out` no room.
#[must_use]
pub fn respond_without_records(
    query: &[u8],
    rcode: Rcode,
    ede: Option<Ede>,
    out: &mut [u8],
) -> Option<Reply> {
    crate::respond::bare(query, rcode, ede, out).map(|len| Reply::by_driver(len, rcode, ede))
}
