//! What was odd about a statement text, as a closed set of flags.

use std::fmt;

/// Something that kept a statement text from being read to its end as PostgreSQL would read it.
///
/// None of these is an error: the text is masked all the same, and whatever could not be read is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Problem {
    /// A string literal has no closing quote. It is masked to the end of the text.
    UnterminatedLiteral,
    /// A `/*` has no matching `*/`. It is dropped to the end of the text.
    UnterminatedComment,
    /// A dollar-quoted string has no closing tag, or the text ends in what may be the start of its opening tag.
    UnterminatedDollarQuote,
    /// A quoted identifier has no closing quote. It is masked to the end of the text.
    UnterminatedIdentifier,
    /// The text is longer than [`MaskLimits::max_input_bytes`](super::MaskLimits); the rest was not looked at.
    InputTooLong,
    /// Lists are nested deeper than [`MAX_LIST_DEPTH`](super::MAX_LIST_DEPTH); the inner ones were not collapsed.
    NestingTooDeep,
    /// A plain string literal holds a backslash before a quote. With `standard_conforming_strings = off` the
    /// literal ends elsewhere, so the masked text of such a session must not be trusted.
    BackslashBeforeQuote,
}

impl Problem {
    /// Every problem, in the order of declaration.
    pub const ALL: [Self; 7] = [
        Self::UnterminatedLiteral,
        Self::UnterminatedComment,
        Self::UnterminatedDollarQuote,
        Self::UnterminatedIdentifier,
        Self::InputTooLong,
        Self::NestingTooDeep,
        Self::BackslashBeforeQuote,
    ];

    /// The name for metrics and logs, in lower snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnterminatedLiteral => "unterminated_literal",
            Self::UnterminatedComment => "unterminated_comment",
            Self::UnterminatedDollarQuote => "unterminated_dollar_quote",
            Self::UnterminatedIdentifier => "unterminated_identifier",
            Self::InputTooLong => "input_too_long",
            Self::NestingTooDeep => "nesting_too_deep",
            Self::BackslashBeforeQuote => "backslash_before_quote",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of [`Problem`]s.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Problems(u8);

impl Problems {
    /// Whether `problem` was met.
    #[must_use]
    pub const fn contains(self, problem: Problem) -> bool {
        self.0 & problem.bit() != 0
    }

    /// Whether the text was read without any problem.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The problems met, in the order of [`Problem::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Problem> {
        Problem::ALL.into_iter().filter(move |problem| self.contains(*problem))
    }

    pub(super) const fn insert(&mut self, problem: Problem) {
        self.0 |= problem.bit();
    }

    pub(super) const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
