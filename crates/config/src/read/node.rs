//! A serde `Deserializer` over a node.

use serde::de::{self, Deserializer, Error as _, Expected, Unexpected, Visitor};

use super::access::{Entries, Items, SecretDeserializer, VariantOf};
use super::error::{Place, ReadError};
use super::{INLINE_SECRET, Reading};
use crate::error::Warning;
use crate::node::{Map, Node, Origin, Scalar, Value};
use crate::path::Path;
use crate::position::Position;
use crate::scalar::{Meaning, is_odd_number, meaning};
use crate::values::SECRET_TYPE;

/// Reads one node.
#[derive(Clone, Copy)]
pub(super) struct NodeDeserializer<'n, 'p> {
    pub(super) node: &'n Node,
    pub(super) path: &'p Path<'p>,
    pub(super) key: Option<&'n Position>,
    pub(super) reading: &'p Reading,
}

// === impl NodeDeserializer ===

impl<'n> NodeDeserializer<'n, '_> {
    /// The result of reading this node. An error that has no place yet gets this one; also an error that a
    /// type raises after it has read (`FromStr`, `try_from`).
    pub(super) fn located<T>(self, read: impl FnOnce(Self) -> Result<T, ReadError>) -> Result<T, ReadError> {
        let place = Place { node: self.node, path: self.path, key: self.key };
        read(self).map_err(|error| error.at(&place))
    }

    fn mismatch<T>(&self, expected: &dyn Expected) -> Result<T, ReadError> {
        Err(ReadError::invalid_type(self.unexpected(), expected))
    }

    fn unexpected(&self) -> Unexpected<'n> {
        match self.node.value() {
            Value::Null => Unexpected::Unit,
            Value::Seq(_) => Unexpected::Seq,
            Value::Map(_) => Unexpected::Map,
            Value::Scalar(scalar) => match meaning(scalar) {
                Meaning::Bool(value) => Unexpected::Bool(value),
                Meaning::Unsigned(number) => Unexpected::Unsigned(number),
                Meaning::Signed(number) => Unexpected::Signed(number),
                Meaning::Float(number) => Unexpected::Float(number),
                Meaning::Null | Meaning::Text => Unexpected::Str(scalar.text()),
            },
        }
    }

    /// Nothing was written. An empty variable is nothing too, but other text is not, even if YAML makes
    /// nothing of it: `~` may be a password.
    fn is_absent(&self) -> bool {
        self.node.is_null() && self.node.text().is_none_or(|text| text.is_empty() || text == "null")
    }

    fn scalar<V: Visitor<'n>>(&self, scalar: &'n Scalar, visitor: V) -> Result<V::Value, ReadError> {
        let text = self.node.text().unwrap_or(scalar.text());
        match meaning(scalar) {
            Meaning::Bool(value) => visitor.visit_bool(value),
            _ if is_odd_number(scalar.text()) => visitor.visit_borrowed_str(text),
            Meaning::Unsigned(number) => visitor.visit_u64(number),
            Meaning::Signed(number) => visitor.visit_i64(number),
            Meaning::Float(number) => visitor.visit_f64(number),
            Meaning::Null | Meaning::Text => visitor.visit_borrowed_str(text),
        }
    }

    fn number<V: Visitor<'n>>(&self, visitor: V) -> Result<V::Value, ReadError> {
        let Value::Scalar(scalar) = self.node.value() else {
            return self.mismatch(&visitor);
        };
        match meaning(scalar) {
            Meaning::Unsigned(number) => visitor.visit_u64(number),
            Meaning::Signed(number) => visitor.visit_i64(number),
            Meaning::Float(number) => visitor.visit_f64(number),
            Meaning::Null | Meaning::Bool(_) | Meaning::Text => self.mismatch(&visitor),
        }
    }

    fn text<V: Visitor<'n>>(&self, visitor: V) -> Result<V::Value, ReadError> {
        match self.node.text() {
            Some(text) => visitor.visit_borrowed_str(text),
            None => self.mismatch(&visitor),
        }
    }

    fn items<V: Visitor<'n>>(&self, items: &'n [Node], visitor: V) -> Result<V::Value, ReadError> {
        let mut access = Items::new(items, *self);
        let value = visitor.visit_seq(&mut access)?;
        match access.remaining() {
            0 => Ok(value),
            _ => Err(ReadError::invalid_length(items.len(), &"a shorter list")),
        }
    }

    fn entries<V: Visitor<'n>>(&self, map: Option<&'n Map>, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_map(Entries::new(map, *self))
    }

    fn secret<V: Visitor<'n>>(&self, visitor: V) -> Result<V::Value, ReadError> {
        let Some(text) = self.node.text() else {
            return self.mismatch(&"a secret text");
        };
        if self.node.origin() == Origin::Inline && !text.is_empty() {
            let warning =
                Warning::new(Some(self.node.position().clone()), self.path.to_string(), INLINE_SECRET);
            self.reading.warnings.borrow_mut().push(warning);
        }
        visitor.visit_newtype_struct(SecretDeserializer { text, origin: self.node.origin() })
    }
}

macro_rules! numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            self.number(visitor)
        }
    )*};
}

macro_rules! texts {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            self.text(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for NodeDeserializer<'de, '_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.node.value() {
            Value::Null if self.is_absent() => visitor.visit_unit(),
            Value::Null => self.text(visitor),
            Value::Scalar(scalar) => self.scalar(scalar, visitor),
            Value::Seq(items) => self.items(items, visitor),
            Value::Map(map) => self.entries(Some(map), visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let meaning = match self.node.value() {
            Value::Scalar(scalar) => meaning(scalar),
            _ => Meaning::Null,
        };
        match meaning {
            Meaning::Bool(value) => visitor.visit_bool(value),
            _ => self.mismatch(&visitor),
        }
    }

    numbers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    texts! { deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.is_absent() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.is_absent() { visitor.visit_unit() } else { self.mismatch(&visitor) }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        if name == SECRET_TYPE { self.secret(visitor) } else { visitor.visit_newtype_struct(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.node.value() {
            Value::Seq(items) => self.items(items, visitor),
            Value::Null if self.is_absent() => self.items(&[], visitor),
            _ => self.mismatch(&visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.node.value() {
            Value::Map(map) => self.entries(Some(map), visitor),
            Value::Null if self.is_absent() => self.entries(None, visitor),
            _ => self.mismatch(&visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_map(visitor)
    }

    /// A name (`always_on`), or a map of one name to its settings (`{ratio: {of: 0.5}}`).
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        let expected = format!("one of {}", names.join(", "));
        match self.node.value() {
            Value::Scalar(_) => match self.node.text() {
                Some(text) => visitor.visit_enum(de::value::BorrowedStrDeserializer::new(text)),
                None => self.mismatch(&expected.as_str()),
            },
            Value::Map(map) if map.len() == 1 => match map.iter().next() {
                Some(entry) => visitor.visit_enum(VariantOf::new(entry, self)),
                None => self.mismatch(&expected.as_str()),
            },
            _ => self.mismatch(&expected.as_str()),
        }
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }
}
