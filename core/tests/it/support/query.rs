//! Queries, octet by octet: well-formed by default.

use super::response::WireName;

/// A query under construction.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    id: u16,
    flags: u16,
    questions: Vec<Vec<u8>>,
    /// Answer, authority, additional.
    sections: [Vec<Vec<u8>>; 3],
    counts: [Option<u16>; 4],
    tail: Vec<u8>,
}

impl Query {
    /// Returns a query with one question of class IN, RD clear.
    pub(crate) fn new(name: &str, rtype: u16) -> Self {
        Self::of(&WireName::new(name).0, rtype, 1)
    }

    /// Returns a query with one question; its name is in wire form and not checked.
    pub(crate) fn of(name: &[u8], rtype: u16, class: u16) -> Self {
        Self::empty().question(name, rtype, class)
    }

    /// Returns a query without a question.
    pub(crate) fn empty() -> Self {
        Self {
            id: 0x1d5a,
            flags: 0,
            questions: Vec::new(),
            sections: Default::default(),
            counts: [None; 4],
            tail: Vec::new(),
        }
    }

    /// Adds a question.
    pub(crate) fn question(mut self, name: &[u8], rtype: u16, class: u16) -> Self {
        self.questions.push([name, &rtype.to_be_bytes(), &class.to_be_bytes()].concat());
        self
    }

    pub(crate) fn id(self, id: u16) -> Self {
        Self { id, ..self }
    }

    /// Sets these bits of the flags field.
    pub(crate) fn flags(self, flags: u16) -> Self {
        Self { flags: self.flags | flags, ..self }
    }

    pub(crate) fn opcode(self, opcode: u16) -> Self {
        self.flags(opcode << 11)
    }

    /// Adds a record to the answer (0), authority (1) or additional (2) section.
    pub(crate) fn record(mut self, section: usize, record: Vec<u8>) -> Self {
        self.sections[section].push(record);
        self
    }

    /// Adds an OPT to the additional section.
    pub(crate) fn edns(self, opt: &Edns) -> Self {
        self.record(2, opt.record())
    }

    /// Sets the count of questions (0), answers (1), authorities (2) or additionals (3).
    pub(crate) fn count(mut self, section: usize, count: u16) -> Self {
        self.counts[section] = Some(count);
        self
    }

    /// Sets the octets behind all sections.
    pub(crate) fn tail(self, tail: &[u8]) -> Self {
        Self { tail: tail.to_vec(), ..self }
    }

    /// Returns the message.
    pub(crate) fn octets(&self) -> Vec<u8> {
        let [answer, authority, additional] = &self.sections;
        let sections = [&self.questions, answer, authority, additional];
        let mut octets = [self.id.to_be_bytes(), self.flags.to_be_bytes()].concat();
        for (section, count) in sections.iter().zip(self.counts) {
            let count = count.unwrap_or_else(|| u16::try_from(section.len()).expect("few records"));
            octets.extend(count.to_be_bytes());
        }
        octets.extend(sections.into_iter().flatten().flatten());
        octets.extend(&self.tail);
        octets
    }
}

/// Returns a record in wire form.
pub(crate) fn record(owner: &[u8], rtype: u16, class: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(data.len()).expect("data of at most 65,535 octets");
    let head = [rtype.to_be_bytes(), class.to_be_bytes()].concat();
    [owner, &head, &ttl.to_be_bytes(), &len.to_be_bytes(), data].concat()
}

/// Returns a TSIG record (RFC 8945 4.2) with an empty MAC.
pub(crate) fn tsig(class: u16) -> Vec<u8> {
    let data = [
        &WireName::new("hmac-sha256").0[..],
        // Time signed, fudge, MAC size, original ID, error, other length.
        &[0, 0, 0x5f, 0, 0, 0],
        &[1, 0x2c],
        &[0, 0],
        &[0x1d, 0x5a],
        &[0, 0],
        &[0, 0],
    ];
    record(&WireName::new("key.example").0, 250, class, 0, &data.concat())
}

/// An OPT record of a query.
#[derive(Clone, Debug)]
pub(crate) struct Edns {
    pub(crate) payload_size: u16,
    pub(crate) extended_rcode: u8,
    pub(crate) version: u8,
    pub(crate) flags: u16,
    pub(crate) data: Vec<u8>,
}

impl Edns {
    /// Returns an OPT of version 0, without flags and options.
    pub(crate) fn new(payload_size: u16) -> Self {
        Self { payload_size, extended_rcode: 0, version: 0, flags: 0, data: Vec::new() }
    }

    pub(crate) fn version(self, version: u8) -> Self {
        Self { version, ..self }
    }

    pub(crate) fn flags(self, flags: u16) -> Self {
        Self { flags, ..self }
    }

    /// Adds an option.
    pub(crate) fn option(self, code: u16, data: &[u8]) -> Self {
        let len = u16::try_from(data.len()).expect("data of at most 65,535 octets");
        self.raw(&[&code.to_be_bytes(), &len.to_be_bytes(), data].concat())
    }

    /// Appends octets to the record's data.
    pub(crate) fn raw(mut self, octets: &[u8]) -> Self {
        self.data.extend_from_slice(octets);
        self
    }

    /// Returns the record; its owner is the root.
    pub(crate) fn record(&self) -> Vec<u8> {
        let [flags0, flags1] = self.flags.to_be_bytes();
        let ttl = u32::from_be_bytes([self.extended_rcode, self.version, flags0, flags1]);
        record(&[0], 41, self.payload_size, ttl, &self.data)
    }
}
