//! The tree without secrets, for printing, and the warnings about secrets written into it.

use std::sync::Arc;

use crate::component::Section;
use crate::error::Warning;
use crate::node::{Entry, Map, Node, Origin, Scalar, Substituted, Value};
use crate::path::Path;
use crate::read::INLINE_SECRET;
use crate::redact::{self, REDACTED};
use crate::scalar::{Meaning, meaning};
use crate::schema::{ComponentSchema, Lens, service_schema};
use crate::values::ComponentId;

#[cfg(test)]
mod tests;

/// The tree with secrets taken out and every `$` doubled, so that it can be loaded again.
pub(crate) fn printable(root: &Node, schemas: &[ComponentSchema]) -> Node {
    let service = service_schema();
    let lens = || Lens::new(service.as_value());
    map_entries(root, |entry| match (section_of(&entry.key), &*entry.key) {
        (Some(section), _) => printable_section(section, &entry.value, schemas),
        (None, "service") => map_entries(&entry.value, |entry| match &*entry.key {
            "pipelines" => map_entries(&entry.value, |entry| View::new(Lens::unknown()).node(&entry.value)),
            key => View::new(lens()).key(key).node(&entry.value),
        }),
        _ => View::new(Lens::unknown()).node(&entry.value),
    })
}

/// The map with other values. Its keys are names of sections, components and pipelines, and hide nothing:
/// `filter/token` is no token. What is no map, or is one only by substitution, is shown as any value.
fn map_entries(node: &Node, value: impl Fn(&Entry) -> Node) -> Node {
    match (node.value(), node.substituted()) {
        (Value::Map(map), None) => {
            let map = map.iter().map(|entry| with_value(entry, value(entry))).collect();
            Node::new(Value::Map(map), node.position().clone())
        }
        _ => View::new(Lens::unknown()).node(node),
    }
}

fn section_of(key: &str) -> Option<Section> {
    Section::ALL.into_iter().find(|section| section.name() == key)
}

fn printable_section(section: Section, node: &Node, schemas: &[ComponentSchema]) -> Node {
    map_entries(node, |entry| {
        let kind = entry.key.parse::<ComponentId>().map(|id| id.kind().to_owned()).unwrap_or_default();
        let schema = schemas.iter().find(|schema| schema.section == section && schema.kind == kind);
        let lens = schema.map_or(Lens::unknown(), |schema| Lens::new(schema.schema.as_value()));
        View::new(lens).node(&entry.value)
    })
}

fn with_value(entry: &Entry, value: Node) -> Entry {
    Entry { key: Arc::clone(&entry.key), key_position: entry.key_position.clone(), value }
}

/// What is known about the place of a node.
struct View<'a> {
    schema: Lens<'a>,
    /// A key on the way hides everything below it.
    hidden: bool,
    /// Directly in a list of headers, where the key `name` is no secret.
    in_header_list: bool,
}

// === impl View ===

impl<'a> View<'a> {
    fn new(schema: Lens<'a>) -> Self {
        Self { schema, hidden: false, in_header_list: false }
    }

    fn node(&self, node: &Node) -> Node {
        let position = node.position().clone();
        if let Some(history) = node.substituted() {
            return Node::new(self.substituted(node, history), position);
        }
        let value = match node.value() {
            Value::Null => Value::Null,
            Value::Scalar(scalar) => self.inline(scalar),
            Value::Seq(items) => Value::Seq(items.iter().map(|item| self.item().node(item)).collect()),
            Value::Map(map) => Value::Map(self.map(map)),
        };
        Node::new(value, position)
    }

    fn map(&self, map: &Map) -> Map {
        map.iter().map(|entry| with_value(entry, self.key(&entry.key).node(&entry.value))).collect()
    }

    fn key(&self, key: &str) -> Self {
        let is_header_name = self.in_header_list && key == "name";
        let is_secret = redact::is_secret(key) || redact::is_headers(key) || self.schema.forbids(key);
        let hidden = (self.hides_below() || is_secret) && !is_header_name;
        Self { schema: self.schema.key(key), hidden, in_header_list: false }
    }

    fn item(&self) -> Self {
        Self { schema: self.schema.item(), hidden: self.hides_below(), in_header_list: self.hidden }
    }

    fn hides(&self, text: &str) -> bool {
        self.hides_below() || redact::looks_secret(text)
    }

    /// A list where a secret belongs has the secret in it.
    fn hides_below(&self) -> bool {
        self.hidden || self.schema.is_secret()
    }

    fn inline(&self, scalar: &Scalar) -> Value {
        if self.hides(scalar.text()) && !scalar.text().is_empty() {
            return Value::Scalar(Scalar::new(REDACTED, true));
        }
        Value::Scalar(Scalar::new(scalar.text().replace('$', "$$"), scalar.is_quoted()))
    }

    /// The value if it is harmless, else the reference it came from.
    fn substituted(&self, node: &Node, history: &Substituted) -> Value {
        let text = node.text().unwrap_or_default();
        let is_secret = history.origin == Origin::File
            || redact::names_secret(&history.reference)
            || self.hides(text)
            || redact::looks_secret(&history.written)
            // Printed before: the text around the reference was a secret, so the rest may be.
            || history.written.contains(REDACTED);
        match node.value() {
            _ if is_secret => Value::Scalar(Scalar::new(&*history.reference, true)),
            Value::Scalar(scalar) => {
                let is_text = meaning(scalar) == Meaning::Text;
                Value::Scalar(Scalar::new(text.replace('$', "$$"), is_text))
            }
            Value::Null | Value::Seq(_) | Value::Map(_) => {
                Value::Scalar(Scalar::new(&*history.written, true))
            }
        }
    }
}

// === warnings ===

/// A warning for each secret that is written into the configuration itself, as far as names and looks tell.
pub(crate) fn inline_secrets(root: &Node) -> Vec<Warning> {
    let mut warnings = Vec::new();
    note_inline_secrets(root, &Path::Root(""), false, &mut warnings);
    warnings
}

fn note_inline_secrets(node: &Node, path: &Path<'_>, secret_key: bool, warnings: &mut Vec<Warning>) {
    match node.value() {
        Value::Null => {}
        Value::Scalar(scalar) => {
            let is_inline = node.origin() == Origin::Inline && !scalar.text().is_empty();
            let is_word = matches!(meaning(scalar), Meaning::Bool(_));
            if is_inline && !is_word && (secret_key || redact::looks_secret(scalar.text())) {
                warnings.push(Warning::new(Some(node.position().clone()), path.to_string(), INLINE_SECRET));
            }
        }
        Value::Seq(items) => {
            for (index, item) in items.iter().enumerate() {
                note_inline_secrets(item, &path.index(index), secret_key, warnings);
            }
        }
        Value::Map(map) => {
            // The ids of components and pipelines are no names of settings.
            let is_setting = path.depth() >= 2 && path.to_string() != "service.pipelines";
            for entry in map.iter() {
                let secret_key = is_setting && redact::wants_reference(&entry.key);
                note_inline_secrets(&entry.value, &path.key(&entry.key), secret_key, warnings);
            }
        }
    }
}
