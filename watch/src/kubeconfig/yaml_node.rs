//! A YAML or JSON document as a tree whose scalars are texts.
//!
//! Values are converted on access, so a field that is not accessed cannot be a fault: a number out of range, a date, or
//! the plugin of another user in an unknown format.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError};

/// Maximum depth of nested lists and mappings.
const MAX_DEPTH: usize = 200;

/// Maximum size of all copies for anchors (`&name`) and aliases (`*name`), in the units of [`YamlNode::size`].
const MAX_EXPANSION: usize = 16 << 20;

/// A node of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum YamlNode {
    /// Null: `~`, `null`, an empty value, or an absent field.
    #[default]
    Null,
    /// The text of a scalar of any YAML type. The flag is true if it is plain, that is, without quotes.
    Scalar(String, bool),
    /// A list.
    List(Vec<YamlNode>),
    /// Fields in their order. The last one of equal names has precedence.
    Map(Vec<(String, YamlNode)>),
}

/// The value of an absent field.
const NULL: &YamlNode = &YamlNode::Null;

/// Reason why a document is not well-formed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// Line, from 1.
    pub(crate) line: usize,
    /// Column, from 1.
    pub(crate) column: usize,
    /// The parser's message.
    pub(crate) cause: String,
}

impl YamlNode {
    /// Returns the documents in `text`.
    pub(crate) fn parse(text: &str) -> Result<Vec<Self>, SyntaxError> {
        let mut builder = NodeBuilder::default();
        // With comments enabled, the parser would limit their number.
        let options = granit_parser::options! { emit_comments: false };
        for event in Parser::new_from_str_with_options(text, options) {
            let (event, span) = event.map_err(|error| syntax(&error))?;
            builder.take(event).map_err(|cause| SyntaxError {
                line: span.start.line(),
                column: span.start.col() + 1,
                cause: cause.to_owned(),
            })?;
        }
        Ok(builder.documents)
    }

    /// Returns the field of this name; [`YamlNode::Null`] if there is none, or if this is not a mapping.
    pub(crate) fn get(&self, name: &str) -> &Self {
        let Self::Map(fields) = self else { return NULL };
        fields.iter().rev().find(|(field, _)| field == name).map_or(NULL, |(_, value)| value)
    }

    /// Returns the elements of a list; none if this is not a list.
    pub(crate) fn elements(&self) -> &[Self] {
        if let Self::List(elements) = self { elements } else { &[] }
    }

    /// Returns the text of a scalar; `None` if this is not a scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Scalar(text, _) = self { Some(text) } else { None }
    }

    /// Returns the YAML term for this kind of node.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Scalar(..) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }

    /// Returns this as JSON. Plain scalars have the type of YAML 1.2 if JSON has it, otherwise they are strings.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Scalar(text, false) => text.as_str().into(),
            Self::Scalar(text, true) => plain_to_json(text),
            Self::List(elements) => elements.iter().map(Self::to_json).collect(),
            Self::Map(fields) => {
                let fields = fields.iter().map(|(name, value)| (name.clone(), value.to_json()));
                serde_json::Value::Object(fields.collect())
            }
        }
    }

    /// Returns the approximate memory of this in bytes.
    fn size(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Null => 0,
                Self::Scalar(text, _) => text.len(),
                Self::List(elements) => elements.iter().map(Self::size).sum(),
                Self::Map(fields) => fields.iter().map(|(name, value)| name.len() + value.size()).sum(),
            }
    }

    fn depth(&self) -> usize {
        match self {
            Self::Null | Self::Scalar(..) => 0,
            Self::List(elements) => 1 + elements.iter().map(Self::depth).max().unwrap_or(0),
            Self::Map(fields) => 1 + fields.iter().map(|(_, value)| value.depth()).max().unwrap_or(0),
        }
    }
}

fn plain_to_json(text: &str) -> serde_json::Value {
    match text {
        "true" | "True" | "TRUE" => true.into(),
        "false" | "False" | "FALSE" => false.into(),
        _ => text.parse::<serde_json::Number>().map_or_else(|_| text.into(), Into::into),
    }
}

fn syntax(error: &ScanError) -> SyntaxError {
    let mark = error.marker();
    SyntaxError { line: mark.line(), column: mark.col() + 1, cause: error.info() }
}

/// A list or mapping that has not ended yet.
struct OpenCollection {
    node: YamlNode,
    anchor: usize,
    next: ExpectedNode,
}

/// The role of the next node of a mapping.
#[derive(Default)]
enum ExpectedNode {
    /// The name of a field.
    #[default]
    Name,
    /// The value of the field of this name. The flag is true if the name is plain.
    ValueOf(String, bool),
    /// The value of a field whose name is not a scalar; it is ignored.
    Unnamed,
}

/// A node that aliases refer to.
struct AnchoredNode {
    node: YamlNode,
    size: usize,
    depth: usize,
}

#[derive(Default)]
struct NodeBuilder {
    documents: Vec<YamlNode>,
    open: Vec<OpenCollection>,
    anchors: HashMap<usize, AnchoredNode>,
    /// Sum of the sizes of all copies, in bytes.
    expanded: usize,
}

impl NodeBuilder {
    fn take(&mut self, event: Event<'_>) -> Result<(), &'static str> {
        match event {
            Event::DocumentStart(..) => self.anchors.clear(),
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
                let plain = style == ScalarStyle::Plain && !is_text;
                let null = plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                self.add(
                    if null { YamlNode::Null } else { YamlNode::Scalar(text.into_owned(), plain) },
                    anchor,
                )?;
            }
            Event::SequenceStart(_, anchor, _) => self.begin(YamlNode::List(Vec::new()), anchor)?,
            Event::MappingStart(_, anchor, _) => self.begin(YamlNode::Map(Vec::new()), anchor)?,
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.open.pop() {
                    self.add(open.node, open.anchor)?;
                }
            }
            Event::Alias(anchor) => self.alias(anchor)?,
            _ => {}
        }
        Ok(())
    }

    fn begin(&mut self, node: YamlNode, anchor: usize) -> Result<(), &'static str> {
        if self.open.len() >= MAX_DEPTH {
            return Err("nested too deeply");
        }
        self.open.push(OpenCollection { node, anchor, next: ExpectedNode::Name });
        Ok(())
    }

    fn alias(&mut self, anchor: usize) -> Result<(), &'static str> {
        let Some(anchored) = self.anchors.get(&anchor) else {
            return Err("an alias within its own anchor");
        };
        let (size, depth) = (anchored.size, anchored.depth);
        if self.open.len() + depth > MAX_DEPTH {
            return Err("nested too deeply");
        }
        self.expanded = charge(self.expanded, size)?;
        let node = anchored.node.clone();
        self.add(node, 0)
    }

    /// Adds a complete node to the innermost open collection, or to the documents.
    fn add(&mut self, node: YamlNode, anchor: usize) -> Result<(), &'static str> {
        if anchor != 0 {
            let (size, depth) = (node.size(), node.depth());
            self.expanded = charge(self.expanded, size)?;
            self.anchors.insert(anchor, AnchoredNode { node: node.clone(), size, depth });
        }
        let Some(open) = self.open.last_mut() else {
            self.documents.push(node);
            return Ok(());
        };
        match &mut open.node {
            YamlNode::List(elements) => elements.push(node),
            YamlNode::Map(fields) => match std::mem::take(&mut open.next) {
                ExpectedNode::Name => {
                    open.next = match node {
                        YamlNode::Scalar(name, plain) => ExpectedNode::ValueOf(name, plain),
                        _ => ExpectedNode::Unnamed,
                    };
                }
                ExpectedNode::ValueOf(name, true) if name == "<<" => merge(fields, node),
                ExpectedNode::ValueOf(name, _) => fields.push((name, node)),
                ExpectedNode::Unnamed => {}
            },
            YamlNode::Null | YamlNode::Scalar(..) => {}
        }
        Ok(())
    }
}

/// Returns the sum of both; fails if it exceeds [`MAX_EXPANSION`].
fn charge(expanded: usize, size: usize) -> Result<usize, &'static str> {
    let sum = expanded.saturating_add(size);
    if sum > MAX_EXPANSION { Err("aliases expand to too much") } else { Ok(sum) }
}

/// Merges the fields of `<<: *other` before all others, so that explicit fields have precedence.
fn merge(fields: &mut Vec<(String, YamlNode)>, node: YamlNode) {
    let merged = match node {
        YamlNode::Map(merged) => merged,
        // In a list, the first mapping has precedence.
        YamlNode::List(maps) => maps.into_iter().rev().flat_map(fields_of).collect(),
        YamlNode::Null | YamlNode::Scalar(..) => return,
    };
    fields.splice(0..0, merged);
}

fn fields_of(node: YamlNode) -> Vec<(String, YamlNode)> {
    if let YamlNode::Map(fields) = node { fields } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> YamlNode {
        let mut documents = YamlNode::parse(text).unwrap();
        assert_eq!(documents.len(), 1, "{text}");
        documents.remove(0)
    }

    #[test]
    fn every_scalar_is_its_text() {
        for text in ["42e7891", "1e999", "0x1f", ".inf", "on", "2026-01-01", "08", "1:2:3", "\u{e9}"] {
            assert_eq!(one(&format!("a: {text}\n")).get("a").text(), Some(text));
        }
        for null in ["~", "null", "", "NULL"] {
            assert_eq!(one(&format!("a: {null}\n")).get("a"), NULL);
        }
        assert_eq!(one("a: '~'").get("a").text(), Some("~"));
        assert_eq!(one("a: !!str null").get("a").text(), Some("null"));
        assert_eq!(one("a: !!int x").get("a").text(), Some("x"));
    }

    #[test]
    fn json_is_read_too() {
        let json = "{\n\t\"a\": [1, true, null, \"\\u00e9\\/\"],\n\t\"b\": {\"c\": {}}, \"d\": \"\\ud83d\\ude00\"}\n";
        let node = one(json);
        let expected = [
            YamlNode::Scalar("1".into(), true),
            YamlNode::Scalar("true".into(), true),
            YamlNode::Null,
            YamlNode::Scalar("\u{e9}/".into(), false),
        ];
        assert_eq!(node.get("a").elements(), expected);
        assert_eq!(node.get("b").get("c"), &YamlNode::Map(Vec::new()));
        assert_eq!(node.get("d").text(), Some("\u{1f600}"));
    }

    #[test]
    fn the_last_of_equal_fields_counts() {
        assert_eq!(one("{a: 1, b: 2, a: 3}").get("a").text(), Some("3"));
    }

    #[test]
    fn aliases_and_merged_fields_are_expanded() {
        let node = one("a: &a {x: 1, y: 2}\nb: {y: 3, <<: *a}\nc: *a\n");
        assert_eq!(node.get("b").get("x").text(), Some("1"));
        assert_eq!(node.get("b").get("y").text(), Some("3"));
        assert_eq!(node.get("c"), node.get("a"));
    }

    #[test]
    fn aliases_expand_to_a_bounded_size() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..9 {
            let alias = format!("*a{}", level - 1);
            let line = format!("a{level}: &a{level} [{}]\n", vec![alias; 10].join(", "));
            bomb.push_str(&line);
        }
        assert_eq!(YamlNode::parse(&bomb).unwrap_err().cause, "aliases expand to too much");
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(YamlNode::parse(&nested(MAX_DEPTH + 1)).unwrap_err().cause, "nested too deeply");
        assert!(YamlNode::parse(&nested(MAX_DEPTH)).is_ok());
        assert!(YamlNode::parse(&nested(100_000)).is_err());
        // Each level is an alias of the previous one: the text is not nested deeply, but the tree would be.
        let mut chain = "a0: &a0 []\n".to_owned();
        for level in 1..=MAX_DEPTH {
            let line = format!("a{level}: &a{level} [*a{}]\n", level - 1);
            chain.push_str(&line);
        }
        assert_eq!(YamlNode::parse(&chain).unwrap_err().cause, "nested too deeply");
    }

    #[test]
    fn non_text_keys_are_ignored() {
        assert_eq!(one("{[a]: 1, b: 2, {c: d}: 3, ~: 4}").get("b").text(), Some("2"));
    }

    #[test]
    fn an_error_names_its_place() {
        let error = YamlNode::parse("a: 1\nb: [\n").unwrap_err();
        assert_eq!((error.line, error.column), (2, 4), "{error:?}");
        assert!(YamlNode::parse("a: *b\n").is_err());
    }
}
