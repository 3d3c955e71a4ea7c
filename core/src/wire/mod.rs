//! The DNS wire format (RFC 1035 4), as far as a responder of one question needs it.

pub(crate) mod edns;
pub(crate) mod header;
pub(crate) mod message;
pub(crate) mod name;
pub(crate) mod reply;
mod types;

pub use name::{Name, NameError};
pub use types::{Class, Ede, Opcode, Rcode, Rtype};
