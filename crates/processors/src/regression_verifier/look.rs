//! The look at everything when blocks are over, a part with every call, so that no batch waits for the whole of it.
//!
//! ```text
//! blocks over ─► closed ─► control ─► trials ─► statements ─► steps ─► open findings ─► what was found is opened,
//!                └──────────── a few of them between batches ──────────────────────┘   the costliest first
//! ```
//!
//! What was found waits for the end of the look, because caps go by time lost and many regressions of one hour are one finding.
//! When the next blocks are over before a look has ended, what is left of it is done at once: nothing is passed over.

use std::collections::VecDeque;
use std::ops::Range;

use dbintel_model::{FindingId, Timestamp};
use dbintel_pipeline::Output;

use super::RegressionVerifier;
use super::clock::Places;
use super::control::Steady;
use super::hours::SHORTS_REACH;
use super::round::Candidate;
use super::stored::DAY_BLOCKS;
use super::trial::Trial;
use super::unprompted::Step;
use super::{control, stored};

/// What one call does of a look: at most so many parts, where the judge is asked for each.
pub const JUDGED_PER_CALL: usize = 2;
/// The same, of statements that are asked the cheap questions.
pub const LOOKED_AT_PER_CALL: usize = 64;
/// The same, of statements whose blocks are closed.
pub const CLOSED_PER_CALL: usize = 128;

/// A look that is not over.
#[derive(Debug)]
pub(super) struct Look {
    is_new_hour: bool,
    closing: Closing,
    is_control_made: bool,
    trials: VecDeque<u64>,
    statements: VecDeque<u64>,
    steps: Vec<Step>,
    /// Whether the steps are those that go before the judge, the one that takes the least time first.
    are_steps_chosen: bool,
    follows: VecDeque<FindingId>,
    candidates: Vec<Candidate>,
}

/// Blocks that are over, of statements that do not know it yet.
#[derive(Debug)]
struct Closing {
    statements: VecDeque<u64>,
    /// Hours that are over since the last look, none at the first one; of a long pause those of a day.
    hours: Range<i64>,
    /// Whether anything asks for the control.
    wants_hours: bool,
    wants_shorts: bool,
    unchanged_since: Timestamp,
    steady: Vec<Steady>,
}

impl RegressionVerifier {
    /// Time has come so far, by the server's clock.
    pub(super) fn advance(&mut self, at: Timestamp, now: Timestamp) {
        let closed = self.clock.closed(at);
        // The first hours there are; or a clock that was ahead and has come back.
        if closed.hour < self.known_since {
            self.known_since = closed.hour.saturating_add(1);
        }
        if closed.short.saturating_add(2 * SHORTS_REACH) < self.closed.short {
            // A clock that was far ahead and has come back.
            self.closed = closed;
        }
        if closed.short <= self.closed.short {
            return;
        }
        while self.look.is_some() {
            self.look_further(now);
        }
        let is_new_hour = closed.hour > self.closed.hour;
        let before = Some(self.closed.hour).filter(|hour| *hour > i64::MIN).unwrap_or(closed.hour);
        let hours = before.max(closed.hour.saturating_sub(DAY_BLOCKS))..closed.hour;
        self.closed = closed;
        let is_young = |trial: &Trial| closed.short < trial.short + SHORTS_REACH;
        let week = u64::try_from(self.days(7).as_nanos()).unwrap_or(u64::MAX);
        let statements: VecDeque<u64> = self.statements.iter().map(|of| of.id).collect();
        self.look = Some(Look {
            is_new_hour,
            trials: self.trials.statements().into(),
            statements: if is_new_hour { statements.clone() } else { VecDeque::new() },
            closing: Closing {
                statements,
                hours,
                wants_hours: is_new_hour,
                wants_shorts: self.trials.iter().any(is_young),
                unchanged_since: Timestamp::from_nanos(at.as_nanos().saturating_sub(week)),
                steady: Vec::new(),
            },
            is_control_made: false,
            steps: Vec::new(),
            are_steps_chosen: false,
            follows: VecDeque::new(),
            candidates: Vec::new(),
        });
    }

    /// The server's clock was set back: looks go on from there. What is dated later than now was dated by a clock that was ahead, and would keep
    /// what comes from being added.
    pub(super) fn set_back(&mut self, at: Timestamp) {
        let (closed, now) = (self.clock.closed(at), self.clock.places(at));
        self.closed =
            Places { hour: self.closed.hour.min(closed.hour), short: self.closed.short.min(closed.short) };
        let ids: Vec<u64> = self.statements.iter().map(|of| of.id).collect();
        for id in ids {
            let Some(statement) = self.statements.get_mut(id) else { continue };
            if statement.set_back(now) {
                self.unstored.hours(statement);
                self.unstored.short(statement);
            }
        }
    }

    /// Does the next part of the look, if there is one.
    pub(super) fn look_further(&mut self, now: Timestamp) {
        let Some(mut look) = self.look.take() else { return };
        if self.prepare(&mut look) {
            self.ask(&mut look, now);
        }
        if look.is_over() {
            // The plan may have changed again since.
            look.candidates.retain(|candidate| self.is_still_so(candidate));
            self.open_findings(look.candidates, now);
        } else {
            self.look = Some(look);
        }
    }

    /// Closes blocks, then makes the control. Says whether both are done.
    fn prepare(&mut self, look: &mut Look) -> bool {
        if look.is_control_made {
            return true;
        }
        let closing = &mut look.closing;
        if !closing.statements.is_empty() {
            self.close_blocks(closing);
            if !closing.statements.is_empty() {
                return false;
            }
            let wanted = [closing.wants_hours, closing.wants_shorts];
            let steady = std::mem::take(&mut closing.steady);
            self.controls.begin(steady, self.clock.hours().blocks_per_day(), wanted);
        }
        look.is_control_made = self.controls.go_on(&self.statements);
        if look.is_control_made && (look.closing.wants_hours || look.closing.wants_shorts) {
            self.unstored.control = true;
        }
        look.is_control_made
    }

    fn close_blocks(&mut self, closing: &mut Closing) {
        let part = closing.statements.len().min(CLOSED_PER_CALL);
        let hours = closing.hours.clone();
        let is_new_day = stored::day_of(hours.end) > stored::day_of(hours.start);
        for id in closing.statements.drain(..part) {
            let Some(statement) = self.statements.get_mut(id) else { continue };
            if statement.close(self.closed) {
                self.unstored.short(statement);
            }
            if is_new_day {
                statement.weight_ms /= 2.0;
                self.unstored.hours(statement);
            }
            if renews(hours.clone(), id) {
                self.unstored.about(statement);
            }
            if closing.wants_hours || closing.wants_shorts {
                closing.steady.extend(control::steady(statement, closing.unchanged_since));
            }
        }
    }

    /// Trials, statements, steps and open findings, so far as one call goes.
    fn ask(&mut self, look: &mut Look, now: Timestamp) {
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
    }

    fn is_still_so(&self, candidate: &Candidate) -> bool {
        let began = |hour| self.trials.get(candidate.subject).is_some_and(|trial| trial.hour == hour);
        candidate.hour.is_none_or(began)
    }

    /// What is left of the look, if there is one: statements to close, whether the control is made, statements to look at.
    #[cfg(test)]
    pub(super) fn look_left(&self) -> Option<(usize, bool, usize)> {
        let left = |look: &Look| (look.closing.statements.len(), look.is_control_made, look.statements.len());
        self.look.as_ref().map(left)
    }

    /// Goes on with the look and gives out what came of it.
    pub(super) fn look_on(&mut self, now: Timestamp, server_clock: Timestamp, out: &mut Output) {
        self.look_further(now);
        self.send(now, server_clock, out);
    }
}

/// Whether these hours have the one in which it is stored again which statement this is, since the store deletes what was not written for weeks:
/// once a day, each statement in its own hour, so that a day begins with no more to write than any other hour.
fn renews(mut hours: Range<i64>, id: u64) -> bool {
    let own = (id % DAY_BLOCKS.cast_unsigned()).cast_signed();
    hours.any(|hour| hour.rem_euclid(DAY_BLOCKS) == own)
}

// === impl Look ===

impl Look {
    fn is_over(&self) -> bool {
        let is_all = self.are_steps_chosen || !self.is_new_hour;
        is_all
            && self.is_control_made
            && self.trials.is_empty()
            && self.statements.is_empty()
            && self.steps.is_empty()
            && self.follows.is_empty()
    }
}
