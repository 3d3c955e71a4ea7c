//! Properties of the decoders for arbitrary bytes, for property tests and fuzz targets.

use bytes::Bytes;

use super::{Format, Object, Status, decode_list, decode_watch};
use crate::{Namespace, Pod};

/// Limit of the checks: small enough for a fuzzer to reach.
const LIMIT: usize = 64 << 10;

/// Decodes bytes as a list, as a watch and as a failure, with a limit of 64 KiB. The first two bytes choose the
/// encoding and the sizes of the chunks: the result must be the same as for the body in one chunk.
///
/// # Panics
///
/// If it is not the same.
pub fn check(bytes: &[u8]) {
    let [kind, cut, body @ ..] = bytes else { return };
    let format = if kind & 1 == 0 { Format::Json } else { Format::Protobuf };
    // Alternating chunk sizes of 1 to 256 bytes.
    let cuts = [usize::from(*cut) + 1, usize::from(kind >> 2) + 1];
    if kind & 2 == 0 {
        check_object::<Pod>(format, body, cuts);
    } else {
        check_object::<Namespace>(format, body, cuts);
    }
    let status = Status::of_answer(500, Some(format.media_type()), body);
    assert!(status.message.chars().count() <= Status::MAX_MESSAGE);
}

fn check_object<K: Object + PartialEq>(format: Format, body: &[u8], cuts: [usize; 2]) {
    let whole = std::iter::once(Bytes::copy_from_slice(body));
    assert_eq!(
        decode_list::<K>(format, LIMIT, whole.clone()),
        decode_list(format, LIMIT, chunks(body, cuts))
    );
    assert_eq!(decode_watch::<K>(format, LIMIT, whole), decode_watch(format, LIMIT, chunks(body, cuts)));
}

fn chunks(mut body: &[u8], cuts: [usize; 2]) -> impl Iterator<Item = Bytes> {
    let mut cuts = cuts.into_iter().cycle();
    std::iter::from_fn(move || {
        let (chunk, rest) = body.split_at(cuts.next()?.min(body.len()));
        body = rest;
        (!chunk.is_empty()).then(|| Bytes::copy_from_slice(chunk))
    })
}

#[cfg(all(test, not(poddns_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_fuzzers_corpus() {
        for bytes in crate::corpus("decode") {
            check(&bytes);
        }
    }
}
