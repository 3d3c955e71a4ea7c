//! The property of transaction signatures that the fuzz target `signed` checks: a message that was altered anywhere
//! does not pass for the one that was signed.

use std::sync::LazyLock;

use domain::base::iana::Rtype;
use domain::base::message_builder::MessageBuilder;
use domain::base::name::Name;

use super::keys::TsigKeys;
use super::signed;

/// Time of the signature and of its check, in Unix seconds.
const NOW: u64 = 1_800_000_000;
/// Length of the ID at the front of a message. The original ID is signed, not the one that is sent (RFC 8945 5.3.2).
const ID: usize = 2;
const KEYS: &str =
    "key poddns { algorithm hmac-sha256; secret YSBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXRlcyBvciBtb3Jl; };";

/// A query for AXFR, unsigned and signed.
struct SignedQuery {
    keys: TsigKeys,
    unsigned: Vec<u8>,
    signed: Vec<u8>,
}

static SIGNED: LazyLock<SignedQuery> = LazyLock::new(|| {
    let keys = TsigKeys::parse(KEYS).expect("keys");
    let mut question = MessageBuilder::new_vec().question();
    question.header_mut().set_id(7);
    let apex = Name::<Vec<u8>>::vec_from_str("pod.cluster.local").expect("a name");
    question.push((apex, Rtype::AXFR)).expect("a question");
    let mut message = question.additional();
    let unsigned = message.as_slice().to_vec();
    signed::sign_request(&keys.first, &mut message, NOW).expect("a signature");
    let query = SignedQuery { keys, unsigned, signed: message.finish() };
    assert!(is_valid(&query, &query.signed), "the signature as it was made");
    query
});

/// Returns true if the signature of a message is valid. Panics if it is valid, but the message is not the one that was
/// signed.
fn is_valid(query: &SignedQuery, message: &[u8]) -> bool {
    let Some(Ok(verified)) = signed::check(Some(&query.keys), message, NOW) else { return false };
    // Octets after the records that the header counts are not part of the message.
    let both = verified.request.get(ID..).zip(query.unsigned.get(ID..));
    let is_same = both.is_some_and(|(verified, signed)| verified.starts_with(signed));
    assert!(is_same, "another message: {}", message.escape_ascii());
    true
}

/// Alters a signed query according to the octets, three for each change, and checks the result after each.
pub(crate) fn check(octets: &[u8]) {
    let mut message = SIGNED.signed.clone();
    for change in octets.chunks_exact(3) {
        let &[kind, at, value] = change else { continue };
        let at = usize::from(at) % (message.len() + 1);
        match kind % 4 {
            0 => message.get_mut(at).into_iter().for_each(|octet| *octet ^= value),
            1 => message.insert(at, value),
            2 => drop(message.drain(at..message.len().min(at + usize::from(value)))),
            _ => message.extend_from_within(at..message.len().min(at + usize::from(value))),
        }
        is_valid(&SIGNED, &message);
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn garbled_message_is_not_authentic(octets in vec(any::<u8>(), 3..24)) {
            check(&octets);
        }
    }

    #[test]
    fn corpus_of_garbled_messages_is_checked() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/signed");
        for file in std::fs::read_dir(folder).unwrap() {
            check(&std::fs::read(file.unwrap().path()).unwrap());
        }
    }
}
