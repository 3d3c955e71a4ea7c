//! Decoding of a file as text.

use std::io::{self, ErrorKind, Read};
use std::str;

use super::error::PodsFileError;

/// Number of bytes per read.
const CHUNK: usize = 1 << 16;

/// Number of bytes that are inspected for a foreign format: at least the longest in [`FOREIGN`].
const MAGIC: usize = 5;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Encodings and formats recognised by their first bytes, and the command that converts them to text.
const FOREIGN: [(&[u8], &str, &str); 8] = [
    (b"\x1f\x8b", "compressed with gzip", "decompress it with `gunzip`"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "decompress it with `unzstd`"),
    (b"\xfd7zXZ", "compressed with xz", "decompress it with `unxz`"),
    (b"PK\x03\x04", "a zip archive", "unpack it"),
    (b"\xff\xfe", "UTF-16 text", "convert it with `iconv -f UTF-16 -t UTF-8`"),
    (b"\xfe\xff", "UTF-16 text", "convert it with `iconv -f UTF-16 -t UTF-8`"),
    (b"{\0", "UTF-16 text", "convert it with `iconv -f UTF-16LE -t UTF-8`"),
    (b"\0{", "UTF-16 text", "convert it with `iconv -f UTF-16BE -t UTF-8`"),
];

/// A stream of UTF-8 text.
///
/// A byte-order mark is removed, and bytes that are not UTF-8 become U+FFFD: in values that are not read they have no
/// effect, and in values that are read they are a fault of that object only.
pub(super) struct TextReader<R> {
    input: R,
    /// Buffer of [`CHUNK`] bytes. The first `held` bytes have been read but not decoded: between calls at most part of
    /// one character.
    raw: Vec<u8>,
    held: usize,
    /// Decoded text; the part before `at` is consumed.
    chars: String,
    at: usize,
    is_at_end: bool,
}

impl<R: Read> TextReader<R> {
    /// Reads the first bytes. Fails if they are those of a foreign format.
    pub(super) fn new(input: R) -> Result<Self, PodsFileError> {
        let (raw, chars) = (vec![0; CHUNK], String::new());
        let mut text = Self { input, raw, held: 0, chars, at: 0, is_at_end: false };
        while text.held < MAGIC && !text.is_at_end {
            text.read()?;
        }
        let begin = text.raw.get(..text.held).unwrap_or_default();
        if let Some((_, what, remedy)) = FOREIGN.iter().find(|(magic, ..)| begin.starts_with(magic)) {
            return Err(PodsFileError::new(format!("it is {what}, not plain text: {remedy} first")));
        }
        if begin.starts_with(BYTE_ORDER_MARK) {
            text.release(BYTE_ORDER_MARK.len());
        }
        text.decode();
        Ok(text)
    }

    /// Returns the first character that is not white space, without consuming it; `None` if there is none, or none in
    /// the first [`CHUNK`] bytes.
    pub(super) fn first(&mut self) -> io::Result<Option<char>> {
        loop {
            let found = self.chars.chars().find(|char| !char.is_whitespace());
            if found.is_some() || self.chars.len() > CHUNK || !self.fill()? {
                return Ok(found);
            }
        }
    }

    /// Returns whether the whole input is white space.
    pub(super) fn is_blank(&mut self) -> io::Result<bool> {
        Ok(self.is_at_end && self.first()?.is_none())
    }

    /// Returns the next character.
    pub(super) fn next_char(&mut self) -> io::Result<Option<char>> {
        if self.at == self.chars.len() {
            self.fill()?;
        }
        let next = self.chars.get(self.at..).and_then(|rest| rest.chars().next());
        self.at += next.map_or(0, char::len_utf8);
        Ok(next)
    }

    /// Decodes more text. Returns false at the end of the input.
    fn fill(&mut self) -> io::Result<bool> {
        self.chars.drain(..self.at);
        self.at = 0;
        let length = self.chars.len();
        while self.chars.len() == length && !self.is_at_end {
            self.read()?;
            self.decode();
        }
        Ok(self.chars.len() > length)
    }

    fn read(&mut self) -> io::Result<()> {
        let count = loop {
            match self.input.read(self.raw.get_mut(self.held..).unwrap_or_default()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.held += count;
        self.is_at_end = count == 0;
        Ok(())
    }

    /// Removes the first bytes of `raw`.
    fn release(&mut self, count: usize) {
        self.raw.copy_within(count..self.held, 0);
        self.held -= count;
    }

    /// Moves decoded text from `raw` to `chars`, except for an incomplete character at the end.
    fn decode(&mut self) {
        let mut decoded = 0;
        loop {
            let raw = self.raw.get(decoded..self.held).unwrap_or_default();
            let (valid, wrong) = match str::from_utf8(raw) {
                Ok(text) => {
                    self.chars.push_str(text);
                    decoded = self.held;
                    break;
                }
                Err(error) => (error.valid_up_to(), error.error_len()),
            };
            self.chars
                .push_str(raw.get(..valid).and_then(|raw| str::from_utf8(raw).ok()).unwrap_or_default());
            decoded += valid;
            match wrong.or(self.is_at_end.then_some(raw.len() - valid)) {
                Some(wrong) => {
                    self.chars.push(char::REPLACEMENT_CHARACTER);
                    decoded += wrong;
                }
                None => break,
            }
        }
        self.release(decoded);
    }
}

impl<R: Read> Read for TextReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.chars.len() {
            self.fill()?;
        }
        // Bytes rather than characters, since a character may not fit into the buffer.
        let rest = self.chars.as_bytes().get(self.at..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that returns one byte at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(1).min(buffer.len());
            self.0.read(&mut buffer[..count])
        }
    }

    fn decoded(bytes: &[u8]) -> String {
        let (mut whole, mut slow) = (String::new(), String::new());
        TextReader::new(bytes).unwrap().read_to_string(&mut whole).unwrap();
        let mut text = TextReader::new(Slow(bytes)).unwrap();
        while let Some(char) = text.next_char().unwrap() {
            slow.push(char);
        }
        assert_eq!(whole, slow);
        whole
    }

    #[test]
    fn text_is_decoded_however_it_arrives() {
        assert_eq!(decoded(b""), "");
        assert_eq!(decoded("\u{feff}a \u{e9} \u{20ac} \u{1f600}".as_bytes()), "a \u{e9} \u{20ac} \u{1f600}");
        let long = "\u{20ac}".repeat(CHUNK);
        assert!(decoded(long.as_bytes()) == long);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_replaced() {
        for bytes in [&b"a\xff\xfeb\xe2\x82"[..], b"\xc3", b"\xe9t\xe9", &[0x80; 200]] {
            let expected = String::from_utf8_lossy(bytes);
            assert_eq!(decoded(bytes), expected);
        }
    }

    #[test]
    fn foreign_formats_are_named() {
        for (bytes, name) in [
            (&b"\x1f\x8b\x08\0\0\0\0\0"[..], "gzip"),
            (b"\xff\xfe{\0", "UTF-16"),
            (b"\xfe\xff\0{", "UTF-16"),
            (b"{\0\"\0", "UTF-16"),
        ] {
            let error = TextReader::new(bytes).err().map(|error| error.to_string());
            assert!(error.as_deref().is_some_and(|error| error.contains(name)), "{name}: {error:?}");
        }
    }
}
