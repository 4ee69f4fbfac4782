//! A plan in words: one line about all of it, one line for each rule that applies. Bounded, and without literals: what
//! is written are operators, numbers and names of relations and indexes.

use std::fmt::{self, Write as _};

use dbintel_model::PlanTable;
use dbintel_plan::tree::{NodeId, Plan};
use dbintel_plan::{Finding, ScanSummary, Summary};

use super::sizes::size;

/// Scans that the line about a plan names.
pub const SUMMARY_SCANS_MAX: usize = 8;
/// Bytes of a name in a line.
const NAME_BYTES_MAX: usize = 64;

/// What is in the plan beside its first scans, which [`line`] puts before it.
pub(super) fn counts(summary: &Summary) -> String {
    let mut line = String::new();
    let scans = summary.scans.len().saturating_sub(SUMMARY_SCANS_MAX);
    let counts = [
        (u32::try_from(scans).unwrap_or(u32::MAX), "more kinds of scans"),
        (summary.joins.nested_loop, "nested loops"),
        (summary.joins.hash, "hash joins"),
        (summary.joins.merge, "merge joins"),
        (summary.sorts.full + summary.sorts.incremental, "sorts"),
        (summary.sorts.spilled, "nodes spilled to disk"),
        (summary.wasteful_filter_nodes, "filters that drop most rows"),
        (summary.partitions.inputs, "inputs appended"),
        (summary.parallel.planned, "workers planned"),
    ];
    for (count, what) in counts.iter().filter(|(count, _)| *count > 0) {
        // Writing to a string cannot fail, here and below.
        let _ = write!(line, "{count} {what}; ");
    }
    line.truncate(line.trim_end_matches("; ").len());
    line
}

/// What is in the plan, in one line: its first scans, with the sizes of their tables as far as they are known, and counts.
pub(super) fn line(scans: &[ScanSummary], counts: &str, tables: &[PlanTable]) -> String {
    let mut line = String::new();
    for scan in scans {
        let relation = scan.relation.as_deref();
        let _ = write!(line, "{} on {}", scan.operator.as_str(), Name(relation.unwrap_or("?")));
        if let Some(index) = &scan.index {
            let _ = write!(line, " by {}", Name(index));
        }
        if let Some(size) = size(tables, scan.schema.as_deref(), relation) {
            let _ = write!(line, " ({size})");
        }
        line.push_str("; ");
    }
    line.push_str(counts);
    line.truncate(line.trim_end_matches("; ").len());
    line
}

/// The names of the rules that apply, each once.
pub(super) fn rules(summary: &Summary) -> String {
    let mut names: Vec<_> = summary.findings.iter().map(|finding| finding.rule.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.join(",")
}

/// A line for each rule that applies.
pub(super) fn findings(plan: &Plan<'_>, summary: &Summary) -> String {
    let mut lines: Vec<_> = summary.findings.iter().map(|found| finding(plan, found)).collect();
    if summary.findings_not_listed > 0 {
        lines.push(format!("... and {} more", summary.findings_not_listed));
    }
    lines.join("\n")
}

fn finding(plan: &Plan<'_>, finding: &Finding) -> String {
    let mut line = format!("{} at {}", finding.rule.as_str(), At(plan, finding.node));
    for (index, evidence) in finding.evidence.iter().enumerate() {
        let before = if index == 0 { ": " } else { ", " };
        let _ = write!(line, "{before}{} {}", evidence.name, evidence.value);
    }
    let _ = write!(line, "; check {}", finding.rule.check_next());
    line
}

/// A node by what it does, and to what.
struct At<'p, 'a>(&'p Plan<'a>, NodeId);

impl fmt::Display for At<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(node) = self.0.node(self.1) else { return f.write_str("the plan") };
        write!(f, "{}", node.operator.as_str())?;
        if let Some(name) = &node.relation.name {
            write!(f, " on {}", Name(name))?;
        }
        match &node.index {
            Some(index) => write!(f, " by {}", Name(index)),
            None => Ok(()),
        }
    }
}

/// A name on one line, cut where it is too long.
struct Name<'a>(&'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = self.0.floor_char_boundary(NAME_BYTES_MAX);
        for character in self.0.get(..cut).unwrap_or_default().chars() {
            f.write_char(if character.is_control() { ' ' } else { character })?;
        }
        Ok(())
    }
}
