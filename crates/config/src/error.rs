//! Errors and warnings that name file, line, column and path.
//!
//! `Display` is one line per error: `dbintel.yaml:12:5: receivers.postgresql.endpoint: what is wrong`.
//! No variant holds the text of a value that may be secret; whoever builds one has redacted it.

use std::collections::BTreeSet;
use std::fmt;

use crate::limits::{ERRORS_SHOWN_MAX, KEYS_LISTED_MAX};
use crate::position::Position;

/// One thing that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    position: Option<Position>,
    path: String,
    /// Boxed, because every `Result` of a check carries this type.
    problem: Box<Problem>,
}

/// Everything that is wrong with the configuration, in the order of the files.
///
/// Never empty when it is the `Err` of a `Result` of this crate.
#[derive(Debug, Clone, PartialEq, Eq, Default, thiserror::Error)]
pub struct ConfigErrors(pub Vec<ConfigError>);

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// No `--config` was given.
    #[error("no configuration file given; write --config dbintel.yaml")]
    NoFile,
    /// The file cannot be read. Holds the operating system's answer.
    #[error("cannot read the file: {0}")]
    Unreadable(String),
    /// The file is not text.
    #[error("the file is not UTF-8 text")]
    NotText,
    /// A maximum of [`crate::limits`] was reached.
    #[error("{what} exceeds the limit of {limit} {unit}")]
    Limit {
        /// What is too large.
        what: &'static str,
        /// The maximum.
        limit: usize,
        /// Its unit.
        unit: &'static str,
    },
    /// The YAML parser stopped. Holds its message, never the text of the line.
    #[error("not valid YAML: {0}")]
    Syntax(String),
    /// YAML that is valid but has no meaning here: a second document, a tag, a key that is not text.
    #[error("{0}")]
    Unsupported(String),
    /// A key twice in one map.
    #[error("duplicate key `{key}`; it is already at {first}")]
    DuplicateKey {
        /// The key.
        key: String,
        /// Where it is first.
        first: Position,
    },
    /// A `${…}` that cannot be replaced.
    #[error("{0}")]
    Substitution(String),
    /// A `--set` that cannot be applied.
    #[error("{0}")]
    Set(String),
    /// A key that the component does not have.
    #[error("unknown key{}", choices(suggestion.as_deref(), valid, "valid keys"))]
    UnknownKey {
        /// The key as written.
        key: String,
        /// The nearest valid key.
        suggestion: Option<String>,
        /// All valid keys; empty when they are not known.
        valid: Vec<String>,
    },
    /// A word that is not one of those the setting knows.
    #[error("unknown value {found}{}", choices(suggestion.as_deref(), valid, "valid values"))]
    UnknownValue {
        /// What was written, quoted or redacted.
        found: String,
        /// The nearest valid word.
        suggestion: Option<String>,
        /// All valid words.
        valid: Vec<String>,
    },
    /// A key that must be there.
    #[error("missing key `{0}`")]
    MissingKey(String),
    /// A value of another type, or outside its range.
    #[error("expected {expected}, found {found}")]
    Mismatch {
        /// What belongs here.
        expected: String,
        /// What was written, shortened or redacted.
        found: String,
    },
    /// A name that no section defines.
    #[error("{kind} `{id}` is not defined{}", choices(suggestion.as_deref(), &[], ""))]
    Dangling {
        /// `receiver`, `processor`, `exporter` or `extension`.
        kind: &'static str,
        /// The id as written.
        id: String,
        /// The nearest id that is defined.
        suggestion: Option<String>,
    },
    /// Anything a component finds wrong with its own settings.
    #[error("{0}")]
    Invalid(String),
}

/// Something that works but is probably not meant. Displays as an error does, with `warning: ` before
/// the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    position: Option<Position>,
    path: String,
    message: String,
}

/// Warnings in the order they were found, each once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Warnings(Vec<Warning>);

// === impl ConfigError ===

impl ConfigError {
    /// An error at a place. `path` is dotted (`receivers.postgresql.endpoint`) and may be empty.
    pub fn new(position: Option<Position>, path: impl Into<String>, problem: Problem) -> Self {
        Self { position, path: path.into(), problem: Box::new(problem) }
    }

    /// Where to edit.
    pub fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// The dotted path of the setting.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is wrong there.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// Whether a `${…}` could not be replaced.
    pub(crate) fn is_of_substitution(&self) -> bool {
        matches!(*self.problem, Problem::Substitution(_) | Problem::Limit { .. })
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(f, self.position.as_ref(), &self.path)?;
        fmt::Display::fmt(&self.problem, f)
    }
}

// === impl ConfigErrors ===

impl ConfigErrors {
    /// `Err(self)` when there is an error, else `Ok(value)`.
    ///
    /// # Errors
    /// The errors collected.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }

    /// Adds one error.
    pub fn push(&mut self, error: ConfigError) {
        self.0.push(error);
    }

    /// Adds the errors of a result and returns its value, so that checking goes on.
    pub fn keep<T>(&mut self, result: Result<T, Self>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(errors) => {
                self.0.extend(errors.0);
                None
            }
        }
    }

    /// Without what is wrong only because a `${…}` in the same setting was not replaced: no text in its place is
    /// the number or the name that it would have been.
    #[must_use]
    pub fn without_consequences(mut self) -> Self {
        let unreplaced = self.0.iter().filter(|error| error.is_of_substitution());
        let unreplaced: BTreeSet<String> = unreplaced.map(|error| error.path.clone()).collect();
        self.0.retain(|error| error.is_of_substitution() || !unreplaced.contains(&error.path));
        self
    }

    /// The errors.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().take(ERRORS_SHOWN_MAX).enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{error}")?;
        }
        match self.0.len().checked_sub(ERRORS_SHOWN_MAX) {
            Some(hidden @ 1..) => write!(f, "\nand {hidden} more errors"),
            _ => Ok(()),
        }
    }
}

// === impl Warning ===

impl Warning {
    /// A warning at a place. `path` is dotted and may be empty.
    pub fn new(position: Option<Position>, path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { position, path: path.into(), message: message.into() }
    }

    /// Where to look.
    pub fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// The dotted path of the setting.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is probably not meant.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(f, self.position.as_ref(), &self.path)?;
        write!(f, "warning: {}", self.message)
    }
}

// === impl Warnings ===

impl Warnings {
    /// Adds a warning unless the same one is there.
    pub fn push(&mut self, warning: Warning) {
        if !self.0.contains(&warning) {
            self.0.push(warning);
        }
    }

    /// The warnings.
    pub fn iter(&self) -> impl Iterator<Item = &Warning> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl Extend<Warning> for Warnings {
    fn extend<I: IntoIterator<Item = Warning>>(&mut self, warnings: I) {
        warnings.into_iter().for_each(|warning| self.push(warning));
    }
}

impl IntoIterator for Warnings {
    type Item = Warning;
    type IntoIter = std::vec::IntoIter<Warning>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

// === helpers ===

fn write_place(f: &mut fmt::Formatter<'_>, position: Option<&Position>, path: &str) -> fmt::Result {
    if let Some(position) = position {
        write!(f, "{position}: ")?;
    }
    if !path.is_empty() {
        write!(f, "{path}: ")?;
    }
    Ok(())
}

/// `; did you mean `x`? (valid keys: a, b)`, as far as known.
fn choices(suggestion: Option<&str>, valid: &[String], title: &str) -> String {
    let listed = (1..=KEYS_LISTED_MAX).contains(&valid.len()).then(|| valid.join(", "));
    match (suggestion, listed) {
        (Some(near), Some(list)) => format!("; did you mean `{near}`? ({title}: {list})"),
        (Some(near), None) => format!("; did you mean `{near}`?"),
        (None, Some(list)) => format!("; {title}: {list}"),
        (None, None) => String::new(),
    }
}

/// The candidate that is most like `written`, if any is near enough to be meant.
pub(crate) fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    /// Similarity of which a typo is likely: `colection` and `collection` have 0.98, unrelated words 0.5.
    const SIMILARITY_MIN: f64 = 0.8;
    let score = |candidate: &str| strsim::jaro_winkler(&written.to_lowercase(), &candidate.to_lowercase());
    candidates
        .into_iter()
        .map(|candidate| (score(candidate), candidate))
        .filter(|(score, _)| *score >= SIMILARITY_MIN)
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, candidate)| candidate.to_owned())
}
