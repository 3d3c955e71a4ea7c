//! Properties of the format for any bytes, for property tests and fuzz targets.

use super::format::{SnapshotDecoder, SnapshotEncoder, SnapshotFormatError, SnapshotItem};

/// Decodes octets as a snapshot, unchanged and with the correct checksum appended: they must be refused, or encode to
/// the same octets again.
///
/// # Panics
///
/// If they do not.
pub fn check(octets: &[u8]) {
    if let Ok(again) = recode(octets) {
        assert_eq!(again, octets);
    }
    let whole = [octets, &crc32fast::hash(octets).to_le_bytes()].concat();
    match recode(&whole) {
        Ok(again) => assert_eq!(again, whole),
        Err(SnapshotFormatError::Checksum) => panic!("it has its checksum"),
        Err(_) => {}
    }
}

/// Decodes a snapshot and encodes its contents again.
fn recode(octets: &[u8]) -> Result<Vec<u8>, SnapshotFormatError> {
    let decoder = SnapshotDecoder::new(octets)?;
    let mut again = Vec::new();
    let mut encoder = SnapshotEncoder::new(&mut again, decoder.header());
    let counts = decoder.read(|item| match item {
        SnapshotItem::Namespace(namespace) => encoder.namespace(&namespace),
        SnapshotItem::Pod(pod) => encoder.pod(&pod),
    })?;
    assert_eq!(encoder.finish()?, counts);
    Ok(again)
}

#[cfg(all(test, not(poddns_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_fuzzers_corpus() {
        let mut sound = 0;
        let mut refused = 0;
        for octets in crate::corpus("snapshot") {
            check(&octets);
            let whole = [&octets[..], &crc32fast::hash(&octets).to_le_bytes()].concat();
            *if recode(&whole).is_ok() { &mut sound } else { &mut refused } += 1;
        }
        assert!(sound >= 4 && refused >= 8, "{sound} sound and {refused} refused ones");
    }
}
