//! `EXPLAIN (FORMAT JSON)` of PostgreSQL 12 to 18: reading and redaction.
//!
//! Both accept what `EXPLAIN` returns (an array around an object), what auto_explain logs (the object alone, with
//! `Query Text`), and any other bytes, which give an empty plan and problems. Neither recurses without bound, and both
//! end within named bounds and the [`Budget`](crate::Budget).

mod build;
mod key;
mod parse;
mod redact;
mod settings;
mod words;

use std::{borrow::Cow, str};

pub use self::{
    parse::{MAX_SETTINGS, MAX_TRIGGERS, Parsed, parse_postgresql},
    redact::{MAX_NAME_BYTES, Redacted, redact_postgresql},
};
use crate::{MAX_PLAN_BYTES, PlanProblems, ProblemKind};

/// The bytes as text, unless there are too many of them.
fn text<'a>(bytes: &'a [u8], problems: &mut PlanProblems) -> Cow<'a, str> {
    if bytes.len() > MAX_PLAN_BYTES {
        problems.add(ProblemKind::TooLong, MAX_PLAN_BYTES);
        return Cow::Borrowed("");
    }
    match str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(error) => {
            problems.add(ProblemKind::InvalidUtf8, error.valid_up_to());
            String::from_utf8_lossy(bytes)
        }
    }
}

#[cfg(test)]
mod tests;
