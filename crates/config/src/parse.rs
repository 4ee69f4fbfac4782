//! YAML text into a tree with positions.
//!
//! `saphyr-parser` gives YAML events with line and column, in pure Rust and with two small dependencies. The
//! `serde_yaml` family keeps no positions of values. `serde-saphyr` has positions, but reads into types and
//! not into a tree that can be merged first, and has more dependencies. It is the only parser here; the
//! printer writes by itself (see `print`).
//!
//! Anchors, aliases and the merge key `<<` work, as Collector users expect. Tags other than those of the
//! core schema, keys that are not text, and second documents are errors.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Tag};

use crate::error::{ConfigError, ConfigErrors, Problem};
use crate::limits::{ALIASED_NODES_MAX, FILE_BYTES_MAX, KEYS_PER_MAP_MAX, NESTING_DEPTH_MAX};
use crate::node::{Entry, Map, Node, Scalar, Value};
use crate::position::Position;
use crate::scalar::{Meaning, plain_meaning};

#[cfg(test)]
mod tests;

/// Parses the bytes of a file.
///
/// # Errors
/// See [`parse`]; also when the bytes are too many or not UTF-8.
pub(crate) fn parse_bytes(file: &Arc<Path>, bytes: &[u8]) -> Result<Node, ConfigErrors> {
    let whole = |problem| ConfigError::new(Some(Position::whole(Arc::clone(file))), "", problem);
    if bytes.len() > FILE_BYTES_MAX {
        let limit = Problem::Limit { what: "the file", limit: FILE_BYTES_MAX, unit: "bytes" };
        return Err(whole(limit).into());
    }
    let text = std::str::from_utf8(bytes).map_err(|_| whole(Problem::NotText))?;
    parse(file, text)
}

/// Parses one YAML document. Empty text is a null node.
///
/// # Errors
/// All duplicate keys, or the first other error, after which the rest of the text has no meaning.
pub(crate) fn parse(file: &Arc<Path>, text: &str) -> Result<Node, ConfigErrors> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder::new(file);
    for event in Parser::new_from_str(text) {
        let result = match event {
            Ok((event, span)) => builder.on_event(event, &span.start),
            Err(error) => Err(builder.problem(error.marker(), syntax_problem(&error, text))),
        };
        if let Err(fatal) = result {
            builder.errors.push(fatal);
            break;
        }
    }
    let nothing = Node::new(Value::Null, Position::new(Arc::clone(file), 1, 1));
    let root = builder.root.take().unwrap_or(nothing);
    builder.errors.or(root)
}

/// The open lists and maps, outermost first.
struct Builder<'a> {
    file: &'a Arc<Path>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    aliased_nodes: usize,
    documents: usize,
    root: Option<Node>,
    errors: ConfigErrors,
}

struct Open {
    position: Position,
    anchor: usize,
    content: Content,
}

enum Content {
    Seq(Vec<Node>),
    Map { map: Map, key: Option<Key>, merged: Vec<Node> },
}

struct Key {
    text: Arc<str>,
    position: Position,
    /// `<<`, unquoted.
    is_merge: bool,
}

// === impl Builder ===

impl<'a> Builder<'a> {
    fn new(file: &'a Arc<Path>) -> Self {
        Self {
            file,
            open: Vec::new(),
            anchors: HashMap::new(),
            aliased_nodes: 0,
            documents: 0,
            root: None,
            errors: ConfigErrors::default(),
        }
    }

    fn on_event(&mut self, event: Event<'_>, at: &Marker) -> Result<(), ConfigError> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => self.on_document(at),
            Event::Alias(anchor) => self.on_alias(anchor, at),
            Event::Scalar(text, style, anchor, tag) => {
                let value = self.scalar(&text, style, tag.as_deref(), at)?;
                let is_merge_key = style == ScalarStyle::Plain && text == "<<";
                self.complete(Node::new(value, self.position(at)), anchor, is_merge_key, at)
            }
            Event::SequenceStart(anchor, tag) => {
                self.begin(Content::Seq(Vec::new()), anchor, tag.as_deref(), at)
            }
            Event::MappingStart(anchor, tag) => {
                let content = Content::Map { map: Map::default(), key: None, merged: Vec::new() };
                self.begin(content, anchor, tag.as_deref(), at)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(at),
        }
    }

    fn on_document(&mut self, at: &Marker) -> Result<(), ConfigError> {
        self.documents += 1;
        if self.documents > 1 {
            return Err(self.unsupported(at, "a second YAML document; write it into its own file"));
        }
        Ok(())
    }

    fn on_alias(&mut self, anchor: usize, at: &Marker) -> Result<(), ConfigError> {
        let Some(node) = self.anchors.get(&anchor).cloned() else {
            return Err(self.unsupported(at, "an alias inside the value of its own anchor"));
        };
        let (nodes, depth) = node.size();
        self.aliased_nodes += nodes;
        if self.aliased_nodes > ALIASED_NODES_MAX {
            let what = "the number of nodes copied by aliases";
            return Err(self.problem(at, Problem::Limit { what, limit: ALIASED_NODES_MAX, unit: "nodes" }));
        }
        self.check_depth(depth, at)?;
        self.complete(node, 0, false, at)
    }

    /// Opens a list or map.
    fn begin(
        &mut self,
        content: Content,
        anchor: usize,
        tag: Option<&Tag>,
        at: &Marker,
    ) -> Result<(), ConfigError> {
        if tag.is_some_and(|tag| !tag.is_yaml_core_schema()) {
            return Err(self.unsupported(at, "a YAML tag; tags have no meaning here"));
        }
        if let Some(Open { content: Content::Map { key: None, .. }, .. }) = self.open.last() {
            return Err(self.unsupported(at, "a list or map as a key; a key is text"));
        }
        self.check_depth(1, at)?;
        self.open.push(Open { position: self.position(at), anchor, content });
        Ok(())
    }

    /// Closes the innermost list or map.
    fn end(&mut self, at: &Marker) -> Result<(), ConfigError> {
        let Some(Open { position, anchor, content }) = self.open.pop() else {
            return Ok(());
        };
        let value = match content {
            Content::Seq(items) => Value::Seq(items),
            Content::Map { map, merged, .. } => Value::Map(merge_below(map, merged)),
        };
        self.complete(Node::new(value, position), anchor, false, at)
    }

    /// Puts a finished node where it belongs: the root, the next item, the next key, or the value of a key.
    fn complete(
        &mut self,
        node: Node,
        anchor: usize,
        is_merge_key: bool,
        at: &Marker,
    ) -> Result<(), ConfigError> {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::Seq(items)) => items.push(node),
            Some(Content::Map { key: slot @ None, .. }) => match Key::of(&node, is_merge_key) {
                Some(key) => *slot = Some(key),
                None => return Err(self.unsupported(at, "a key that is not text")),
            },
            Some(Content::Map { map, key, merged }) => {
                let Some(key) = key.take() else { return Ok(()) };
                return insert(map, merged, key, node).or_else(|problem| self.insert_failed(problem));
            }
        }
        Ok(())
    }

    /// A duplicate key is noted and parsing goes on, anything else ends it.
    fn insert_failed(&mut self, error: ConfigError) -> Result<(), ConfigError> {
        if matches!(error.problem(), Problem::DuplicateKey { .. }) {
            self.errors.push(error);
            return Ok(());
        }
        Err(error)
    }

    fn scalar(
        &self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        at: &Marker,
    ) -> Result<Value, ConfigError> {
        let quoted = match tag {
            None => style != ScalarStyle::Plain,
            Some(tag) if tag.is_yaml_core_schema() => match tag.suffix.as_str() {
                "str" => true,
                "int" | "float" | "bool" | "null" => false,
                _ => return Err(self.unsupported(at, "a YAML tag that has no meaning here")),
            },
            Some(_) => return Err(self.unsupported(at, "a YAML tag; tags have no meaning here")),
        };
        if !quoted && plain_meaning(text) == Meaning::Null {
            return Ok(Value::Null);
        }
        Ok(Value::Scalar(Scalar::new(text, quoted)))
    }

    fn check_depth(&self, below: usize, at: &Marker) -> Result<(), ConfigError> {
        if self.open.len() + below <= NESTING_DEPTH_MAX {
            return Ok(());
        }
        let what = "the nesting of lists and maps";
        Err(self.problem(at, Problem::Limit { what, limit: NESTING_DEPTH_MAX, unit: "levels" }))
    }

    fn position(&self, at: &Marker) -> Position {
        Position::new(Arc::clone(self.file), at.line(), at.col() + 1)
    }

    fn problem(&self, at: &Marker, problem: Problem) -> ConfigError {
        ConfigError::new(Some(self.position(at)), "", problem)
    }

    fn unsupported(&self, at: &Marker, what: &str) -> ConfigError {
        self.problem(at, Problem::Unsupported(format!("not supported: {what}")))
    }
}

// === impl Key ===

impl Key {
    fn of(node: &Node, is_merge: bool) -> Option<Self> {
        match node.value() {
            Value::Scalar(scalar) => {
                Some(Self { text: scalar.text().into(), position: node.position().clone(), is_merge })
            }
            _ => None,
        }
    }
}

// === helpers ===

/// The parser's message, and what to do about the one mistake that YAML itself cannot explain: the braces of
/// `[${env:A}]` are YAML's own there.
fn syntax_problem(error: &ScanError, text: &str) -> Problem {
    let line = error.marker().line().checked_sub(1).and_then(|index| text.lines().nth(index));
    let has_reference = line.is_some_and(|line| line.contains("${"));
    let hint = if has_reference {
        "; inside `[…]` and `{…}` write references in quotes: \"${NAME}\""
    } else {
        ""
    };
    Problem::Syntax(format!("{}{hint}", error.info()))
}

fn insert(map: &mut Map, merged: &mut Vec<Node>, key: Key, value: Node) -> Result<(), ConfigError> {
    if key.is_merge {
        return note_merged(merged, &key, value);
    }
    let fail = |problem| Err(ConfigError::new(Some(key.position.clone()), "", problem));
    if let Some(first) = map.entry(&key.text) {
        let first = first.key_position.clone();
        return fail(Problem::DuplicateKey { key: key.text.to_string(), first });
    }
    if map.len() == KEYS_PER_MAP_MAX {
        return fail(Problem::Limit { what: "a map", limit: KEYS_PER_MAP_MAX, unit: "keys" });
    }
    map.insert(Entry { key: key.text, key_position: key.position, value });
    Ok(())
}

/// `<<: *one` or `<<: [*one, *two]`.
fn note_merged(merged: &mut Vec<Node>, key: &Key, value: Node) -> Result<(), ConfigError> {
    let is_map = |node: &Node| node.as_map().is_some();
    match value.value() {
        Value::Map(_) => merged.push(value),
        Value::Seq(items) if items.iter().all(is_map) => merged.extend(items.iter().cloned()),
        _ => {
            let message = "`<<` takes a map or a list of maps".to_owned();
            return Err(ConfigError::new(Some(key.position.clone()), "", Problem::Unsupported(message)));
        }
    }
    Ok(())
}

/// Adds the keys of merged maps that the map does not have itself; earlier ones win.
fn merge_below(mut map: Map, merged: Vec<Node>) -> Map {
    let entries = merged.into_iter().filter_map(|node| match node.into_value() {
        Value::Map(map) => Some(map.into_entries()),
        _ => None,
    });
    for entry in entries.flatten() {
        if map.get(&entry.key).is_none() {
            map.insert(entry);
        }
    }
    map
}
