//! Events of the YAML parser, with resolved aliases.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

use granit_parser::{ErrorKind, Event, FallibleBufferedInput, InputIoError, Parser};

use super::text::TextReader;
use super::yaml_error::YamlError;

/// Maximum size of the anchored nodes of one document: number of events plus bytes of text. Later nodes are not kept.
const MAX_ANCHORED_SIZE: usize = 1 << 16;
/// Maximum number of events that aliases of one document may expand to.
const MAX_REPLAYED: usize = 1 << 16;
/// Maximum depth of aliases within the nodes of other aliases.
const MAX_ALIAS_DEPTH: usize = 16;
/// Maximum nesting of collections, and maximum number of characters of a key: far above those of any legitimate file.
const MAX_NESTING: usize = 1 << 12;
const MAX_KEY: usize = 1 << 16;

type YamlParser<R> = Parser<'static, FallibleBufferedInput<YamlChars<R>>>;

/// The events of a text in order, with the nesting depth.
pub(super) struct YamlEvents<R: Read> {
    parser: YamlParser<R>,
    peeked: Option<Event<'static>>,
    /// Number of open collections.
    depth: usize,
    place: (u64, u64),
    anchors: Anchors,
    /// The nodes of the aliases being replayed, innermost last, and the number of their events already returned.
    replays: Vec<(Arc<[Event<'static>]>, usize)>,
    replayed: usize,
}

impl<R: Read> YamlEvents<R> {
    pub(super) fn new(text: TextReader<R>) -> Self {
        let mut options = granit_parser::options! {
            simple_key_max_lookahead: MAX_KEY,
            flow_nesting_limit: MAX_NESTING,
            block_nesting_limit: MAX_NESTING,
            emit_unresolved_aliases: true,
            bom_inside_document_as_content: true,
        };
        options.set_emit_comments(false);
        let parser = Parser::new_from_fallible_iter_with_options(YamlChars(text), options);
        Self {
            parser,
            peeked: None,
            depth: 0,
            place: (1, 1),
            anchors: Anchors::default(),
            replays: Vec::new(),
            replayed: 0,
        }
    }

    /// Returns the number of open collections.
    pub(super) const fn depth(&self) -> usize {
        self.depth
    }

    /// Returns line and column, both from 1, of the last event read from the text.
    pub(super) const fn place(&self) -> (u64, u64) {
        self.place
    }

    /// Returns the next event. An alias is one event.
    pub(super) fn next(&mut self) -> Result<Event<'static>, YamlError> {
        let event = match self.peeked.take() {
            Some(event) => event,
            None => self.read()?,
        };
        match event {
            Event::SequenceStart(..) | Event::MappingStart(..) => self.depth += 1,
            Event::SequenceEnd | Event::MappingEnd => self.depth = self.depth.saturating_sub(1),
            Event::DocumentStart(..) => {
                self.anchors = Anchors::default();
                self.replayed = 0;
            }
            _ => {}
        }
        Ok(event)
    }

    /// Returns the next event with aliases resolved: instead of an alias, the first event of its node.
    pub(super) fn resolve(&mut self) -> Result<Event<'static>, YamlError> {
        loop {
            match self.next()? {
                Event::Alias(id) => self.replay(id)?,
                Event::UnresolvedAlias(name) => {
                    return Err(YamlError::Node(format!("there is no anchor for the alias {name:.64?}")));
                }
                event => return Ok(event),
            }
        }
    }

    /// Consumes the end of the collection if it is next, and returns whether it was.
    pub(super) fn ends(&mut self) -> Result<bool, YamlError> {
        if self.peeked.is_none() {
            self.peeked = Some(self.read()?);
        }
        let ends = matches!(self.peeked, Some(Event::SequenceEnd | Event::MappingEnd));
        if ends {
            self.next()?;
        }
        Ok(ends)
    }

    /// Skips a node with everything in it.
    pub(super) fn skip(&mut self) -> Result<(), YamlError> {
        let depth = self.depth;
        self.next()?;
        self.leave(depth)
    }

    /// Skips the rest of the collections nested deeper than `depth`.
    pub(super) fn leave(&mut self, depth: usize) -> Result<(), YamlError> {
        while self.depth > depth {
            self.next()?;
        }
        Ok(())
    }

    fn read(&mut self) -> Result<Event<'static>, YamlError> {
        while let Some((events, at)) = self.replays.last_mut() {
            if let Some(event) = events.get(*at) {
                *at += 1;
                return Ok(event.clone());
            }
            self.replays.pop();
        }
        let Some(next) = self.parser.next_event() else { return Ok(Event::StreamEnd) };
        let (event, span) = next?;
        self.place = (span.start.line() as u64, span.start.col() as u64 + 1);
        self.anchors.record(&event);
        Ok(event)
    }

    /// Begins to replay the node of an alias.
    fn replay(&mut self, id: usize) -> Result<(), YamlError> {
        let Some(events) = self.anchors.complete.get(&id) else {
            return Err(YamlError::Node("an alias stands for itself, or for too much".to_owned()));
        };
        self.replayed += events.len();
        if self.replayed > MAX_REPLAYED || self.replays.len() >= MAX_ALIAS_DEPTH {
            return Err(YamlError::Node("its aliases stand for too much".to_owned()));
        }
        self.replays.push((Arc::clone(events), 0));
        Ok(())
    }
}

/// Nodes with an anchor, as their events.
#[derive(Default)]
struct Anchors {
    complete: BTreeMap<usize, Arc<[Event<'static>]>>,
    open: Vec<OpenAnchor>,
    /// Number of events plus bytes kept.
    size: usize,
}

/// An anchored collection that has not ended.
struct OpenAnchor {
    id: usize,
    events: Vec<Event<'static>>,
    depth: usize,
}

impl Anchors {
    /// Keeps the event if it belongs to an anchored node.
    fn record(&mut self, event: &Event<'static>) {
        let id = event.anchor_id().filter(|_| !event.is_alias());
        if self.open.is_empty() && id.is_none() {
            return;
        }
        let kept = self.open.len() + usize::from(id.is_some());
        self.size += kept * (1 + event.scalar().map_or(0, |(text, _)| text.len()));
        if self.size > MAX_ANCHORED_SIZE {
            self.open.clear();
            return;
        }
        let is_start = matches!(event, Event::SequenceStart(..) | Event::MappingStart(..));
        let is_end = matches!(event, Event::SequenceEnd | Event::MappingEnd);
        for open in &mut self.open {
            open.events.push(event.clone());
            open.depth = open.depth + usize::from(is_start) - usize::from(is_end);
        }
        while let Some(done) = self.open.pop_if(|open| open.depth == 0) {
            self.complete.insert(done.id, done.events.into());
        }
        match id {
            Some(id) if is_start => self.open.push(OpenAnchor { id, events: vec![event.clone()], depth: 1 }),
            Some(id) => drop(self.complete.insert(id, Arc::new([event.clone()]))),
            None => {}
        }
    }
}

/// The characters of a text, in the form that the parser requires.
pub(super) struct YamlChars<R>(TextReader<R>);

impl<R: Read> Iterator for YamlChars<R> {
    type Item = Result<char, ErrorKind>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.0.next_char() {
            // YAML permits no control characters except these, and the parser treats NUL as the end of the text.
            Ok(Some(c)) if c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}') => {
                Some(Ok(char::REPLACEMENT_CHARACTER))
            }
            Ok(next) => next.map(Ok),
            Err(error) => Some(Err(ErrorKind::InputIo { error: InputIoError::from_io(error) })),
        }
    }
}
