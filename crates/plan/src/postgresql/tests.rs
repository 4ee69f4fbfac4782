//! Reading and redaction of PostgreSQL's plans. Real plans are in `receiver-postgresql/tests/plans.rs`.

mod bounds;
mod parsing;
mod redaction;

use crate::{Budget, Parsed, parse_postgresql, redact_postgresql};

/// A plan that is read without a problem.
fn plan(json: &str) -> crate::tree::Plan<'_> {
    let Parsed { plan, problems } = parse(json);
    assert!(problems.is_empty(), "{problems:?}");
    plan
}

fn parse(json: &str) -> Parsed<'_> {
    parse_postgresql(json.as_bytes(), &mut Budget::unlimited())
}

fn redact(json: &str) -> String {
    redact_postgresql(json.as_bytes(), &mut Budget::unlimited()).json
}
