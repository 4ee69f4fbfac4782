//! The configuration as a tree in which every key and value knows where it was written.
//!
//! `Debug` of every type here shows shape and place, never the text of a scalar.

use std::fmt;
use std::sync::Arc;

use crate::position::Position;

/// One value with its place.
#[derive(Clone, PartialEq)]
pub struct Node {
    value: Value,
    position: Position,
    substituted: Option<Arc<Substituted>>,
}

/// What a node holds.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// Nothing: `key:`, `key: null`, `key: ~`.
    Null,
    /// Text, a number or a boolean.
    Scalar(Scalar),
    /// A list.
    Seq(Vec<Node>),
    /// A map, in the order written.
    Map(Map),
}

/// Text as written, not yet read as a number or boolean.
#[derive(Clone, PartialEq, Eq)]
pub struct Scalar {
    text: Arc<str>,
    quoted: bool,
}

/// A map with unique keys, in the order written.
#[derive(Clone, PartialEq, Default)]
pub struct Map {
    entries: Vec<Entry>,
}

/// One key of a map and its value.
#[derive(Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: Arc<str>,
    /// Where the key was written.
    pub key_position: Position,
    /// What it is set to.
    pub value: Node,
}

/// Where the text of a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// Written in the configuration.
    Inline,
    /// From an environment variable, at least in part.
    Environment,
    /// From a file named by `${file:…}`, at least in part.
    File,
}

/// The history of a value that had `${…}` in it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Substituted {
    /// The most private source that took part.
    pub(crate) origin: Origin,
    /// The scalar as written in the configuration.
    pub(crate) written: Arc<str>,
    /// The same with every literal part redacted: only the references are left.
    pub(crate) reference: Arc<str>,
    /// The result, exactly; string settings take this. A list or map inside a substituted one has none.
    pub(crate) text: Option<Arc<str>>,
}

// === impl Node ===

impl Node {
    /// A node written at `position`.
    pub fn new(value: Value, position: Position) -> Self {
        Self { value, position, substituted: None }
    }

    pub(crate) fn with_substituted(mut self, substituted: Arc<Substituted>) -> Self {
        self.substituted = Some(substituted);
        self
    }

    /// What it holds.
    pub fn value(&self) -> &Value {
        &self.value
    }

    pub(crate) fn value_mut(&mut self) -> &mut Value {
        &mut self.value
    }

    pub(crate) fn into_value(self) -> Value {
        self.value
    }

    /// Moves it out and leaves nothing at the same place.
    pub(crate) fn take(&mut self) -> Self {
        let nothing = Self::new(Value::Null, self.position.clone());
        std::mem::replace(self, nothing)
    }

    /// Where it was written.
    pub fn position(&self) -> &Position {
        &self.position
    }

    pub(crate) fn substituted(&self) -> Option<&Substituted> {
        self.substituted.as_deref()
    }

    /// Where its text came from.
    pub fn origin(&self) -> Origin {
        self.substituted.as_ref().map_or(Origin::Inline, |substituted| substituted.origin)
    }

    /// Whether it is nothing.
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The text of a scalar, exactly as written or substituted. May be a secret.
    pub fn text(&self) -> Option<&str> {
        match (&self.substituted, &self.value) {
            (Some(substituted), _) => substituted.text.as_deref(),
            (None, Value::Scalar(scalar)) => Some(scalar.text()),
            _ => None,
        }
    }

    /// The map it holds.
    pub fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The list it holds.
    pub fn as_seq(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Seq(items) => Some(items),
            _ => None,
        }
    }

    /// The value of `key`, if this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.get(key)
    }

    /// The node at a dotted path (`top_query.max_rows`, `rules.2.name`) below this one.
    pub fn at(&self, path: &str) -> Option<&Node> {
        path.split('.').filter(|segment| !segment.is_empty()).try_fold(self, |node, segment| {
            match &node.value {
                Value::Map(map) => map.get(segment),
                Value::Seq(items) => items.get(segment.parse::<usize>().ok()?),
                _ => None,
            }
        })
    }

    /// How many nodes there are from here down, and how many levels of lists and maps.
    pub(crate) fn size(&self) -> (usize, usize) {
        let with_children = |children: &mut dyn Iterator<Item = &Self>| {
            let sizes = children.map(Self::size);
            let (nodes, depth) = sizes.fold((0, 0), |all, one| (all.0 + one.0, all.1.max(one.1)));
            (nodes + 1, depth + 1)
        };
        match &self.value {
            Value::Null | Value::Scalar(_) => (1, 0),
            Value::Seq(items) => with_children(&mut items.iter()),
            Value::Map(map) => with_children(&mut map.iter().map(|entry| &entry.value)),
        }
    }

    /// `nothing`, `a value`, `a list` or `a map`.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Scalar(_) => "a value",
            Value::Seq(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            // What looks like a map may be a password.
            _ if self.substituted.is_some() => f.write_str("substituted")?,
            Value::Null => f.write_str("null")?,
            Value::Scalar(scalar) => scalar.fmt(f)?,
            Value::Seq(items) => return f.debug_list().entries(items).finish(),
            Value::Map(map) => return map.fmt(f),
        }
        write!(f, " at {}", self.position)
    }
}

// === impl Value ===

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Scalar(scalar) => scalar.fmt(f),
            Self::Seq(items) => f.debug_list().entries(items).finish(),
            Self::Map(map) => map.fmt(f),
        }
    }
}

// === impl Scalar ===

impl Scalar {
    /// A scalar as the YAML parser saw it.
    pub fn new(text: impl Into<Arc<str>>, quoted: bool) -> Self {
        Self { text: text.into(), quoted }
    }

    /// Its text. May be a secret.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it was quoted or a block, and is therefore text whatever it looks like.
    pub fn is_quoted(&self) -> bool {
        self.quoted
    }
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("scalar")
    }
}

// === impl Map ===

impl Map {
    /// The entries in the order written.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut()
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The entry of `key`.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| &*entry.key == key)
    }

    pub(crate) fn entry_mut(&mut self, key: &str) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| &*entry.key == key)
    }

    /// Appends an entry, or replaces the one with the same key and returns it.
    pub(crate) fn insert(&mut self, entry: Entry) -> Option<Entry> {
        match self.entry_mut(&entry.key) {
            Some(slot) => Some(std::mem::replace(slot, entry)),
            None => {
                self.entries.push(entry);
                None
            }
        }
    }

    pub(crate) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<Entry> {
        let index = self.entries.iter().position(|entry| &*entry.key == key)?;
        Some(self.entries.remove(index))
    }

    /// How many keys it has.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it has no key.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Collects entries whose keys are known to be unique.
impl FromIterator<Entry> for Map {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        Self { entries: entries.into_iter().collect() }
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.entries.iter().map(|entry| (&entry.key, &entry.value))).finish()
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {:?}", self.key, self.value)
    }
}
