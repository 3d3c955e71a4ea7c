//! The DNS wire format (RFC 1035 4), limited to queries with one question and their responses.

pub(crate) mod edns;
pub(crate) mod header;
pub(crate) mod message;
pub(crate) mod name;
pub(crate) mod opt;
pub(crate) mod reply;
pub(crate) mod subnet;
mod types;

pub use name::{Name, NameError};
pub use types::{Class, Ede, Opcode, Rcode, Rtype};

/// The question of a query, for logging.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueryQuestion<'q> {
    /// The name in wire form, including the root label, with the query's letter case.
    pub name: &'q [u8],
    /// The type.
    pub rtype: Rtype,
    /// The class.
    pub class: Class,
}

/// Returns the question of a query; `None` if the packet has no header, another opcode, or not exactly one whole
/// question.
#[must_use]
pub fn question(query: &[u8]) -> Option<QueryQuestion<'_>> {
    let question = message::Question::of(query)?;
    let (name, rtype, class) = (question.name.as_wire(), question.rtype, question.class);
    Some(QueryQuestion { name, rtype, class })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn question_of_a_query_is_read() {
        let query = b"\0\x07\0\0\0\x01\0\0\0\0\0\0\x01A\x03pod\0\0\x1c\0\x01";
        let expected = QueryQuestion { name: b"\x01A\x03pod\0", rtype: Rtype::AAAA, class: Class::IN };
        assert_eq!(question(query), Some(expected));
        assert_eq!(query.split_last().and_then(|(_, cut)| question(cut)), None);
        assert_eq!(query.first_chunk::<11>().and_then(|cut| question(cut)), None, "no header");
        let mut notify = *query;
        notify[2] = 0x20;
        assert_eq!(question(&notify), None, "another opcode");
    }
}
