//! The error of the deserializer: raw as serde makes it, then located.

use std::fmt;

use serde::de::{Expected, Unexpected};

use super::wording;
use crate::error::{ConfigError, Problem, nearest};
use crate::node::{Node, Origin, Value};
use crate::path::Path;
use crate::position::Position;
use crate::redact::{self, REDACTED};

/// What serde reports. It has no place until the value it came from adds it.
#[derive(Debug)]
pub(crate) enum ReadError {
    Raw(Raw),
    Located(Box<ConfigError>),
}

/// An error without a place. May hold the text of a secret; never shown.
pub(crate) enum Raw {
    Custom(String),
    Mismatch { expected: String, found: Found },
    UnknownValue { found: String, valid: &'static [&'static str] },
    UnknownKey { key: String, valid: Vec<String> },
    MissingKey(String),
}

/// What was written in the place of something else.
pub(crate) struct Found {
    pub(crate) text: String,
    /// Whether the text has the value itself in it.
    pub(crate) quotes: bool,
}

/// Where an error belongs.
pub(crate) struct Place<'a> {
    pub(crate) node: &'a Node,
    pub(crate) path: &'a Path<'a>,
    /// Where the key of the node stands.
    pub(crate) key: Option<&'a Position>,
}

// === impl ReadError ===

impl ReadError {
    /// The error at a value, unless it is located already.
    pub(crate) fn at(self, place: &Place<'_>) -> Self {
        match self {
            Self::Raw(raw) => Self::Located(Box::new(raw.at(place))),
            located @ Self::Located(_) => located,
        }
    }

    /// The error at a key of a map, unless it is located already.
    pub(crate) fn at_key(self, map: &Node, path: &Path<'_>, key: &Position) -> Self {
        let Self::Raw(raw) = self else { return self };
        let is_foreign = is_foreign(map);
        let raw = if is_foreign { raw.without_key() } else { raw };
        let problem = raw.problem(|found| found.text.clone());
        let path = path.to_string();
        Self::Located(Box::new(ConfigError::new(Some(key.clone()), path, problem)))
    }

    pub(crate) fn into_config_error(self, path: &str) -> ConfigError {
        match self {
            Self::Located(error) => *error,
            Self::Raw(raw) => ConfigError::new(None, path, raw.problem(|found| found.redacted(None))),
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Raw(_) => f.write_str("the configuration does not fit"),
            Self::Located(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReadError {}

impl serde::de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        let raw = match wording::unknown_field(&message) {
            Some(key) => Raw::UnknownKey { key: key.to_owned(), valid: Vec::new() },
            None => Raw::Custom(message),
        };
        Self::Raw(raw)
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let expected = wording::expected(expected);
        let found = wording::found(found, &expected);
        Self::Raw(Raw::Mismatch { expected, found })
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        let found = Found { text: format!("{length} items"), quotes: false };
        Self::Raw(Raw::Mismatch { expected: wording::expected(expected), found })
    }

    fn unknown_variant(variant: &str, valid: &'static [&'static str]) -> Self {
        Self::Raw(Raw::UnknownValue { found: variant.to_owned(), valid })
    }

    fn unknown_field(field: &str, valid: &'static [&'static str]) -> Self {
        let valid = valid.iter().map(|key| (*key).to_owned()).collect();
        Self::Raw(Raw::UnknownKey { key: field.to_owned(), valid })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Raw(Raw::MissingKey(field.to_owned()))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::Raw(Raw::Custom(format!("`{field}` is given twice, once by another name")))
    }
}

// === impl Raw ===

impl Raw {
    fn at(self, place: &Place<'_>) -> ConfigError {
        // An unknown key that serde found after buffering: the map is here, the key is in it.
        if let Self::UnknownKey { key, .. } = &self
            && !is_foreign(place.node)
            && let Some(entry) = place.node.as_map().and_then(|map| map.entry(key))
        {
            let path = place.path.key(key).to_string();
            let position = entry.key_position.clone();
            return ConfigError::new(Some(position), path, self.problem(|found| found.text.clone()));
        }
        ConfigError::new(Some(place.position()), place.path.to_string(), self.redacted_problem(place))
    }

    fn redacted_problem(self, place: &Place<'_>) -> Problem {
        let hidden = place.is_hidden();
        match self {
            Self::Custom(_) if hidden => {
                Problem::Invalid(format!("the value is not valid ({})", place.redaction()))
            }
            Self::Custom(message) => Problem::Invalid(scrubbed(message, place.node, place.path)),
            Self::UnknownValue { valid, .. } if hidden => {
                let valid = valid.iter().map(|word| (*word).to_owned()).collect();
                Problem::UnknownValue { found: place.redaction(), suggestion: None, valid }
            }
            raw if hidden => raw.problem(|found| found.redacted(Some(place))),
            raw => raw.problem(|found| scrubbed(found.text.clone(), place.node, place.path)),
        }
    }

    /// The error of a key whose text came from the environment.
    fn without_key(self) -> Self {
        let redacted = || Found { text: REDACTED.to_owned(), quotes: true };
        match self {
            Self::Custom(_) => Self::Custom(format!("the key is not valid ({REDACTED})")),
            Self::Mismatch { expected, .. } => Self::Mismatch { expected, found: redacted() },
            Self::UnknownValue { valid, .. } => Self::UnknownValue { found: REDACTED.to_owned(), valid },
            Self::UnknownKey { valid, .. } => Self::UnknownKey { key: REDACTED.to_owned(), valid },
            missing @ Self::MissingKey(_) => missing,
        }
    }

    fn problem(self, show: impl Fn(&Found) -> String) -> Problem {
        match self {
            Self::Custom(message) => Problem::Invalid(message),
            Self::Mismatch { expected, found } => Problem::Mismatch { expected, found: show(&found) },
            Self::UnknownValue { found, valid } => Problem::UnknownValue {
                suggestion: nearest(&found, valid.iter().copied()),
                found: format!("`{}`", wording::shortened(&found)),
                valid: valid.iter().map(|word| (*word).to_owned()).collect(),
            },
            Self::UnknownKey { key, valid } => {
                let suggestion = nearest(&key, valid.iter().map(String::as_str));
                Problem::UnknownKey { key, suggestion, valid }
            }
            Self::MissingKey(key) => Problem::MissingKey(key),
        }
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an error without a place")
    }
}

// === impl Found ===

impl Found {
    fn redacted(&self, place: Option<&Place<'_>>) -> String {
        match place {
            _ if !self.quotes => self.text.clone(),
            Some(place) => place.redaction(),
            None => REDACTED.to_owned(),
        }
    }
}

// === impl Place ===

impl Place<'_> {
    /// Of a scalar the value, of a list or map its key: that is the line where it begins for a reader.
    fn position(&self) -> Position {
        let is_scalar = matches!(self.node.value(), Value::Scalar(_));
        let key = self.key.filter(|_| !is_scalar);
        key.unwrap_or_else(|| self.node.position()).clone()
    }

    fn is_hidden(&self) -> bool {
        is_hidden(self.node, self.path)
    }

    /// `[redacted]`, and where it came from.
    fn redaction(&self) -> String {
        match self.node.substituted() {
            Some(history) => format!("{REDACTED} from `{}`", history.reference),
            None => REDACTED.to_owned(),
        }
    }
}

// === helpers ===

/// Whether the text of this node may not be shown in an error.
fn is_hidden(node: &Node, path: &Path<'_>) -> bool {
    node.origin() != Origin::Inline
        || path.any_key(&redact::is_guarded)
        || node.text().is_some_and(redact::looks_secret)
}

/// Whether this came whole out of an environment variable: then its keys may be parts of a secret.
fn is_foreign(node: &Node) -> bool {
    node.origin() == Origin::Environment
}

/// The key as it may be shown in a path.
pub(crate) fn shown_key<'k>(map: &Node, key: &'k str) -> &'k str {
    if is_foreign(map) { REDACTED } else { key }
}

/// The message without the hidden texts below the node, should the author of a type have quoted one.
pub(crate) fn scrubbed(message: String, node: &Node, path: &Path<'_>) -> String {
    let own = node.text().filter(|_| is_hidden(node, path));
    let message = own.into_iter().fold(message, without);
    match node.value() {
        Value::Null | Value::Scalar(_) => message,
        Value::Seq(items) => {
            let items = items.iter().enumerate();
            items.fold(message, |message, (index, item)| scrubbed(message, item, &path.index(index)))
        }
        Value::Map(map) => map.iter().fold(message, |message, entry| {
            let message = if is_foreign(node) { without(message, &entry.key) } else { message };
            scrubbed(message, &entry.value, &path.key(&entry.key))
        }),
    }
}

/// The message without a text, however it is quoted.
fn without(message: String, text: &str) -> String {
    /// Shorter texts are no secrets, and replacing each "1" would spoil the message.
    const HIDDEN_CHARS_MIN: usize = 4;
    if text.chars().count() < HIDDEN_CHARS_MIN {
        return message;
    }
    let quoted: String = text.escape_debug().collect();
    message.replace(text, REDACTED).replace(&quoted, REDACTED)
}
