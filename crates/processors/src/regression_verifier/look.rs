//! The look at everything when blocks are over, a part with every call, so that no batch waits for the whole of it.
//!
//! ```text
//! blocks over ─► control ─► trials ─► statements ─► steps ─► open findings ─► what was found is opened, the costliest first
//!                           └──────── a few of them with every batch and every second ────────┘
//! ```
//!
//! What was found waits for the end of the look, because caps go by time lost and many regressions of one hour are one finding.
//! When the next blocks are over before a look has ended, what is left of it is done at once: nothing is passed over.

use std::collections::VecDeque;

use dbintel_model::{FindingId, Timestamp};
use dbintel_pipeline::Output;

use super::RegressionVerifier;
use super::hours::SHORTS_REACH;
use super::round::Candidate;
use super::unprompted::Step;

/// What one call does of a look: at most so many parts, where the judge is asked for each.
pub const JUDGED_PER_CALL: usize = 8;
/// The same, of statements that are asked the cheap questions.
pub const LOOKED_AT_PER_CALL: usize = 256;

/// A look that is not over.
#[derive(Debug)]
pub(super) struct Look {
    is_new_hour: bool,
    trials: VecDeque<u64>,
    statements: VecDeque<u64>,
    steps: Vec<Step>,
    /// Whether the steps are those that go before the judge, the one that takes the least time first.
    are_steps_chosen: bool,
    follows: VecDeque<FindingId>,
    candidates: Vec<Candidate>,
}

impl RegressionVerifier {
    /// Time has come so far, by the server's clock.
    pub(super) fn advance(&mut self, at: Timestamp, now: Timestamp) {
        let closed = self.clock.closed(at);
        if closed.short.saturating_add(2 * SHORTS_REACH) < self.closed.short {
            // A clock that was far ahead and has come back.
            self.closed = closed;
        }
        if closed.short <= self.closed.short {
            return;
        }
        while self.look.is_some() {
            self.go_on(now);
        }
        let is_new_hour = closed.hour > self.closed.hour;
        self.close_blocks(closed);
        self.closed = closed;
        self.make_control(at, is_new_hour);
        let all = |wanted: bool| {
            if wanted { self.statements.iter().map(|of| of.id).collect() } else { VecDeque::new() }
        };
        self.look = Some(Look {
            is_new_hour,
            trials: self.trials.statements().into(),
            statements: all(is_new_hour),
            steps: Vec::new(),
            are_steps_chosen: false,
            follows: VecDeque::new(),
            candidates: Vec::new(),
        });
    }

    /// Does the next part of the look, if there is one.
    pub(super) fn go_on(&mut self, now: Timestamp) {
        let Some(mut look) = self.look.take() else { return };
        let mut judged = 0;
        let mut may_judge = || {
            judged += 1;
            judged <= JUDGED_PER_CALL
        };
        while !look.trials.is_empty() && may_judge() {
            let Some(id) = look.trials.pop_front() else { break };
            look.candidates.extend(self.look_at_trial(id, look.is_new_hour, now));
        }
        if look.trials.is_empty() && !look.statements.is_empty() {
            let part = look.statements.len().min(LOOKED_AT_PER_CALL);
            for id in look.statements.drain(..part) {
                look.steps.extend(self.look_for_step(id));
                self.look_at_statement(id, now, &mut look.candidates);
            }
        }
        if look.is_new_hour && look.trials.is_empty() && look.statements.is_empty() && !look.are_steps_chosen
        {
            look.steps = self.choose_steps(std::mem::take(&mut look.steps));
            look.are_steps_chosen = true;
            look.follows = self.findings_to_follow(now).into();
        }
        while look.are_steps_chosen && !look.steps.is_empty() && may_judge() {
            let Some(step) = look.steps.pop() else { break };
            look.candidates.extend(self.look_at_step(&step, now));
        }
        while look.are_steps_chosen && look.steps.is_empty() && !look.follows.is_empty() && may_judge() {
            let Some(id) = look.follows.pop_front() else { break };
            self.follow(id, now);
        }
        if look.is_over() {
            // The plan may have changed again since.
            look.candidates.retain(|candidate| self.is_still_so(candidate));
            self.open_findings(look.candidates, now);
        } else {
            self.look = Some(look);
        }
    }

    fn is_still_so(&self, candidate: &Candidate) -> bool {
        let began = |hour| self.trials.get(candidate.subject).is_some_and(|trial| trial.hour == hour);
        candidate.hour.is_none_or(began)
    }

    /// Trials and statements that are left of the look, if there is one.
    #[cfg(test)]
    pub(super) fn look_left(&self) -> Option<(usize, usize)> {
        self.look.as_ref().map(|look| (look.trials.len(), look.statements.len()))
    }

    /// Goes on with the look and gives out what came of it.
    pub(super) fn look_on(&mut self, now: Timestamp, server_clock: Timestamp, out: &mut Output) {
        self.go_on(now);
        self.send(now, server_clock, out);
    }
}

// === impl Look ===

impl Look {
    fn is_over(&self) -> bool {
        let is_all = self.are_steps_chosen || !self.is_new_hour;
        is_all
            && self.trials.is_empty()
            && self.statements.is_empty()
            && self.steps.is_empty()
            && self.follows.is_empty()
    }
}
