//! Following a JSON Schema along the path of a value, to learn which settings are secrets.

use serde_json::Value as Json;

/// All schemas that may describe one place. Too many is fine: if one of them says "secret", it is.
pub(crate) struct Lens<'a> {
    root: &'a Json,
    here: Vec<&'a Json>,
}

/// Schemas looked at for one place; also the end of a circle of references.
const SCHEMAS_MAX: usize = 256;

// === impl Lens ===

impl<'a> Lens<'a> {
    /// At the root of a schema.
    pub(crate) fn new(root: &'a Json) -> Self {
        Self::at(root, [root])
    }

    /// Where no schema is known.
    pub(crate) fn unknown() -> Self {
        Self { root: &Json::Null, here: Vec::new() }
    }

    /// At the value of a key.
    pub(crate) fn key(&self, key: &str) -> Self {
        Self::at(self.root, self.here.iter().flat_map(|schema| value_schemas(schema, key)))
    }

    /// At an item of a list.
    pub(crate) fn item(&self) -> Self {
        let prefix = |schema: &&'a Json| schema.get("prefixItems").and_then(Json::as_array);
        let items = self.here.iter().filter_map(|schema| schema.get("items"));
        Self::at(self.root, items.chain(self.here.iter().filter_map(prefix).flatten()))
    }

    /// Whether the value here is a secret: `writeOnly`, as the schema of `values::Secret` says.
    pub(crate) fn is_secret(&self) -> bool {
        self.here.iter().any(|schema| schema.get("writeOnly") == Some(&Json::Bool(true)))
    }

    /// Whether the schema here forbids the key: a misspelled `pasword` holds a secret all the same.
    pub(crate) fn forbids(&self, key: &str) -> bool {
        let is_closed = |schema: &&Json| schema.get("additionalProperties") == Some(&Json::Bool(false));
        self.here.iter().any(is_closed)
            && self.key(key).here.iter().all(|schema| **schema == Json::Bool(false))
    }

    fn at(root: &'a Json, schemas: impl IntoIterator<Item = &'a Json>) -> Self {
        let mut lens = Self { root, here: Vec::new() };
        schemas.into_iter().for_each(|schema| lens.push(schema));
        lens
    }

    /// Adds a schema and those it refers to or is made of.
    fn push(&mut self, schema: &'a Json) {
        if self.here.len() >= SCHEMAS_MAX || self.here.iter().any(|known| std::ptr::eq(*known, schema)) {
            return;
        }
        self.here.push(schema);
        let reference = schema.get("$ref").and_then(Json::as_str).and_then(|name| name.strip_prefix('#'));
        if let Some(target) = reference.and_then(|pointer| self.root.pointer(pointer)) {
            self.push(target);
        }
        for keyword in ["anyOf", "oneOf", "allOf"] {
            let parts = schema.get(keyword).and_then(Json::as_array);
            parts.into_iter().flatten().for_each(|part| self.push(part));
        }
    }
}

/// The schemas of the value of a key: its own, else those of other keys.
fn value_schemas<'a>(schema: &'a Json, key: &str) -> Vec<&'a Json> {
    if let Some(own) = schema.get("properties").and_then(|properties| properties.get(key)) {
        return vec![own];
    }
    let patterns = schema.get("patternProperties").and_then(Json::as_object);
    let others = patterns.into_iter().flat_map(serde_json::Map::values);
    others.chain(schema.get("additionalProperties")).collect()
}
