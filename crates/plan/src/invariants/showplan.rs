//! What reading and redaction of showplans promise for every input.

use quick_xml::events::Event;

use super::{check_tree, check_views};
use crate::{
    Budget, MAX_STATEMENTS, Parsed, parse_sql_server, redact_sql_server,
    showplan::tsql,
    tree::{Engine, Plan},
};

/// Checks everything that is promised for any bytes whatsoever.
///
/// # Panics
///
/// If a promise is broken.
pub fn check(bytes: &[u8]) {
    let parsed = parse_sql_server(bytes, &mut Budget::unlimited());
    assert!(parsed.statements.len() <= MAX_STATEMENTS);
    assert!(parsed.statement.is_none_or(|place| place < parsed.statements.len()));
    assert_eq!(parsed.plan.engine, Engine::SqlServer);
    check_views(&parsed.plan);
    let had_problems = !parsed.problems.is_empty();
    let plan = parsed.plan.clone();
    check_tree(&Parsed { plan: parsed.plan, problems: parsed.problems });
    for steps in [0, 1, 10, 100] {
        let mut budget = Budget::steps(steps);
        let parsed = parse_sql_server(bytes, &mut budget);
        assert!(budget.steps_left() <= steps);
        check_tree(&Parsed { plan: parsed.plan, problems: parsed.problems });
        check_is_xml(&redact_sql_server(bytes, &mut Budget::steps(steps)).xml);
    }
    check_redaction(bytes, &plan, had_problems);
}

/// A text that no fuzzer writes by itself.
const SECRET: &str = "zqSECRETqz";

/// Checks masking of Transact-SQL: what was masked stays as it is, and no literal after `text` comes out.
///
/// # Panics
///
/// If a promise is broken.
pub fn check_literals(text: &str) {
    let masked = masked(text);
    assert_eq!(self::masked(&masked), masked, "not stable: {text:?}");
    let statement = tsql::mask_statement(text);
    assert_eq!(tsql::mask_statement(&statement), statement, "not stable: {text:?}");
    if masked.contains(SECRET) || text.contains(SECRET) {
        return;
    }
    for literal in [
        format!("'{SECRET}'"),
        format!("N'''{SECRET}"),
        format!("\"{SECRET}\""),
        format!("/*{SECRET}*/"),
        format!("0x{SECRET}"),
        format!("--{SECRET}"),
    ] {
        // Masked text ends outside of quotes, brackets and comments, so what follows is a token of its own.
        let expression = format!("SELECT {masked} {literal}");
        assert!(!self::masked(&expression).contains(SECRET), "leaked: {expression}");
        assert!(!tsql::mask_statement(&expression).contains(SECRET), "leaked: {expression}");
        let shape = crate::showplan::shape(&expression);
        assert!(!shape.contains(SECRET), "leaked: {expression} as {shape}");
    }
}

fn masked(text: &str) -> String {
    let mut out = String::new();
    tsql::mask_expression(text, &mut out);
    out
}

fn check_redaction(bytes: &[u8], plan: &Plan<'_>, had_problems: bool) {
    let redacted = redact_sql_server(bytes, &mut Budget::unlimited());
    check_is_xml(&redacted.xml);
    let again = redact_sql_server(redacted.xml.as_bytes(), &mut Budget::unlimited());
    assert_eq!(again.xml, redacted.xml, "redaction is not stable");
    assert!(again.problems.is_empty(), "{:?} in {}", again.problems, redacted.xml);
    let reparsed = parse_sql_server(redacted.xml.as_bytes(), &mut Budget::unlimited());
    if !had_problems && redacted.problems.is_empty() {
        assert_eq!(reparsed.plan.nodes().len(), plan.nodes().len());
        assert_eq!(reparsed.plan.fingerprints(), plan.fingerprints(), "redaction changed the plan");
    }
}

/// What redaction writes can be read to its end by a reader that checks everything.
fn check_is_xml(xml: &str) {
    let mut reader = quick_xml::Reader::from_str(xml);
    reader.config_mut().enable_all_checks(true);
    let mut elements = 0;
    loop {
        let event = reader.read_event();
        assert!(event.is_ok(), "{event:?} in {xml}");
        let Ok(event) = event else { return };
        match event {
            Event::Eof => break,
            Event::Start(tag) | Event::Empty(tag) => {
                elements += 1;
                assert!(tag.attributes().all(|attribute| attribute.is_ok()), "attributes of {tag:?}");
            }
            other => assert!(matches!(other, Event::End(_)), "unexpected {other:?} in {xml}"),
        }
    }
    assert!(elements > 0, "nothing in {xml}");
}
