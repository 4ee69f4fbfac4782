//! Which statements changes concern.
//!
//! A migration can bring hundreds of changes at once: each text is gone through once for all of them.

use std::collections::{HashMap, HashSet};

use dbintel_model::{Change, ChangeKind, ROLE_FACT, Record};

use super::Candidate;

/// What changed, as far as it can change plans.
#[derive(Debug, Default)]
pub(super) struct Concern<'a> {
    /// What is about no table: settings, extensions, restarts.
    general: Vec<&'a Change>,
    /// Tables by their databases.
    tables: HashMap<&'a str, Tables<'a>>,
}

/// Names of tables, without their schemas.
#[derive(Debug, Default)]
struct Tables<'a> {
    /// In lower case: texts have them in any.
    words: HashSet<String>,
    /// Those that stand in quotes in a text.
    quoted: Vec<&'a str>,
}

// === impl Concern ===

impl<'a> Concern<'a> {
    pub(super) fn of(records: &'a [Record]) -> Self {
        let mut concern = Self::default();
        for record in records {
            match record {
                Record::Change(change) if change.kind != ChangeKind::StatisticsReset => concern.add(change),
                _ => {}
            }
        }
        concern
    }

    pub(super) fn is_none(&self) -> bool {
        self.general.is_empty() && self.tables.is_empty()
    }

    /// A change of a table, or of what is on it, concerns the statements whose text has its name; any other one those of
    /// its database and role.
    pub(super) fn is_with(&self, candidate: &Candidate) -> bool {
        let key = &candidate.key;
        let of_statement = |change: &&Change| {
            change.database.as_ref().is_none_or(|of| *of == key.database)
                && change.text_fact(ROLE_FACT).is_none_or(|of| *of == key.user)
        };
        let text = candidate.text.as_ref().and_then(|text| text.masked.as_deref());
        let tables = self.tables.get(key.database.as_str());
        self.general.iter().any(of_statement)
            || tables.is_some_and(|tables| text.is_none_or(|text| tables.are_in(text)))
    }

    fn add(&mut self, change: &'a Change) {
        let (Some(table), Some(database)) = (change.table(), &change.database) else {
            self.general.push(change);
            return;
        };
        let name = table.rsplit('.').next().unwrap_or_default().trim_matches('"');
        let tables = self.tables.entry(database).or_default();
        if name.chars().all(is_of_word) {
            tables.words.insert(name.to_ascii_lowercase());
        } else {
            tables.quoted.push(name);
        }
    }
}

// === impl Tables ===

impl Tables<'_> {
    /// Whether one of the names stands in the text as a word, or at all if it is one that must be quoted.
    fn are_in(&self, text: &str) -> bool {
        let words = text.split(|c| !is_of_word(c)).filter(|word| !word.is_empty());
        self.quoted.iter().any(|name| text.contains(name))
            || !self.words.is_empty()
                && words.map(str::to_ascii_lowercase).any(|word| self.words.contains(&word))
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
