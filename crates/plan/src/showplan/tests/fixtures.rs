//! All fixtures, read and compared with what was written down of them.

use super::{fixture, folder, names, parse};
use crate::invariants;

/// Each fixture as text for people with its fingerprints and findings. After a wanted change, the test prints what to put
/// into the file.
#[test]
fn all_are_read_as_written_down() {
    let mut text = String::new();
    for name in names() {
        let xml = fixture(&name);
        let parsed = parse(&xml);
        let fingerprints = parsed.plan.fingerprints();
        text.push_str(&format!("=== {name}\n{}", parsed.plan.render()));
        for finding in parsed.plan.summary().findings {
            let evidence: Vec<String> = finding
                .evidence
                .iter()
                .map(|evidence| format!("{} {}", evidence.name, evidence.value))
                .collect();
            text.push_str(&format!("! {} {}\n", finding.rule.as_str(), evidence.join(", ")));
        }
        for problem in parsed.problems.list() {
            text.push_str(&format!("problem {}\n", problem.kind));
        }
        text.push_str(&format!("shape {}\nexact {}\n", fingerprints.shape, fingerprints.exact));
    }
    let path = format!("{}/expected.txt", folder());
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    for (line, (now, then)) in text.lines().zip(expected.lines()).enumerate() {
        assert_eq!(now, then, "line {} of {path}", line + 1);
    }
    assert_eq!(text.lines().count(), expected.lines().count(), "should be:\n{text}");
}

#[test]
fn all_keep_every_promise() {
    let names = names();
    assert!(names.len() >= 25);
    for name in names {
        let bytes = std::fs::read(format!("{}/{name}.sqlplan", folder())).unwrap();
        invariants::showplan::check(&bytes);
    }
}

#[test]
fn only_batches_with_several_plans_have_problems() {
    for name in names() {
        let xml = fixture(&name);
        let kinds: Vec<_> = parse(&xml).problems.list().iter().map(|problem| problem.kind).collect();
        let several = ["2016_condition", "2019_batch"].contains(&name.as_str());
        let expected = if several { vec![crate::ProblemKind::SeveralPlans] } else { Vec::new() };
        assert_eq!(kinds, expected, "{name}");
        let redacted = crate::redact_sql_server(xml.as_bytes(), &mut crate::Budget::unlimited());
        assert!(redacted.problems.is_empty(), "{name}: {:?}", redacted.problems);
    }
}
