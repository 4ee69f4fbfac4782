//! Types for settings: a value of one of them is in range by construction.
//!
//! Each reads from YAML and from text (`FromStr`), prints in a form it reads back, and has a JSON Schema
//! with pattern and examples. An error says what belongs there and never repeats what was written; the
//! reader adds that when it is safe to show.

mod address;
mod byte_size;
mod component_id;
mod duration;
mod endpoint;
mod headers;
mod http_url;
mod memory_limit;
mod percentage;
mod secret;
#[cfg(test)]
mod tests;

pub use address::Address;
pub use byte_size::ByteSize;
pub use component_id::ComponentId;
pub use duration::Duration;
pub use endpoint::Endpoint;
pub use headers::Headers;
pub use http_url::HttpUrl;
pub use memory_limit::MemoryLimit;
pub use percentage::Percentage;
pub(crate) use secret::REDACTED;
pub use secret::Secret;
pub(crate) use secret::{ORIGIN_ENVIRONMENT, ORIGIN_FILE, ORIGIN_INLINE, SECRET_TYPE};

pub use crate::node::Origin;

/// Text that is not a value of the type. Displays as `expected a duration such as 10s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct ValueError {
    expected: &'static str,
}

// === impl ValueError ===

impl ValueError {
    pub(crate) const fn new(expected: &'static str) -> Self {
        Self { expected }
    }

    /// What belongs there, with an example.
    pub fn expected(&self) -> &'static str {
        self.expected
    }

    /// The serde error for text that was not accepted.
    pub(crate) fn of_text<E: serde::de::Error>(self, found: &str) -> E {
        E::invalid_value(serde::de::Unexpected::Str(found), &self.expected)
    }
}

/// `Deserialize` from a string through `FromStr`, `Serialize` through `Display`.
macro_rules! text_serde {
    ($type:ty) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(|error: $crate::values::ValueError| error.of_text(&text))
            }
        }

        $crate::values::text_serialize!($type);
    };
}

/// `Serialize` through `Display`.
macro_rules! text_serialize {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

pub(crate) use {text_serde, text_serialize};
