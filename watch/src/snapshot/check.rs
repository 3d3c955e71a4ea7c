//! Properties of the format for any bytes, for property tests and fuzz targets.

use super::format::{SnapshotDecoder, SnapshotEncoder, SnapshotFormatError, SnapshotItem};

/// Octets as a snapshot, as they are and with the checksum that they would need: they are refused, or read and
/// written again to the same octets.
///
/// # Panics
///
/// If they are not.
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

/// Reads a snapshot and writes its contents again.
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
