//! Attributes: the names and values by which a backend groups and finds what we send.

use std::sync::Arc;

use crate::Text;

/// An attribute value that owns its data.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A string.
    Text(Text),
    /// A signed 64-bit integer. OTLP/JSON writes it as a string.
    Int(i64),
    /// A double.
    Double(f64),
    /// A truth value.
    Bool(bool),
}

/// An attribute value that borrows its data, for encoders that read a record without copying it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ValueRef<'a> {
    /// A string.
    Text(&'a str),
    /// A signed 64-bit integer.
    Int(i64),
    /// A double.
    Double(f64),
    /// A truth value.
    Bool(bool),
}

/// One attribute.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// Its standard name, for instance `db.namespace`. User-defined tags are the only names not in the catalogue.
    pub key: Text,
    /// Its value.
    pub value: Value,
}

/// The attributes of one object (a database, a table, a replication client), shared by all points about it.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Labels {
    /// Attributes that belong to the OTLP resource; empty in the default layout. See [`crate::ResourceLayout`].
    pub resource: Vec<Attribute>,
    /// Attributes of the data point.
    pub point: Vec<Attribute>,
}

// === impl Value ===

impl Value {
    /// The value, borrowed.
    #[must_use]
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::Text(text) => ValueRef::Text(text),
            Self::Int(int) => ValueRef::Int(*int),
            Self::Double(double) => ValueRef::Double(*double),
            Self::Bool(bool) => ValueRef::Bool(*bool),
        }
    }
}

impl From<Text> for Value {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Text::Static(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<Arc<str>> for Value {
    fn from(text: Arc<str>) -> Self {
        Self::Text(text.into())
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Self::Int(int)
    }
}

impl From<f64> for Value {
    fn from(double: f64) -> Self {
        Self::Double(double)
    }
}

impl From<bool> for Value {
    fn from(bool: bool) -> Self {
        Self::Bool(bool)
    }
}

// === impl Attribute ===

impl Attribute {
    /// An attribute from anything that is a key and anything that is a value.
    pub fn new(key: impl Into<Text>, value: impl Into<Value>) -> Self {
        Self { key: key.into(), value: value.into() }
    }

    /// Bytes this attribute keeps alive, for memory accounting. Shared texts are counted in full, so sums are upper
    /// bounds.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        let value = match &self.value {
            Value::Text(text) => text.len(),
            Value::Int(_) | Value::Double(_) | Value::Bool(_) => 0,
        };
        size_of::<Self>() + value
    }
}
