//! The words that PostgreSQL 12 to 18 write as values, other than the types of nodes.
//!
//! A word that is not in the list is not shown by redaction, so that no value passes for one.

use crate::{lookup::Lookup, tree::Operator};

const WORDS: &[&str] = &[
    "Anti",
    "Backward",
    "Delete",
    "Disk",
    "Except",
    "Except All",
    "Finalize",
    "Forward",
    "Full",
    "Hashed",
    "InitPlan",
    "Inner",
    "Insert",
    "Intersect",
    "Intersect All",
    "Left",
    "Member",
    "Memory",
    "Merge",
    "Mixed",
    "NOTHING",
    "NoMovement",
    "Outer",
    "Partial",
    "Plain",
    "Right",
    "Right Anti",
    "Right Semi",
    "Select",
    "Semi",
    "Simple",
    "SubPlan",
    "Subquery",
    "Sorted",
    "UPDATE",
    "Update",
    "binary",
    "external merge",
    "external sort",
    "logical",
    "quicksort",
    "still in progress",
    "text",
    "top-N heapsort",
];

static LOOKUP: Lookup = Lookup::of(WORDS);

/// Whether `text` is a word of the server's.
pub(super) fn is_known(text: &str) -> bool {
    LOOKUP.find(WORDS, text).is_some() || Operator::named(text).is_some()
}
