//! An index that was dropped, from the definition that was kept of it.
//!
//! The definition is told for people: `unique btree (customer, created desc) include (amount)`. Only one that is understood word
//! for word becomes a script. Expressions and conditions are masked, names of operator classes stand without their schema, and names with
//! other characters than letters, digits and `_` cannot be told from what is around them: none of these gets a script.

use super::Remedy;
use super::quote::{identifier, is_plain, object};
use crate::regression_verifier::events::Event;

/// Methods that come with the server.
const METHODS: [&str; 6] = ["btree", "hash", "gist", "gin", "brin", "spgist"];

const NOT_KNOWN: &str =
    "what the index was is not known in full; restore its definition from your migrations.";

pub(super) fn create_again(event: &Event) -> Result<Remedy, &'static str> {
    let unclear = "the name of the index or its table cannot be taken apart with certainty.";
    let name = event.subject.as_deref().ok_or(unclear)?;
    let full = object(name).ok_or(unclear)?;
    let name = name.split_once('.').and_then(|(_, name)| identifier(name)).ok_or(unclear)?;
    let table = event.table.as_deref().and_then(object).ok_or(unclear)?;
    let definition = event.before.as_deref().and_then(Definition::read).ok_or(NOT_KNOWN)?;
    let Definition { is_unique, method, keys, included } = definition;
    let unique = if is_unique { "UNIQUE " } else { "" };
    let included = included.map(|columns| format!(" INCLUDE ({columns})")).unwrap_or_default();
    Ok(Remedy {
        forward: format!("CREATE {unique}INDEX CONCURRENTLY {name} ON {table} USING {method} ({keys}){included};"),
        rollback: format!("DROP INDEX CONCURRENTLY {full};"),
        worst_case: "Building it reads the whole table twice and waits for old transactions; writes to the table get slower by the \
                     index."
            .to_owned(),
        failure_modes: vec![
            "A build that fails leaves an invalid index behind, which the rollback script removes.".to_owned(),
            "Where nulls stood in the order, and storage parameters, are not known; if the index had its own, add them.".to_owned(),
            "It was dropped on purpose: find out why before.".to_owned(),
            "On a partitioned table nothing is built concurrently; the script then fails and changes nothing.".to_owned(),
        ],
    })
}

/// A definition that was understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Definition<'a> {
    is_unique: bool,
    method: &'a str,
    keys: String,
    included: Option<String>,
}

impl<'a> Definition<'a> {
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let (is_unique, text) = match text.strip_prefix("unique ") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (method, rest) = text.split_once(" (")?;
        let (keys, rest) = rest.split_once(')')?;
        let included = match rest.strip_prefix(" include (") {
            Some(included) => Some(included.strip_suffix(')')?),
            None => None,
        };
        let is_whole = included.is_some() || rest.is_empty();
        if !is_whole || !METHODS.contains(&method) {
            return None;
        }
        let included = match included {
            Some(columns) => Some(list(columns, false)?),
            None => None,
        };
        Some(Self { is_unique, method, keys: list(keys, true)?, included })
    }
}

/// Columns, each quoted, with their order where that is a key's.
fn list(columns: &str, is_key: bool) -> Option<String> {
    let column = |column: &str| {
        let (name, order) = match column.strip_suffix(" desc") {
            Some(name) if is_key => (name, " DESC"),
            _ => (column, ""),
        };
        is_plain(name).then(|| identifier(name)).flatten().map(|name| format!("{name}{order}"))
    };
    let columns: Option<Vec<String>> = columns.split(", ").map(column).collect();
    columns.map(|columns| columns.join(", "))
}
