//! Domain names in wire form: a configured one, owned, and the one of a question, borrowed.

use core::fmt;
use core::str::FromStr;

use crate::label::MAX_LABEL;

/// The longest name, root label included (RFC 1035 2.3.4: "255 octets or less").
pub(crate) const MAX_NAME: usize = 255;

/// A domain name that somebody configured: 1 to 255 octets of labels and the root, uncompressed.
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
    /// Labels, the root not counted. Kept, because every question is matched against every zone.
    labels: u8,
}

/// Why a text is not a [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// No label at all: the root is nobody's cluster domain.
    Empty,
    /// Two dots in a row, or one in front.
    EmptyLabel,
    /// A label of more than 63 octets.
    LabelTooLong,
    /// More than 255 octets in all.
    TooLong,
    /// An octet that is not a letter, digit, dash or underscore; its offset.
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
    const ROOT: Self = Self { octets: [0; MAX_NAME], len: 1, labels: 0 };

    /// The name in wire form, with the root label at the end.
    #[must_use]
    pub fn as_wire(&self) -> &[u8] {
        self.octets.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// This name with one more label in front.
    pub(crate) fn below(&self, label: &[u8]) -> Result<Self, NameError> {
        let len = u8::try_from(label.len()).map_err(|_| NameError::LabelTooLong)?;
        if label.is_empty() {
            return Err(NameError::EmptyLabel);
        }
        if label.len() > MAX_LABEL {
            return Err(NameError::LabelTooLong);
        }
        let mut child = Self::ROOT;
        let mut room = child.octets.iter_mut();
        let source = [len];
        for from in source.iter().chain(label).chain(self.as_wire()) {
            *room.next().ok_or(NameError::TooLong)? = *from;
        }
        // At most 255, or the loop had failed.
        child.len = self.len.saturating_add(len).saturating_add(1);
        child.labels = self.labels.saturating_add(1);
        Ok(child)
    }

    /// Labels, the root not counted.
    pub(crate) fn label_count(&self) -> usize {
        usize::from(self.labels)
    }

    /// The octets in front of `ancestor`, a name of so many labels, if this is that name or below it.
    pub(crate) fn strip_suffix(&self, ancestor: &[u8], labels: usize) -> Option<&[u8]> {
        let skip = self.label_count().checked_sub(labels)?;
        let mut rest = self.as_wire();
        for label in self.labels().take(skip) {
            rest = rest.get(label.len().checked_add(1)?..)?;
        }
        let (own, shared) = self.as_wire().split_at_checked(self.as_wire().len().checked_sub(rest.len())?)?;
        shared.eq_ignore_ascii_case(ancestor).then_some(own)
    }

    /// The labels from left to right, without length octets and root.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.as_wire();
        core::iter::from_fn(move || {
            let (&len, tail) = rest.split_first()?;
            let (label, tail) = tail.split_at_checked(usize::from(len))?;
            rest = tail;
            (!label.is_empty()).then_some(label)
        })
    }
}

/// The name of a question: uncompressed and checked, so that zones are matched label by label.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QuestionName<'q> {
    wire: &'q [u8],
    /// Labels, the root not counted.
    labels: usize,
}

impl<'q> QuestionName<'q> {
    /// Reads the name at the beginning of `octets`. `None` if it is cut off, longer than 255 octets, or holds
    /// anything but plain labels: in the first name of a message there is nothing a pointer could point to.
    pub(crate) fn read(octets: &'q [u8]) -> Option<Self> {
        let (mut at, mut labels) = (0_usize, 0_usize);
        loop {
            let len = usize::from(*octets.get(at)?);
            if len == 0 {
                let wire = octets.get(..=at)?;
                return Some(Self { wire, labels });
            }
            // Bounded by the name's length, so nothing overflows.
            at = at.wrapping_add(len).wrapping_add(1);
            labels = labels.wrapping_add(1);
            if len > MAX_LABEL || at >= MAX_NAME {
                return None;
            }
        }
    }

    /// The name as it came, with the root label at the end.
    pub(crate) fn as_wire(&self) -> &'q [u8] {
        self.wire
    }

    /// Labels, the root not counted.
    pub(crate) fn label_count(&self) -> usize {
        self.labels
    }

    /// What is left behind the first `labels` labels.
    fn skip(&self, labels: usize) -> Option<&'q [u8]> {
        let mut rest = self.wire;
        for _ in 0..labels {
            let (&len, tail) = rest.split_first()?;
            rest = tail.get(usize::from(len)..)?;
        }
        Some(rest)
    }

    /// Label number `index` from the left, without its length octet.
    pub(crate) fn label(&self, index: usize) -> Option<&'q [u8]> {
        let (&len, rest) = self.skip(index)?.split_first()?;
        rest.get(..usize::from(len))
    }

    /// Where the last `labels` labels begin, as an offset from the name's beginning.
    pub(crate) fn suffix_start(&self, labels: usize) -> Option<usize> {
        let suffix = self.skip(self.labels.checked_sub(labels)?)?;
        self.wire.len().checked_sub(suffix.len())
    }

    /// If this is `ancestor` or below it, how many labels it has in front of it.
    pub(crate) fn below(&self, ancestor: &Name) -> Option<usize> {
        let depth = self.labels.checked_sub(ancestor.label_count())?;
        self.skip(depth)?.eq_ignore_ascii_case(ancestor.as_wire()).then_some(depth)
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
        text.rsplit('.').try_fold(Self::ROOT, |name, label| name.below(label.as_bytes()))
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        // Length octets are below 64, so folding letters never touches them.
        self.as_wire().eq_ignore_ascii_case(other.as_wire())
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
    fn errors_say_what_is_wrong() {
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
