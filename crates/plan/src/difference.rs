//! What changed from one plan of a statement to the next, in a few short lines.

mod parts;

use self::parts::{Part, parts};
use crate::tree::Plan;

/// The most lines of a difference. If there are more changes, the last line says how many.
pub const MAX_DIFF_LINES: usize = 24;

/// The most different ways of doing one thing that are compared, in their alphabetical order.
const MAX_WAYS: usize = 64;

/// The most bytes of one line of a difference.
pub const MAX_DIFF_LINE_BYTES: usize = 240;

/// What changed from `old` to `new`, the most telling changes first; nothing if both do the same in the same way.
///
/// A line names what was done before and what is done now: how a table is read, how tables are joined and in which
/// order, how rows are sorted and grouped, which other operators came and went. Literals, costs and row counts have no
/// part in it, and neither has the number of partitions.
///
/// ```
/// use dbintel_plan::{Budget, diff, parse_postgresql};
///
/// let by_index = br#"[{"Plan": {"Node Type": "Index Scan", "Relation Name": "orders", "Alias": "o",
///     "Index Name": "orders_pkey", "Index Cond": "(id = 7)"}}]"#;
/// let whole = br#"[{"Plan": {"Node Type": "Seq Scan", "Relation Name": "orders", "Alias": "o"}}]"#;
/// let old = parse_postgresql(by_index, &mut Budget::unlimited()).plan;
/// let new = parse_postgresql(whole, &mut Budget::unlimited()).plan;
/// assert_eq!(diff(&old, &new), ["orders: Index Scan using orders_pkey by ( id = ? ) -> Seq Scan"]);
/// ```
#[must_use]
pub fn diff(old: &Plan<'_>, new: &Plan<'_>) -> Vec<String> {
    if old.fingerprints() == new.fingerprints() {
        return Vec::new();
    }
    let mut lines = changes(&parts(old), &parts(new));
    if lines.is_empty() {
        lines.push(OTHERWISE.to_owned());
    }
    lines
}

/// What is said where the parts are the same and only their arrangement differs.
const OTHERWISE: &str = "the same steps in another arrangement";

fn changes(old: &[Part], new: &[Part]) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut at_old, mut at_new) = (old, new);
    // Both are sorted by subject: walk them together.
    while let Some(subject) = next_subject(at_old, at_new) {
        let before = take(&mut at_old, subject);
        let after = take(&mut at_new, subject);
        if let Some(line) = line(subject, before, after) {
            lines.push(line);
        }
    }
    let total = lines.len();
    if total > MAX_DIFF_LINES {
        lines.truncate(MAX_DIFF_LINES - 1);
        lines.push(format!("... and {} more changes", total - lines.len()));
    }
    lines
}

type Subject<'s> = (u8, &'s str);

fn next_subject<'s>(old: &'s [Part], new: &'s [Part]) -> Option<Subject<'s>> {
    match (old.first().map(Part::subject), new.first().map(Part::subject)) {
        (Some(old), Some(new)) => Some(old.min(new)),
        (old, new) => old.or(new),
    }
}

/// Takes the parts about one subject off the front.
fn take<'s>(parts: &mut &'s [Part], subject: Subject<'_>) -> &'s [Part] {
    let end = parts.partition_point(|part| part.subject() <= subject);
    let (taken, rest) = parts.split_at_checked(end).unwrap_or_default();
    *parts = rest;
    taken
}

fn line((_, subject): Subject<'_>, before: &[Part], after: &[Part]) -> Option<String> {
    let ways = |parts: &[Part]| -> Vec<String> {
        let mut ways: Vec<String> = parts.iter().map(|part| part.way.clone()).collect();
        ways.dedup();
        ways.truncate(MAX_WAYS);
        ways
    };
    let (before, after) = (ways(before), ways(after));
    if before == after {
        return None;
    }
    let (gone, come): (Vec<_>, Vec<_>) = (
        before.iter().filter(|way| !after.contains(way)).map(String::as_str).collect(),
        after.iter().filter(|way| !before.contains(way)).map(String::as_str).collect(),
    );
    let text = |ways: &[&str]| if ways.is_empty() { "nothing".to_owned() } else { ways.join(" and ") };
    let mut line = match (before.is_empty(), after.is_empty()) {
        (true, _) => format!("{subject}: new: {}", text(&come)),
        (_, true) => format!("{subject}: gone: {}", text(&gone)),
        _ if gone.is_empty() => format!("{subject}: also {}", text(&come)),
        _ if come.is_empty() => format!("{subject}: no longer {}", text(&gone)),
        _ => format!("{subject}: {} -> {}", text(&gone), text(&come)),
    };
    if line.len() > MAX_DIFF_LINE_BYTES {
        line.truncate(line.floor_char_boundary(MAX_DIFF_LINE_BYTES - 3));
        line.push_str("...");
    }
    Some(line)
}
