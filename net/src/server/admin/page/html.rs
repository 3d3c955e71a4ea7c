//! HTML that text from outside cannot inject markup into: markup is `&'static str`, everything else is escaped.

use std::fmt::{self, Display, Write};

/// A document under construction.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// Adds markup.
    pub(super) fn raw(&mut self, markup: &'static str) -> &mut Self {
        self.0.push_str(markup);
        self
    }

    /// Adds text, of an element or of an attribute in double quotes.
    pub(super) fn text(&mut self, text: impl Display) -> &mut Self {
        // Writing to a String cannot fail.
        let _ = write!(Escaped(&mut self.0), "{text}");
        self
    }

    /// Adds at most `most` characters of a text, and an ellipsis if there are more.
    pub(super) fn bounded(&mut self, text: &str, most: usize) -> &mut Self {
        match text.char_indices().nth(most) {
            None => self.text(text),
            Some((end, _)) => self.text(text.get(..end).unwrap_or_default()).text('…'),
        }
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// Writer that escapes markup, and characters that are invisible or reorder others.
struct Escaped<'a>(&'a mut String);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                '\n' => self.0.push('\n'),
                other if is_hidden(other) => write!(self.0, "{}", other.escape_unicode())?,
                other => self.0.push(other),
            }
        }
        Ok(())
    }
}

/// Returns true for control characters, and for format characters that change the order or place of others.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(character, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut html = Html::default();
        html.text(text);
        html.finish()
    }

    #[test]
    fn no_text_becomes_markup() {
        assert_eq!(
            escaped("</td><script>alert(\"1\")</script> & 'x'"),
            "&lt;/td&gt;&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;x&#39;"
        );
        assert_eq!(escaped("a\u{202e}b\u{1b}[2J\0"), "a\\u{202e}b\\u{1b}[2J\\u{0}");
        assert_eq!(escaped("Grüße"), "Grüße");
    }

    #[test]
    fn long_texts_are_cut_at_characters() {
        let bounded = |text, most| {
            let mut html = Html::default();
            html.bounded(text, most);
            html.finish()
        };
        assert_eq!(bounded("äöü", 3), "äöü");
        assert_eq!(bounded("äöü", 2), "äö…");
        assert_eq!(bounded("<<<", 1), "&lt;…");
    }
}
