//! dig's command line words: servers, options, types, classes and names, in any order.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use hickory_proto::rr::{DNSClass, Name, RecordType};
use thiserror::Error;

use super::args::{self, ArgError, CookieArg, ServerArg};
use super::print::Sections;
use crate::text::{NameTextError, parse_name, show_text};

/// A word of the command line, or an option that refers to the words around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DigWord {
    /// `@ADDR[:PORT]`
    Server(ServerArg),
    /// `+OPTION`
    Option(DigOption),
    /// A type: of the name in front of it, or if it precedes all names, of every name without a type of its own.
    Type(RecordType),
    /// A class, with the same rule.
    Class(DNSClass),
    /// A qname.
    Name(Name),
    /// An address, to query its reverse name.
    Reverse(IpAddr),
    /// A file of questions; `-` is standard input.
    File(PathBuf),
}

/// An option of dig.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DigOption {
    Tcp(bool),
    Short(bool),
    Json(bool),
    Recurse(bool),
    IgnoreTruncation(bool),
    /// The EDNS version; `None` sends no OPT.
    Edns(Option<u8>),
    Bufsize(u16),
    DnssecOk(bool),
    Nsid(bool),
    /// The octets; `None` sends no cookie.
    Cookie(Option<CookieArg>),
    Timeout(Duration),
    Tries(u32),
    Print(Sections, bool),
    /// Accepted, but without effect.
    Nothing,
}

/// Reason why a word is invalid.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum WordError {
    #[error(transparent)]
    Argument(#[from] ArgError),
    #[error("a name that {0}")]
    Name(#[from] NameTextError),
    #[error("not an address; give one such as 10.42.2.46 or fd00::7")]
    Address,
    #[error("not an option of poddns; of dig's it has {OPTIONS}")]
    Option,
    #[error("an option without a value; remove '={}'", show_text(.0))]
    Value(String),
    #[error("an option that needs a value, as in {0}")]
    NoValue(&'static str),
    #[error("an option that cannot be negated; remove 'no'")]
    Negated,
    #[error("not a number of tries, 1 to 100")]
    Tries,
    #[error("not a size in octets, 0 to 65535")]
    Size,
    #[error("not an EDNS version, 0 to 255")]
    Version,
}

/// List of the options for error messages. All without a value can be negated by `no`.
const OPTIONS: &str = "+tcp, +short, +json, +recurse, +ignore, +edns[=N], +bufsize=N, +dnssec, +nsid, +cookie[=HEX], \
     +timeout=T, +tries=N, +retry=N, +all, +comments, +question, +answer, +authority, +additional, +stats";

impl FromStr for DigWord {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        if let Some(server) = text.strip_prefix('@') {
            return Ok(Self::Server(server.parse()?));
        }
        if let Some(option) = text.strip_prefix('+') {
            return option.parse().map(Self::Option);
        }
        if text == "-" {
            return Ok(Self::File(text.into()));
        }
        // A name with a dot is not a mnemonic, so `a.` is a name.
        match (args::record_type(text), args::class(text)) {
            (Ok(record_type), _) => Ok(Self::Type(record_type)),
            (_, Ok(class)) => Ok(Self::Class(class)),
            (Err(error), _) if is_numbered(text, "TYPE") => Err(error.into()),
            (_, Err(error)) if is_numbered(text, "CLASS") => Err(error.into()),
            _ => name(text),
        }
    }
}

/// Returns whether the text is `word` followed by digits only, and so is meant as the type or class of that number.
fn is_numbered(text: &str, word: &str) -> bool {
    let digits = text.get(word.len()..).unwrap_or_default();
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
        && !digits.is_empty()
        && digits.bytes().all(|digit| digit.is_ascii_digit())
}

/// Parses a name, even if it is also a type's mnemonic.
pub(super) fn name(text: &str) -> Result<DigWord, WordError> {
    Ok(DigWord::Name(parse_name(text)?))
}

pub(super) fn record_type(text: &str) -> Result<DigWord, WordError> {
    Ok(DigWord::Type(args::record_type(text)?))
}

pub(super) fn class(text: &str) -> Result<DigWord, WordError> {
    Ok(DigWord::Class(args::class(text)?))
}

pub(super) fn reverse(text: &str) -> Result<DigWord, WordError> {
    text.parse().map(DigWord::Reverse).map_err(|_| WordError::Address)
}

pub(super) fn server(text: &str) -> Result<DigWord, WordError> {
    Ok(DigWord::Server(text.parse()?))
}

#[allow(clippy::unnecessary_wraps, reason = "what clap takes as a parser")]
pub(super) fn file(text: &str) -> Result<DigWord, WordError> {
    Ok(DigWord::File(text.into()))
}

impl FromStr for DigOption {
    type Err = WordError;

    /// Parses an option without its `+`.
    fn from_str(text: &str) -> Result<Self, WordError> {
        let (key, value) = text.split_once('=').map_or((text, None), |(key, value)| (key, Some(value)));
        let lower = key.to_ascii_lowercase();
        if let Some(option) = with_value(&lower, value)? {
            return Ok(option);
        }
        let (name, on) = lower.strip_prefix("no").map_or((lower.as_str(), true), |name| (name, false));
        if !on
            && with_value(name, Some("1")).is_ok_and(|found| found.is_some())
            && !matches!(name, "edns" | "cookie")
        {
            return Err(WordError::Negated);
        }
        let option = switch(name, on).ok_or(WordError::Option)?;
        value.map_or(Ok(option), |value| Err(WordError::Value(value.to_owned())))
    }
}

/// Returns the option of a key that takes a value.
fn with_value(key: &str, value: Option<&str>) -> Result<Option<DigOption>, WordError> {
    let needed = |example| value.ok_or(WordError::NoValue(example));
    let tries =
        |text: &str| text.parse().ok().filter(|tries| (1..=100).contains(tries)).ok_or(WordError::Tries);
    Ok(Some(match key {
        "timeout" | "time" => DigOption::Timeout(args::seconds(needed("+timeout=5s")?)?),
        "tries" => DigOption::Tries(tries(needed("+tries=3")?)?),
        // The number of tries is one more than that of retries.
        "retry" => DigOption::Tries(
            needed("+retry=2")?
                .parse::<u32>()
                .ok()
                .filter(|&retries| retries < 100)
                .ok_or(WordError::Tries)?
                + 1,
        ),
        "bufsize" => DigOption::Bufsize(needed("+bufsize=1232")?.parse().map_err(|_| WordError::Size)?),
        "edns" => match value {
            Some(version) => DigOption::Edns(Some(version.parse().map_err(|_| WordError::Version)?)),
            None => DigOption::Edns(Some(0)),
        },
        "cookie" => DigOption::Cookie(Some(value.unwrap_or_default().parse()?)),
        _ => return Ok(None),
    }))
}

/// Returns the option of a key without a value; `on` is false behind `no`.
fn switch(name: &str, on: bool) -> Option<DigOption> {
    Some(match name {
        "tcp" | "vc" => DigOption::Tcp(on),
        "short" => DigOption::Short(on),
        "json" => DigOption::Json(on),
        "recurse" | "rec" | "rdflag" => DigOption::Recurse(on),
        "ignore" => DigOption::IgnoreTruncation(on),
        "dnssec" | "do" => DigOption::DnssecOk(on),
        "nsid" => DigOption::Nsid(on),
        "edns" if !on => DigOption::Edns(None),
        "cookie" if !on => DigOption::Cookie(None),
        "all" => DigOption::Print(Sections::ALL, on),
        "comments" => DigOption::Print(Sections::COMMENTS, on),
        "question" => DigOption::Print(Sections::QUESTION, on),
        "answer" => DigOption::Print(Sections::ANSWER, on),
        "authority" => DigOption::Print(Sections::AUTHORITY, on),
        "additional" => DigOption::Print(Sections::ADDITIONAL, on),
        "stats" => DigOption::Print(Sections::STATS, on),
        // Names are always absolute, and the command line is never printed.
        "cmd" | "search" | "defname" if !on => DigOption::Nothing,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_distinguished() {
        let parse = |text: &str| text.parse::<DigWord>();
        assert_eq!(parse("a"), Ok(DigWord::Type(RecordType::A)));
        assert_eq!(parse("ANY"), Ok(DigWord::Type(RecordType::ANY)));
        assert_eq!(parse("ch"), Ok(DigWord::Class(DNSClass::CH)));
        assert_eq!(parse("-"), Ok(DigWord::File("-".into())));
        for text in ["a.", "web", "typeset", "type", "class", "10-42-2-46.default.pod.cluster.local"] {
            assert!(matches!(parse(text), Ok(DigWord::Name(_))), "{text}");
        }
        assert!(matches!(parse("@::1"), Ok(DigWord::Server(_))));
        assert_eq!(parse("type65536"), Err(WordError::Argument(ArgError::Type)));
        assert_eq!(parse("CLASS65536"), Err(WordError::Argument(ArgError::Class)));
        assert_eq!(parse("a..b"), Err(WordError::Name(NameTextError::EmptyLabel)));
    }

    #[test]
    fn options_of_dig_are_read() {
        let parse = |text: &str| text.parse::<DigOption>();
        assert_eq!(parse("tcp"), Ok(DigOption::Tcp(true)));
        assert_eq!(parse("NOTCP"), Ok(DigOption::Tcp(false)));
        assert_eq!(parse("norecurse"), Ok(DigOption::Recurse(false)));
        assert_eq!(parse("noedns"), Ok(DigOption::Edns(None)));
        assert_eq!(parse("nocookie"), Ok(DigOption::Cookie(None)));
        assert_eq!(parse("edns=1"), Ok(DigOption::Edns(Some(1))));
        assert_eq!(parse("retry=0"), Ok(DigOption::Tries(1)));
        assert_eq!(parse("time=500ms"), Ok(DigOption::Timeout(Duration::from_millis(500))));
        assert_eq!(parse("noall"), Ok(DigOption::Print(Sections::ALL, false)));
        assert_eq!(parse("nocmd"), Ok(DigOption::Nothing));
    }

    #[test]
    fn refused_options_name_the_mistake() {
        let parse = |text: &str| text.parse::<DigOption>();
        assert_eq!(parse("shrt"), Err(WordError::Option));
        assert_eq!(parse(""), Err(WordError::Option));
        assert_eq!(parse("tcp=1"), Err(WordError::Value("1".to_owned())));
        assert_eq!(parse("timeout"), Err(WordError::NoValue("+timeout=5s")));
        assert_eq!(parse("notries"), Err(WordError::Negated));
        assert_eq!(parse("tries=0"), Err(WordError::Tries));
        assert_eq!(parse("retry=100"), Err(WordError::Tries));
        assert_eq!(parse("bufsize=65536"), Err(WordError::Size));
    }
}
