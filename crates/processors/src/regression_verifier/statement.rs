//! What is kept of one statement.

use std::sync::Arc;

use dbintel_evidence::WaitHours;
use dbintel_evidence::unprompted::{PlanSeen, PlansSeen, TimedOut};
use dbintel_model::{PlanRung, QueryKey, QueryText, Session, Timestamp};

use super::changes::{ChangeTimes, GivenUp};
use super::clock::Places;
use super::cured::Cured;
use super::hours::{HOURS_MAX, HOURS_REACH, History, Hour, Open, Packed, SHORTS_MAX, SHORTS_REACH, Short};
use super::stored::day_of;
use super::sums::Sums;
use super::waits;

/// One statement.
#[derive(Debug)]
pub(super) struct Statement {
    /// See [`super::table`].
    pub(super) id: u64,
    pub(super) about: Box<About>,
    /// Whether its text and own fingerprint are known, so that [`Self::about`] need not be asked for every interval.
    pub(super) is_named: bool,
    pub(super) hours: History<Hour>,
    pub(super) hour: Open,
    pub(super) shorts: History<Short>,
    pub(super) short: Open,
    /// Time it took, halved every day: by this it is kept or forgotten.
    pub(super) weight_ms: f64,
    pub(super) plans: Plans,
    /// When its plan changed lately, where it did, and the trial that was given up, where one was.
    pub(super) plan_changes: Option<Box<ChangeTimes>>,
    /// What its sampled sessions waited for, where there were any.
    pub(super) waits: Option<Box<WaitHours>>,
    /// Hours of regressions whose repair was confirmed, where there were any.
    pub(super) cured: Option<Box<Cured>>,
    /// Executions that were timed out, where there were any.
    pub(super) timed_out: Option<Box<TimedOut>>,
    /// What of it is waiting to be stored.
    pub(super) changed: Changed,
    /// Whether anything of it is in the store.
    pub(super) is_stored: bool,
    /// The last day whose hours were stored; before the first of all days where the whole of it is to be stored.
    pub(super) stored_day: i64,
    pub(super) is_under_trial: bool,
}

/// Which statement it is.
#[derive(Debug)]
pub(super) struct About {
    /// The key it was last seen under.
    pub(super) key: QueryKey,
    pub(super) text: Option<Arc<QueryText>>,
    /// Own fingerprint; `None` as long as the text is not known, where the server's identifier stands for it.
    pub(super) fingerprint: Option<u64>,
    /// Which node, see [`super::table::node_number`].
    pub(super) node: u64,
}

/// What of a statement changed since it was stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Changed {
    /// Its hours, and what is not over of its blocks.
    pub(super) hours: bool,
    /// Short blocks that are over.
    pub(super) shorts: bool,
    /// Which statement it is, and what else is stored with that.
    pub(super) about: bool,
}

/// The plans it was seen with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Plans {
    pub(super) seen: PlansSeen,
    /// When the plan changed last.
    pub(super) changed_at: Option<Timestamp>,
    /// The server's identifier that it was last seen with a plan under. Not stored.
    pub(super) query_id: Option<i64>,
}

// === impl Statement ===

impl Statement {
    pub(super) fn new(id: u64, about: About) -> Self {
        Self {
            id,
            is_named: about.text.is_some() && about.fingerprint.is_some(),
            about: Box::new(about),
            hours: History::default(),
            hour: Open::default(),
            shorts: History::default(),
            short: Open::default(),
            weight_ms: 0.0,
            plans: Plans::default(),
            plan_changes: None,
            waits: None,
            cured: None,
            timed_out: None,
            changed: Changed::default(),
            is_stored: false,
            stored_day: i64::MIN,
            is_under_trial: false,
        }
    }

    /// Reads a little of everything that an interval is added to. What it says means nothing.
    pub(super) fn touch(&self) -> f64 {
        self.weight_ms + self.hour.sums.calls + self.short.sums.calls + f64::from(self.changed.hours)
    }

    /// Adds what an interval did to its hour. Says whether that hour is still kept.
    pub(super) fn add_to_hour(&mut self, place: i64, sums: &Sums) -> bool {
        self.weight_ms += sums.total_ms;
        add(&mut self.hours, &mut self.hour, place, sums, (HOURS_MAX, HOURS_REACH))
    }

    /// Adds what an interval did to its short block. Says whether that changed one that is over: closed it, or came late.
    pub(super) fn add_to_short(&mut self, place: i64, sums: &Sums) -> bool {
        let open = (!self.short.sums.is_empty()).then_some(self.short.place);
        add(&mut self.shorts, &mut self.short, place, sums, (SHORTS_MAX, SHORTS_REACH));
        open.is_some_and(|open| open != self.short.place) || self.short.place != place
    }

    /// Closes the blocks that are over. Says whether a short one was.
    pub(super) fn close(&mut self, closed: Places) -> bool {
        close(&mut self.hours, &mut self.hour, closed.hour, (HOURS_MAX, HOURS_REACH));
        close(&mut self.shorts, &mut self.short, closed.short, (SHORTS_MAX, SHORTS_REACH))
    }

    /// Lets go of what is dated later than now. Says whether there was anything.
    pub(super) fn set_back(&mut self, now: Places) -> bool {
        let had = [self.hours.forget_after(now.hour), self.shorts.forget_after(now.short)];
        let is_ahead = [(&mut self.hour, now.hour), (&mut self.short, now.short)].map(|(open, now)| {
            let is_ahead = open.place > now;
            if is_ahead {
                *open = Open::default();
            }
            is_ahead
        });
        if self.stored_day > i64::MIN {
            self.stored_day = self.stored_day.min(day_of(now.hour));
        }
        had.contains(&true) || is_ahead.contains(&true)
    }

    /// Adds the history of the same statement under another id.
    pub(super) fn merge(&mut self, other: &Self) {
        self.hours.merge(&other.hours, HOURS_MAX, HOURS_REACH);
        self.shorts.merge(&other.shorts, SHORTS_MAX, SHORTS_REACH);
        for (is_hour, open) in [(true, other.hour), (false, other.short)] {
            // The same block twice is one: see `History::merge`.
            let is_known = open == if is_hour { self.hour } else { self.short };
            if !open.sums.is_empty() && !is_known {
                if is_hour {
                    add(&mut self.hours, &mut self.hour, open.place, &open.sums, (HOURS_MAX, HOURS_REACH));
                } else {
                    add(
                        &mut self.shorts,
                        &mut self.short,
                        open.place,
                        &open.sums,
                        (SHORTS_MAX, SHORTS_REACH),
                    );
                }
            }
        }
        self.weight_ms += other.weight_ms;
        self.plans.changed_at = self.plans.changed_at.max(other.plans.changed_at);
        if self.cured.is_none() {
            self.cured.clone_from(&other.cured);
        }
        for at in other.plan_changes.iter().flat_map(|changes| changes.iter()) {
            self.note_plan_change(at);
        }
        if let Some(given_up) = other.given_up().filter(|_| self.given_up().is_none()) {
            self.note_given_up(given_up);
        }
    }

    /// Remembers that it has another plan since then.
    pub(super) fn note_plan_change(&mut self, at: Timestamp) {
        self.plan_changes.get_or_insert_default().note(at);
    }

    /// Remembers that its trial was given up.
    pub(super) fn note_given_up(&mut self, given_up: GivenUp) {
        self.plan_changes.get_or_insert_default().given_up = Some(given_up);
    }

    /// The last trial of it that was given up.
    pub(super) fn given_up(&self) -> Option<GivenUp> {
        self.plan_changes.as_ref()?.given_up
    }

    /// The hours before this one that are usual ones.
    pub(super) fn usual_hours(&self, end: i64) -> History<Hour> {
        self.hours.part(|hour| hour < end && !self.is_cured(hour))
    }

    /// Whether it is an hour of a regression whose repair was confirmed.
    pub(super) fn is_cured(&self, hour: i64) -> bool {
        self.cured.as_ref().is_some_and(|cured| cured.has(hour))
    }

    /// One of its sessions was seen running it in this hour.
    pub(super) fn note_session(&mut self, session: &Session, hour: i64) {
        self.waits.get_or_insert_default().note(hour, waits::counted(session));
    }

    /// Everything it takes; the text is shared with the records.
    pub(super) fn bytes(&self) -> usize {
        let timed_out = self.timed_out.as_ref().map_or(0, |_| size_of::<TimedOut>());
        let plan_changes = self.plan_changes.as_ref().map_or(0, |_| size_of::<ChangeTimes>());
        size_of::<Self>()
            + size_of::<About>()
            + self.hours.heap_bytes()
            + self.shorts.heap_bytes()
            + timed_out
            + plan_changes
            + self.cured.as_ref().map_or(0, |cured| size_of::<Cured>() + cured.heap_bytes())
            + self.waits.as_ref().map_or(0, |_| size_of::<WaitHours>())
    }
}

fn add<P: Packed>(
    history: &mut History<P>,
    open: &mut Open,
    place: i64,
    sums: &Sums,
    (max, reach): (usize, i64),
) -> bool {
    if open.sums.is_empty() {
        let is_after = history.span().is_none_or(|(_, last)| place > last);
        if is_after {
            *open = Open { place, sums: *sums };
            return true;
        }
        return history.add(place, sums, max, reach);
    }
    if place == open.place {
        open.sums.add(sums);
        return true;
    }
    if place.saturating_add(reach) < open.place {
        // A clock that was far ahead and has come back.
        *open = Open { place, sums: *sums };
        return true;
    }
    if place > open.place {
        close(history, open, open.place + 1, (max, reach));
        *open = Open { place, sums: *sums };
        return true;
    }
    history.add(place, sums, max, reach)
}

/// Closes the open block if it lies before `end`.
fn close<P: Packed>(history: &mut History<P>, open: &mut Open, end: i64, (max, reach): (usize, i64)) -> bool {
    let is_over = !open.sums.is_empty() && open.place < end;
    if is_over {
        history.add(open.place, &open.sums, max, reach);
        *open = Open::default();
    }
    is_over
}

// === impl Plans ===

impl Plans {
    /// It is seen with this plan. Says whether that is another one than before.
    ///
    /// One text under two of the server's identifiers is one statement here, and its tables may be others: those of another tenant, with a
    /// schema of the same tables, or temporary ones. That the one has another plan than the other is no change; nor is, after a restart, the
    /// first plan that is seen, since nobody knows whose the last one was.
    pub(super) fn see(
        &mut self,
        exact: u128,
        rung: PlanRung,
        query_id: i64,
        at: Timestamp,
        day: i64,
    ) -> bool {
        let seen = PlanSeen { plan: exact, rung: rung as u8, depends_on_values: rung.depends_on_values() };
        if self.query_id.replace(query_id) != Some(query_id) {
            self.seen.begin(seen);
            return false;
        }
        let is_other = self.seen.see(seen, day);
        if is_other {
            self.changed_at = self.changed_at.max(Some(at));
        }
        is_other
    }
}
