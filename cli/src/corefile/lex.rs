//! Tokens of a Corefile, split as `CoreDNS` does: at white space, with quotes and comments.

/// Maximum size of a Corefile, in bytes.
pub(super) const MAX_BYTES: usize = 1 << 20;

/// A token and its position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    /// The line, from 1.
    pub(super) line: usize,
    /// True if the token was quoted: a quoted brace is text.
    pub(super) quoted: bool,
    /// Offset in the text of the end of the token, in bytes.
    pub(super) end: usize,
}

impl Token {
    pub(super) fn is(&self, punctuation: &str) -> bool {
        !self.quoted && self.text == punctuation
    }
}

/// Splits a text into tokens. An unclosed quote extends to the end of the text, as in `CoreDNS`.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { tokens: Vec::new(), current: None, line: 1 };
    let mut characters = text.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        match character {
            // `CoreDNS` ignores carriage returns, so lines may end in CR LF.
            '\r' => {}
            '\u{feff}' if at == 0 => {}
            '"' if lexer.current.is_none() => lexer.quoted(&mut characters),
            // A comment also ends a token directly in front of it.
            '#' => while characters.next_if(|next| next.1 != '\n').is_some() {},
            _ if character.is_whitespace() => {
                lexer.end();
                lexer.line += usize::from(character == '\n');
            }
            _ => lexer.push(at, character),
        }
    }
    lexer.end();
    lexer.tokens
}

struct Lexer {
    tokens: Vec<Token>,
    current: Option<Token>,
    line: usize,
}

impl Lexer {
    fn push(&mut self, at: usize, character: char) {
        let line = self.line;
        let token = || Token { text: String::new(), line, quoted: false, end: at };
        let token = self.current.get_or_insert_with(token);
        token.text.push(character);
        token.end = at + character.len_utf8();
    }

    fn end(&mut self) {
        self.tokens.extend(self.current.take());
    }

    /// Reads up to the closing quote. A backslash escapes only quotes.
    fn quoted(&mut self, characters: &mut impl Iterator<Item = (usize, char)>) {
        let mut token = Token { text: String::new(), line: self.line, quoted: true, end: 0 };
        let mut escaped = false;
        for (at, character) in characters {
            token.end = at + character.len_utf8();
            self.line += usize::from(character == '\n');
            match character {
                '"' if !escaped => break,
                '\\' if !escaped => {
                    escaped = true;
                    continue;
                }
                _ if escaped && character != '"' => token.text.push('\\'),
                _ => {}
            }
            escaped = false;
            token.text.push(character);
        }
        self.tokens.push(token);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        tokens(text).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn tokens_end_at_white_space_and_comments() {
        assert_eq!(texts(".:53 {\r\n  errors # all\n}"), [".:53", "{", "errors", "}"]);
        assert_eq!(texts("forward# one\nx"), ["forward", "x"]);
        assert_eq!(texts("\u{feff}a\u{a0}b"), ["a", "b"]);
    }

    #[test]
    fn quotes_keep_spaces_and_escape_only_quotes() {
        assert_eq!(texts(r#"a "b c" "say \"x\" \n" "#), ["a", "b c", r#"say "x" \n"#]);
        assert_eq!(texts("a\"b"), ["a\"b"], "inside of a token a quote is text");
        assert!(!tokens("\"{\"")[0].is("{"));
    }

    #[test]
    fn lines_are_counted_in_quotes_too() {
        let lines: Vec<usize> = tokens("a\n\"b\nc\" d\ne").into_iter().map(|token| token.line).collect();
        assert_eq!(lines, [1, 2, 3, 4]);
    }
}
