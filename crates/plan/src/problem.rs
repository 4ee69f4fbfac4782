//! What was odd about a plan, in bounded memory.

use std::fmt;

/// The most problems that are kept with their place. Further ones are only counted.
pub const MAX_PROBLEMS: usize = 32;

/// The most different unknown keys that are kept by name. Further ones are only counted.
pub const MAX_UNKNOWN_KEYS: usize = 16;

/// The longest name under which an unknown key is counted.
pub const MAX_UNKNOWN_KEY_BYTES: usize = 48;

/// Something that kept a plan from being read as the server meant it.
///
/// None of these is an error: the plan is what could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProblemKind {
    /// The bytes are not UTF-8 (or UTF-16, where they say so); what is not was replaced.
    InvalidUtf8,
    /// The bytes are more than [`MAX_PLAN_BYTES`](crate::MAX_PLAN_BYTES); nothing was read.
    TooLong,
    /// The bytes are no JSON or XML from here on.
    Malformed,
    /// The bytes end inside the plan.
    CutShort,
    /// Something other than white space follows the plan.
    TrailingBytes,
    /// Nesting goes deeper than [`MAX_PLAN_DEPTH`](crate::MAX_PLAN_DEPTH); the rest was not read.
    TooDeep,
    /// The plan has more nodes than [`MAX_PLAN_NODES`](crate::MAX_PLAN_NODES); the rest was not read.
    TooManyNodes,
    /// There are more settings than [`MAX_SETTINGS`](crate::MAX_SETTINGS); further ones were left out.
    TooManySettings,
    /// There are more triggers than [`MAX_TRIGGERS`](crate::MAX_TRIGGERS); further ones were left out.
    TooManyTriggers,
    /// The [`Budget`](crate::Budget) was used up; the rest was not read.
    BudgetExhausted,
    /// No plan tree was found.
    NoPlan,
    /// More than one plan was found, as for a statement with rules; the first was read.
    SeveralPlans,
    /// A member has a name this version does not know; see [`PlanProblems::unknown_keys`].
    UnknownKey,
    /// A known member has a value of another type than the server writes.
    UnexpectedType,
    /// A node has a type this version does not know.
    UnknownOperator,
    /// The XML has a document type, which could define entities; nothing after it was read.
    DocumentType,
    /// An attribute names an entity that XML does not have; it was left out.
    UnknownEntity,
    /// An element has more attributes than [`MAX_ATTRIBUTES`](crate::MAX_ATTRIBUTES); further ones were left out.
    TooManyAttributes,
    /// A list of a plan is longer than its bound; the rest was left out.
    ListTooLong,
}

impl ProblemKind {
    /// Every kind, in the order of declaration.
    pub const ALL: [Self; 19] = [
        Self::InvalidUtf8,
        Self::TooLong,
        Self::Malformed,
        Self::CutShort,
        Self::TrailingBytes,
        Self::TooDeep,
        Self::TooManyNodes,
        Self::TooManySettings,
        Self::TooManyTriggers,
        Self::BudgetExhausted,
        Self::NoPlan,
        Self::SeveralPlans,
        Self::UnknownKey,
        Self::UnexpectedType,
        Self::UnknownOperator,
        Self::DocumentType,
        Self::UnknownEntity,
        Self::TooManyAttributes,
        Self::ListTooLong,
    ];

    /// The name for metrics and logs, in lower snake case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidUtf8 => "invalid_utf8",
            Self::TooLong => "too_long",
            Self::Malformed => "malformed",
            Self::CutShort => "cut_short",
            Self::TrailingBytes => "trailing_bytes",
            Self::TooDeep => "too_deep",
            Self::TooManyNodes => "too_many_nodes",
            Self::TooManySettings => "too_many_settings",
            Self::TooManyTriggers => "too_many_triggers",
            Self::BudgetExhausted => "budget_exhausted",
            Self::NoPlan => "no_plan",
            Self::SeveralPlans => "several_plans",
            Self::UnknownKey => "unknown_key",
            Self::UnexpectedType => "unexpected_type",
            Self::UnknownOperator => "unknown_operator",
            Self::DocumentType => "document_type",
            Self::UnknownEntity => "unknown_entity",
            Self::TooManyAttributes => "too_many_attributes",
            Self::ListTooLong => "list_too_long",
        }
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One problem and the offset in the bytes where it was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What was odd.
    pub kind: ProblemKind,
    /// Where, in bytes from the start.
    pub at: usize,
}

/// An unknown key and how often it was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKey {
    /// The key as written, or `other` where it is too long or holds more than letters, digits, spaces and `_-/`: a
    /// key that the server did not choose might be data.
    pub name: Box<str>,
    /// How many members had it.
    pub count: u32,
}

/// What was odd about one plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanProblems {
    list: Vec<Problem>,
    not_listed: u32,
    unknown_keys: Vec<UnknownKey>,
    unknown_keys_not_listed: u32,
}

impl PlanProblems {
    /// Whether the plan was read without any problem.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The first [`MAX_PROBLEMS`] problems, in the order met.
    #[must_use]
    pub fn list(&self) -> &[Problem] {
        &self.list
    }

    /// How many problems were met beyond [`list`](Self::list).
    #[must_use]
    pub const fn not_listed(&self) -> u32 {
        self.not_listed
    }

    /// The first [`MAX_UNKNOWN_KEYS`] unknown keys with their counts.
    #[must_use]
    pub fn unknown_keys(&self) -> &[UnknownKey] {
        &self.unknown_keys
    }

    /// How many members had unknown keys beyond [`unknown_keys`](Self::unknown_keys).
    #[must_use]
    pub const fn unknown_keys_not_listed(&self) -> u32 {
        self.unknown_keys_not_listed
    }

    /// Whether a problem of this kind is listed.
    #[must_use]
    pub fn contains(&self, kind: ProblemKind) -> bool {
        self.list.iter().any(|problem| problem.kind == kind)
    }

    pub(crate) fn add(&mut self, kind: ProblemKind, at: usize) {
        if self.list.len() < MAX_PROBLEMS {
            self.list.push(Problem { kind, at });
        } else {
            self.not_listed = self.not_listed.saturating_add(1);
        }
    }

    pub(crate) fn add_unknown_key(&mut self, key: &str, at: usize) {
        let name = if is_plain(key) { key } else { "other" };
        if let Some(known) = self.unknown_keys.iter_mut().find(|known| &*known.name == name) {
            known.count = known.count.saturating_add(1);
            return;
        }
        self.add(ProblemKind::UnknownKey, at);
        if self.unknown_keys.len() < MAX_UNKNOWN_KEYS {
            self.unknown_keys.push(UnknownKey { name: name.into(), count: 1 });
        } else {
            self.unknown_keys_not_listed = self.unknown_keys_not_listed.saturating_add(1);
        }
    }
}

fn is_plain(key: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'_' | b'-' | b'/');
    (1..=MAX_UNKNOWN_KEY_BYTES).contains(&key.len()) && key.bytes().all(plain)
}
