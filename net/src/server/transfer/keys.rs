//! Keys of transaction signatures, from a file in the format of BIND's `tsig-keygen`.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::base::Name;
use domain::tsig::{Algorithm, Key, KeyName};
use thiserror::Error;

use crate::server::secret_file;

/// Maximum size of a key file in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// Minimum length of a secret in bytes: half of the shortest digest, to which a signature may be truncated. RFC 8945 7
/// has it "at least as long as the keyed message digest".
const MIN_SECRET: usize = 16;

/// Reason why a key file cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The file cannot be read.
    #[error("transfer-key {path}: {error}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        error: io::Error,
    },
    /// The contents of the file are malformed.
    #[error("transfer-key {path}, line {line}: {fault}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The fault.
        #[source]
        fault: KeyFault,
    },
}

/// Fault of a key file. Contains no part of a secret.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum KeyFault {
    /// The file is too large for a key file.
    #[error("the file has more than {MAX_FILE} bytes, which no key file has")]
    TooLarge,
    /// The file has no key.
    #[error("there is no key; write one with `tsig-keygen -a hmac-sha256 NAME`")]
    NoKey,
    /// The file has another token where this one is expected.
    #[error("{0} is expected")]
    Expected(&'static str),
    /// The file has this word where a key must begin.
    #[error("`key` is expected, not `{0}`")]
    NotKey(String),
    /// A comment or a quotation has no end.
    #[error("this {0} has no end")]
    Unterminated(&'static str),
    /// The file has two keys of one name and algorithm.
    #[error("a key of this name and algorithm is there already")]
    Duplicate,
    /// A key has no algorithm or no secret.
    #[error("this key has no {0}")]
    Missing(&'static str),
    /// The name of a key is not a domain name.
    #[error("`{name}` is not a valid key name: {error}")]
    Name {
        /// The beginning of the name.
        name: String,
        /// The fault of the name.
        #[source]
        error: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The algorithm is not supported.
    #[error("`{0}` is not a supported algorithm; allowed: hmac-sha256, hmac-sha384, hmac-sha512")]
    Algorithm(String),
    /// The secret is not base64. The decoder's error would show a part of it.
    #[error("this secret is not base64")]
    NotBase64,
    /// The secret is too short.
    #[error("this secret has fewer than {MIN_SECRET} bytes")]
    ShortSecret,
    /// The key cannot be used.
    #[error("this key cannot be used: {0}")]
    Unusable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// The keys of a file: at least one.
#[derive(Clone)]
pub(super) struct TsigKeys {
    pub(super) store: Arc<HashMap<(KeyName, Algorithm), Key>>,
    /// The first key, which NOTIFY is signed with.
    pub(super) first: Arc<Key>,
}

impl fmt::Debug for TsigKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keys").field(&self.first.name()).finish()
    }
}

impl TsigKeys {
    /// Reads a file of one or more `key NAME { algorithm ALGORITHM; secret BASE64; };`.
    pub(super) fn read(path: &Path) -> Result<Self, KeyError> {
        let unreadable = |error| KeyError::Unreadable { path: path.to_owned(), error };
        let malformed = |(line, fault)| KeyError::Malformed { path: path.to_owned(), line, fault };
        let bytes = secret_file::read(path, MAX_FILE + 1).map_err(unreadable)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(malformed((1, KeyFault::TooLarge)));
        }
        let not_text = |error| unreadable(io::Error::new(io::ErrorKind::InvalidData, error));
        let text = String::from_utf8(bytes).map_err(not_text)?;
        Self::parse(&text).map_err(malformed)
    }

    /// Parses the contents of such a file; an error has the number of the line.
    pub(super) fn parse(text: &str) -> Result<Self, (usize, KeyFault)> {
        let mut tokens = Tokens { text, at: 0 };
        let (mut store, mut first) = (HashMap::new(), None);
        while let Some(word) = tokens.next()? {
            if word != "key" {
                return Err(tokens.wrong(KeyFault::NotKey(shown(word))));
            }
            let key = tokens.key()?;
            let id = (key.name().clone(), key.algorithm());
            first.get_or_insert_with(|| Arc::new(key.clone()));
            if store.insert(id, key).is_some() {
                return Err(tokens.wrong(KeyFault::Duplicate));
            }
        }
        let first = first.ok_or_else(|| tokens.wrong(KeyFault::NoKey))?;
        Ok(Self { store: Arc::new(store), first })
    }
}

/// Returns text from the file, escaped and short enough for a log line.
fn shown(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_debug).collect()
}

/// The tokens of a file in BIND's syntax: `{`, `}`, `;`, and words, quoted or not.
struct Tokens<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Returns a fault with the number of the current line.
    fn wrong(&self, fault: KeyFault) -> (usize, KeyFault) {
        let line = self.text.get(..self.at).unwrap_or_default().matches('\n').count() + 1;
        (line, fault)
    }

    /// Skips white space and comments.
    fn skip(&mut self) -> Result<(), (usize, KeyFault)> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            let end = if trimmed.starts_with('#') || trimmed.starts_with("//") {
                trimmed.find('\n').unwrap_or(trimmed.len())
            } else if trimmed.starts_with("/*") {
                trimmed.find("*/").ok_or_else(|| self.wrong(KeyFault::Unterminated("comment")))? + 2
            } else {
                return Ok(());
            };
            self.at += end;
        }
    }

    fn next(&mut self) -> Result<Option<&'a str>, (usize, KeyFault)> {
        self.skip()?;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(None) };
        let (word, len) = match first {
            '{' | '}' | ';' => (rest.get(..1), 1),
            '"' => {
                let end = rest.get(1..).and_then(|rest| rest.find('"'));
                let end = end.ok_or_else(|| self.wrong(KeyFault::Unterminated("quotation")))?;
                (rest.get(1..=end), end + 2)
            }
            _ => {
                let is_end = |c: char| c.is_whitespace() || matches!(c, '{' | '}' | ';' | '"' | '#');
                let end = rest.find(is_end).unwrap_or(rest.len()).max(first.len_utf8());
                (rest.get(..end), end)
            }
        };
        self.at += len;
        Ok(word)
    }

    fn word(&mut self, what: &'static str) -> Result<&'a str, (usize, KeyFault)> {
        match self.next()? {
            Some("{" | "}" | ";") | None => Err(self.wrong(KeyFault::Expected(what))),
            Some(word) => Ok(word),
        }
    }

    fn opening_brace(&mut self) -> Result<(), (usize, KeyFault)> {
        if self.next()? == Some("{") { Ok(()) } else { Err(self.wrong(KeyFault::Expected("`{`"))) }
    }

    fn semicolon(&mut self) -> Result<(), (usize, KeyFault)> {
        if self.next()? == Some(";") { Ok(()) } else { Err(self.wrong(KeyFault::Expected("`;`"))) }
    }

    /// Reads a key, after the word `key`.
    fn key(&mut self) -> Result<Key, (usize, KeyFault)> {
        let name = self.word("the name of the key")?;
        let name: KeyName = name
            .parse::<Name<_>>()
            .map_err(|error| self.wrong(KeyFault::Name { name: shown(name), error: error.into() }))?;
        self.opening_brace()?;
        let (mut algorithm, mut secret) = (None, None);
        loop {
            match self.next()? {
                Some("algorithm") => algorithm = Some(self.algorithm()?),
                Some("secret") => secret = Some(self.secret()?),
                Some("}") => break,
                _ => return Err(self.wrong(KeyFault::Expected("`algorithm`, `secret` or `}`"))),
            }
            self.semicolon()?;
        }
        self.semicolon()?;
        let algorithm = algorithm.ok_or_else(|| self.wrong(KeyFault::Missing("algorithm")))?;
        let secret = secret.ok_or_else(|| self.wrong(KeyFault::Missing("secret")))?;
        Key::new(algorithm, &secret, name, None, None)
            .map_err(|error| self.wrong(KeyFault::Unusable(error.into())))
    }

    fn algorithm(&mut self) -> Result<Algorithm, (usize, KeyFault)> {
        let word = self.word("an algorithm")?;
        match word.trim_end_matches('.').to_ascii_lowercase().as_str() {
            "hmac-sha256" => Ok(Algorithm::Sha256),
            "hmac-sha384" => Ok(Algorithm::Sha384),
            "hmac-sha512" => Ok(Algorithm::Sha512),
            _ => Err(self.wrong(KeyFault::Algorithm(shown(word)))),
        }
    }

    fn secret(&mut self) -> Result<Vec<u8>, (usize, KeyFault)> {
        let text: String = self.word("a secret")?.split_whitespace().collect();
        let secret = STANDARD.decode(text).map_err(|_| self.wrong(KeyFault::NotBase64))?;
        if secret.len() < MIN_SECRET {
            return Err(self.wrong(KeyFault::ShortSecret));
        }
        Ok(secret)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "c2VjcmV0IG9mIHRoaXJ0eS10d28gYnl0ZXMsIHJlYWxseSE=";

    #[test]
    fn keys_of_tsig_keygen_are_read() {
        let text = format!(
            "# a comment\nkey \"poddns\" {{\n\talgorithm hmac-sha256;\n\tsecret \"{SECRET}\";\n}};\n\
             /* another\n */ key other. {{ secret {SECRET}; algorithm HMAC-SHA512; }}; // the end"
        );
        let keys = TsigKeys::parse(&text).unwrap();
        assert_eq!(keys.first.name().to_string(), "poddns");
        let mut algorithms: Vec<_> = keys.store.keys().map(|(_, algorithm)| algorithm.to_string()).collect();
        algorithms.sort();
        assert_eq!(algorithms, ["hmac-sha256", "hmac-sha512"]);
    }

    #[test]
    fn errors_name_line_and_remedy() {
        let key = |algorithm: &str, secret: &str| {
            format!("key \"k\" {{\nalgorithm {algorithm};\nsecret \"{secret}\";\n}};")
        };
        for (text, line, part) in [
            (String::new(), 1, "tsig-keygen"),
            ("zone {".to_owned(), 1, "`key` is expected"),
            (key("hmac-md5", SECRET), 2, "hmac-sha256, hmac-sha384, hmac-sha512"),
            (key("hmac-sha256", "!!!"), 3, "not base64"),
            (key("hmac-sha256", "c2hvcnQ="), 3, "fewer than 16"),
            ("key k {\nalgorithm hmac-sha256;\n};".to_owned(), 3, "no secret"),
            (format!("key k {{\nsecret {SECRET};\n}};"), 3, "no algorithm"),
            ("key k {\n/* no end".to_owned(), 2, "has no end"),
            ("key \"k".to_owned(), 1, "has no end"),
            (format!("{0}\n{0}", key("hmac-sha256", SECRET)), 8, "already"),
        ] {
            let (at, fault) = TsigKeys::parse(&text).unwrap_err();
            let fault = fault.to_string();
            assert!(at == line && fault.contains(part), "{text}: line {at}: {fault}");
            assert!(!fault.contains(SECRET));
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic() {
        let whole = format!("key \"ä\" {{ algorithm hmac-sha256; secret {SECRET}; }};");
        for (at, _) in whole.char_indices() {
            let _ = TsigKeys::parse(&whole[..at]);
            let _ = TsigKeys::parse(&whole[at..]);
        }
    }
}
