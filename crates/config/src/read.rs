//! Reading a node into any serde type, with errors that name place and path.
//!
//! What differs from plain serde:
//!
//! * a number or boolean is accepted as text, exactly as written (`version: 1.10`);
//! * nothing (`key:`) is an empty map or list where one is wanted;
//! * after an error the key at fault is left out and reading is tried again, so that one run reports
//!   (nearly) everything that is wrong;
//! * values that may be secret are not shown (see `redact`).
//!
//! Inside `#[serde(flatten)]` and untagged enums serde buffers values first: there numbers are not accepted
//! as text, and an error names the enclosing map.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path as FilePath;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::{ConfigError, ConfigErrors, Problem, Warnings};
use crate::limits::ERRORS_PER_COMPONENT_MAX;
use crate::node::Node;
use crate::path::Path;
use crate::position::Position;

mod access;
mod error;
mod node;
#[cfg(test)]
mod tests;
mod wording;

pub(crate) use self::error::scrubbed;
use self::node::NodeDeserializer;

/// What a secret that is written inline is told.
pub(crate) const INLINE_SECRET: &str =
    "a secret is written inline; write a reference, `${env:NAME}` or `${file:/path}`";

/// Reads a node. `path` is the dotted path of the node, for errors.
///
/// # Errors
/// Everything that is wrong, as far as it can be told apart.
pub fn read<'n, T: Deserialize<'n>>(node: &'n Node, path: &str) -> Result<T, ConfigErrors> {
    read_noting(node, path, None, &mut Warnings::default())
}

/// Reads YAML text, for tests of components. There is no substitution. Positions have the file `yaml`.
///
/// # Errors
/// Everything that is wrong.
pub fn from_yaml<T: DeserializeOwned>(text: &str) -> Result<T, ConfigErrors> {
    let file: Arc<FilePath> = FilePath::new("yaml").into();
    read(&crate::parse::parse(&file, text)?, "")
}

/// Reads a node and notes inline secrets. `key` is where the key of the node stands.
pub(crate) fn read_noting<'n, T: Deserialize<'n>>(
    node: &'n Node,
    path: &str,
    key: Option<&'n Position>,
    warnings: &mut Warnings,
) -> Result<T, ConfigErrors> {
    let reading = Reading::default();
    let mut errors = ConfigErrors::default();
    loop {
        let root = Path::Root(path);
        let deserializer = NodeDeserializer { node, path: &root, key, reading: &reading };
        match deserializer.located(T::deserialize) {
            Ok(value) => {
                warnings.extend(reading.warnings.into_inner());
                return errors.or(value);
            }
            Err(error) => {
                let error = error.into_config_error(path);
                let goes_on = error.path() != path;
                if !reading.is_consequence(&error) && !errors.0.contains(&error) {
                    reading.note_misspelling(&error);
                    errors.push(error.clone());
                }
                if !goes_on || !reading.skip(&error) || errors.0.len() >= ERRORS_PER_COMPONENT_MAX {
                    return Err(errors);
                }
            }
        }
    }
}

/// The state of one reading.
#[derive(Default)]
struct Reading {
    /// The paths that were wrong in an earlier attempt, and are left out.
    skipped: RefCell<BTreeSet<String>>,
    /// The paths that are missing because their keys are misspelled.
    misspelled: RefCell<BTreeSet<String>>,
    warnings: RefCell<Warnings>,
}

// === impl Reading ===

impl Reading {
    fn is_skipped(&self, path: &Path<'_>) -> bool {
        let skipped = self.skipped.borrow();
        !skipped.is_empty() && skipped.contains(&path.to_string())
    }

    /// Leaves out what is wrong in the next attempt: a key, or a map in which one is missing. False when that
    /// has been done already.
    fn skip(&self, error: &ConfigError) -> bool {
        self.skipped.borrow_mut().insert(error.path().to_owned())
    }

    fn note_misspelling(&self, error: &ConfigError) {
        if let Problem::UnknownKey { key, suggestion: Some(meant), .. } = error.problem()
            && let Some(parent) = error.path().strip_suffix(key.as_str())
        {
            self.misspelled.borrow_mut().insert(format!("{parent}{meant}"));
        }
    }

    /// Whether the error may be there only because something was left out.
    fn is_consequence(&self, error: &ConfigError) -> bool {
        let path = error.path();
        if let Problem::MissingKey(key) = error.problem() {
            let missing = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            return self.skipped.borrow().contains(&missing) || self.misspelled.borrow().contains(&missing);
        }
        let is_here_or_below = |skipped: &String| match skipped.strip_prefix(path) {
            Some(rest) => path.is_empty() || rest.is_empty() || rest.starts_with('.'),
            None => false,
        };
        self.skipped.borrow().iter().any(is_here_or_below)
    }
}
