//! The DNS wire format (RFC 1035 4), as far as a responder of one question needs it.

mod name;
mod types;

pub use name::{Name, NameError};
pub use types::{Class, Ede, Opcode, Rcode, Rtype};
