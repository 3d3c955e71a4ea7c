//! Domain names in presentation format.

use std::fmt::Write as _;

/// Returns the presentation format (RFC 1035 5.1) of a name in wire form.
pub(crate) fn show(name: &[u8]) -> String {
    let (mut text, mut rest) = (String::new(), name);
    while let Some((&len, tail)) = rest.split_first()
        && len > 0
        && let Some((label, tail)) = tail.split_at_checked(usize::from(len))
    {
        for &octet in label {
            match octet {
                b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => {
                    text.extend(['\\', char::from(octet)]);
                }
                b'!'..=b'~' => text.push(char::from(octet)),
                // Writing to a String cannot fail.
                _ => drop(write!(text, "\\{octet:03}")),
            }
        }
        text.push('.');
        rest = tail;
    }
    if text.is_empty() { ".".to_owned() } else { text }
}
