//! Executions of plans that somebody timed one by one, for the next reading of the statements.
//!
//! Promises:
//! * only what was timed of all executions, or of a random part of them: where only slow ones are, their mean says nothing about a
//!   plan. Of the log that is known when the settings have been read again afterwards ([`Unconfirmed`]);
//! * of a statement the plans that ran last, and of those the last thousands of executions weigh most; of statements those that were
//!   timed last. All are bounded, and what had to go is counted.

use std::collections::HashMap;
use std::sync::Arc;

use dbintel_model::{MAX_TIMED_PLANS, PlanTimes, PlanTimesSource, Text};

use super::changes::RoleSettings;
use super::plans::{MAX_CANDIDATES, ProbeKey};

/// Statements whose executions are kept by plan: as many as are known by name.
pub const MAX_TIMED_STATEMENTS: usize = MAX_CANDIDATES;
/// Beyond so many, older executions of a plan weigh less.
pub const RECENT_EXECUTIONS: u64 = 4_096;
/// The settings that choose executions by how long they took, of `auto_explain` and of `pg_store_plans`.
const CHOOSING: [&str; 2] = ["auto_explain.log_min_duration", "pg_store_plans.min_duration"];

/// See the module.
#[derive(Debug, Default)]
pub struct TimedPlans {
    statements: HashMap<(ProbeKey, PlanTimesSource), Vec<Timed>>,
    /// When each statement was timed last, in uses.
    used: HashMap<(ProbeKey, PlanTimesSource), u64>,
    uses: u64,
    forgotten: u64,
}

/// A plan.
#[derive(Clone, Copy, Debug)]
struct Timed {
    times: PlanTimes,
    /// What somebody else had counted of it when we last looked.
    counted: Option<PlanTimes>,
}

/// What is known of the settings by which executions are timed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Durations {
    /// How often the settings were read.
    pub readings: u64,
    /// How often the node changed.
    pub nodes: u64,
    /// Whether `auto_explain` logs executions whatever they take.
    pub are_all_logged: bool,
    /// Whether no role or database has its own idea of what `pg_store_plans` counts.
    pub are_all_counted: bool,
}

/// Executions of the log for which the settings have not been read again yet.
#[derive(Debug, Default)]
pub struct Unconfirmed {
    /// Those since the last reading of the settings: the next one may have begun before they were logged, so that the one after
    /// it confirms them.
    fresh: TimedPlans,
    /// Those of before, which the next reading confirms.
    waiting: TimedPlans,
    readings: u64,
}

// === impl Durations ===

impl Durations {
    /// The settings have been read.
    pub fn read(&mut self, min_duration: Option<&Text>, of_roles: &RoleSettings) {
        let [of_log, of_extension] = CHOOSING.map(|setting| {
            let is_it = |(_, _, name): &(Text, Text, Text)| name.as_str() == setting;
            of_roles.is_cut || of_roles.values.keys().any(is_it)
        });
        // With its unit, as settings are read.
        let is_zero = min_duration.is_some_and(|value| value.split(' ').next() == Some("0"));
        self.readings += 1;
        self.are_all_logged = is_zero && !of_log;
        self.are_all_counted = !of_extension;
    }

    /// It is another node, of whose settings nothing is known.
    pub fn change_node(&mut self) {
        *self = Self { readings: self.readings, nodes: self.nodes + 1, ..Self::default() };
    }
}

// === impl Unconfirmed ===

impl Unconfirmed {
    /// Takes in the executions of a round that began when `then` was known, and gives out those of earlier ones that are confirmed
    /// now.
    pub fn settle(&mut self, round: TimedPlans, then: &Durations, now: &Durations) -> Option<TimedPlans> {
        if then.nodes != now.nodes || !now.are_all_logged {
            *self = Self::default();
            return None;
        }
        let mut confirmed = TimedPlans::default();
        let since = now.readings.saturating_sub(std::mem::replace(&mut self.readings, now.readings));
        for _ in 0..since.min(2) {
            let fresh = std::mem::take(&mut self.fresh);
            confirmed.merge(std::mem::replace(&mut self.waiting, fresh));
        }
        self.fresh.merge(round);
        (!confirmed.is_empty()).then_some(confirmed)
    }
}

// === impl TimedPlans ===

impl TimedPlans {
    /// Adds executions of a plan.
    pub fn add(&mut self, key: ProbeKey, times: &PlanTimes) {
        if let Some(plan) = self.enter(key, times) {
            plan.times.merge(times);
            plan.times.fade(RECENT_EXECUTIONS);
        }
    }

    /// Takes in all executions of a plan that somebody else has counted: those since the last look are added. The first look shows
    /// only from where on to count, and so does one at counters that began anew.
    pub fn count(&mut self, key: ProbeKey, all: &PlanTimes) {
        let is_it = |plan: &&Timed| plan.times.plan == all.plan;
        let known = self.statements.get(&(key, all.source)).and_then(|plans| plans.iter().find(is_it));
        let before = known.and_then(|plan| plan.counted);
        if before.is_some_and(|before| before == *all) {
            return;
        }
        let Some(plan) = self.enter(key, all) else { return };
        plan.counted = Some(*all);
        if let Some(since) = before.and_then(|before| all.since(&before)) {
            plan.times.merge(&since);
            plan.times.fade(RECENT_EXECUTIONS);
        }
    }

    /// The executions of a statement by plan, if there are any.
    #[must_use]
    pub fn of(&self, key: ProbeKey) -> Option<Arc<[PlanTimes]>> {
        let plans = [PlanTimesSource::Extension, PlanTimesSource::ServerLog]
            .into_iter()
            .filter_map(|source| self.statements.get(&(key, source)))
            .flatten()
            .filter(|plan| plan.times.executions > 0);
        let plans: Vec<PlanTimes> = plans.map(|plan| plan.times).collect();
        (!plans.is_empty()).then(|| plans.into())
    }

    /// Adds what was found elsewhere.
    pub fn merge(&mut self, other: Self) {
        self.forgotten += other.forgotten;
        for ((key, _), plans) in other.statements {
            plans.iter().for_each(|plan| self.add(key, &plan.times));
        }
    }

    /// Forgets all: another node's plans are others.
    pub fn clear(&mut self) {
        self.statements.clear();
        self.used.clear();
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    /// Statements and plans that had to go since this was last asked.
    pub fn take_forgotten(&mut self) -> u64 {
        std::mem::take(&mut self.forgotten)
    }

    /// This plan of the statement, which is the last one now.
    fn enter(&mut self, key: ProbeKey, times: &PlanTimes) -> Option<&mut Timed> {
        let key = (key, times.source);
        if !self.statements.contains_key(&key) && self.statements.len() >= MAX_TIMED_STATEMENTS {
            let oldest = self.used.iter().min_by_key(|(_, used)| **used).map(|(key, _)| *key);
            if let Some(oldest) = oldest {
                self.statements.remove(&oldest);
                self.used.remove(&oldest);
                self.forgotten += 1;
            }
        }
        self.uses += 1;
        self.used.insert(key, self.uses);
        let plans = self.statements.entry(key).or_default();
        let known = match plans.iter().position(|plan| plan.times.plan == times.plan) {
            Some(place) => plans.remove(place),
            None => {
                if plans.len() >= MAX_TIMED_PLANS {
                    plans.remove(0);
                    self.forgotten += 1;
                }
                Timed { times: PlanTimes::new(times.plan, times.source), counted: None }
            }
        };
        plans.push(known);
        plans.last_mut()
    }
}

/// One execution that `auto_explain` logged.
#[must_use]
pub fn logged(plan: u128, ms: f64) -> PlanTimes {
    let mut times = PlanTimes::new(plan, PlanTimesSource::ServerLog);
    times.note(ms);
    times
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::changes::RoleSetting;

    fn key(statement: i64) -> ProbeKey {
        (1, 2, statement)
    }

    fn of(timed: &TimedPlans, statement: i64) -> Vec<(u128, u64)> {
        let plans = timed.of(key(statement));
        plans.iter().flat_map(|plans| plans.iter()).map(|plan| (plan.plan, plan.executions)).collect()
    }

    fn one(plan: u128) -> TimedPlans {
        let mut timed = TimedPlans::default();
        timed.add(key(0), &logged(plan, 5.0));
        timed
    }

    #[test]
    fn the_plans_that_ran_last_are_kept_of_the_statements_that_were_timed_last() {
        let mut timed = TimedPlans::default();
        for plan in [1, 2, 1, 3, 4, 1] {
            timed.add(key(0), &logged(plan, 5.0));
        }
        assert_eq!(of(&timed, 0), [(2, 1), (3, 1), (4, 1), (1, 3)]);
        timed.add(key(0), &logged(5, 5.0));
        assert_eq!(of(&timed, 0), [(3, 1), (4, 1), (1, 3), (5, 1)]);
        assert_eq!(timed.take_forgotten(), 1);
        let last = i64::try_from(MAX_TIMED_STATEMENTS).unwrap_or(i64::MAX);
        for statement in 1..=last {
            timed.add(key(statement), &logged(1, 5.0));
        }
        assert_eq!(timed.take_forgotten(), 1);
        assert_eq!((of(&timed, 0), of(&timed, last)), (vec![], vec![(1, 1)]));
        assert_eq!((timed.statements.len(), timed.used.len()), (MAX_TIMED_STATEMENTS, MAX_TIMED_STATEMENTS));
    }

    #[test]
    fn the_last_thousands_of_executions_weigh_most() {
        let mut timed = TimedPlans::default();
        for ms in [100.0, 1.0] {
            (0..20_000).for_each(|_| timed.add(key(0), &logged(1, ms)));
        }
        let plans = timed.of(key(0)).unwrap_or_default();
        assert!(plans[0].executions <= RECENT_EXECUTIONS && plans[0].mean_ms < 1.5, "{plans:?}");
    }

    #[test]
    fn of_counters_the_difference_between_two_looks_is_added() {
        let counters = |executions, mean_ms| PlanTimes {
            executions,
            mean_ms,
            squared_deviations_ms2: 0.0,
            ..PlanTimes::new(1, PlanTimesSource::Extension)
        };
        let mut timed = one(1);
        for all in [counters(1_000, 60.0), counters(1_000, 60.0)] {
            timed.count(key(0), &all);
            assert_eq!(of(&timed, 0), [(1, 1)], "what was before we looked is not known well enough");
        }
        // A hundred of 10 ms.
        timed.count(
            key(0),
            &PlanTimes {
                squared_deviations_ms2: 250_000.0 * 100.0 / 1.1,
                ..counters(1_100, 61_000.0 / 1_100.0)
            },
        );
        let plans = timed.of(key(0)).unwrap_or_default();
        assert_eq!(
            plans.iter().map(|plan| (plan.source, plan.executions)).collect::<Vec<_>>(),
            [(PlanTimesSource::Extension, 100), (PlanTimesSource::ServerLog, 1),]
        );
        assert!((plans[0].mean_ms - 10.0).abs() < 1e-9, "{plans:?}");
        // Counters that began anew.
        timed.count(key(0), &counters(40, 1.0));
        timed.count(key(0), &counters(50, 1.0));
        assert_eq!(of(&timed, 0), [(1, 110), (1, 1)]);
    }

    #[test]
    fn durations_count_only_where_none_is_chosen_by_its_length() {
        let nobody = RoleSettings::default();
        let read = |value: Option<&str>, roles: &RoleSettings| {
            let mut durations = Durations::default();
            durations.read(value.map(|value| Text::from(value.to_owned())).as_ref(), roles);
            (durations.are_all_logged, durations.are_all_counted)
        };
        assert_eq!([read(Some("0 ms"), &nobody), read(Some("0"), &nobody)], [(true, true); 2]);
        for other in [None, Some("-1 ms"), Some("100 ms"), Some("")] {
            assert_eq!(read(other, &nobody), (false, true), "{other:?}");
        }
        let with = |name: &'static str| {
            let mut roles = RoleSettings::default();
            let name = (Text::Static(""), Text::Static("web"), Text::Static(name));
            roles.values.insert(name, RoleSetting { value: None, hash: 1 });
            roles
        };
        assert_eq!(read(Some("0 ms"), &with("work_mem")), (true, true));
        assert_eq!(read(Some("0 ms"), &with(CHOOSING[0])), (false, true));
        assert_eq!(read(Some("0 ms"), &with(CHOOSING[1])), (true, false));
        let cut = RoleSettings { is_cut: true, ..RoleSettings::default() };
        assert_eq!(read(Some("0 ms"), &cut), (false, false));
    }

    #[test]
    fn executions_of_the_log_wait_until_the_settings_were_read_after_them() {
        let at = |readings, are_all_logged| Durations { readings, are_all_logged, ..Durations::default() };
        let plans = |confirmed: Option<TimedPlans>| confirmed.map(|timed| of(&timed, 0));
        let mut unconfirmed = Unconfirmed::default();
        let mut settle = |plan, readings| {
            let now = at(readings, true);
            plans(unconfirmed.settle(one(plan), &now, &now))
        };
        assert_eq!([settle(1, 5), settle(2, 5), settle(3, 6)], [None, None, None]);
        assert_eq!(settle(4, 7), Some(vec![(1, 1), (2, 1)]));
        assert_eq!(settle(5, 7), None);
        // More than one reading lies between two looks at the log.
        assert_eq!(settle(6, 9), Some(vec![(3, 1), (4, 1), (5, 1)]));
        // Slow ones only: nobody knows since when.
        let now = at(10, false);
        assert_eq!(plans(unconfirmed.settle(one(7), &now, &now)), None);
        assert!(unconfirmed.waiting.is_empty() && unconfirmed.fresh.is_empty());
        // A round that began on another node.
        let now = Durations { nodes: 1, ..at(12, true) };
        assert_eq!(plans(unconfirmed.settle(one(8), &at(12, true), &now)), None);
        assert!(unconfirmed.fresh.is_empty());
    }
}
