//! What is measured: a rule that says how sure it is that a plan made a statement slower.

use crate::history::History;

/// How sure. Later ones include earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    /// Nothing is said.
    #[default]
    Insufficient,
    /// A person should look at it.
    Careful,
    /// A person may act on it.
    Manual,
    /// A program may act on it.
    Auto,
}

/// What a rule says that a repair did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Repaired {
    /// It helped.
    Confirmed,
    /// It changed nothing.
    NoEffect,
    /// It made things worse.
    Harmful,
    /// Nothing can be said.
    Inconclusive,
}

/// A decision rule. It may keep what it computed for the history it was given last.
pub trait Rule {
    /// Its column in the tables.
    fn name(&self) -> &'static str;

    /// A new history begins; looks at it follow, in the order of time.
    fn start(&mut self, case: &History) {
        let _ = case;
    }

    /// What the rule says `now_hour` hours after the flip. It must not look at what comes later.
    fn judge(&mut self, case: &History, now_hour: usize) -> Level;

    /// Kinds of findings that the rule can have without a flip.
    fn kinds_without_flip(&self) -> &'static [&'static str] {
        &[]
    }

    /// Kinds of findings that the rule has at `now_hour` hours after the start of looking at a statement whose plan did
    /// not change. `None`: it does not look at such statements.
    fn judge_without_flip(&mut self, case: &History, now_hour: usize) -> Option<Vec<&'static str>> {
        let _ = (case, now_hour);
        None
    }

    /// What the rule says of a repair that has no effect at all, made `delay_hours` after the rule found the statement slower.
    /// `None`: it did not, or no longer by then, or it does not measure repairs.
    fn judge_repair(&mut self, case: &History, delay_hours: usize) -> Option<Repaired> {
        let _ = (case, delay_hours);
        None
    }
}

// === impl Repaired ===

impl Repaired {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 4] = [Self::Confirmed, Self::Harmful, Self::NoEffect, Self::Inconclusive];

    /// Whether it says that a repair had an effect.
    #[must_use]
    pub fn is_effect(self) -> bool {
        matches!(self, Self::Confirmed | Self::Harmful)
    }
}

// === impl Level ===

impl Level {
    /// Levels at which something is said, lowest first.
    pub const SAID: [Self; 3] = [Self::Careful, Self::Manual, Self::Auto];
}
