//! Server blocks and directives of a Corefile.

use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;

use super::lex::{Token, tokens};

/// Maximum nesting of blocks, and of snippets that import each other.
const MAX_DEPTH: usize = 16;
/// Maximum number of directives in a Corefile, including imported ones.
const MAX_DIRECTIVES: usize = 10_000;

/// Reason why a text is not a valid Corefile.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum CorefileError {
    #[error("line {0}: '}}' without '{{'")]
    Unopened(usize),
    #[error("the block that begins on line {0} is not closed")]
    Unclosed(usize),
    #[error("line {0}: blocks or imports are nested deeper than {MAX_DEPTH}")]
    TooDeep(usize),
    #[error("line {0}: more than {MAX_DIRECTIVES} directives, imported ones included")]
    TooMany(usize),
    #[error("line {0}: 'import' takes one argument, a snippet's name or a file")]
    Import(usize),
    #[error("no server block: a Corefile has at least one, such as '.:53 {{ ... }}'")]
    Empty,
}

/// A directive with its arguments, and the directives of its block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) name: String,
    pub(super) arguments: Vec<String>,
    pub(super) block: Vec<Directive>,
    pub(super) line: usize,
}

impl fmt::Display for Directive {
    /// Writes the directive on one line, without its block.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&quote(&self.name))?;
        self.arguments.iter().try_for_each(|argument| write!(f, " {}", quote(argument)))
    }
}

/// Quotes a token if it would otherwise be read as another one.
fn quote(token: &str) -> String {
    let plain = !token.is_empty()
        && !token.starts_with('"')
        && !token.contains(|c: char| c.is_whitespace() || c == '#')
        && token != "{"
        && token != "}";
    if plain { token.to_owned() } else { format!("\"{}\"", token.replace('"', "\\\"")) }
}

/// One address of a server block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BlockAddress {
    /// The zone in lower case without a dot at its end; the root is empty.
    pub(super) zone: String,
    /// The port, if it differs from the default of the scheme.
    pub(super) port: Option<String>,
    /// The scheme, such as `tls`, if there is one.
    pub(super) scheme: Option<String>,
}

impl BlockAddress {
    fn read(text: &str) -> Self {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
            None => (None, text),
        };
        let (zone, port) = match rest.rsplit_once(':') {
            Some((zone, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
                (zone, Some(port.to_owned()))
            }
            _ => (rest, None),
        };
        Self { zone: zone.trim_end_matches('.').to_ascii_lowercase(), port, scheme }
    }
}

/// A server block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ServerBlock {
    pub(super) addresses: Vec<BlockAddress>,
    pub(super) directives: Vec<Directive>,
    pub(super) line: usize,
}

/// A Corefile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Corefile {
    pub(super) blocks: Vec<ServerBlock>,
    /// Imported files, which are not read, with the lines of their imports.
    pub(super) imports: Vec<(String, usize)>,
    /// Environment variables without a value, each once.
    pub(super) unset: Vec<String>,
    /// Offset in the text of the end of the addresses, in bytes, if the only server block has no braces.
    pub(super) braceless: Option<usize>,
}

/// Parses a Corefile. `variables` are those of `CoreDNS`' environment.
pub(super) fn parse(text: &str, variables: &BTreeMap<String, String>) -> Result<Corefile, CorefileError> {
    let mut corefile = Corefile::default();
    let mut tokens = tokens(text);
    for token in &mut tokens {
        token.text = expand(&token.text, variables, &mut corefile.unset);
    }
    let mut parser = Parser { tokens: &tokens, at: 0, snippets: BTreeMap::new() };
    let mut blocks = Vec::new();
    while let Some(token) = parser.peek() {
        match token.text.as_str() {
            "import" => parser.top_level_import(&mut corefile.imports)?,
            _ => parser.server_block(&mut blocks, &mut corefile.braceless)?,
        }
    }
    if blocks.is_empty() {
        return Err(CorefileError::Empty);
    }
    let mut left = MAX_DIRECTIVES;
    for mut block in blocks {
        let directives = std::mem::take(&mut block.directives);
        block.directives = parser.imported(directives, &mut corefile.imports, &mut left, 0)?;
        corefile.blocks.push(block);
    }
    Ok(corefile)
}

/// Replaces `{$NAME}` and `{%NAME%}`; a variable without a value is replaced by nothing, as in `CoreDNS`.
fn expand(text: &str, variables: &BTreeMap<String, String>, unset: &mut Vec<String>) -> String {
    let mut expanded = text.to_owned();
    for (open, close) in [("{$", "}"), ("{%", "%}")] {
        let mut rest = std::mem::take(&mut expanded);
        while let Some(begin) = rest.find(open) {
            let Some(length) = rest[begin + open.len()..].find(close) else { break };
            let name = rest[begin + open.len()..][..length].to_owned();
            expanded.push_str(&rest[..begin]);
            match variables.get(&name) {
                Some(value) => expanded.push_str(value),
                None if unset.contains(&name) => {}
                None => unset.push(name),
            }
            rest = rest.split_off(begin + open.len() + length + close.len());
        }
        expanded.push_str(&rest);
    }
    expanded
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    snippets: BTreeMap<String, Vec<Directive>>,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<&'a Token> {
        let token = self.peek();
        self.at += usize::from(token.is_some());
        token
    }

    /// Records an imported file of server blocks, which is not read.
    fn top_level_import(&mut self, files: &mut Vec<(String, usize)>) -> Result<(), CorefileError> {
        let line = self.next().map_or(0, |import| import.line);
        let name = self.next().filter(|name| name.line == line).ok_or(CorefileError::Import(line))?;
        if self.peek().is_some_and(|more| more.line == line) {
            return Err(CorefileError::Import(line));
        }
        files.push((name.text.clone(), line));
        Ok(())
    }

    /// Reads addresses and a block, or a snippet. Without braces, the rest of the file is the block.
    fn server_block(
        &mut self,
        blocks: &mut Vec<ServerBlock>,
        braceless: &mut Option<usize>,
    ) -> Result<(), CorefileError> {
        let Some(first) = self.peek() else { return Ok(()) };
        let line = first.line;
        let mut names = Vec::new();
        let mut braces = false;
        while let Some(token) = self.peek() {
            if token.is("}") {
                return Err(CorefileError::Unopened(token.line));
            }
            let continues = names.last().is_none_or(|last: &String| last.ends_with(','));
            let previous = self.at.checked_sub(1).map(|at| self.tokens[at].line);
            if token.is("{") {
                braces = true;
                self.at += 1;
                break;
            }
            if !continues && previous != Some(token.line) {
                break;
            }
            names.push(token.text.clone());
            self.at += 1;
        }
        if !braces {
            *braceless = self.at.checked_sub(1).map(|at| self.tokens[at].end);
        }
        let directives = self.directives(braces.then_some(line), 0)?;
        match names.as_slice() {
            [name] if name.starts_with('(') && name.ends_with(')') => {
                self.snippets.insert(name[1..name.len() - 1].to_owned(), directives);
            }
            _ => {
                let names =
                    names.iter().map(|name| name.trim_end_matches(',')).filter(|name| !name.is_empty());
                let addresses = names.map(BlockAddress::read).collect();
                blocks.push(ServerBlock { addresses, directives, line });
            }
        }
        Ok(())
    }

    /// Reads directives up to the brace that closes the block opened on line `opened`, or to the end of the file.
    fn directives(&mut self, opened: Option<usize>, depth: usize) -> Result<Vec<Directive>, CorefileError> {
        let mut directives = Vec::new();
        while let Some(token) = self.next() {
            if token.is("}") {
                return if opened.is_some() {
                    Ok(directives)
                } else {
                    Err(CorefileError::Unopened(token.line))
                };
            }
            if depth >= MAX_DEPTH {
                return Err(CorefileError::TooDeep(token.line));
            }
            let mut directive = Directive {
                name: token.text.clone(),
                arguments: Vec::new(),
                block: Vec::new(),
                line: token.line,
            };
            while let Some(argument) = self.peek().filter(|next| next.line == token.line && !next.is("}")) {
                self.at += 1;
                if argument.is("{") {
                    directive.block = self.directives(Some(argument.line), depth + 1)?;
                    break;
                }
                directive.arguments.push(argument.text.clone());
            }
            directives.push(directive);
        }
        opened.map_or(Ok(directives), |line| Err(CorefileError::Unclosed(line)))
    }

    /// Replaces imports by their snippets, and records imported files.
    fn imported(
        &self,
        directives: Vec<Directive>,
        files: &mut Vec<(String, usize)>,
        left: &mut usize,
        depth: usize,
    ) -> Result<Vec<Directive>, CorefileError> {
        let mut all = Vec::new();
        for mut directive in directives {
            *left = left.checked_sub(1).ok_or(CorefileError::TooMany(directive.line))?;
            if depth >= MAX_DEPTH {
                return Err(CorefileError::TooDeep(directive.line));
            }
            if directive.name != "import" {
                let block = std::mem::take(&mut directive.block);
                directive.block = self.imported(block, files, left, depth + 1)?;
                all.push(directive);
                continue;
            }
            let [name] = directive.arguments.as_slice() else {
                return Err(CorefileError::Import(directive.line));
            };
            match self.snippets.get(name) {
                Some(snippet) => all.extend(self.imported(snippet.clone(), files, left, depth + 1)?),
                None => files.push((name.clone(), directive.line)),
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Corefile, CorefileError> {
        parse(text, &BTreeMap::from([("PORT".to_owned(), "5353".to_owned())]))
    }

    #[test]
    fn addresses_have_scheme_zone_and_port() {
        let corefile = read("dns://Example.org.:{$PORT}, tls://. 10.0.0.0/24 {\nwhoami\n}").unwrap();
        let address = |zone: &str, port: Option<&str>, scheme: Option<&str>| BlockAddress {
            zone: zone.to_owned(),
            port: port.map(str::to_owned),
            scheme: scheme.map(str::to_owned),
        };
        let expected = [
            address("example.org", Some("5353"), Some("dns")),
            address("", None, Some("tls")),
            address("10.0.0.0/24", None, None),
        ];
        assert_eq!(corefile.blocks[0].addresses, expected);
    }

    #[test]
    fn addresses_continue_after_a_comma() {
        assert_eq!(read("a,\nb {\nerrors\n}").unwrap().blocks[0].addresses.len(), 2);
    }

    #[test]
    fn snippets_replace_imports_and_files_are_noted() {
        let corefile =
            read("(log) {\n errors\n cache {\n denial 5\n }\n}\n. {\n import log\n import /etc/x/*\n}")
                .unwrap();
        let names: Vec<&str> = corefile.blocks[0].directives.iter().map(|d| d.name.as_str()).collect();
        assert_eq!(names, ["errors", "cache"]);
        assert_eq!(corefile.blocks[0].directives[1].block[0].arguments, ["5"]);
        assert_eq!(corefile.imports, [("/etc/x/*".to_owned(), 9)]);
    }

    #[test]
    fn one_block_may_lack_braces() {
        let corefile = read(".:53\nerrors\nkubernetes cluster.local {\n pods verified\n}\n").unwrap();
        assert_eq!(corefile.blocks.len(), 1);
        assert_eq!(corefile.blocks[0].directives[1].block[0].arguments, ["verified"]);
    }

    #[test]
    fn files_are_imported_between_blocks_too() {
        let corefile = read("import a/*.server\n. {\nerrors\n}\nimport b\n").unwrap();
        assert_eq!(corefile.blocks.len(), 1);
        assert_eq!(corefile.imports, [("a/*.server".to_owned(), 1), ("b".to_owned(), 5)]);
        assert_eq!(read("import\n. {\n}"), Err(CorefileError::Import(1)));
    }

    #[test]
    fn unset_variables_are_empty_and_named_once() {
        let corefile = read(". {\nforward . {$UP} {%UP%}x\n}").unwrap();
        assert_eq!(corefile.unset, ["UP"]);
        assert_eq!(corefile.blocks[0].directives[0].arguments, [".", "", "x"]);
    }

    #[test]
    fn faults_name_their_line() {
        assert_eq!(read(". {\nerrors\n"), Err(CorefileError::Unclosed(1)));
        assert_eq!(read(". {\n}\n}"), Err(CorefileError::Unopened(3)));
        assert_eq!(read("# nothing\n"), Err(CorefileError::Empty));
        assert_eq!(read(". {\nimport\n}"), Err(CorefileError::Import(2)));
        assert_eq!(read("(a) {\nimport a\n}\n. {\nimport a\n}"), Err(CorefileError::TooDeep(2)));
        let deep = format!(". {{\n{}", "a {\n".repeat(100));
        assert!(matches!(read(&deep), Err(CorefileError::TooDeep(_))));
    }

    #[test]
    fn many_small_imports_are_bounded() {
        let mut text = String::from("(s0) {\nerrors\n}\n");
        for n in 1..14 {
            let imports = format!("import s{}\n", n - 1).repeat(4);
            text += &["(s", &n.to_string(), ") {\n", &imports, "}\n"].concat();
        }
        text.push_str(". {\nimport s13\n}\n");
        assert!(matches!(read(&text), Err(CorefileError::TooMany(_))));
    }

    #[test]
    fn directive_is_shown_as_read() {
        for text in ["rewrite name \"a b\" c", "log \"#\"", "x \"\"", "y \"{\"", "z \"say \\\"x\\\"\""] {
            let corefile = read(&format!(". {{\n{text}\n}}")).unwrap();
            assert_eq!(corefile.blocks[0].directives[0].to_string(), text);
        }
    }
}
