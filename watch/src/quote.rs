//! Text from outside in messages: quoted, so that it cannot be mistaken for the program's own text, and bounded.

use std::fmt;

/// Maximum number of characters of a quoted text.
const MAX_CHARS: usize = 200;

/// Displays text from outside in quotes, with control and format characters escaped, truncated to 200 characters.
pub(crate) struct QuotedText<'a>(pub(crate) &'a str);

impl fmt::Display for QuotedText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.char_indices().nth(MAX_CHARS).map_or(self.0.len(), |(end, _)| end);
        write!(f, "{:?}", &self.0[..end])?;
        if end < self.0.len() { f.write_str("...") } else { Ok(()) }
    }
}

/// Displays a URL from outside like [`QuotedText`], but without user name and password.
pub(crate) struct QuotedUrl<'a>(pub(crate) &'a str);

impl fmt::Display for QuotedUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.rsplit_once('@') {
            Some((_, rest)) => write!(f, "{}", QuotedText(&format!("...@{rest}"))),
            None => write!(f, "{}", QuotedText(self.0)),
        }
    }
}

/// Displays a list of names, each quoted, at most ten of them.
pub(crate) struct QuotedList<'a>(pub(crate) &'a [&'a str]);

impl fmt::Display for QuotedList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAX_NAMES: usize = 10;
        for (position, name) in self.0.iter().take(MAX_NAMES).enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(f, "{separator}{}", QuotedText(name))?;
        }
        match self.0.len().saturating_sub(MAX_NAMES) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_is_escaped_and_cut() {
        assert_eq!(QuotedText("a\n\u{1b}[31m\"\u{202e}\u{e9}").to_string(), r#""a\n\u{1b}[31m\"\u{202e}é""#);
        assert_eq!(QuotedText(&"\u{e9}".repeat(201)).to_string(), format!("\"{}\"...", "\u{e9}".repeat(200)));
    }

    #[test]
    fn passwords_of_urls_are_not_shown() {
        assert_eq!(QuotedUrl("http://u:p@q@host:1/").to_string(), r#""...@host:1/""#);
        assert_eq!(QuotedUrl("http://host").to_string(), r#""http://host""#);
    }

    #[test]
    fn long_lists_are_counted() {
        let names: Vec<String> = (0..12).map(|number| number.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(QuotedList(&names[..2]).to_string(), r#""0", "1""#);
        assert!(QuotedList(&names).to_string().ends_with(r#", "9" and 2 more"#));
    }
}
