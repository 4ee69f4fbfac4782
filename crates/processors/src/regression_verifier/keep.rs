//! What is given to the store.
//!
//! Changes wait in sets, so that a thing that changed many times is written once, and leave a few at a time: statements in the order in which
//! they changed, each within [`STORED_WITHIN_SECONDS`]. What is given is written in the order in which it was given, so that a sudden end at any
//! moment leaves a state that was: see `store_statement` and `store_next` for what depends on it.

use std::collections::{BTreeSet, VecDeque};
use std::fmt::{self, Write as _};

use dbintel_model::{Finding, FindingId, Text};
use dbintel_pipeline::{MAX_STATE_CHANGES_PER_CALL, Output, StateChange};

use super::life::Findings;
use super::statement::{Changed, Statement};
use super::stored::{self, day_of};
use super::table::Forgotten;
use super::{RegressionVerifier, hours};

/// Seconds within which a change of a statement leaves for the store, however many others wait: less than the time between two readings
/// by default, so that a sudden end loses no more than the last one, and more than one, so that the store has little to do at once.
pub const STORED_WITHIN_SECONDS: usize = 8;
/// So few statements are not spread.
const STATEMENTS_STORED_AT_ONCE: usize = 128;
/// Values of one second that are not of statements: findings, trials, and what there is one of.
const OTHERS_PER_SECOND: usize = 256;
/// Values that one call gives to the store, so that no batch waits long for them.
pub const STORED_PER_CALL: usize = 32;
/// Days of a statement that the store has, and one more while the last one begins.
const DAYS_STORED: i64 = hours::HOURS_REACH / 24 + 2;
/// Bytes of the longest key after the processor's id.
const KEY_BYTES: usize = "/finding/".len() + 32;
/// Values of one turn: a statement that leaves the store and is in the table again is removed and stored as a whole.
const VALUES_OF_TURN_MAX: usize = 2 * (DAYS_STORED as usize + 6);

/// What is waiting to be stored.
#[derive(Debug, Default)]
pub(super) struct Unstored {
    /// Statements in the order in which they changed first.
    turns: VecDeque<Turn>,
    /// Of these, how many go with each second until none is left.
    turns_per_second: usize,
    /// What is still to go with this second: of the turns, and of everything else.
    due: (usize, usize),
    trials: BTreeSet<u64>,
    watches: BTreeSet<u64>,
    findings: BTreeSet<FindingId>,
    /// Values that are ready, or are to be removed.
    ready: VecDeque<(String, Option<Vec<u8>>)>,
    pub(super) control: bool,
    pub(super) events: bool,
    told: bool,
}

/// What is done for a statement when its turn comes.
#[derive(Clone, Copy, Debug)]
enum Turn {
    /// All of it that changed is stored.
    Store(u64),
    /// All of it leaves the store.
    Remove(u64),
}

// === impl Unstored ===

impl Unstored {
    /// The hours of a statement changed.
    pub(super) fn hours(&mut self, statement: &mut Statement) {
        self.changed(statement, Changed { hours: true, ..statement.changed });
    }

    /// A short block of it is over.
    pub(super) fn short(&mut self, statement: &mut Statement) {
        self.changed(statement, Changed { shorts: true, ..statement.changed });
    }

    /// More of it than its hours and blocks changed.
    pub(super) fn about(&mut self, statement: &mut Statement) {
        self.changed(statement, Changed { about: true, ..statement.changed });
    }

    fn changed(&mut self, statement: &mut Statement, changed: Changed) {
        if statement.changed == Changed::default() {
            self.turns.push_back(Turn::Store(statement.id));
        }
        statement.changed = changed;
    }

    /// How many turns go with this second.
    fn turns_of_second(&mut self) -> usize {
        let waiting = self.turns.len();
        let share = waiting.div_ceil(STORED_WITHIN_SECONDS).max(STATEMENTS_STORED_AT_ONCE);
        // The more there were at the beginning, the more go with each second until the last of them.
        self.turns_per_second = if waiting == 0 { 0 } else { share.max(self.turns_per_second) };
        self.turns_per_second
    }

    /// All of it is to go now.
    pub(super) fn finish(&mut self) {
        self.due = (usize::MAX, usize::MAX);
    }

    /// Whether anything is still to go with this second.
    pub(super) fn is_due(&self) -> bool {
        self.due != (0, 0)
    }

    pub(super) fn trial(&mut self, id: u64) {
        self.trials.insert(id);
    }

    /// What is seen of a trial with every interval changed.
    pub(super) fn watch(&mut self, id: u64) {
        self.watches.insert(id);
    }

    pub(super) fn trial_ended(&mut self, id: u64) {
        self.remove(format!("watch/{id:016x}"));
        self.remove(format!("trial/{id:016x}"));
    }

    pub(super) fn finding(&mut self, id: FindingId) {
        self.findings.insert(id);
        self.told = true;
    }

    fn remove(&mut self, key: String) {
        self.ready.push_back((key, None));
    }

    /// A finding that is told and has come to its end at once.
    pub(super) fn closed(&mut self, finding: &Finding) {
        self.told = true;
        if let Some(document) = document(finding) {
            self.ready.push_back((format!("finding/{}", finding.id), Some(document)));
        }
    }

    /// A finding has come to its end: its last state stays in the store, what followed it does not.
    pub(super) fn ended(&mut self, findings: &Findings, id: FindingId) {
        self.findings.remove(&id);
        self.told = true;
        if let Some(document) = findings.get(id).and_then(|kept| document(&kept.finding)) {
            self.ready.push_back((format!("finding/{id}"), Some(document)));
        }
        self.remove(format!("follow/{id}"));
    }
}

/// Key of a day of a statement's hours.
struct DayKey(u64, i64);

impl fmt::Display for DayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(id, day) = self;
        write!(f, "day/{id:016x}/{day:08}")
    }
}

/// The days of a statement's hours, the oldest first.
fn days_of(statement: &Statement) -> Vec<i64> {
    let open = (!statement.hour.sums.is_empty()).then_some(statement.hour.place);
    let mut days: Vec<i64> = statement.hours.places().chain(open).map(day_of).collect();
    days.dedup();
    days
}

fn document(finding: &Finding) -> Option<Vec<u8>> {
    serde_json::to_vec(finding).ok()
}

impl RegressionVerifier {
    /// What is kept under ids that are no more leaves the store, and goes to those that their statements have now.
    pub(super) fn settle_forgotten(&mut self) {
        for Forgotten { id, heir, is_stored } in self.statements.take_forgotten() {
            match heir {
                None => self.telemetry.limit("verifier_statements", 1),
                Some(heir) => self.inherit(id, heir),
            }
            if is_stored {
                self.unstored.turns.push_back(Turn::Remove(id));
            }
        }
    }

    /// A statement is known by another id. What it had is in the store under that one before it leaves.
    fn inherit(&mut self, id: u64, heir: u64) {
        let Some(statement) = self.statements.get_mut(heir) else { return };
        self.unstored.hours(statement);
        let own: Vec<FindingId> =
            self.findings.iter().filter(|kept| kept.subject == id).map(|kept| kept.finding.id).collect();
        for finding in own {
            if let Some(kept) = self.findings.get_mut(finding) {
                kept.subject = heir;
            }
            self.unstored.finding(finding);
        }
        let Some(mut trial) = self.trials.close(id) else { return };
        if let Some(of_heir) = self.trials.get(heir) {
            self.telemetry.ended("superseded");
            // A finding is followed to its end.
            if of_heir.finding.is_some() || trial.finding.is_none() {
                return;
            }
        }
        statement.is_under_trial = true;
        trial.statement = heir;
        self.unstored.trial(heir);
        // There is room for it: it was there under the other id.
        self.trials.open(trial);
    }

    /// A second has passed: more of what is waiting may go to the store.
    pub(super) fn begin_storing(&mut self) {
        self.unstored.due = (self.unstored.turns_of_second(), OTHERS_PER_SECOND);
    }

    /// Gives a part of what goes with this second to the store.
    pub(super) fn store(&mut self, out: &mut Output) {
        const { assert!(STORED_PER_CALL + VALUES_OF_TURN_MAX <= MAX_STATE_CHANGES_PER_CALL) };
        let (mut turns, mut others) = std::mem::take(&mut self.unstored.due);
        let mut given = 0;
        while given < STORED_PER_CALL && others > 0 {
            if !self.store_next(out) {
                others = 0;
                break;
            }
            (given, others) = (given + 1, others - 1);
        }
        while given < STORED_PER_CALL && turns > 0 {
            turns -= 1;
            // One of which nothing is left to store costs a look too.
            given += match self.unstored.turns.pop_front() {
                Some(Turn::Store(id)) => self.store_statement(id, out).max(1),
                Some(Turn::Remove(id)) => self.remove_statement(id, out),
                None => {
                    turns = 0;
                    break;
                }
            };
        }
        self.unstored.due = (turns, others);
    }

    /// Gives all that changed of a statement, and of one that is not in the store everything. Says how many values that are.
    ///
    /// A sudden end can come between any two of them. So it is known whose hours they are before the hours are there, and a short block
    /// is among those that are over before the next one takes its place as the open one, which is stored with the hours.
    fn store_statement(&mut self, id: u64, out: &mut Output) -> usize {
        let Some(statement) = self.statements.get_mut(id) else { return 0 };
        let changed = std::mem::take(&mut statement.changed);
        let before = statement.stored_day;
        let is_whole = before == i64::MIN;
        let open = (!statement.hour.sums.is_empty()).then_some(statement.hour.place);
        let last = open.or_else(|| statement.hours.span().map(|(_, last)| last));
        let today = last.map(day_of).filter(|_| changed.hours || is_whole);
        statement.stored_day = today.unwrap_or(before);
        statement.is_stored = true;
        let Some(statement) = self.statements.get(id) else { return 0 };
        let mut given = 0;
        let mut give = |key: &dyn fmt::Display, value: Option<Vec<u8>>| {
            self.give(key, value, out);
            given += 1;
        };
        if changed.about || is_whole {
            give(&format_args!("about/{id:016x}"), Some(stored::about(statement)));
        }
        if changed.shorts || is_whole && statement.shorts.len() > 0 {
            give(&format_args!("short/{id:016x}"), Some(stored::shorts(statement)));
        }
        let Some(today) = today else { return given };
        if is_whole {
            days_of(statement)
                .into_iter()
                .for_each(|day| give(&DayKey(id, day), Some(stored::day(statement, day))));
            return given;
        }
        for old in (before - DAYS_STORED + 1).max(today - 2 * DAYS_STORED)..=today - DAYS_STORED {
            give(&DayKey(id, old), None);
        }
        // The last interval of the day before may not be in the store yet.
        if before < today && before > today - DAYS_STORED {
            give(&DayKey(id, before), Some(stored::day(statement, before)));
        }
        give(&DayKey(id, today), Some(stored::day(statement, today)));
        given
    }

    /// Removes all of a statement. Says how many values that are.
    fn remove_statement(&mut self, id: u64, out: &mut Output) -> usize {
        let today = day_of(self.closed.hour.max(0));
        for day in today - DAYS_STORED..=today + 1 {
            self.give(DayKey(id, day), None, out);
        }
        for kind in ["watch", "trial", "short", "about"] {
            self.give(format_args!("{kind}/{id:016x}"), None, out);
        }
        let removed = DAYS_STORED as usize + 6;
        // It has been seen again since it was forgotten.
        let Some(statement) = self.statements.get_mut(id) else { return removed };
        statement.stored_day = i64::MIN;
        if statement.is_under_trial {
            self.unstored.trial(id);
        }
        removed + self.store_statement(id, out)
    }

    /// Stores the next of what is waiting beside the statements, if there is anything.
    ///
    /// A finding is there after the trial that it belongs to, and after what follows it: without them it would be followed by nothing.
    fn store_next(&mut self, out: &mut Output) -> bool {
        let unstored = &mut self.unstored;
        if let Some((key, value)) = unstored.ready.pop_front() {
            self.give(key, value, out);
        } else if let Some(id) = unstored.trials.pop_first() {
            unstored.watches.insert(id);
            if self.statements.get(id).is_some_and(|statement| statement.stored_day == i64::MIN) {
                self.store_statement(id, out);
            }
            self.give(format_args!("trial/{id:016x}"), self.trials.get(id).map(stored::trial), out);
        } else if let Some(id) = unstored.watches.pop_first() {
            self.give(format_args!("watch/{id:016x}"), self.trials.get(id).map(stored::watch), out);
        } else if let Some(id) = unstored.findings.pop_first() {
            // One that has ended is stored by what ended it.
            if let Some(kept) = self.findings.get(id) {
                let follow = stored::follow(kept.subject, kept.cause.as_ref());
                self.give(format_args!("follow/{id}"), Some(follow), out);
                self.give(format_args!("finding/{id}"), document(&kept.finding), out);
            }
        } else if std::mem::take(&mut unstored.told) {
            self.give("told", Some(stored::told(self.findings.told())), out);
        } else if std::mem::take(&mut unstored.control) {
            let value = stored::control(self.controls.hours(), self.controls.shorts());
            self.give("control", Some(value), out);
        } else if std::mem::take(&mut unstored.events) {
            self.give("events", Some(stored::events(self.events.iter())), out);
        } else {
            return false;
        }
        true
    }

    fn give(&self, key: impl fmt::Display, value: Option<Vec<u8>>, out: &mut Output) {
        let mut whole = String::with_capacity(self.id.len() + KEY_BYTES);
        // Writing to a string does not fail.
        let _ = write!(whole, "{}/{key}", self.id);
        out.store(StateChange { key: whole.into(), value });
    }

    /// Everything, as the store would have it.
    pub(super) fn whole_state(&self) -> Vec<u8> {
        let mut values: Vec<(String, Vec<u8>)> = Vec::new();
        for statement in self.statements.iter() {
            let id = statement.id;
            values.push((format!("about/{id:016x}"), stored::about(statement)));
            values.extend(
                days_of(statement)
                    .into_iter()
                    .map(|day| (DayKey(id, day).to_string(), stored::day(statement, day))),
            );
            values.push((format!("short/{id:016x}"), stored::shorts(statement)));
        }
        let trials = self.trials.iter();
        values.extend(trials.map(|trial| (format!("trial/{:016x}", trial.statement), stored::trial(trial))));
        for kept in self.findings.iter() {
            let id = kept.finding.id;
            values.extend(document(&kept.finding).map(|document| (format!("finding/{id}"), document)));
            values.push((format!("follow/{id}"), stored::follow(kept.subject, kept.cause.as_ref())));
        }
        // In the store they are among the findings.
        let ended = self.findings.ended();
        values.extend(ended.map(|ended| (format!("ended/{}", ended.id), stored::ended(ended.at))));
        values.push(("told".to_owned(), stored::told(self.findings.told())));
        values.push(("control".to_owned(), stored::control(self.controls.hours(), self.controls.shorts())));
        values.push(("events".to_owned(), stored::events(self.events.iter())));
        let mut out = stored::begin();
        for (key, value) in &values {
            out.text(key);
            out.bytes(value);
        }
        out.0
    }

    /// What an operator is shown.
    pub(super) fn lines(&self) -> Vec<(Text, Text)> {
        let settings = self.config.settings();
        let mut lines = vec![
            (
                "statements".to_owned(),
                format!("{} of at most {}", self.statements.len(), settings.max_statements),
            ),
            ("bytes".to_owned(), self.bytes().to_string()),
            (
                "statements under trial".to_owned(),
                format!("{} of at most {}", self.trials.len(), settings.max_trials),
            ),
            (
                "open findings".to_owned(),
                format!("{} of at most {}", self.findings.iter().len(), super::MAX_OPEN_FINDINGS),
            ),
        ];
        if settings.acceleration > 1.0 {
            lines.push(("acceleration".to_owned(), settings.acceleration.to_string()));
        }
        let mut trials: Vec<_> = self.trials.iter().collect();
        trials.sort_by(|a, b| b.lost_ms.total_cmp(&a.lost_ms));
        for trial in trials.into_iter().take(TRIALS_SHOWN) {
            let Some(statement) = self.statements.get(trial.statement) else { continue };
            let said = trial.last.map_or_else(
                || "nothing was judged yet".to_owned(),
                |(conclusion, category)| format!("{}, {category}", conclusion.as_str()),
            );
            let name = format!("trial of query {}", statement.about.key.query_id);
            lines.push((name, format!("since {}: {said}", trial.at)));
        }
        lines.into_iter().map(|(name, value)| (name.into(), value.into())).collect()
    }
}

/// Trials that are shown to an operator: those that lose the most time.
const TRIALS_SHOWN: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_spread_over_the_seconds_between_two_readings() {
        for (waiting, most, seconds) in
            [(0, 0, 0), (100, 128, 1), (1_024, 128, 8), (5_000, 625, 8), (100_000, 12_500, 8)]
        {
            let turns = (0..waiting).map(Turn::Store).collect();
            let mut unstored = Unstored { turns, ..Unstored::default() };
            let (mut taken, mut largest) = (0, 0);
            while !unstored.turns.is_empty() {
                let of_second = unstored.turns_of_second();
                largest = largest.max(of_second);
                unstored.turns.drain(..of_second.min(unstored.turns.len()));
                taken += 1;
            }
            assert_eq!((largest, taken, unstored.turns_of_second()), (most, seconds, 0), "{waiting}");
        }
    }
}
