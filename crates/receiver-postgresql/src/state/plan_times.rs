//! Executions of plans that somebody timed one by one, for the next reading of the statements.
//!
//! Promises:
//! * of `auto_explain` only what is logged of all executions, or of a random part of them: where only slow ones are logged, their mean
//!   says nothing about a plan;
//! * of a statement the plans that ran last, of statements those that were timed last; both are bounded, and what had to go is
//!   counted.

use std::collections::HashMap;
use std::sync::Arc;

use dbintel_model::{MAX_TIMED_PLANS, PlanTimes, PlanTimesSource, Text};

use super::changes::RoleSettings;
use super::plans::ProbeKey;

/// Statements whose executions are kept by plan.
pub const MAX_TIMED_STATEMENTS: usize = 1_000;
/// The settings of `auto_explain` that choose executions by how long they took.
const CHOOSING: &str = "auto_explain.log_min_duration";

/// See the module.
#[derive(Debug, Default)]
pub struct TimedPlans {
    statements: HashMap<ProbeKey, Timed>,
    uses: u64,
    forgotten: u64,
}

#[derive(Debug, Default)]
struct Timed {
    /// The plan that ran last at the end.
    plans: Vec<PlanTimes>,
    /// The same, as it is told.
    told: Option<Arc<[PlanTimes]>>,
    used: u64,
}

/// Whether `auto_explain` logs executions whatever they take, by the settings of the server and those of roles and databases.
#[must_use]
pub fn is_every_duration_logged(min_duration: Option<&Text>, of_roles: &RoleSettings) -> bool {
    // With its unit, as settings are read.
    let is_zero = min_duration.is_some_and(|value| value.split(' ').next() == Some("0"));
    is_zero && !of_roles.is_cut && !of_roles.values.keys().any(|(_, _, name)| &**name == CHOOSING)
}

// === impl TimedPlans ===

impl TimedPlans {
    /// Adds executions of a plan.
    pub fn add(&mut self, key: ProbeKey, times: &PlanTimes) {
        let (timed, place) = self.enter(key, times);
        if let Some(plan) = timed.plans.get_mut(place) {
            plan.merge(times);
        }
    }

    /// Takes in all executions of a plan since somebody else counts them.
    pub fn set(&mut self, key: ProbeKey, times: &PlanTimes) {
        let (timed, place) = self.enter(key, times);
        if let Some(plan) = timed.plans.get_mut(place) {
            *plan = *times;
        }
    }

    /// The executions of a statement by plan, if there are any.
    pub fn of(&mut self, key: &ProbeKey) -> Option<Arc<[PlanTimes]>> {
        let timed = self.statements.get_mut(key)?;
        let told = timed.told.get_or_insert_with(|| timed.plans.as_slice().into());
        Some(Arc::clone(told))
    }

    /// Adds what was found elsewhere.
    pub fn merge(&mut self, other: Self) {
        self.forgotten += other.forgotten;
        for (key, timed) in other.statements {
            timed.plans.iter().for_each(|plan| self.add(key, plan));
        }
    }

    /// Forgets all: another node's plans are others.
    pub fn clear(&mut self) {
        self.statements.clear();
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

    /// The statement, with the place of this plan, which is the last one now.
    fn enter(&mut self, key: ProbeKey, times: &PlanTimes) -> (&mut Timed, usize) {
        self.uses += 1;
        if !self.statements.contains_key(&key) && self.statements.len() >= MAX_TIMED_STATEMENTS {
            let oldest = self.statements.iter().min_by_key(|(_, timed)| timed.used).map(|(key, _)| *key);
            self.forgotten += u64::from(oldest.is_some_and(|key| self.statements.remove(&key).is_some()));
        }
        let timed = self.statements.entry(key).or_default();
        (timed.used, timed.told) = (self.uses, None);
        let is_it = |plan: &PlanTimes| plan.plan == times.plan && plan.source == times.source;
        let known = match timed.plans.iter().position(is_it) {
            Some(place) => timed.plans.remove(place),
            None => {
                if timed.plans.len() >= MAX_TIMED_PLANS {
                    timed.plans.remove(0);
                    self.forgotten += 1;
                }
                PlanTimes::new(times.plan, times.source)
            }
        };
        timed.plans.push(known);
        let last = timed.plans.len() - 1;
        (timed, last)
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

    fn of(timed: &mut TimedPlans, statement: i64) -> Vec<(u128, u64)> {
        let plans = timed.of(&key(statement));
        plans.iter().flat_map(|plans| plans.iter()).map(|plan| (plan.plan, plan.executions)).collect()
    }

    #[test]
    fn the_plans_that_ran_last_are_kept_of_the_statements_that_were_timed_last() {
        let mut timed = TimedPlans::default();
        for plan in [1, 2, 1, 3, 4, 1] {
            timed.add(key(0), &logged(plan, 5.0));
        }
        assert_eq!(of(&mut timed, 0), [(2, 1), (3, 1), (4, 1), (1, 3)]);
        timed.add(key(0), &logged(5, 5.0));
        assert_eq!(of(&mut timed, 0), [(3, 1), (4, 1), (1, 3), (5, 1)]);
        assert_eq!(timed.take_forgotten(), 1);
        let last = i64::try_from(MAX_TIMED_STATEMENTS).unwrap_or(i64::MAX);
        for statement in 1..=last {
            timed.add(key(statement), &logged(1, 5.0));
        }
        assert_eq!(timed.take_forgotten(), 1);
        assert_eq!((of(&mut timed, 0), of(&mut timed, last)), (vec![], vec![(1, 1)]));
        assert_eq!(timed.statements.len(), MAX_TIMED_STATEMENTS);
    }

    #[test]
    fn executions_of_a_round_are_added_and_counters_replace_those_of_before() {
        let (mut timed, mut round) = (TimedPlans::default(), TimedPlans::default());
        timed.add(key(0), &logged(1, 10.0));
        round.add(key(0), &logged(1, 20.0));
        round.add(key(0), &logged(2, 1.0));
        timed.merge(round);
        assert_eq!(of(&mut timed, 0), [(1, 2), (2, 1)]);
        assert_eq!(timed.of(&key(0)).map(|plans| plans[0].mean_ms), Some(15.0));
        let counters = |executions| PlanTimes {
            executions,
            mean_ms: 3.0,
            ..PlanTimes::new(1, PlanTimesSource::Extension)
        };
        timed.set(key(0), &counters(70));
        timed.set(key(0), &counters(90));
        // What the log has of the plan is not mixed with what the extension counts.
        assert_eq!(of(&mut timed, 0), [(1, 2), (2, 1), (1, 90)]);
    }

    #[test]
    fn durations_count_only_where_none_is_chosen_by_its_length() {
        let nobody = RoleSettings::default();
        let is_logged = |value: Option<&str>, roles: &RoleSettings| {
            is_every_duration_logged(value.map(|value| Text::from(value.to_owned())).as_ref(), roles)
        };
        assert!(is_logged(Some("0 ms"), &nobody) && is_logged(Some("0"), &nobody));
        for other in [None, Some("-1 ms"), Some("100 ms"), Some("")] {
            assert!(!is_logged(other, &nobody), "{other:?}");
        }
        let mut roles = RoleSettings::default();
        let name = |name: &'static str| (Text::Static(""), Text::Static("web"), Text::Static(name));
        let setting = || RoleSetting { value: None, hash: 1 };
        roles.values.insert(name("work_mem"), setting());
        assert!(is_logged(Some("0 ms"), &roles));
        roles.values.insert(name(CHOOSING), setting());
        assert!(!is_logged(Some("0 ms"), &roles));
        assert!(!is_logged(Some("0 ms"), &RoleSettings { is_cut: true, ..RoleSettings::default() }));
    }
}
