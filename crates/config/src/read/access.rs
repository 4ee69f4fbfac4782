//! The parts of a node: items, entries, the variant of an enum, and a secret with its origin.

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::error::{ReadError, shown_key};
use super::node::NodeDeserializer;
use crate::node::{Entry, Map, Node, Origin};
use crate::path::Path;
use crate::values::{ORIGIN_ENVIRONMENT, ORIGIN_FILE, ORIGIN_INLINE};

/// The items of a list that were not wrong in an earlier attempt.
pub(super) struct Items<'n, 'p> {
    items: std::iter::Enumerate<std::slice::Iter<'n, Node>>,
    list: NodeDeserializer<'n, 'p>,
}

/// The entries of a map that were not wrong in an earlier attempt.
pub(super) struct Entries<'n, 'p> {
    entries: Vec<&'n Entry>,
    next: usize,
    map: NodeDeserializer<'n, 'p>,
}

/// A map with one key, read as the variant of an enum and its content.
pub(super) struct VariantOf<'n, 'p> {
    entry: &'n Entry,
    map: NodeDeserializer<'n, 'p>,
}

/// The text of a secret together with its origin; only `Secret` looks at it.
pub(super) struct SecretDeserializer<'n> {
    pub(super) text: &'n str,
    pub(super) origin: Origin,
}

// === impl Items ===

impl<'n, 'p> Items<'n, 'p> {
    pub(super) fn new(items: &'n [Node], list: NodeDeserializer<'n, 'p>) -> Self {
        Self { items: items.iter().enumerate(), list }
    }

    pub(super) fn remaining(&self) -> usize {
        self.items.len()
    }
}

impl<'de> SeqAccess<'de> for &mut Items<'de, '_> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, ReadError> {
        for (index, node) in self.items.by_ref() {
            let path = self.list.path.index(index);
            if self.list.reading.is_skipped(&path) {
                continue;
            }
            let item = NodeDeserializer { node, path: &path, key: None, reading: self.list.reading };
            return item.located(|item| seed.deserialize(item)).map(Some);
        }
        Ok(None)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

// === impl Entries ===

impl<'n, 'p> Entries<'n, 'p> {
    pub(super) fn new(map: Option<&'n Map>, of: NodeDeserializer<'n, 'p>) -> Self {
        let is_wanted = |entry: &&Entry| !of.reading.is_skipped(&of.path.key(shown_key(of.node, &entry.key)));
        let entries = map.map(|map| map.iter().filter(is_wanted).collect()).unwrap_or_default();
        Self { entries, next: 0, map: of }
    }
}

impl<'de> MapAccess<'de> for Entries<'de, '_> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ReadError> {
        let Some(entry) = self.entries.get(self.next) else {
            return Ok(None);
        };
        self.next += 1;
        read_key(entry, &self.map, seed).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, ReadError> {
        let entry = self.next.checked_sub(1).and_then(|index| self.entries.get(index));
        let Some(entry) = entry else {
            return Err(ReadError::custom("a value without a key"));
        };
        let path = self.map.path.key(shown_key(self.map.node, &entry.key));
        content(entry, &path, &self.map).located(|value| seed.deserialize(value))
    }

    fn size_hint(&self) -> Option<usize> {
        self.entries.len().checked_sub(self.next)
    }
}

// === impl VariantOf ===

impl<'n, 'p> VariantOf<'n, 'p> {
    pub(super) fn new(entry: &'n Entry, map: NodeDeserializer<'n, 'p>) -> Self {
        Self { entry, map }
    }

    fn with_content<T>(
        &self,
        read: impl FnOnce(NodeDeserializer<'n, '_>) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let path = self.map.path.key(shown_key(self.map.node, &self.entry.key));
        content(self.entry, &path, &self.map).located(read)
    }
}

impl<'de> EnumAccess<'de> for VariantOf<'de, '_> {
    type Error = ReadError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), ReadError> {
        let variant = read_key(self.entry, &self.map, seed)?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for VariantOf<'de, '_> {
    type Error = ReadError;

    /// `always_on:` and `always_on: {}` are the name alone.
    fn unit_variant(self) -> Result<(), ReadError> {
        self.with_content(|content| match content.node.as_map() {
            Some(map) if map.is_empty() => Ok(()),
            _ => serde::Deserialize::deserialize(content),
        })
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, ReadError> {
        self.with_content(|content| seed.deserialize(content))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ReadError> {
        self.with_content(|content| content.deserialize_seq(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.with_content(|content| content.deserialize_map(visitor))
    }
}

fn read_key<'n, K: DeserializeSeed<'n>>(
    entry: &'n Entry,
    map: &NodeDeserializer<'n, '_>,
    seed: K,
) -> Result<K::Value, ReadError> {
    let path = map.path.key(shown_key(map.node, &entry.key));
    let key = de::value::BorrowedStrDeserializer::new(&entry.key);
    let located = |error: ReadError| error.at_key(map.node, &path, &entry.key_position);
    seed.deserialize(key).map_err(located)
}

fn content<'n, 'q>(
    entry: &'n Entry,
    path: &'q Path<'q>,
    map: &NodeDeserializer<'n, 'q>,
) -> NodeDeserializer<'n, 'q> {
    NodeDeserializer { node: &entry.value, path, key: Some(&entry.key_position), reading: map.reading }
}

// === impl SecretDeserializer ===

impl<'de> Deserializer<'de> for SecretDeserializer<'de> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let origin = match self.origin {
            Origin::Inline => ORIGIN_INLINE,
            Origin::Environment => ORIGIN_ENVIRONMENT,
            Origin::File => ORIGIN_FILE,
        };
        visitor.visit_map(de::value::MapDeserializer::new(std::iter::once((origin, self.text))))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}
