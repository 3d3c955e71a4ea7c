//! Scanner for the end of a JSON value.

use memchr::memchr2;

/// Finds the end of one value, however its text is split into chunks. It interprets only brackets and strings; the
/// parser checks whether the text in between is valid.
#[derive(Debug, Default)]
pub(super) struct ValueScanner {
    state: ScannerState,
    /// Number of open brackets.
    depth: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ScannerState {
    #[default]
    Begin,
    /// In a number or a literal.
    Scalar,
    /// Between the tokens of an object or an array.
    Container,
    String,
    /// In a string, after a backslash.
    Escape,
}

impl ValueScanner {
    /// Scans the next bytes of the value; the first call must begin with its first byte. Returns the number of bytes
    /// that belong to the value if it ends in `bytes`.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            match self.state {
                ScannerState::Begin => {
                    (self.state, self.depth) = match bytes[at] {
                        b'"' => (ScannerState::String, 0),
                        b'{' | b'[' => (ScannerState::Container, 1),
                        _ => (ScannerState::Scalar, 0),
                    };
                    at += 1;
                }
                ScannerState::Scalar => {
                    return bytes[at..].iter().position(|byte| ends_scalar(*byte)).map(|n| at + n);
                }
                ScannerState::Container => at += self.tokens(&bytes[at..]),
                ScannerState::String => at += self.string(&bytes[at..]),
                ScannerState::Escape => {
                    self.state = ScannerState::String;
                    at += 1;
                }
            }
            if self.state == ScannerState::Container && self.depth == 0 {
                return Some(at);
            }
        }
        None
    }

    /// Scans to the beginning of a string or the end of the container. Returns the number of bytes scanned.
    fn tokens(&mut self, bytes: &[u8]) -> usize {
        for (at, byte) in bytes.iter().enumerate() {
            match byte {
                b'"' => {
                    self.state = ScannerState::String;
                    return at + 1;
                }
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return at + 1;
                    }
                }
                _ => {}
            }
        }
        bytes.len()
    }

    /// Scans to the end of the string or to a backslash. Returns the number of bytes scanned.
    fn string(&mut self, bytes: &[u8]) -> usize {
        let Some(at) = memchr2(b'"', b'\\', bytes) else { return bytes.len() };
        // The end of a string that is the whole value equals that of a container without open brackets.
        self.state = if bytes[at] == b'\\' { ScannerState::Escape } else { ScannerState::Container };
        at + 1
    }
}

fn ends_scalar(byte: u8) -> bool {
    matches!(byte, b',' | b']' | b'}' | b':') || byte.is_ascii_whitespace()
}

#[cfg(all(test, not(poddns_loom)))]
mod tests {
    use super::*;

    #[test]
    fn values_end_at_their_last_byte() {
        for (text, rest) in [
            ("{}", ","),
            (r#"{"a": [1, {"b": "}"}], "c": "\"}"}"#, "]"),
            ("[[[]]]", "}"),
            (r#""a\\\"b""#, ": 1"),
            ("true", " "),
            ("-1.5e9", "]"),
            ("null", "\n"),
        ] {
            let whole = format!("{text}{rest}");
            for cut in 1..whole.len() {
                let (first, second) = whole.as_bytes().split_at(cut);
                let mut scanner = ValueScanner::default();
                let end = scanner.scan(first).or_else(|| scanner.scan(second).map(|end| cut + end));
                assert_eq!(end, Some(text.len()), "{whole} cut at {cut}");
            }
        }
    }
}
