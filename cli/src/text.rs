//! Names and character strings in the form of master files (RFC 1035 5.1). hickory's form is meant for IDNA, has
//! octal escapes, and for some record types is not safe for a terminal.

use std::fmt::Write as _;
use std::path::Path;

use hickory_proto::rr::{Name, RecordType};
use thiserror::Error;

/// Maximum length of a label, in octets (RFC 1035 2.3.4).
const MAX_LABEL: usize = 63;

/// Maximum length of a name in wire form, in octets, including length octets and root (RFC 1035 2.3.4).
const MAX_NAME: usize = 255;

/// Reason why a text is not a domain name.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum NameTextError {
    #[error("is empty; the root is written '.'")]
    Empty,
    #[error("has an empty label: it begins with a dot, or has two in a row")]
    EmptyLabel,
    #[error("has the label '{0}', which is longer than 63 octets")]
    LongLabel(String),
    #[error("takes {0} octets on the wire, more than the 255 of a domain name")]
    LongName(usize),
    #[error("ends in an unfinished escape: '\\' takes one character, or three digits up to 255")]
    BadEscape,
    #[error("has the character {0:?}, which is not ASCII: write it in its xn-- form or as \\DDD escapes")]
    NotAscii(char),
}

/// Parses a name, which is absolute with or without its trailing dot. `\X` stands for the character X and `\DDD` for
/// the octet of that decimal number, so every name can be written.
pub(crate) fn parse_name(text: &str) -> Result<Name, NameTextError> {
    if text.is_empty() {
        return Err(NameTextError::Empty);
    }
    let labels = if text == "." { Vec::new() } else { split_labels(text)? };
    if labels.iter().any(Vec::is_empty) {
        return Err(NameTextError::EmptyLabel);
    }
    if let Some(long) = labels.iter().find(|label| label.len() > MAX_LABEL) {
        return Err(NameTextError::LongLabel(show_octets(long, is_special)));
    }
    let octets = labels.iter().map(|label| label.len() + 1).sum::<usize>() + 1;
    let too_long = NameTextError::LongName(octets);
    if octets > MAX_NAME {
        return Err(too_long);
    }
    // hickory checks only these lengths again.
    Name::from_labels(labels).map_err(|_| too_long)
}

fn split_labels(text: &str) -> Result<Vec<Vec<u8>>, NameTextError> {
    let mut labels = vec![Vec::new()];
    let mut rest = text.chars();
    while let Some(char) = rest.next() {
        let octet = match char {
            '.' if rest.as_str().is_empty() => break,
            '.' => {
                labels.push(Vec::new());
                continue;
            }
            '\\' => unescape(&mut rest)?,
            _ => ascii(char)?,
        };
        if let Some(label) = labels.last_mut() {
            label.push(octet);
        }
    }
    Ok(labels)
}

/// Reads an escape after its backslash, and returns the octet.
fn unescape(rest: &mut std::str::Chars<'_>) -> Result<u8, NameTextError> {
    let text = rest.as_str();
    if !text.starts_with(|char: char| char.is_ascii_digit()) {
        return rest.next().ok_or(NameTextError::BadEscape).and_then(ascii);
    }
    let digits = text.get(..3).ok_or(NameTextError::BadEscape)?;
    let number = digits.parse().map_err(|_| NameTextError::BadEscape)?;
    rest.nth(2);
    Ok(number)
}

fn ascii(char: char) -> Result<u8, NameTextError> {
    u8::try_from(char).ok().filter(u8::is_ascii).ok_or(NameTextError::NotAscii(char))
}

/// Returns a name as text, with its trailing dot, safe to print.
pub(crate) fn show_name(name: &Name) -> String {
    if name.is_root() {
        return ".".to_owned();
    }
    let mut text = String::new();
    for label in name {
        text.push_str(&show_octets(label, is_special));
        text.push('.');
    }
    text
}

/// Returns a character string in quotes, safe to print.
pub(crate) fn show_string(octets: &[u8]) -> String {
    // A space needs no escape within quotes.
    let mut text = "\"".to_owned();
    for part in octets.split_inclusive(|&octet| octet == b' ') {
        let (body, space) = part.strip_suffix(b" ").map_or((part, ""), |body| (body, " "));
        text.push_str(&show_octets(body, |octet| matches!(octet, b'"' | b'\\')));
        text.push_str(space);
    }
    text.push('"');
    text
}

/// Returns text from the network, safe to print: non-printing characters, such as controls, bidirectional marks and
/// line separators, become the `\DDD` of their UTF-8 octets, so that no answer can control the terminal.
pub(crate) fn show_text(text: &str) -> String {
    let mut safe = String::new();
    for char in text.chars() {
        if prints(char) {
            safe.push(char);
        } else {
            let mut utf8 = [0; 4];
            safe.push_str(&show_octets(char.encode_utf8(&mut utf8).as_bytes(), is_special));
        }
    }
    safe
}

/// Returns the path of a file, safe to print; `-` is standard input.
pub(crate) fn show_path(path: &Path) -> String {
    if path.as_os_str() == "-" { "standard input".to_owned() } else { show_text(&path.display().to_string()) }
}

/// Returns whether a terminal only displays this character. The standard library escapes Unicode's categories C and
/// Z, except for the space, and marks that combine with the character before.
fn prints(char: char) -> bool {
    match char {
        ' ' => true,
        _ if char.is_ascii() => char.is_ascii_graphic(),
        _ => char.escape_debug().eq([char]),
    }
}

/// Returns octets as text: those of `special` behind a backslash, non-printing ones as `\DDD`.
fn show_octets(octets: &[u8], special: impl Fn(u8) -> bool) -> String {
    let mut text = String::new();
    for &octet in octets {
        if special(octet) {
            text.push('\\');
            text.push(char::from(octet));
        } else if octet.is_ascii_graphic() {
            text.push(char::from(octet));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "\\{octet:03}");
        }
    }
    text
}

/// Returns whether this octet of a name has a special meaning in a master file.
fn is_special(octet: u8) -> bool {
    matches!(octet, b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$')
}

/// Returns octets in hexadecimal, without separators.
pub(crate) fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "{octet:02x}");
        text
    })
}

/// Parses octets in hexadecimal; `None` if the text is not hexadecimal.
pub(crate) fn parse_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|octet| octet.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

/// Returns a type's mnemonic, or the `TYPE123` of RFC 3597 5.
pub(crate) fn show_type(rtype: RecordType) -> String {
    match rtype {
        RecordType::Unknown(_) | RecordType::ZERO => format!("TYPE{}", u16::from(rtype)),
        known => known.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_absolute_and_keep_their_case() {
        for (text, shown) in [
            (".", "."),
            ("10-42-2-46.Default.pod", "10-42-2-46.Default.pod."),
            ("a.b.", "a.b."),
            ("*._srv.x", "*._srv.x."),
            (r"a\.b.c", r"a\.b.c."),
            (r"a\.", r"a\.."),
            (r"\000\255\032\065", r"\000\255\032A."),
            ("a b", r"a\032b."),
        ] {
            assert_eq!(parse_name(text).map(|name| show_name(&name)), Ok(shown.to_owned()), "{text}");
        }
    }

    #[test]
    fn refused_names_have_reasons() {
        let long = "a".repeat(64);
        let cases = [
            ("", NameTextError::Empty),
            (".a", NameTextError::EmptyLabel),
            ("..", NameTextError::EmptyLabel),
            ("a..b", NameTextError::EmptyLabel),
            ("a\\", NameTextError::BadEscape),
            ("a\\25", NameTextError::BadEscape),
            ("a\\256", NameTextError::BadEscape),
            ("a\\2\u{e9}", NameTextError::BadEscape),
            ("b\u{fc}cher", NameTextError::NotAscii('\u{fc}')),
            (long.as_str(), NameTextError::LongLabel(long.clone())),
        ];
        for (text, why) in cases {
            assert_eq!(parse_name(text), Err(why), "{text:?}");
        }
    }

    #[test]
    fn lengths_are_exact() {
        let labels = |last: usize| format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(last));
        assert!(parse_name(&labels(61)).is_ok(), "255 octets");
        assert_eq!(parse_name(&labels(62)), Err(NameTextError::LongName(256)));
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(show_text("\u{1b}[31mred\u{9b}\n"), "\\027[31mred\\194\\155\\010");
        for (silent, escaped) in [
            ("\u{ad}", r"\194\173"),
            ("\u{61c}", r"\216\156"),
            ("\u{200b}", r"\226\128\139"),
            ("\u{2028}", r"\226\128\168"),
            ("\u{2029}", r"\226\128\169"),
            ("\u{202e}", r"\226\128\174"),
            ("\u{2066}", r"\226\129\166"),
            ("\u{feff}", r"\239\187\191"),
            ("\u{e0001}", r"\243\160\128\129"),
        ] {
            assert_eq!(show_text(silent), escaped, "{silent:?}");
        }
        let printed = "b\u{fc}cher \u{65e5}\u{672c} \u{1f600}\u{fffd} \"'\\";
        assert_eq!(show_text(printed), printed);
        assert_eq!(show_string(b"a \"b\" \\ \x1b"), r#""a \"b\" \\ \027""#);
        assert_eq!(show_string(b""), r#""""#);
    }

    #[test]
    fn hexadecimal_parses_back() {
        assert_eq!(parse_hex("00fFa1"), Some(vec![0, 255, 161]));
        assert_eq!(hex(&[0, 255, 161]), "00ffa1");
        for bad in ["0", "0x", "+1", "\u{e9}\u{e9}"] {
            assert_eq!(parse_hex(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn shown_names_parse_back(
            labels in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..64), 0..4)
        ) {
            let name = Name::from_labels(labels).expect("at most 193 octets");
            let shown = show_name(&name);
            prop_assert!(shown.bytes().all(|octet| octet.is_ascii_graphic()));
            let back = parse_name(&shown).expect("what show_name prints is a name");
            prop_assert!(back.eq_case(&name), "{} is not {}", show_name(&back), shown);
        }
    }
}
