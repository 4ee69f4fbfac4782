//! Masks, fingerprints and classifies PostgreSQL statement text.
//!
//! What [`mask`] promises, for every input:
//!
//! * It never panics, takes time linear in the input and memory bounded by [`MaskLimits`].
//! * No part of a literal or comment is in [`Masked::text`], also if the input was cut at any byte.
//! * Masking is idempotent: the masked text has itself as its masked text, and the same fingerprint.
//! * The masked text is one line without ASCII control characters.
//!
//! `docs/masking.md` says in words what is masked, what a fingerprint is, and which kinds of statement keep
//! their text inside the process.

mod buffer;
mod chars;
mod classify;
mod expression;
mod fingerprint;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod invariants;
mod keyword;
mod kind;
mod lexemes;
mod lexer;
mod lists;
mod masker;
mod output;
mod problem;
mod summary;

pub(crate) use self::expression::{Piece, PieceKind, mask_expression, pieces};
pub use self::{
    fingerprint::{Fingerprint, ParseFingerprintError},
    kind::StatementKind,
    lexemes::{Lexeme, LexemeKind, lexemes},
    lists::MAX_LIST_DEPTH,
    masker::Masker,
    problem::{Problem, Problems},
    summary::MAX_SUMMARY_BYTES,
};

/// The default of [`MaskLimits::max_text_bytes`]: enough to recognise a statement by, small enough to send often.
pub const DEFAULT_MAX_TEXT_BYTES: usize = 4096;

/// The default of [`MaskLimits::max_input_bytes`]. Statements of several hundred kilobytes occur (bulk inserts,
/// generated `IN` lists); their start identifies them.
pub const DEFAULT_MAX_INPUT_BYTES: usize = 1024 * 1024;

/// Bounds of [`mask`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaskLimits {
    /// The most bytes of masked text. A token that would go beyond is left out, with all that follow.
    pub max_text_bytes: usize,
    /// The most bytes of statement text that are looked at.
    pub max_input_bytes: usize,
}

impl Default for MaskLimits {
    fn default() -> Self {
        Self { max_text_bytes: DEFAULT_MAX_TEXT_BYTES, max_input_bytes: DEFAULT_MAX_INPUT_BYTES }
    }
}

/// A statement text without its values, and what was learned from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Masked {
    /// The text with every literal replaced by `?`. Ask [`text_may_leave`](Self::text_may_leave), or take
    /// [`releasable_text`](Self::releasable_text), before sending it anywhere.
    pub text: String,
    /// The identity of the statement; of all of them, if there are several.
    pub fingerprint: Fingerprint,
    /// The kind of the first statement.
    pub kind: StatementKind,
    /// The value of `db.query.summary`: operations and their targets, at most [`MAX_SUMMARY_BYTES`] long. Only
    /// the operation, or nothing, if the text may not leave.
    pub summary: String,
    /// Whether `text` lacks the end of the statement because of [`MaskLimits`].
    pub truncated: bool,
    /// What was odd about the text.
    pub problems: Problems,
    every_text_may_leave: bool,
}

impl Masked {
    /// Whether the masked text may leave the process: every statement in it is of a kind whose text may.
    #[must_use]
    pub const fn text_may_leave(&self) -> bool {
        self.every_text_may_leave
    }

    /// The masked text, if it may leave the process.
    #[must_use]
    pub fn releasable_text(&self) -> Option<&str> {
        self.every_text_may_leave.then_some(self.text.as_str())
    }
}

/// Masks, fingerprints and classifies one statement text, which may hold several statements and may be cut.
///
/// [`Masker`] does the same for many texts with less allocation.
///
/// ```
/// use dbintel_plan::sql::{MaskLimits, StatementKind, mask};
///
/// let masked = mask("SELECT name FROM people /* for bob */ WHERE id IN (1, 2, 3)", MaskLimits::default());
/// assert_eq!(masked.text, "SELECT name FROM people WHERE id IN (?)");
/// assert_eq!(masked.kind, StatementKind::Select);
/// assert_eq!(masked.summary, "SELECT people");
/// assert!(masked.text_may_leave());
/// ```
#[must_use]
pub fn mask(text: &str, limits: MaskLimits) -> Masked {
    Masker::new(limits).mask(text)
}

#[cfg(test)]
mod tests;
