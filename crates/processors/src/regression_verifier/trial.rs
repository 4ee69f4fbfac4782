//! Statements under trial: what they did before a change, kept as long as it is not clear what the change did.

use std::collections::BTreeMap;

use dbintel_evidence::moments::Moments;
use dbintel_evidence::{
    Category, Conclusion, Direction, SideBySide, TIMED_EXECUTIONS_MIN, Verdict, WaitHours,
};
use dbintel_model::finding::{Effect, TimeLost};
use dbintel_model::{
    FindingId, PlanCause, PlanChange, PlanFingerprint, PlanIdentity, PlanRung, PlanTimes, Text, Timestamp,
};

use super::hours::{HOURS_MAX, History, Hour, SHORTS_REACH, Short, TRIAL_SHORTS_MAX};
use super::report;
use super::statement::Statement;
use super::sums::Sums;

/// Bytes of the difference between two plans that are kept.
pub const DIFFERENCE_BYTES_MAX: usize = 2_048;
/// Bytes of the description of one cause that are kept.
pub const CAUSE_BYTES_MAX: usize = 256;
/// Bytes a trial takes at most.
pub const TRIAL_BYTES_MAX: usize = 16 << 10;

/// One statement around one moment.
#[derive(Debug)]
pub(super) struct Trial {
    pub(super) statement: u64,
    /// The change of plan; `None` where a step was noticed without one.
    pub(super) flip: Option<Box<Flip>>,
    /// When it happened, or was first seen, by the server's clock.
    pub(super) at: Timestamp,
    /// The first blocks wholly after it.
    pub(super) hour: i64,
    pub(super) short: i64,
    pub(super) before: History<Hour>,
    pub(super) shorts_before: History<Short>,
    pub(super) shorts_after: History<Short>,
    /// Intervals since, with the new plan and with another one.
    pub(super) seen: [u32; 2],
    pub(super) waits_before: WaitHours,
    pub(super) waits: WaitHours,
    /// Time it loses per day as far as is known; before anything is, the time it takes.
    pub(super) lost_ms: f64,
    pub(super) last: Option<(Conclusion, Category)>,
    /// The numbers of the last verdict, for pages. They come anew with the next one and are not stored.
    pub(super) judged: Option<Judged>,
    /// Executions with the old plan and with the new one, where they are timed plan by plan.
    pub(super) timed: [Option<PlanTimes>; 2],
    /// The finding it has led to.
    pub(super) finding: Option<FindingId>,
    /// What the finding said: the step of time as a logarithm, and the ratio of work.
    pub(super) regression: Option<(f64, Option<f64>)>,
    /// Something that may have repaired it.
    pub(super) repair: Option<Repaired>,
}

/// When something that may have repaired it happened. Between the hours before and those after it are the ones that have both in them, or
/// may have, where it was noticed late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Repaired {
    /// The hours before this one are wholly before it.
    pub(super) until: i64,
    /// The first hour wholly after it.
    pub(super) from: i64,
}

/// What pages show of a verdict.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged {
    pub(super) direction: Direction,
    pub(super) effect: Effect,
    pub(super) time_lost: TimeLost,
}

/// What is kept of a change of plan.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Flip {
    pub(super) rung: PlanRung,
    pub(super) is_proven: bool,
    pub(super) old: PlanFingerprint,
    pub(super) new: PlanFingerprint,
    pub(super) old_last_seen: Timestamp,
    pub(super) old_cost: Option<f64>,
    pub(super) new_cost: Option<f64>,
    pub(super) was_seen_before: bool,
    pub(super) difference: Text,
    pub(super) causes: Vec<PlanCause>,
    pub(super) causes_not_listed: u32,
}

/// All trials of a server.
#[derive(Debug)]
pub(super) struct Trials {
    by_statement: BTreeMap<u64, Trial>,
    max: usize,
    /// Statements whose trial was given up for want of room.
    given_up: u64,
}

// === impl Flip ===

impl Flip {
    pub(super) fn of(change: &PlanChange) -> Self {
        let cause = |cause: &PlanCause| PlanCause {
            kind: cut(&cause.kind, CAUSE_BYTES_MAX),
            description: cut(&cause.description, CAUSE_BYTES_MAX),
        };
        Self {
            rung: change.rung,
            is_proven: change.identity == PlanIdentity::Proven,
            old: change.old,
            new: change.new,
            old_last_seen: change.old_span.last,
            old_cost: change.old_cost,
            new_cost: change.new_cost,
            was_seen_before: change.seen_before.is_some(),
            difference: cut(&change.difference, DIFFERENCE_BYTES_MAX),
            causes: change.causes.iter().map(cause).collect(),
            causes_not_listed: change.causes_not_listed,
        }
    }

    fn bytes(&self) -> usize {
        let causes = self.causes.iter();
        size_of::<Self>()
            + self.difference.len()
            + self.causes.capacity() * size_of::<PlanCause>()
            + causes.map(|cause| cause.kind.len() + cause.description.len()).sum::<usize>()
    }
}

/// The beginning of a text; a constant stays the constant.
pub(super) fn cut(text: &Text, max: usize) -> Text {
    if text.len() <= max {
        return text.clone();
    }
    Text::from(text.get(..text.floor_char_boundary(max)).unwrap_or_default().to_owned())
}

// === impl Trial ===

impl Trial {
    /// A trial of what happens from these blocks on; before are the blocks up to `end`, which is earlier where it is not known when
    /// exactly it happened.
    pub(super) fn new(
        statement: &Statement,
        flip: Option<Flip>,
        at: Timestamp,
        (hour, short): (i64, i64),
        (hours_end, shorts_end): (i64, i64),
    ) -> Self {
        let mut before = statement.usual_hours(hours_end);
        // An hour that is over but not closed yet.
        if statement.hour.place < hours_end {
            before.add(statement.hour.place, &statement.hour.sums, HOURS_MAX, super::hours::HOURS_REACH);
        }
        Self {
            statement: statement.id,
            flip: flip.map(Box::new),
            at,
            hour,
            short,
            before,
            shorts_before: statement.shorts.part(|place| place < shorts_end),
            shorts_after: History::default(),
            seen: [0, 0],
            waits_before: statement.waits.as_deref().copied().unwrap_or_default(),
            waits: WaitHours::default(),
            lost_ms: statement.weight_ms,
            last: None,
            judged: None,
            timed: [None; 2],
            finding: None,
            regression: None,
            repair: None,
        }
    }

    /// Adds a closed short block.
    pub(super) fn add_short(&mut self, place: i64, sums: &Sums) {
        let is_after = place >= self.short && place < self.short + SHORTS_REACH;
        if is_after && self.shorts_after.span().is_none_or(|(_, last)| place > last) {
            self.shorts_after.add(place, sums, TRIAL_SHORTS_MAX, SHORTS_REACH);
        }
    }

    /// Takes in what executions took by plan, those of the two it is about.
    pub(super) fn note_times(&mut self, plans: &[PlanTimes]) {
        let Some(flip) = &self.flip else { return };
        for (plan, timed) in [flip.old, flip.new].into_iter().zip(&mut self.timed) {
            // The best source comes first, and a plan that has one keeps it. Whoever begins to count anew has nothing to say for a while.
            let is_as_good = |times: &&PlanTimes| {
                times.plan == plan.exact
                    && timed.is_none_or(|known| {
                        known.source == times.source && times.executions as f64 >= TIMED_EXECUTIONS_MIN
                    })
            };
            *timed = plans.iter().find(is_as_good).copied().or(*timed);
        }
    }

    /// The two plans side by side, if the same source has enough executions of both. Those of a plan that the statement had before may be
    /// of that time, and are not compared.
    pub(super) fn side_by_side(&self, z: f64) -> Option<SideBySide> {
        let [first, second] = self.timed;
        if first?.source != second?.source || self.flip.as_ref()?.was_seen_before {
            return None;
        }
        let [old, new] = self.timed.map(|times| {
            times.map(|times| Moments {
                count: times.executions as f64,
                mean: times.mean_ms,
                squared_deviations: Some(times.squared_deviations_ms2),
            })
        });
        SideBySide::of(old?, new?, z)
    }

    pub(super) fn note_verdict(&mut self, verdict: &Verdict) {
        self.last = Some((verdict.conclusion, verdict.category));
        self.judged = Some(Judged {
            direction: verdict.direction,
            effect: report::effect(verdict),
            time_lost: report::time_lost(verdict),
        });
        if let Some(lost) = verdict.numbers.lost_ms_per_day {
            let is_slower = verdict.direction == Direction::Slower;
            self.lost_ms = if is_slower { lost.estimate.max(0.0) } else { 0.0 };
        }
    }

    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.flip.as_ref().map_or(0, |flip| flip.bytes())
            + self.before.heap_bytes()
            + self.shorts_before.heap_bytes()
            + self.shorts_after.heap_bytes()
    }
}

// === impl Repaired ===

impl Repaired {
    /// What is known of two times at which the same was seen. The two may contradict each other, since a session can go on with a plan that
    /// it had: then the hour before the first one after it has both in it.
    pub(super) fn narrowed_by(self, other: Self) -> Self {
        let from = self.from.min(other.from);
        Self { until: self.until.max(other.until).min(from - 1), from }
    }
}

// === impl Trials ===

impl Trials {
    pub(super) fn new(max: usize) -> Self {
        Self { by_statement: BTreeMap::new(), max, given_up: 0 }
    }

    /// Opens a trial. Where there is no room, the one that loses the least time goes, which may be this one: gives the one that went.
    pub(super) fn open(&mut self, trial: Trial) -> Option<Trial> {
        self.by_statement.insert(trial.statement, trial);
        if self.by_statement.len() <= self.max {
            return None;
        }
        // A finding is followed to its end.
        let candidates = self.by_statement.values().filter(|trial| trial.finding.is_none());
        let least = candidates
            .min_by(|a, b| a.lost_ms.total_cmp(&b.lost_ms).then(b.statement.cmp(&a.statement)))
            .or_else(|| self.by_statement.values().min_by(|a, b| a.lost_ms.total_cmp(&b.lost_ms)))
            .map(|trial| trial.statement)?;
        self.given_up += 1;
        self.by_statement.remove(&least)
    }

    pub(super) fn is_full(&self) -> bool {
        self.by_statement.len() >= self.max
    }

    pub(super) fn close(&mut self, statement: u64) -> Option<Trial> {
        self.by_statement.remove(&statement)
    }

    pub(super) fn get(&self, statement: u64) -> Option<&Trial> {
        self.by_statement.get(&statement)
    }

    pub(super) fn get_mut(&mut self, statement: u64) -> Option<&mut Trial> {
        self.by_statement.get_mut(&statement)
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Trial> {
        self.by_statement.values()
    }

    pub(super) fn statements(&self) -> Vec<u64> {
        self.by_statement.keys().copied().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.by_statement.len()
    }

    /// How many trials were given up for want of room since this was last asked.
    pub(super) fn take_given_up(&mut self) -> u64 {
        std::mem::take(&mut self.given_up)
    }

    pub(super) fn bytes(&self) -> usize {
        self.by_statement.values().map(Trial::bytes).sum()
    }
}
