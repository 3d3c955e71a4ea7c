//! Reading of files that a configuration names: regular files of a bounded size.

use std::fs::{self, Metadata};
use std::io::{self, Read as _};
use std::path::Path;

use crate::state_file;

/// Maximum size of a kubeconfig in bytes. One with a thousand clusters has some 5 MB.
pub(crate) const MAX_KUBECONFIG: u64 = 16 << 20;

/// Maximum size in bytes of a file with certificates, a key or a token.
pub(crate) const MAX_CREDENTIALS: u64 = 1 << 20;

/// Reads a whole file.
///
/// Fails if the file is larger than `limit` bytes or not a regular file: a pipe or a device may have no end, and cannot
/// be read again when the credentials are renewed.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    // Before opening, because some devices act when opened; and after it, because the path may refer to another file by
    // then.
    check_kind(&fs::metadata(path)?)?;
    let file = state_file::open(path)?;
    check_kind(&file.metadata()?)?;
    let mut content = Vec::new();
    file.take(limit + 1).read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        let text = format!("it is larger than {} MiB", limit >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(content)
}

fn check_kind(metadata: &Metadata) -> io::Result<()> {
    let special = |kind: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("it is {kind}"));
    if metadata.is_dir() {
        return Err(special("a directory, not a file"));
    }
    if !metadata.is_file() {
        return Err(special("a pipe or device; it must be a regular file, which can be read again"));
    }
    Ok(())
}

/// Returns the text of a file: UTF-8, or UTF-16 after a byte-order mark, as `PowerShell` writes it.
pub(crate) fn text(content: &[u8]) -> Option<String> {
    let wide = |content: &[u8], unit: fn([u8; 2]) -> u16| {
        let (pairs, rest) = content.as_chunks::<2>();
        let units = pairs.iter().map(|pair| unit(*pair));
        rest.is_empty().then(|| char::decode_utf16(units).collect::<Result<String, _>>().ok()).flatten()
    };
    match content {
        [0xff, 0xfe, content @ ..] => wide(content, u16::from_le_bytes),
        [0xfe, 0xff, content @ ..] => wide(content, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, content @ ..] | content => str::from_utf8(content).ok().map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_devices_and_large_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = read(folder.path(), 10).unwrap_err();
        assert_eq!(error.to_string(), "it is a directory, not a file");
        let error = read(Path::new("/dev/null"), 10).unwrap_err();
        assert!(error.to_string().starts_with("it is a pipe or device"), "{error}");
        let path = folder.path().join("file");
        fs::write(&path, "12345678901").unwrap();
        assert_eq!(read(&path, 10).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read(&path, 11).unwrap(), b"12345678901");
    }

    #[test]
    fn text_may_be_utf_16() {
        let wide =
            |unit: fn(u16) -> [u8; 2]| "\u{feff}a\u{1f600}".encode_utf16().flat_map(unit).collect::<Vec<_>>();
        for content in [wide(u16::to_le_bytes), wide(u16::to_be_bytes), "\u{feff}a\u{1f600}".into()] {
            assert_eq!(text(&content).unwrap(), "a\u{1f600}");
        }
        for content in [&b"\xff\xfea"[..], b"\xff\xfe\x00\xd8", b"\xc3", b"\x1f\x8b"] {
            assert_eq!(text(content), None);
        }
    }
}
