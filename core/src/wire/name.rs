//! Domain names in wire form: configured names (owned) and names of questions (borrowed).

use core::fmt;
use core::str::FromStr;

use crate::label::MAX_LABEL;

/// Maximum length of a name in octets, including the root label (RFC 1035 2.3.4: "255 octets or less").
pub(crate) const MAX_NAME: usize = 255;

/// A configured domain name: 1 to 255 octets of labels and the root, uncompressed.
///
/// Parsed from text without escapes; the trailing dot is optional. Comparisons fold the case of `A`-`Z`.
///
/// ```
/// use poddns_core::Name;
///
/// let name: Name = "Cluster.local".parse()?;
/// assert_eq!(name, "cluster.LOCAL.".parse()?);
/// assert_eq!(name.as_wire(), b"\x07Cluster\x05local\x00");
/// assert_eq!(name.to_string(), "Cluster.local.");
/// # Ok::<(), poddns_core::NameError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Name {
    octets: [u8; MAX_NAME],
    len: u8,
}

/// Reason why a text is not a [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
// Later checks may have their own errors.
#[non_exhaustive]
pub enum NameError {
    /// No label: the root is not a valid cluster domain.
    Empty,
    /// Two consecutive dots, or a dot at the beginning.
    EmptyLabel,
    /// A label of more than 63 octets.
    LabelTooLong,
    /// More than 255 octets in total.
    TooLong,
    /// An octet that is not a letter, digit, dash or underscore, with its offset.
    BadOctet(usize),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty; a domain name such as cluster.local is needed"),
            Self::EmptyLabel => f.write_str("has an empty label (a dot in front, or two in a row)"),
            Self::LabelTooLong => f.write_str("has a label of more than 63 characters"),
            Self::TooLong => f.write_str("is longer than 255 octets in wire form"),
            Self::BadOctet(at) => {
                write!(f, "has a character other than letters, digits, '-' and '_' at offset {at}")
            }
        }
    }
}

impl core::error::Error for NameError {}

impl Name {
    const ROOT: Self = Self { octets: [0; MAX_NAME], len: 1 };

    /// The name in wire form, with the root label at the end.
    #[must_use]
    pub fn as_wire(&self) -> &[u8] {
        self.octets.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// Returns this name with one more label in front.
    pub(crate) fn below(&self, label: &[u8]) -> Result<Self, NameError> {
        let len = u8::try_from(label.len()).map_err(|_| NameError::LabelTooLong)?;
        if label.is_empty() {
            return Err(NameError::EmptyLabel);
        }
        if label.len() > MAX_LABEL {
            return Err(NameError::LabelTooLong);
        }
        let mut child = Self::ROOT;
        let mut free = child.octets.iter_mut();
        let source = [len];
        for from in source.iter().chain(label).chain(self.as_wire()) {
            *free.next().ok_or(NameError::TooLong)? = *from;
        }
        // At most 255, or the loop would have failed.
        child.len = self.len.saturating_add(len).saturating_add(1);
        Ok(child)
    }

    /// The labels from left to right, without length octets and root.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        labels(self.as_wire())
    }
}

/// The labels of a name in wire form, from left to right, without length octets and root.
fn labels(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    core::iter::from_fn(move || {
        let (label, tail) = split_label(rest)?;
        rest = tail;
        (!label.is_empty()).then_some(label)
    })
}

/// Splits the first label, without its length octet, off a name in wire form or its front part. Returns label and
/// rest.
#[inline]
pub(crate) fn split_label(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&len, tail) = name.split_first()?;
    tail.split_at_checked(usize::from(len))
}

/// Returns true if `front` consists of whole labels: the last one ends exactly at its end.
pub(crate) fn is_labels(mut front: &[u8]) -> bool {
    while let Some((_, rest)) = split_label(front) {
        front = rest;
    }
    front.is_empty()
}

/// Returns the part of a name in front of `suffix`: empty if they are equal, `None` if `name` is not at or below
/// `suffix`. Both are whole names in wire form.
pub(crate) fn strip_suffix<'n>(name: &'n [u8], suffix: &[u8]) -> Option<&'n [u8]> {
    strip_octets(name, suffix).filter(|front| is_labels(front))
}

/// [`strip_suffix`] without the check for label boundaries: the octets of the suffix may be the end of a longer
/// label, of which the returned front then has the beginning.
#[expect(
    clippy::inline_always,
    reason = "on the path of every query, and no longer inlined since it has further callers"
)]
#[inline(always)]
pub(crate) fn strip_octets<'n>(name: &'n [u8], suffix: &[u8]) -> Option<&'n [u8]> {
    let (front, back) = name.split_at_checked(name.len().checked_sub(suffix.len())?)?;
    // Length octets are below 64, so case folding never changes them. Usually the octets are equal without folding.
    (back == suffix || eq_folded(back, suffix)).then_some(front)
}

/// Returns whether two names in wire form are equal except for the case of letters.
// Out of line, to keep values in registers in the common case.
#[inline(never)]
fn eq_folded(one: &[u8], other: &[u8]) -> bool {
    one.eq_ignore_ascii_case(other)
}

/// The name of a question: whole, uncompressed, and within the limits of lengths.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QuestionName<'q>(&'q [u8]);

impl<'q> QuestionName<'q> {
    /// Reads the name at the beginning of `octets`. `None` if it is incomplete, longer than 255 octets, or has
    /// anything but plain labels: there is nothing in front of the first name of a message that a pointer could refer
    /// to.
    #[inline]
    pub(crate) fn read(octets: &'q [u8]) -> Option<Self> {
        // Limited to the maximum length: a name that is incomplete within it is too long.
        let octets = octets.get(..MAX_NAME).unwrap_or(octets);
        let mut at = 0_usize;
        loop {
            match usize::from(*octets.get(at)?) {
                // Bounded by the length of `octets`, so the addition does not wrap.
                len @ 1..=MAX_LABEL => at = at.wrapping_add(len).wrapping_add(1),
                0 => return octets.get(..=at).map(Self),
                _ => return None,
            }
        }
    }

    /// The name as received, including the root label.
    pub(crate) const fn as_wire(self) -> &'q [u8] {
        self.0
    }

    /// Returns the offset in this name of its suffix that has the length of `name`.
    pub(crate) fn offset_of(self, name: &Name) -> u8 {
        // At most 255, as both names are.
        u8::try_from(self.0.len().saturating_sub(name.as_wire().len())).unwrap_or_default()
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if let Some(at) = text
            .bytes()
            .position(|octet| !(octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.')))
        {
            return Err(NameError::BadOctet(at));
        }
        // Split by octets: splitting by characters contains a panic that the compiler does not remove.
        text.as_bytes().rsplit(|&octet| octet == b'.').try_fold(Self::ROOT, |name, label| name.below(label))
    }
}

impl TryFrom<&str> for Name {
    type Error = NameError;

    fn try_from(text: &str) -> Result<Self, NameError> {
        text.parse()
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        strip_suffix(self.as_wire(), other.as_wire()).is_some_and(<[u8]>::is_empty)
    }
}

impl Eq for Name {}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for label in self.labels() {
            write!(f, "{}.", core::str::from_utf8(label).unwrap_or_default())?;
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString;

    #[test]
    fn text_converts_as_it_parses() {
        for text in ["cluster.local", "a..b", ""] {
            assert_eq!(Name::try_from(text), text.parse(), "{text:?}");
        }
    }

    #[test]
    fn error_messages_name_the_fault() {
        for (why, text) in [
            (NameError::Empty, "is empty; a domain name such as cluster.local is needed"),
            (NameError::EmptyLabel, "has an empty label (a dot in front, or two in a row)"),
            (NameError::LabelTooLong, "has a label of more than 63 characters"),
            (NameError::TooLong, "is longer than 255 octets in wire form"),
            (NameError::BadOctet(7), "has a character other than letters, digits, '-' and '_' at offset 7"),
        ] {
            assert_eq!(why.to_string(), text);
        }
    }
}
