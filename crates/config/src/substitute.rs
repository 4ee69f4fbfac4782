//! Replacing `${…}` in scalar values. Keys are never substituted.
//!
//! The pass runs on the merged tree, so a variable named only in a value that was overridden, or in an
//! override of another environment, need not exist. Text that comes from a variable or a file is final: a
//! `$` in a password is a `$`. The one exception are files named `*.yaml` or `*.yml`, which are parts of
//! the configuration and may have references of their own.
//!
//! A value that is one reference and nothing else is read as YAML (a number, a boolean, a list); its text
//! is kept exactly, for settings that want text.

use std::env::VarError;
use std::path::Path;
use std::sync::Arc;

use crate::environment::Environment;
use crate::error::{ConfigError, ConfigErrors, Problem};
use crate::limits::{
    FILE_BYTES_MAX, INCLUDED_FILES_MAX, NESTING_DEPTH_MAX, SUBSTITUTED_BYTES_MAX, SUBSTITUTION_DEPTH_MAX,
    SUBSTITUTIONS_MAX,
};
use crate::node::{Entry, Node, Origin, Scalar, Substituted, Value};
use crate::parse;
use crate::path::Path as ConfigPath;
use crate::position::Position;
use crate::scalar::{Meaning, plain_meaning};

mod template;
#[cfg(test)]
mod tests;

use template::{Piece, Template};

/// Replaces every reference below `root`. Those that cannot be replaced are left as they are, each with an
/// error; what they would have been is unknown, so they count as private and are never shown.
pub(crate) fn substitute(root: Node, environment: &dyn Environment) -> (Node, ConfigErrors) {
    let mut pass = Pass { environment, references: 0, included_files: 0, errors: ConfigErrors::default() };
    let root = pass.node(root, &ConfigPath::Root(""), 0);
    (root, pass.errors)
}

/// How a reference that could not be replaced is shown; what is around it may be a secret.
const UNREPLACED: &str = "${…}";

struct Pass<'a> {
    environment: &'a dyn Environment,
    references: usize,
    included_files: usize,
    errors: ConfigErrors,
}

/// Text put together from a template.
struct Text {
    text: String,
    origin: Origin,
}

/// A scalar with references, and where it stands.
struct Site<'a> {
    template: &'a Template,
    written: &'a str,
    position: &'a Position,
    path: &'a ConfigPath<'a>,
    /// The YAML files between the configuration and this scalar.
    includes: usize,
}

// === impl Pass ===

impl Pass<'_> {
    fn node(&mut self, node: Node, path: &ConfigPath<'_>, includes: usize) -> Node {
        let position = node.position().clone();
        let value = match node.into_value() {
            Value::Null => Value::Null,
            Value::Scalar(scalar) => return self.scalar(scalar, &position, path, includes),
            Value::Seq(items) => {
                let items = items.into_iter().enumerate();
                Value::Seq(items.map(|(index, item)| self.node(item, &path.index(index), includes)).collect())
            }
            Value::Map(map) => {
                let entry = |Entry { key, key_position, value }| {
                    let value = self.node(value, &path.key(&key), includes);
                    Entry { key, key_position, value }
                };
                Value::Map(map.into_entries().into_iter().map(entry).collect())
            }
        };
        Node::new(value, position)
    }

    /// The scalar with its references replaced, or as it was after noting the error.
    fn scalar(
        &mut self,
        scalar: Scalar,
        position: &Position,
        path: &ConfigPath<'_>,
        includes: usize,
    ) -> Node {
        if !scalar.text().contains('$') {
            return Node::new(Value::Scalar(scalar), position.clone());
        }
        let result = Template::parse(scalar.text())
            .map_err(|error| Problem::Substitution(error.to_string()).into())
            .and_then(|template| {
                let site = Site { template: &template, written: scalar.text(), position, path, includes };
                self.site(&site, scalar.is_quoted())
            });
        result.unwrap_or_else(|failure: Failure| {
            self.errors.0.extend(failure.at(position, path));
            let written: Arc<str> = scalar.text().into();
            let (reference, text) = (UNREPLACED.into(), Some(Arc::clone(&written)));
            let history = Substituted { origin: Origin::File, written, reference, text };
            Node::new(Value::Scalar(scalar), position.clone()).with_substituted(Arc::new(history))
        })
    }

    fn site(&mut self, site: &Site<'_>, quoted: bool) -> Result<Node, Failure> {
        if let Some(literal) = site.template.as_literal() {
            return Ok(Node::new(Value::Scalar(Scalar::new(literal, quoted)), site.position.clone()));
        }
        self.references += site.template.references();
        if self.references > SUBSTITUTIONS_MAX {
            let what = "the number of `${…}` in the configuration";
            return Err(Problem::Limit { what, limit: SUBSTITUTIONS_MAX, unit: "references" }.into());
        }
        if let [Piece::File(path)] = site.template.pieces.as_slice() {
            let file: Arc<Path> = Path::new(&self.text(path)?.text).into();
            if is_yaml(&file) {
                return self.include(&file, path, site);
            }
        }
        let text = self.text(site.template)?;
        Ok(site.finish(text))
    }

    /// A part of the configuration in its own file.
    fn include(&mut self, file: &Arc<Path>, path: &Template, site: &Site<'_>) -> Result<Node, Failure> {
        let bytes = self.file_bytes(file, path)?;
        self.included_files += 1;
        if site.includes >= SUBSTITUTION_DEPTH_MAX {
            let message = format!("more than {SUBSTITUTION_DEPTH_MAX} files that include each other");
            return Err(Problem::Substitution(message).into());
        }
        if self.included_files > INCLUDED_FILES_MAX {
            let what = "the number of files included with `${file:…}`";
            return Err(Problem::Limit { what, limit: INCLUDED_FILES_MAX, unit: "files" }.into());
        }
        let node = parse::parse_bytes(file, &bytes).map_err(Failure::Elsewhere)?;
        if site.path.depth() + node.size().1 > NESTING_DEPTH_MAX {
            let what = "the nesting of lists and maps";
            return Err(Problem::Limit { what, limit: NESTING_DEPTH_MAX, unit: "levels" }.into());
        }
        let text = Text { text: trimmed(String::from_utf8_lossy(&bytes).into_owned()), origin: Origin::File };
        if !matches!(node.value(), Value::Seq(_) | Value::Map(_)) {
            return Ok(site.finish(text));
        }
        let node = self.node(node, site.path, site.includes + 1);
        Ok(node.with_substituted(site.history(text.origin, Some(text.text.into()))))
    }

    /// The text of a template.
    fn text(&self, template: &Template) -> Result<Text, Problem> {
        let mut all = Text { text: String::new(), origin: Origin::Inline };
        for piece in &template.pieces {
            let Text { text, origin } = self.piece(piece)?;
            all.text.push_str(&text);
            all.origin = all.origin.max(origin);
            if all.text.len() > SUBSTITUTED_BYTES_MAX {
                let what = "the value after substitution";
                return Err(Problem::Limit { what, limit: SUBSTITUTED_BYTES_MAX, unit: "bytes" });
            }
        }
        Ok(all)
    }

    fn piece(&self, piece: &Piece) -> Result<Text, Problem> {
        match piece {
            Piece::Literal(text) => Ok(Text { text: text.clone(), origin: Origin::Inline }),
            Piece::Variable { name, default, .. } => match (self.environment.variable(name), default) {
                (Ok(text), _) => Ok(Text { text, origin: Origin::Environment }),
                (Err(VarError::NotPresent), Some(default)) => self.text(default),
                (Err(VarError::NotPresent), None) => Err(Problem::Substitution(format!(
                    "environment variable `{name}` is not set; set it, or give a default: `${{env:{name}:-default}}`"
                ))),
                (Err(VarError::NotUnicode(_)), _) => {
                    Err(Problem::Substitution(format!("environment variable `{name}` is not UTF-8 text")))
                }
            },
            Piece::File(path) => {
                let file = self.text(path)?.text;
                let bytes = self.file_bytes(Path::new(&file), path)?;
                let text = String::from_utf8(bytes).map_err(|_| {
                    Problem::Substitution(format!("the file of {} is not UTF-8 text", reference_to(path)))
                })?;
                Ok(Text { text: trimmed(text), origin: Origin::File })
            }
        }
    }

    /// The bytes of a file; an error names it as it was written.
    fn file_bytes(&self, file: &Path, path: &Template) -> Result<Vec<u8>, Problem> {
        let bytes = self.environment.read_file(file, FILE_BYTES_MAX).map_err(|error| {
            Problem::Substitution(format!("cannot read the file of {}: {error}", reference_to(path)))
        })?;
        if bytes.len() > FILE_BYTES_MAX {
            let what = "a file named by `${file:…}`";
            return Err(Problem::Limit { what, limit: FILE_BYTES_MAX, unit: "bytes" });
        }
        Ok(bytes)
    }
}

// === impl Site ===

impl Site<'_> {
    /// The node for the text: what YAML makes of it after a single reference, else text.
    fn finish(&self, text: Text) -> Node {
        let value = if self.template.is_one_reference() {
            self.value_of(&text)
        } else {
            Value::Scalar(Scalar::new(text.text.as_str(), true))
        };
        let history = self.history(text.origin, Some(text.text.into()));
        Node::new(value, self.position.clone()).with_substituted(history)
    }

    fn value_of(&self, text: &Text) -> Value {
        let plain = text.text.trim();
        match plain_meaning(plain) {
            Meaning::Null => Value::Null,
            Meaning::Text => {
                self.list_or_map(text).unwrap_or(Value::Scalar(Scalar::new(text.text.as_str(), true)))
            }
            _ => Value::Scalar(Scalar::new(plain, false)),
        }
    }

    /// A list or map written into an environment variable. A secret may look like one by chance; settings
    /// that want text get the text.
    fn list_or_map(&self, text: &Text) -> Option<Value> {
        if text.origin == Origin::File {
            return None;
        }
        let file: Arc<Path> = Path::new("").into();
        let node = parse::parse(&file, &text.text).ok()?;
        let is_nested = matches!(node.value(), Value::Seq(_) | Value::Map(_));
        let fits = self.path.depth() + node.size().1 <= NESTING_DEPTH_MAX;
        (is_nested && fits).then(|| self.stamped(node, text.origin).into_value())
    }

    /// The node and all below it, as if written where the reference is.
    fn stamped(&self, node: Node, origin: Origin) -> Node {
        let text = node.text().map(Arc::from);
        let value = match node.into_value() {
            Value::Seq(items) => {
                Value::Seq(items.into_iter().map(|item| self.stamped(item, origin)).collect())
            }
            Value::Map(map) => {
                let entry = |Entry { key, value, .. }: Entry| Entry {
                    key,
                    key_position: self.position.clone(),
                    value: self.stamped(value, origin),
                };
                Value::Map(map.into_entries().into_iter().map(entry).collect())
            }
            other => other,
        };
        Node::new(value, self.position.clone()).with_substituted(self.history(origin, text))
    }

    fn history(&self, origin: Origin, text: Option<Arc<str>>) -> Arc<Substituted> {
        let reference = self.template.redacted().into();
        Arc::new(Substituted { origin, written: self.written.into(), reference, text })
    }
}

// === failures ===

/// Why a scalar cannot be replaced: something wrong here, or in an included file.
enum Failure {
    Here(Problem),
    Elsewhere(ConfigErrors),
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Here(problem)
    }
}

impl Failure {
    fn at(self, position: &Position, path: &ConfigPath<'_>) -> Vec<ConfigError> {
        match self {
            Self::Here(problem) => vec![ConfigError::new(Some(position.clone()), path.to_string(), problem)],
            Self::Elsewhere(errors) => errors.0,
        }
    }
}

// === helpers ===

fn is_yaml(file: &Path) -> bool {
    file.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn reference_to(path: &Template) -> String {
    format!("`${{file:{}}}`", path.written())
}

/// Without the newline that editors and `kubectl create secret` leave at the end.
fn trimmed(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}
