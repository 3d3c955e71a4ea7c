//! EDNS(0): the OPT pseudo-record of a query and its options (RFC 6891 6.1).

/// Option codes (IANA: DNS EDNS0 Option Codes).
pub(crate) mod option {
    /// Name server identifier (RFC 5001).
    pub(crate) const NSID: u16 = 3;
    /// Client subnet (RFC 7871).
    pub(crate) const CLIENT_SUBNET: u16 = 8;
    /// DNS cookie (RFC 7873).
    pub(crate) const COOKIE: u16 = 10;
    /// TCP keepalive (RFC 7828).
    pub(crate) const TCP_KEEPALIVE: u16 = 11;
    /// Extended DNS error (RFC 8914).
    pub(crate) const EDE: u16 = 15;
}

/// The DO bit of the OPT's flags (RFC 3225 3).
pub(crate) const DO: u16 = 0x8000;

/// The supported EDNS version (RFC 6891 6.1.3).
pub(crate) const VERSION: u8 = 0;

/// Maximum length in octets of the name server identifier in a response, so that every response fits the smallest
/// datagram.
pub(crate) const MAX_NSID: usize = 128;

/// The OPT record of a query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edns<'q> {
    /// The client's UDP payload size.
    pub(crate) payload_size: u16,
    pub(crate) version: u8,
    pub(crate) dnssec_ok: bool,
    /// `None` if the options do not fill the record's data exactly, or if one has a length that its RFC forbids.
    pub(crate) options: Option<Options<'q>>,
}

impl<'q> Edns<'q> {
    /// Reads the fields of the OPT record: class, TTL and data (RFC 6891 6.1.2, 6.1.3).
    pub(crate) fn read(class: u16, ttl: [u8; 4], data: &'q [u8]) -> Self {
        let [_extended_rcode, version, flags0, flags1] = ttl;
        Self {
            payload_size: class,
            version,
            dnssec_ok: u16::from_be_bytes([flags0, flags1]) & DO != 0,
            options: Options::read(data),
        }
    }
}

/// The supported options. Others are ignored (RFC 6891 6.1.2: "Any OPTION-CODE values not understood by a responder
/// or requestor MUST be ignored").
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options<'q> {
    pub(crate) nsid: bool,
    pub(crate) tcp_keepalive: bool,
    pub(crate) cookie: Option<Cookie<'q>>,
}

/// A COOKIE option (RFC 7873 4): the client cookie, and the server cookie if the client has one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cookie<'q> {
    pub(crate) client: &'q [u8; 8],
    pub(crate) server: &'q [u8],
}

impl<'q> Cookie<'q> {
    /// Returns `None` for lengths other than 8 and 16 to 40, which are malformed (RFC 7873 5.2.2).
    fn read(data: &'q [u8]) -> Option<Self> {
        let (client, server) = data.split_first_chunk()?;
        matches!(server.len(), 0 | 8..=32).then_some(Self { client, server })
    }
}

impl<'q> Options<'q> {
    fn read(mut data: &'q [u8]) -> Option<Self> {
        let mut options = Self::default();
        while !data.is_empty() {
            let (&[code0, code1, len0, len1], rest) = data.split_first_chunk()?;
            let len = usize::from(u16::from_be_bytes([len0, len1]));
            let (value, rest) = rest.split_at_checked(len)?;
            match u16::from_be_bytes([code0, code1]) {
                option::NSID => options.nsid = true,
                option::TCP_KEEPALIVE => options.tcp_keepalive = true,
                // RFC 7873 5.2: "In all cases of multiple COOKIE options in a request, only the first (the one
                // closest to the DNS header) is considered."
                option::COOKIE if options.cookie.is_none() => options.cookie = Some(Cookie::read(value)?),
                _ => {}
            }
            data = rest;
        }
        Some(options)
    }
}
