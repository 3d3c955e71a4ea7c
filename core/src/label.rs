//! Namespace and pod names: one RFC 1123 label.

use core::fmt;
use core::num::NonZero;
use core::str::FromStr;

/// Maximum length of a label, in octets (RFC 1035 2.3.4).
pub(crate) const MAX_LABEL: usize = 63;

/// A namespace's or pod's name as one DNS label: 1 to 63 of `a-z`, `0-9` and `-`, with no dash at the beginning or
/// end.
///
/// Kubernetes calls this an RFC 1123 label name and requires it of every namespace. Labels from a question are folded
/// to lower case, so two labels are equal exactly if DNS considers them equal.
///
/// ```
/// use poddns_core::Label;
///
/// let label: Label = "kube-system".parse()?;
/// assert_eq!(label.as_str(), "kube-system");
/// assert!("Kube".parse::<Label>().is_err(), "Kubernetes has no upper-case names");
/// assert_eq!(Label::from_wire(b"Kube"), Some("kube".parse()?), "but a question may spell it so");
/// # Ok::<(), poddns_core::LabelError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    // Zero beyond `len`, so that the derived comparisons are those of the text.
    octets: [u8; MAX_LABEL],
    len: NonZero<u8>,
}

/// Returns the octet in lower case; `None` if it is not allowed in a label.
#[inline]
fn folded(octet: u8) -> Option<u8> {
    /// The result for each octet; 0 if it is not allowed. A table, because this runs for every octet of the namespace
    /// in every query.
    static FOLDED: [u8; 256] = {
        let mut table = [0; 256];
        let mut rest: &mut [u8] = &mut table;
        let mut octet = 0_u8;
        while let Some((first, tail)) = rest.split_first_mut() {
            *first = match octet.to_ascii_lowercase() {
                folded @ (b'a'..=b'z' | b'0'..=b'9' | b'-') => folded,
                _ => 0,
            };
            rest = tail;
            octet = octet.wrapping_add(1);
        }
        table
    };
    FOLDED.get(usize::from(octet)).copied().filter(|&folded| folded != 0)
}

/// Reason why a text is not a [`Label`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// Later checks may have their own errors.
#[non_exhaustive]
pub enum LabelError {
    /// No octet at all.
    Empty,
    /// More than 63 octets.
    TooLong,
    /// An octet that is not a lower-case letter, digit or dash, with its offset.
    BadOctet(usize),
    /// The first or the last octet is a dash.
    OuterDash,
}

impl fmt::Display for LabelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty; a label has 1 to 63 characters"),
            Self::TooLong => f.write_str("is longer than 63 characters"),
            Self::BadOctet(at) => {
                write!(f, "has a character other than a-z, 0-9 and '-' at offset {at}")
            }
            Self::OuterDash => f.write_str("begins or ends with '-'"),
        }
    }
}

impl core::error::Error for LabelError {}

impl Label {
    /// Returns the label of a question, folded to lower case; `None` if it is not a valid Kubernetes name.
    #[must_use]
    #[inline]
    pub fn from_wire(octets: &[u8]) -> Option<Self> {
        if let [] | [b'-', ..] | [.., b'-'] = octets {
            return None;
        }
        let len = u8::try_from(octets.len()).ok().and_then(NonZero::new)?;
        let mut label = Self { octets: [0; MAX_LABEL], len };
        for (to, &from) in label.octets.get_mut(..octets.len())?.iter_mut().zip(octets) {
            *to = folded(from)?;
        }
        Some(label)
    }

    /// The label's octets, without a length octet.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.octets.get(..usize::from(self.len.get())).unwrap_or_default()
    }

    /// The label's octets, padded with zeros to 63: two labels are equal exactly if these are.
    #[must_use]
    pub const fn as_padded(&self) -> &[u8; 63] {
        &self.octets
    }

    /// The label as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // All octets are ASCII, so the default is never used.
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl FromStr for Label {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        let octets = text.as_bytes();
        if octets.is_empty() {
            return Err(LabelError::Empty);
        }
        if octets.len() > MAX_LABEL {
            return Err(LabelError::TooLong);
        }
        if let Some(at) = octets.iter().position(|&octet| folded(octet) != Some(octet)) {
            return Err(LabelError::BadOctet(at));
        }
        Self::from_wire(octets).ok_or(LabelError::OuterDash)
    }
}

impl TryFrom<&str> for Label {
    type Error = LabelError;

    fn try_from(text: &str) -> Result<Self, LabelError> {
        text.parse()
    }
}

impl AsRef<str> for Label {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn valid_labels_are_accepted() {
        let longest = "a".repeat(63);
        for good in ["a", "0", "a-b", "kube-system", "x--y", longest.as_str()] {
            assert_eq!(good.parse::<Label>().map(|label| label.as_bytes().len()), Ok(good.len()));
        }
    }

    #[test]
    fn invalid_labels_are_refused_with_reason() {
        let cases = [
            ("", LabelError::Empty),
            ("-a", LabelError::OuterDash),
            ("a-", LabelError::OuterDash),
            ("-", LabelError::OuterDash),
            ("a.b", LabelError::BadOctet(1)),
            ("aB", LabelError::BadOctet(1)),
            ("a_b", LabelError::BadOctet(1)),
        ];
        for (text, why) in cases {
            assert_eq!(text.parse::<Label>(), Err(why), "{text:?}");
        }
        assert_eq!("a".repeat(64).parse::<Label>(), Err(LabelError::TooLong));
        assert_eq!("a".repeat(300).parse::<Label>(), Err(LabelError::TooLong));
    }

    #[test]
    fn text_converts_as_it_parses() {
        for text in ["kube-system", "Kube", "a.b", ""] {
            assert_eq!(Label::try_from(text), text.parse(), "{text:?}");
        }
    }

    #[test]
    fn only_letters_fold() {
        assert_eq!(Label::from_wire(b"A-Z"), "a-z".parse().ok());
        // Setting bit 5 would turn these into a dash and a digit.
        assert_eq!(Label::from_wire(b"a\x0db"), None);
        assert_eq!(Label::from_wire(b"\x11"), None);
    }

    #[test]
    fn display_equals_text() {
        let shown = Label::from_wire(b"Kube-System")
            .map(|label| (label.to_string(), std::format!("{label:?}"), std::format!("{label:>13}")));
        assert_eq!(shown, Some(("kube-system".into(), "\"kube-system\"".into(), "  kube-system".into())));
        assert_eq!(Label::from_wire(b"A").as_ref().map(AsRef::as_ref), Some("a"));
    }

    #[test]
    fn error_messages_name_the_fault() {
        for (why, text) in [
            (LabelError::Empty, "is empty; a label has 1 to 63 characters"),
            (LabelError::TooLong, "is longer than 63 characters"),
            (LabelError::BadOctet(7), "has a character other than a-z, 0-9 and '-' at offset 7"),
            (LabelError::OuterDash, "begins or ends with '-'"),
        ] {
            assert_eq!(why.to_string(), text);
        }
    }

    #[test]
    fn order_equals_that_of_text() {
        let mut labels: std::vec::Vec<Label> =
            ["b", "ab", "a", "a-b"].iter().filter_map(|text| text.parse().ok()).collect();
        labels.sort();
        let texts: std::vec::Vec<&str> = labels.iter().map(Label::as_str).collect();
        assert_eq!(texts, ["a", "a-b", "ab", "b"]);
    }
}
