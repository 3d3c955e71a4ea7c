//! DNS numbers with names for those that this server uses. Others are kept as they are (RFC 3597).

use core::fmt;

/// Defines an open enumeration over an integer: named constants, and any other value.
macro_rules! numbers {
    ($(#[$doc:meta])* $name:ident($int:ty), $prefix:literal { $($(#[$item:meta])* $constant:ident = $value:literal, $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $int);

        impl $name {
            $($(#[$item])* pub const $constant: Self = Self($value);)*

            /// Returns the mnemonic, if this crate has one.
            #[must_use]
            pub const fn mnemonic(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)*
                    _ => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.mnemonic() {
                    Some(text) => f.pad(text),
                    None => write!(f, concat!($prefix, "{}"), self.0),
                }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

numbers! {
    /// A record or query type (RFC 1035 3.2.2); displayed as `TYPE123` if it has no mnemonic (RFC 3597 5).
    Rtype(u16), "TYPE" {
        /// IPv4 address (RFC 1035).
        A = 1, "A";
        /// Name server (RFC 1035).
        NS = 2, "NS";
        /// Start of authority (RFC 1035).
        SOA = 6, "SOA";
        /// Pointer from an address to a name (RFC 1035).
        PTR = 12, "PTR";
        /// Text (RFC 1035).
        TXT = 16, "TXT";
        /// IPv6 address (RFC 3596).
        AAAA = 28, "AAAA";
        /// EDNS pseudo-record (RFC 6891).
        OPT = 41, "OPT";
        /// Transaction signature (RFC 8945).
        TSIG = 250, "TSIG";
        /// Incremental zone transfer (RFC 1995).
        IXFR = 251, "IXFR";
        /// Zone transfer (RFC 5936).
        AXFR = 252, "AXFR";
        /// One RRset of the server's choice (RFC 8482).
        ANY = 255, "ANY";
    }
}

numbers! {
    /// A class (RFC 1035 3.2.4).
    Class(u16), "CLASS" {
        /// The Internet.
        IN = 1, "IN";
        /// Chaos, used for information about the server.
        CH = 3, "CH";
        /// No class (RFC 2136 2.4).
        NONE = 254, "NONE";
        /// Any class.
        ANY = 255, "ANY";
    }
}

numbers! {
    /// A response code: the header's four bits (low) and the OPT's eight bits (high; RFC 6891 6.1.3).
    Rcode(u16), "RCODE" {
        /// The name exists.
        NOERROR = 0, "NOERROR";
        /// The query is malformed.
        FORMERR = 1, "FORMERR";
        /// The server cannot answer now.
        SERVFAIL = 2, "SERVFAIL";
        /// The name does not exist, nor any name below it (RFC 8020).
        NXDOMAIN = 3, "NXDOMAIN";
        /// The opcode is not supported.
        NOTIMP = 4, "NOTIMP";
        /// The server refuses to answer.
        REFUSED = 5, "REFUSED";
        /// The signature is wrong, or its key unknown (RFC 8945 5.2).
        NOTAUTH = 9, "NOTAUTH";
        /// The EDNS version is not supported (RFC 6891).
        BADVERS = 16, "BADVERS";
        /// The server cookie is not one of this server's (RFC 7873).
        BADCOOKIE = 23, "BADCOOKIE";
    }
}

numbers! {
    /// An extended DNS error's INFO-CODE (RFC 8914 4).
    Ede(u16), "EDE" {
        /// 0: no other code applies. The index could not be read: see [`Unknown`](crate::Unknown).
        OTHER = 0, "Other Error";
        /// 3: the index is out of sync with the cluster.
        STALE_ANSWER = 3, "Stale Answer";
        /// 14: no complete list of the cluster yet.
        NOT_READY = 14, "Not Ready";
        /// 15: a guard forbids the address.
        BLOCKED = 15, "Blocked";
        /// 18: the driver limits the client: see [`refuse`](crate::refuse).
        PROHIBITED = 18, "Prohibited";
        /// 19: NXDOMAIN from an index that is out of sync with the cluster.
        STALE_NXDOMAIN = 19, "Stale NXDOMAIN Answer";
        /// 20: the name is in no zone of this server.
        NOT_AUTHORITATIVE = 20, "Not Authoritative";
        /// 21: an operation or type that this server does not support.
        NOT_SUPPORTED = 21, "Not Supported";
        /// 22: the index has been out of sync for longer than the operator allows.
        NO_REACHABLE_AUTHORITY = 22, "No Reachable Authority";
    }
}

numbers! {
    /// The operation of a query (RFC 1035 4.1.1, RFC 6895 2.2): four bits.
    Opcode(u8), "OPCODE" {
        /// A standard query; the only supported opcode.
        QUERY = 0, "QUERY";
        /// Inverse query, retired by RFC 3425.
        IQUERY = 1, "IQUERY";
        /// Server status, never specified.
        STATUS = 2, "STATUS";
        /// Notification that a zone has changed (RFC 1996).
        NOTIFY = 4, "NOTIFY";
        /// Dynamic update (RFC 2136).
        UPDATE = 5, "UPDATE";
        /// Stateful operations (RFC 8490).
        DSO = 6, "DSO";
    }
}
