//! Reads what a database server says about its statements: the statement text and the plans.
//!
//! Everything in this crate is pure and total. No function panics, does I/O or takes more than bounded time
//! and memory, whatever bytes it is given; what could not be read is reported beside the result.
//!
//! A plan goes this way: [`parse_postgresql`] or [`parse_sql_server`] gives a [`tree::Plan`], which gives its [`Summary`], its [`Fingerprints`],
//! a text for people ([`tree::Plan::render`]) and what changed since another one ([`diff`]). [`redact_postgresql`] or
//! [`redact_sql_server`] gives the plan as it may leave the process. `docs/plan-fingerprint.md` says when two plans are the same.

mod budget;
mod difference;
mod fingerprint;
mod form;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod invariants;
mod json;
pub mod log;
mod lookup;
mod postgresql;
mod problem;
mod render;
mod showplan;
pub mod sql;
mod summary;
pub mod tree;

pub use self::{
    budget::Budget,
    difference::{MAX_DIFF_LINE_BYTES, MAX_DIFF_LINES, diff},
    fingerprint::{Fingerprints, ParsePlanFingerprintError, PlanFingerprint},
    form::{form, root_cost},
    postgresql::{
        MAX_NAME_BYTES, MAX_SETTINGS, MAX_TRIGGERS, Parsed, Redacted, parse_postgresql, redact_postgresql,
    },
    problem::{
        MAX_PROBLEMS, MAX_UNKNOWN_KEY_BYTES, MAX_UNKNOWN_KEYS, PlanProblems, Problem, ProblemKind, UnknownKey,
    },
    render::{MAX_RENDERED_BYTES, MAX_RENDERED_CONDITION_BYTES},
    showplan::{
        MAX_ATTRIBUTES, MAX_LISTED, MAX_OPEN_ELEMENTS, MAX_QUALIFIERS, MAX_STATEMENTS, MAX_THREADS,
        MAX_TSQL_NAME_BYTES, ParsedShowplan, RedactedShowplan, ShowplanStatement, parse_sql_server,
        redact_sql_server,
    },
    summary::{
        EstimateError, Evidence, Finding, JoinCounts, MAX_FINDINGS, MAX_SUMMARY_FILTERS, MAX_SUMMARY_SCANS,
        ParallelCounts, PartitionCounts, PlanRule, ScanSummary, SortCounts, SqlServerCounts, Summary,
        WastefulFilter,
    },
};

/// The most bytes of a plan that are read. The plan of a statement over ten thousand partitions has about 6 MiB.
pub const MAX_PLAN_BYTES: usize = 16 * 1024 * 1024;

/// The deepest nesting of nodes that is read.
pub const MAX_PLAN_DEPTH: usize = 512;

/// The most nodes of a plan that are kept.
pub const MAX_PLAN_NODES: usize = 20_000;
