//! A bound on work that does not depend on a clock.

/// Bytes of one token that are covered by the step the token costs. Longer tokens cost one more step for each further
/// run of this length.
const BYTES_PER_STEP: usize = 64;

/// How much work may still be done on a plan, counted in steps: about one for each JSON token.
///
/// Whoever has a deadline turns it into steps (one step takes in the order of 20 ns) and gets back what was read until
/// they were used up, with [`ProblemKind::BudgetExhausted`](crate::ProblemKind::BudgetExhausted) beside it. Counting
/// steps instead of time gives the same result for the same bytes in every run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    steps_left: u64,
}

impl Budget {
    /// A budget of this many steps.
    #[must_use]
    pub const fn steps(steps: u64) -> Self {
        Self { steps_left: steps }
    }

    /// A budget that ends after the named bounds of this crate do.
    #[must_use]
    pub const fn unlimited() -> Self {
        Self::steps(u64::MAX)
    }

    /// The steps that have not been used.
    #[must_use]
    pub const fn steps_left(self) -> u64 {
        self.steps_left
    }

    /// Takes the steps for a token of `bytes`. False when they were not there; the budget is empty then.
    #[inline]
    pub(crate) const fn spend(&mut self, bytes: usize) -> bool {
        let steps = 1 + (bytes / BYTES_PER_STEP) as u64;
        let enough = self.steps_left >= steps;
        self.steps_left = self.steps_left.saturating_sub(steps);
        enough
    }
}
