//! The binary format of a snapshot, which is written and read as a stream.
//!
//! Numbers are little-endian. A label is a `u8`, its length from 1 to 63, followed by its octets.
//!
//! | octets | contents |
//! |---|---|
//! | 8 | `89` `poddns` `0a`: the magic number |
//! | 2 | version of the format: 1, or 2 with a serial |
//! | 8 | time at which the index was last in sync with the cluster, in milliseconds of Unix time |
//! | 4 | format 2 only: serial of the zone's version that was published last |
//! | 4, then as many | origin: the cluster and settings, as text |
//! | 1 | `01`: a namespace; then its label |
//! | 1 | `02`: a pod; then uid (16), label of the namespace, label of the name or `00`, number of addresses (1), and for each `04` or `06` and its octets |
//! | 1 | `00`: the end; then the number of namespaces (4) and of pods (4) |
//! | 4 | CRC-32 of everything before, as in gzip and Ethernet |
//!
//! Namespaces and pods are in any order and number. Nothing may follow the checksum.

use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use crc32fast::Hasher;
use poddns_core::Label;
use thiserror::Error;

use crate::{MAX_ADDRESSES, PodRecord, Uid};

/// The first octets of every snapshot, in all versions of the format.
pub(super) const MAGIC: [u8; 8] = *b"\x89poddns\n";
/// Version of the format without a serial.
const PLAIN: u16 = 1;
/// Version of the format with a serial, the newest one.
const VERSION: u16 = 2;

const END: u8 = 0;
const NAMESPACE: u8 = 1;
const POD: u8 = 2;

/// The CRC-32 of any octets followed by their own CRC-32.
const RESIDUE: u32 = 0x2144_df1c;

/// Maximum length of the origin in octets: enough for all namespaces of a large cluster.
const MAX_ORIGIN: usize = 1 << 20;

/// Number of octets per read or write.
const BUFFER: usize = 1 << 16;

/// The header of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotHeader {
    /// Time at which the index was last in sync with the cluster, to the millisecond.
    pub synced_at: SystemTime,
    /// The cluster and settings that the snapshot is from, for comparison and messages. At most 1 MiB.
    pub origin: String,
    /// Serial of the zone's version that was published last; `None` if there were no versions.
    pub serial: Option<u32>,
}

/// One item of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotItem<'a> {
    /// An existing namespace.
    Namespace(Label),
    /// A pod with addresses.
    Pod(PodRecord<'a>),
}

/// Numbers of items in a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotCounts {
    /// Namespaces.
    pub namespaces: u32,
    /// Pods. A pod that changed while the snapshot was written may be counted twice.
    pub pods: u32,
}

/// Reason why bytes are not a usable snapshot.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SnapshotFormatError {
    /// They do not begin like a snapshot.
    #[error("it is not a snapshot of poddns")]
    Foreign,
    /// They were written by a newer version.
    #[error("it is of format {0}, written by a newer poddns; this one reads format {VERSION}")]
    Newer(u16),
    /// They end early.
    #[error("it ends after {0} octets, in the middle: it was cut off")]
    Truncated(u64),
    /// They have invalid contents.
    #[error("it is damaged at octet {at}: {what}")]
    Damaged {
        /// Number of octets read.
        at: u64,
        /// The fault.
        what: &'static str,
    },
    /// The checksum does not match the contents.
    #[error("it is damaged: its checksum is not that of its contents")]
    Checksum,
    /// They cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Encoder of a snapshot.
///
/// Items are collected in memory until [`flush`](Self::flush), so that no lock need be held while the disk is written.
#[derive(Debug)]
pub struct SnapshotEncoder<W> {
    out: W,
    sum: Hasher,
    gathered: Vec<u8>,
    counts: SnapshotCounts,
}

impl<W: Write> SnapshotEncoder<W> {
    /// Begins a snapshot. An origin that is too long is truncated, so that it equals no other origin.
    #[must_use]
    pub fn new(out: W, header: &SnapshotHeader) -> Self {
        let mut encoder = Self {
            out,
            sum: Hasher::new(),
            gathered: Vec::with_capacity(BUFFER),
            counts: SnapshotCounts::default(),
        };
        let since = header.synced_at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let origin = header.origin.get(..header.origin.floor_char_boundary(MAX_ORIGIN)).unwrap_or_default();
        encoder.put(&MAGIC);
        encoder.put(&if header.serial.is_some() { VERSION } else { PLAIN }.to_le_bytes());
        encoder.put(&millis.to_le_bytes());
        if let Some(serial) = header.serial {
            encoder.put(&serial.to_le_bytes());
        }
        encoder.put(&u32::try_from(origin.len()).unwrap_or_default().to_le_bytes());
        encoder.put(origin.as_bytes());
        encoder
    }

    /// Adds a namespace.
    pub fn namespace(&mut self, namespace: &Label) {
        self.put(&[NAMESPACE]);
        self.label(namespace.as_str());
        self.counts.namespaces = self.counts.namespaces.saturating_add(1);
    }

    /// Adds a pod, with its name if that is a label. A pod without addresses is omitted, and so are addresses beyond
    /// [`MAX_ADDRESSES`], because no index keeps them.
    pub fn pod(&mut self, pod: &PodRecord<'_>) {
        let count = pod.addresses.len().min(MAX_ADDRESSES);
        if count == 0 {
            return;
        }
        self.put(&[POD]);
        self.put(pod.uid.as_bytes());
        self.label(pod.namespace.as_str());
        self.label(if pod.name.parse::<Label>().is_ok() { pod.name } else { "" });
        self.put(&[u8::try_from(count).unwrap_or(u8::MAX)]);
        for address in pod.addresses.iter().take(count) {
            match address {
                IpAddr::V4(address) => {
                    self.put(&[4]);
                    self.put(&address.octets());
                }
                IpAddr::V6(address) => {
                    self.put(&[6]);
                    self.put(&address.octets());
                }
            }
        }
        self.counts.pods = self.counts.pods.saturating_add(1);
    }

    /// Returns the number of octets that are not yet written.
    #[must_use]
    pub fn gathered(&self) -> usize {
        self.gathered.len()
    }

    /// Writes the collected octets.
    pub fn flush(&mut self) -> io::Result<()> {
        self.sum.update(&self.gathered);
        self.out.write_all(&self.gathered)?;
        self.gathered.clear();
        Ok(())
    }

    /// Ends the snapshot and writes the remaining octets. Returns the numbers of its items.
    pub fn finish(mut self) -> io::Result<SnapshotCounts> {
        let SnapshotCounts { namespaces, pods } = self.counts;
        self.put(&[END]);
        self.put(&namespaces.to_le_bytes());
        self.put(&pods.to_le_bytes());
        self.flush()?;
        self.out.write_all(&self.sum.finalize().to_le_bytes())?;
        Ok(self.counts)
    }

    fn put(&mut self, octets: &[u8]) {
        self.gathered.extend_from_slice(octets);
    }

    /// Adds a label; an empty text has length 0.
    fn label(&mut self, text: &str) {
        self.put(&[u8::try_from(text.len()).unwrap_or_default()]);
        self.put(text.as_bytes());
    }
}

/// Decoder of a snapshot. Its items must not be used before it has been decoded to the end without an error: decode it
/// twice.
#[derive(Debug)]
pub struct SnapshotDecoder<R> {
    input: BufReader<ChecksumReader<R>>,
    header: SnapshotHeader,
    /// Number of octets read so far.
    at: u64,
}

/// A reader that computes the checksum of the octets read.
#[derive(Debug)]
struct ChecksumReader<R> {
    input: R,
    sum: Hasher,
}

impl<R: Read> Read for ChecksumReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.sum.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

impl<R: Read> SnapshotDecoder<R> {
    /// Decodes the header. Reads through a buffer of its own.
    pub fn new(input: R) -> Result<Self, SnapshotFormatError> {
        let input = BufReader::with_capacity(BUFFER, ChecksumReader { input, sum: Hasher::new() });
        let header =
            SnapshotHeader { synced_at: SystemTime::UNIX_EPOCH, origin: String::new(), serial: None };
        let mut decoder = Self { input, header, at: 0 };
        match decoder.take() {
            Ok(MAGIC) => {}
            Ok(_) | Err(SnapshotFormatError::Truncated(_)) => return Err(SnapshotFormatError::Foreign),
            Err(error) => return Err(error),
        }
        let has_serial = match u16::from_le_bytes(decoder.take()?) {
            VERSION => true,
            PLAIN => false,
            0 => return Err(decoder.damaged("format 0 does not exist")),
            newer => return Err(SnapshotFormatError::Newer(newer)),
        };
        let since = Duration::from_millis(u64::from_le_bytes(decoder.take()?));
        let synced_at = SystemTime::UNIX_EPOCH.checked_add(since);
        decoder.header.synced_at = synced_at.ok_or_else(|| decoder.damaged("the time is out of range"))?;
        decoder.header.serial = if has_serial { Some(u32::from_le_bytes(decoder.take()?)) } else { None };
        decoder.header.origin = decoder.origin()?;
        Ok(decoder)
    }

    /// Returns the header of the snapshot.
    #[must_use]
    pub fn header(&self) -> &SnapshotHeader {
        &self.header
    }

    /// Decodes to the end. Calls `each` with every item, and returns the numbers of items.
    pub fn read(
        mut self,
        mut each: impl FnMut(SnapshotItem<'_>),
    ) -> Result<SnapshotCounts, SnapshotFormatError> {
        let mut counts = SnapshotCounts::default();
        loop {
            match self.octet()? {
                NAMESPACE => {
                    counts.namespaces = counts.namespaces.saturating_add(1);
                    each(SnapshotItem::Namespace(self.label()?));
                }
                POD => {
                    counts.pods = counts.pods.saturating_add(1);
                    self.pod(&mut each)?;
                }
                END => break,
                _ => return Err(self.damaged("unknown kind of entry")),
            }
        }
        let stored = [self.take()?, self.take()?].map(u32::from_le_bytes);
        if stored != [counts.namespaces, counts.pods] {
            return Err(self.damaged("the numbers of namespaces and pods do not match the contents"));
        }
        let _sum: [u8; 4] = self.take()?;
        if self.input.read(&mut [0])? > 0 {
            return Err(self.damaged("something follows the end"));
        }
        let sum = self.input.into_inner().sum.finalize();
        if sum == RESIDUE { Ok(counts) } else { Err(SnapshotFormatError::Checksum) }
    }

    fn pod(&mut self, each: &mut impl FnMut(SnapshotItem<'_>)) -> Result<(), SnapshotFormatError> {
        let uid = Uid::from_bytes(self.take()?);
        let namespace = self.label()?;
        let name = match self.octet()? {
            0 => None,
            length => Some(self.label_of(length)?),
        };
        let count = usize::from(self.octet()?);
        let mut addresses = [IpAddr::V4(0.into()); MAX_ADDRESSES];
        let Some(addresses) = addresses.get_mut(..count).filter(|some| !some.is_empty()) else {
            return Err(self.damaged("invalid number of addresses"));
        };
        for address in &mut *addresses {
            *address = match self.octet()? {
                4 => IpAddr::from(self.take::<4>()?),
                6 => IpAddr::from(self.take::<16>()?),
                _ => return Err(self.damaged("unknown address family")),
            };
        }
        let name = name.as_ref().map_or("", Label::as_str);
        each(SnapshotItem::Pod(PodRecord { uid, namespace, name, addresses }));
        Ok(())
    }

    fn origin(&mut self) -> Result<String, SnapshotFormatError> {
        let length = u32::from_le_bytes(self.take()?) as usize;
        if length > MAX_ORIGIN {
            return Err(self.damaged("the origin is too long"));
        }
        let mut octets = vec![0; length];
        self.fill(&mut octets)?;
        String::from_utf8(octets).map_err(|_| self.damaged("the origin is not UTF-8"))
    }

    fn label(&mut self) -> Result<Label, SnapshotFormatError> {
        let length = self.octet()?;
        self.label_of(length)
    }

    fn label_of(&mut self, length: u8) -> Result<Label, SnapshotFormatError> {
        let mut octets = [0; 63];
        let Some(octets) = octets.get_mut(..usize::from(length)) else {
            return Err(self.damaged("the label is too long"));
        };
        self.fill(octets)?;
        let label = std::str::from_utf8(octets).ok().and_then(|text| text.parse().ok());
        label.ok_or_else(|| self.damaged("invalid label"))
    }

    fn octet(&mut self) -> Result<u8, SnapshotFormatError> {
        self.take().map(u8::from_le_bytes)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], SnapshotFormatError> {
        let mut octets = [0; N];
        self.fill(&mut octets)?;
        Ok(octets)
    }

    fn fill(&mut self, octets: &mut [u8]) -> Result<(), SnapshotFormatError> {
        match self.input.read_exact(octets) {
            Ok(()) => {
                self.at = self.at.saturating_add(octets.len() as u64);
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Err(SnapshotFormatError::Truncated(self.at))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn damaged(&self, what: &'static str) -> SnapshotFormatError {
        SnapshotFormatError::Damaged { at: self.at, what }
    }
}
