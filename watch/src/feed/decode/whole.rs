//! Decoding of complete bodies.

use bytes::Bytes;

use super::{DecodeError, Format, ListDecoder, ListEnd, ListItem, Object, WatchDecoder, WatchFrame};

/// Decodes a list from all chunks of its body, to its end or to the first error. A part may have at most `limit` bytes.
pub fn decode_list<K: Object>(
    format: Format,
    limit: usize,
    chunks: impl Iterator<Item = Bytes>,
) -> (Vec<ListItem<K>>, Result<ListEnd, DecodeError>) {
    let mut decoder = ListDecoder::with_limit(format, limit);
    let mut items = Vec::new();
    for chunk in chunks {
        decoder.push(chunk);
        loop {
            match decoder.next() {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => return (items, Err(error)),
            }
        }
    }
    (items, decoder.finish())
}

/// Decodes a watch from all chunks of its body, to its end or to the first error. An event may have at most `limit`
/// bytes.
pub fn decode_watch<K: Object>(
    format: Format,
    limit: usize,
    chunks: impl Iterator<Item = Bytes>,
) -> (Vec<WatchFrame<K>>, Result<(), DecodeError>) {
    let mut decoder = WatchDecoder::with_limit(format, limit);
    let mut frames = Vec::new();
    for chunk in chunks {
        decoder.push(chunk);
        loop {
            match decoder.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
    }
    (frames, decoder.finish())
}
