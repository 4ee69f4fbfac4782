//! What is given to the store, and what is taken over from it.
//!
//! Changes wait in sets, so that a thing that changed many times is written once, and leave a few at a time.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fmt::{self, Write as _};

use dbintel_model::{Finding, FindingId, Text};
use dbintel_pipeline::{MAX_STATE_CHANGES_PER_CALL, Output, StateChange};

use super::life::{Findings, Kept};
use super::statement::Statement;
use super::stored::{self, day_of};
use super::trial::TRIAL_BYTES_MAX;
use super::{RegressionVerifier, hours};
use crate::codec::Damaged;

/// Values with hours of statements that are given to the store in one second; the others follow with the next one. In the ten seconds
/// between two readings these are more than the statements there can be by default.
pub const DAYS_STORED_PER_SECOND: usize = 1_024;
/// Seconds over which what is waiting is spread: a little less than the time between two readings, so that the store has little to do at once.
const STORED_WITHIN_SECONDS: usize = 8;
/// So few are not spread.
const DAYS_STORED_AT_ONCE: usize = 128;
/// All other changes of one second.
const OTHERS_PER_SECOND: usize = 256;
/// Values that one call gives to the store, so that no batch waits long for them.
pub const STORED_PER_CALL: usize = 32;
/// Days of a statement that the store has, and one more while the last one begins.
const DAYS_STORED: i64 = hours::HOURS_REACH / 24 + 2;
/// Bytes of the longest key after the processor's id.
const KEY_BYTES: usize = "/finding/".len() + 32;
/// Values of a statement that is stored as a whole: itself, and the days in which it can have hours.
const VALUES_OF_STATEMENT_MAX: usize = DAYS_STORED as usize + 2;

/// What is waiting to be stored.
#[derive(Debug, Default)]
pub(super) struct Unstored {
    days: VecDeque<u64>,
    /// Of these, how many go with each second until none is left.
    days_per_second: usize,
    /// What is still to go with this second: of the days, and of everything else.
    due: (usize, usize),
    abouts: BTreeSet<u64>,
    shorts: BTreeSet<u64>,
    trials: BTreeSet<u64>,
    findings: BTreeSet<FindingId>,
    /// Values that are ready, or are to be removed.
    ready: VecDeque<(String, Option<Vec<u8>>)>,
    pub(super) control: bool,
    pub(super) events: bool,
    told: bool,
}

// === impl Unstored ===

impl Unstored {
    /// The hours of a statement changed.
    pub(super) fn day(&mut self, statement: &mut Statement) {
        if !statement.is_changed {
            statement.is_changed = true;
            self.days.push_back(statement.id);
        }
    }

    /// How many days go with this second.
    fn days_of_second(&mut self) -> usize {
        let waiting = self.days.len();
        let share =
            waiting.div_ceil(STORED_WITHIN_SECONDS).clamp(DAYS_STORED_AT_ONCE, DAYS_STORED_PER_SECOND);
        // The more there were at the beginning, the more go with each second until the last of them.
        self.days_per_second = if waiting == 0 { 0 } else { share.max(self.days_per_second) };
        self.days_per_second
    }

    /// All of it is to go now.
    pub(super) fn finish(&mut self) {
        self.due = (usize::MAX, usize::MAX);
    }

    /// Whether anything is still to go with this second.
    pub(super) fn is_due(&self) -> bool {
        self.due != (0, 0)
    }

    pub(super) fn about(&mut self, id: u64) {
        self.abouts.insert(id);
    }

    pub(super) fn short(&mut self, id: u64) {
        self.shorts.insert(id);
    }

    pub(super) fn trial(&mut self, id: u64) {
        self.trials.insert(id);
    }

    pub(super) fn finding(&mut self, id: FindingId) {
        self.findings.insert(id);
        self.told = true;
    }

    pub(super) fn remove(&mut self, key: String) {
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

    fn forget(&mut self, id: u64, today: i64) {
        for kind in ["about", "short", "trial"] {
            self.remove(format!("{kind}/{id:016x}"));
        }
        for day in today - DAYS_STORED..=today + 1 {
            self.remove(DayKey(id, day).to_string());
        }
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
    /// A second has passed: more of what is waiting may go to the store.
    pub(super) fn begin_storing(&mut self) {
        let today = day_of(self.closed.hour.max(0));
        for id in self.statements.take_forgotten() {
            self.telemetry.limit("verifier_statements", 1);
            self.unstored.forget(id, today);
        }
        self.unstored.due = (self.unstored.days_of_second(), OTHERS_PER_SECOND);
    }

    /// Gives a part of what goes with this second to the store.
    pub(super) fn store(&mut self, out: &mut Output) {
        const { assert!(STORED_PER_CALL + VALUES_OF_STATEMENT_MAX <= MAX_STATE_CHANGES_PER_CALL) };
        let (mut days, mut others) = std::mem::take(&mut self.unstored.due);
        let mut given = 0;
        while given < STORED_PER_CALL && days > 0 {
            let Some(id) = self.unstored.days.pop_front() else {
                days = 0;
                break;
            };
            let stored = self.store_days(id, out);
            (given, days) = (given + stored, days.saturating_sub(stored));
        }
        while given < STORED_PER_CALL && others > 0 {
            if !self.store_next(out) {
                others = 0;
                break;
            }
            (given, others) = (given + 1, others - 1);
        }
        self.unstored.due = (days, others);
    }

    /// Stores the day that a statement is in; of one that has nothing in the store yet, every day. Says how many.
    fn store_days(&mut self, id: u64, out: &mut Output) -> usize {
        let Some(statement) = self.statements.get_mut(id) else { return 0 };
        statement.is_changed = false;
        let open = (!statement.hour.sums.is_empty()).then_some(statement.hour.place);
        let last = open.or_else(|| statement.hours.span().map(|(_, last)| last));
        let today = last.map_or(0, day_of);
        let before = std::mem::replace(&mut statement.stored_day, today);
        if before == i64::MIN {
            return self.store_whole(id, out);
        }
        if before < today {
            for old in (before - DAYS_STORED + 1).max(today - 2 * DAYS_STORED)..=today - DAYS_STORED {
                self.unstored.remove(DayKey(id, old).to_string());
            }
        }
        let Some(statement) = self.statements.get(id) else { return 0 };
        let value = stored::day(statement, today);
        self.give(DayKey(id, today), Some(value), out);
        1
    }

    /// Hours of which nobody knows whose they are would be of no use: the statement is stored before them.
    fn store_whole(&mut self, id: u64, out: &mut Output) -> usize {
        let Some(statement) = self.statements.get(id) else { return 0 };
        self.unstored.abouts.remove(&id);
        self.give(format_args!("about/{id:016x}"), Some(stored::about(statement)), out);
        let days = days_of(statement);
        for day in &days {
            let value = stored::day(statement, *day);
            self.give(DayKey(id, *day), Some(value), out);
        }
        1 + days.len()
    }

    /// Stores the next of what is waiting beside the hours, if there is anything.
    fn store_next(&mut self, out: &mut Output) -> bool {
        let unstored = &mut self.unstored;
        if let Some((key, value)) = unstored.ready.pop_front() {
            self.give(key, value, out);
        } else if let Some(id) = unstored.findings.pop_first() {
            let kept = self.findings.get(id);
            if let Some(kept) = kept {
                let follow = stored::follow(kept.subject, kept.cause.as_ref());
                unstored.ready.push_back((format!("follow/{id}"), Some(follow)));
            }
            let value = kept.and_then(|kept| document(&kept.finding));
            self.give(format_args!("finding/{id}"), value, out);
        } else if let Some(id) = unstored.trials.pop_first() {
            self.give(format_args!("trial/{id:016x}"), self.trials.get(id).map(stored::trial), out);
        } else if let Some(id) = unstored.abouts.pop_first() {
            self.give(format_args!("about/{id:016x}"), self.statements.get(id).map(stored::about), out);
        } else if let Some(id) = unstored.shorts.pop_first() {
            self.give(format_args!("short/{id:016x}"), self.statements.get(id).map(stored::shorts), out);
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

    /// Takes over values; says how many were damaged, or belong to nothing.
    pub(super) fn take_over(&mut self, values: &[(&str, &[u8])]) -> u64 {
        // Statements before what belongs to them, days in their order.
        let rank = |key: &str| match key.split('/').next() {
            Some("about") => 0,
            Some("day") => 1,
            Some("follow") => 2,
            Some("trial") => 4,
            _ => 3,
        };
        let mut values: Vec<&(&str, &[u8])> = values.iter().collect();
        values.sort_unstable_by(|a, b| rank(a.0).cmp(&rank(b.0)).then(a.0.cmp(b.0)));
        let mut follows = HashMap::new();
        let mut damaged = 0;
        for (key, value) in values {
            damaged += u64::from(self.take_value(key, value, &mut follows).is_err());
        }
        damaged
    }

    fn take_value<'a>(
        &mut self,
        key: &'a str,
        value: &[u8],
        follows: &mut HashMap<&'a str, (u64, Option<super::events::Event>)>,
    ) -> Result<(), Damaged> {
        let (kind, rest) = key.split_once('/').unwrap_or((key, ""));
        let id = || rest.get(..16).and_then(|id| u64::from_str_radix(id, 16).ok()).ok_or(Damaged);
        match kind {
            "about" => {
                let statement = stored::read_about(id()?, value)?;
                self.statements.restore(statement).ok_or(Damaged)?;
            }
            "day" => {
                let statement = self.statements.get_mut(id()?).ok_or(Damaged)?;
                stored::read_day(statement, value)?;
                let day = rest.get(17..).and_then(|day| day.parse().ok()).ok_or(Damaged)?;
                statement.stored_day = statement.stored_day.max(day);
            }
            "short" => stored::read_shorts(self.statements.get_mut(id()?).ok_or(Damaged)?, value)?,
            "trial" => {
                let mut trial = stored::read_trial(id()?, value)?;
                let statement = self.statements.get_mut(trial.statement).ok_or(Damaged)?;
                if trial.bytes() > TRIAL_BYTES_MAX {
                    return Err(Damaged);
                }
                statement.is_under_trial = true;
                trial.finding = trial.finding.filter(|id| self.findings.get(*id).is_some());
                if let Some(displaced) = self.trials.open(trial) {
                    self.forget_trial(displaced);
                }
            }
            "follow" => {
                follows.insert(rest, stored::read_follow(value)?);
            }
            "finding" => {
                let finding: Finding = serde_json::from_slice(value).map_err(|_| Damaged)?;
                // One that has come to its end is in the store, and of no concern here.
                if !finding.state.is_final() {
                    let (subject, cause) = follows.remove(rest).ok_or(Damaged)?;
                    self.findings.restore(Kept { finding, subject, cause });
                }
            }
            "told" => {
                for (kind, subject, at) in stored::read_told(value)? {
                    self.findings.restore_told(kind, subject, at);
                }
            }
            "control" => self.controls.restore(stored::read_control(value)?),
            "events" => {
                for event in stored::read_events(value)? {
                    self.events.push(event);
                }
            }
            _ => return Err(Damaged),
        }
        Ok(())
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

/// Keys and values of a state, as a snapshot puts them together.
pub(super) fn values_of(state: &[u8]) -> Result<Vec<(&str, &[u8])>, Damaged> {
    let mut from = stored::enter(state)?;
    let mut values = Vec::new();
    while !from.0.is_empty() {
        values.push((from.str()?, from.bytes()?));
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_spread_over_the_seconds_between_two_readings() {
        for (waiting, most, seconds) in
            [(0, 0, 0), (100, 128, 1), (1_024, 128, 8), (5_000, 625, 8), (10_000, 1_024, 10)]
        {
            let mut unstored = Unstored { days: (0..waiting).collect(), ..Unstored::default() };
            let (mut taken, mut largest) = (0, 0);
            while !unstored.days.is_empty() {
                let of_second = unstored.days_of_second();
                largest = largest.max(of_second);
                unstored.days.drain(..of_second.min(unstored.days.len()));
                taken += 1;
            }
            assert_eq!((largest, taken, unstored.days_of_second()), (most, seconds, 0), "{waiting}");
        }
    }
}
