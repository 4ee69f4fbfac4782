//! Reading, redaction and fingerprints of showplans.
//!
//! The fixtures in `tests/data/showplan` were written from the published schema, not captured from a server.

mod bounds;
mod fingerprints;
mod fixtures;
mod parsing;
mod redaction;
mod rules;

use crate::{Budget, Fingerprints, ParsedShowplan, parse_sql_server, redact_sql_server};

/// The text of a fixture in UTF-8.
fn fixture(name: &str) -> String {
    let bytes = std::fs::read(format!("{}/{name}.sqlplan", folder())).unwrap();
    let mut problems = crate::PlanProblems::default();
    super::decode::text(&bytes, &mut problems).into_owned()
}

/// The names of all fixtures, sorted.
fn names() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_suffix(".sqlplan").map(str::to_owned))
        .collect();
    names.sort();
    names
}

fn folder() -> String {
    format!("{}/tests/data/showplan", env!("CARGO_MANIFEST_DIR"))
}

fn parse(xml: &str) -> ParsedShowplan<'_> {
    parse_sql_server(xml.as_bytes(), &mut Budget::unlimited())
}

fn fingerprints(xml: &str) -> Fingerprints {
    let parsed = parse(xml);
    assert!(!parsed.plan.nodes().is_empty(), "{:?}", parsed.problems);
    parsed.plan.fingerprints()
}

fn redact(xml: &str) -> String {
    redact_sql_server(xml.as_bytes(), &mut Budget::unlimited()).xml
}

/// Replaces the values of an attribute everywhere.
fn with_values(xml: &str, attribute: &str, value: &str) -> String {
    let before = format!(" {attribute}=\"");
    let mut parts = xml.split(&before);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, rest) = part.split_once('"').unwrap();
        out.push_str(&format!("{before}{value}\"{rest}"));
    }
    out
}
