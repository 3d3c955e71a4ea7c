//! Lines of a file or of standard input, returned as they arrive, with bounded length.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::text::show_path;

/// Maximum length of a line in octets. A longer line is truncated.
pub(crate) const MAX_LINE: usize = 4096;

/// Reason why a file cannot be read.
#[derive(Debug, Error)]
#[error("cannot read {}: {source}", show_path(path))]
pub(crate) struct ReadError {
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
}

/// Iterator over the lines, without their line endings.
pub(crate) struct Lines {
    reader: Box<dyn BufRead>,
    path: PathBuf,
    failed: bool,
}

impl Lines {
    /// Opens a file; `-` is standard input.
    pub(crate) fn open(path: &Path) -> Result<Self, ReadError> {
        let reader: Box<dyn BufRead> = if path.as_os_str() == "-" {
            Box::new(io::stdin().lock())
        } else {
            let file = File::open(path).map_err(|source| ReadError { path: path.to_owned(), source })?;
            Box::new(BufReader::new(file))
        };
        Ok(Self { reader, path: path.to_owned(), failed: false })
    }

    fn read(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        if Read::take(&mut self.reader, MAX_LINE as u64).read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        if line.last() != Some(&b'\n') && line.len() == MAX_LINE {
            self.reader.skip_until(b'\n')?;
        }
        let text = String::from_utf8_lossy(&line);
        Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned()))
    }
}

impl Iterator for Lines {
    type Item = Result<String, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let line = self.read();
        self.failed = line.is_err();
        line.map_err(|source| ReadError { path: self.path.clone(), source }).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(octets: &'static [u8]) -> Vec<String> {
        let lines = Lines { reader: Box::new(octets), path: "memory".into(), failed: false };
        lines.map(|line| line.expect("memory can be read")).collect()
    }

    #[test]
    fn ends_of_lines_are_removed() {
        assert_eq!(lines(b"a\nb\r\n\nc"), ["a", "b", "", "c"]);
        assert_eq!(lines(b"\xff\n"), ["\u{fffd}"]);
    }

    #[test]
    fn long_lines_are_cut() {
        let text = format!("{}\nb", "a".repeat(3 * MAX_LINE));
        let lines = lines(text.leak().as_bytes());
        assert_eq!(lines, ["a".repeat(MAX_LINE).as_str(), "b"]);
    }
}
