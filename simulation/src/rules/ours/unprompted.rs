//! A statement without a change of plan, looked at every hour as `regression_verifier` does it: a step of time and work goes
//! before the judge; what is found stays open until it has gone by itself, and is not told again within a day.
//!
//! Kinds about a plan need a change of plan to be reported, and so does `statistics_stale`, which comes with one of them;
//! `statement_vanished` needs errors in the server's log. None of them can be here; they have inputs of their own ([`super::flapping`],
//! [`super::stale`], [`super::vanished`]). What a report of a change that never was would do is what neutral flips show.
//!
//! The floor of lost time is off here too. The processor's caps, which only hold findings back, and its joining of many statements'
//! findings into one are left out.

use std::ops::Range;

use dbintel_evidence::unprompted::{Hour, has_stopped, is_slow_no_longer, slow, step};
use dbintel_evidence::{Block, Case, ControlPoint, GONE_HOURS, Gone, Judge, Verdict, gone};

use super::{Arms, until};

/// Slower and doing more work, and no change of plan is known.
const STEP: &str = "regression_without_plan_change";
/// Slow with the only plan there ever was.
const SLOW: &str = "slow_single_plan";
/// Kinds that there can be.
pub(super) const KINDS: &[&str] = &[STEP, SLOW];
/// Hours of a day.
const PER_DAY: i64 = 24;
/// Hours that the processor keeps of a statement, and how far back they reach.
const KEPT_HOURS: usize = 168;
const KEPT_REACH: i64 = 192;
/// Hours for which the same is not told again: the default of `cool_down`.
const COOL_DOWN_HOURS: i64 = 24;
/// The default of `slow_statement`.
const SLOW_MS: f64 = 1_000.0;

/// One statement, hour by hour.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Every hour of the history in which it ran.
    blocks: Vec<Block>,
    hours: Vec<Hour>,
    trial: Option<Trial>,
    /// When a step was told, or stopped being told.
    told: Option<i64>,
    slow: Told,
}

/// A step under trial: the hours known when it was noticed that lie before it.
#[derive(Debug)]
struct Trial {
    first: i64,
    before: Range<usize>,
    /// The verdict with which a finding was opened.
    found: Option<Verdict>,
}

/// A finding that is open or not, and when that changed.
#[derive(Debug, Default)]
pub(super) struct Told {
    open: bool,
    at: Option<i64>,
}

// === impl Watch ===

impl Watch {
    pub(super) fn new(arms: &Arms) -> Self {
        // The processor keeps nothing of an hour in which nothing ran.
        let ran = |block: &&Block| block.calls > 0.0;
        let blocks: Vec<Block> = arms.before.iter().chain(&arms.after).filter(ran).copied().collect();
        let hour = |block: &Block| Hour {
            place: block.start,
            calls: block.calls,
            total_ms: block.total_ms,
            work: block.work,
        };
        Self { hours: blocks.iter().map(hour).collect(), blocks, ..Self::default() }
    }

    /// The kinds of findings that are open after the look at `now`, the first hour that is not over.
    pub(super) fn look(
        &mut self,
        judge: &mut Judge,
        control: &[ControlPoint],
        now: i64,
    ) -> Vec<&'static str> {
        let kept = self.kept(now);
        let control = until(control, now);
        let follows = self.trial.as_ref().is_some_and(|trial| trial.found.is_some());
        if follows {
            self.follow(judge, control, now, kept.clone());
        } else {
            self.judge_step(judge, control, now, kept.clone());
        }
        self.look_at_mean(now, kept);
        let is_open = self.trial.as_ref().is_some_and(|trial| trial.found.is_some());
        [(is_open, STEP), (self.slow.open, SLOW)]
            .into_iter()
            .filter_map(|(is_open, kind)| is_open.then_some(kind))
            .collect()
    }

    /// The hours that the processor would have at `now`.
    fn kept(&self, now: i64) -> Range<usize> {
        let end = self.hours.partition_point(|hour| hour.place < now);
        let latest = end.checked_sub(1).and_then(|last| self.hours.get(last)).map_or(now, |hour| hour.place);
        let first = self.hours.partition_point(|hour| hour.place <= latest - KEPT_REACH);
        first.max(end.saturating_sub(KEPT_HOURS))..end
    }

    /// Judges a step that is under trial, or that is noticed now.
    fn judge_step(&mut self, judge: &mut Judge, control: &[ControlPoint], now: i64, kept: Range<usize>) {
        let is_new = self.trial.is_none();
        let under_trial = self.trial.take();
        let Some(mut trial) = under_trial.or_else(|| self.noticed(now, kept.clone())) else { return };
        let after = self.place(trial.first).max(kept.start)..kept.end;
        let verdict = judge.judge(&self.case(&trial, after, trial.first, control));
        if verdict.is_regression() {
            if is_told_no_longer(self.told, now) {
                self.told = Some(now);
                trial.found = Some(verdict);
            }
        } else if is_new || verdict.end_of_trial(now - trial.first, PER_DAY).is_some() {
            return;
        }
        self.trial = Some(trial);
    }

    /// A step that the last hours are on.
    fn noticed(&self, now: i64, kept: Range<usize>) -> Option<Trial> {
        let first = step(self.hours.get(kept.clone())?, PER_DAY, now)?;
        Some(Trial { first, before: kept.start..self.place(first), found: None })
    }

    /// Whether what was found has gone.
    fn follow(&mut self, judge: &Judge, control: &[ControlPoint], now: i64, kept: Range<usize>) {
        let Some(trial) = &self.trial else { return };
        let Some(found) = &trial.found else { return };
        let since = (now - GONE_HOURS).max(trial.first);
        let recent = self.case(trial, self.place(since).max(kept.start)..kept.end, since, control);
        if gone(&recent, found, judge.thresholds()) == Gone::Yes {
            (self.trial, self.told) = (None, Some(now));
        }
    }

    fn case<'a>(
        &'a self,
        trial: &Trial,
        after: Range<usize>,
        since: i64,
        control: &'a [ControlPoint],
    ) -> Case<'a> {
        let blocks = |range: Range<usize>| self.blocks.get(range).unwrap_or_default();
        Case { control, ..Case::new(blocks(trial.before.clone()), blocks(after), since) }
    }

    /// The index of the first hour from `place` on.
    fn place(&self, place: i64) -> usize {
        self.hours.partition_point(|hour| hour.place < place)
    }

    /// Whether the statement is slow with the one plan it has.
    fn look_at_mean(&mut self, now: i64, kept: Range<usize>) {
        let hours = self.hours.get(kept).unwrap_or_default();
        if self.slow.open {
            let recent = hours.iter().filter(|hour| hour.place >= now - PER_DAY).copied();
            let is_gone = hours.last().is_none_or(|latest| has_stopped(latest.place, PER_DAY, now));
            if is_gone || is_slow_no_longer(recent, SLOW_MS) {
                self.slow = Told { open: false, at: Some(now) };
            }
        } else if self.trial.is_none()
            && is_told_no_longer(self.slow.at, now)
            && slow(hours, PER_DAY, now, SLOW_MS, 0.0).is_some()
        {
            self.slow = Told { open: true, at: Some(now) };
        }
    }
}

// === impl Told ===

impl Told {
    /// Opens a finding of what is `found`, unless it was told lately, and ends one that `is_gone`. Says whether one began.
    pub(super) fn look(&mut self, now: i64, found: bool, is_gone: bool) -> bool {
        if self.open && is_gone {
            *self = Self { open: false, at: Some(now) };
        } else if !self.open && found && is_told_no_longer(self.at, now) {
            *self = Self { open: true, at: Some(now) };
            return true;
        }
        false
    }
}

fn is_told_no_longer(told: Option<i64>, now: i64) -> bool {
    told.is_none_or(|told| now - told >= COOL_DOWN_HOURS)
}

#[cfg(test)]
mod tests;
