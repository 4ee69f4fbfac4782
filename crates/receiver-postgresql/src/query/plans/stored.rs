//! Plans of executions that the extension pg_store_plans keeps, from its version 1.6 on.
//!
//! Promises:
//! * it is asked only where the view is the extension's, with the columns that are read and the server's own identifiers;
//! * of each statement only the plans that ran last are read, and only if the last one ran lately: that one as its plan, and of all
//!   of them how long their executions took;
//! * the format is set for the transaction alone.
//!
//! The extension reads its whole file of plans for any of them, so that it is to be asked rarely.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dbintel_model::{MAX_TIMED_PLANS, PlanIdentity, PlanRung, PlanTimes, PlanTimesSource, Timestamp};
use dbintel_plan::{Budget, ProblemKind, parse_postgresql};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments as _, Row as _};

use super::{MAX_PLAN_BYTES, ObtainedPlan};
use crate::query::connection::{Connection, Limits};
use crate::query::error::QueryError;
use crate::query::facts::Facts;
use crate::query::meter::{Rows, Select};
use crate::query::sql::{arguments, identifier, micros, text_bytes};
use crate::state::plans::{Candidate, ProbeKey};

/// The schema of the view, where it can be read, and whether it counts executions whatever they take. Versions before 1.6 have identifiers of their own, and a column for the
/// server's.
const VIEW: &str = "SELECT n.nspname::text, coalesce(current_setting('pg_store_plans.min_duration', true) = '0', false) \
     FROM pg_extension e JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass \
       AND d.refobjid = e.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e' \
     JOIN pg_class c ON c.oid = d.objid JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE e.extname = 'pg_store_plans' AND c.relname = 'pg_store_plans' AND c.relkind = 'v' \
       AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') \
       AND (SELECT count(*) FILTER (WHERE a.attname IN ('userid', 'dbid', 'queryid', 'plan', 'calls', 'mean_time', \
             'stddev_time', 'last_call')) = 8 \
           AND count(*) FILTER (WHERE a.attname = 'queryid_stat_statements') = 0 \
         FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)";

/// Steps that reading one plan may take, as `plan_extractor` has it by default.
const MAX_PLAN_STEPS: u64 = 1_000_000;
/// No execution takes longer: 30 years.
const TIME_MAX_MS: f64 = 1e12;

const FORMAT: &str = "SELECT set_config('pg_store_plans.plan_format', 'json', true)";

/// What was found of the statements that were asked for.
#[derive(Debug, Default)]
pub struct StoredPlans {
    /// The plans, with the time at which each ran last.
    pub plans: HashMap<ProbeKey, (ObtainedPlan, Timestamp)>,
    /// The counters of the plans that ran last.
    pub counted: Vec<Counted>,
    /// Rows that were read.
    pub rows: usize,
    /// Plans that cannot be read: too large, or not in JSON.
    pub unusable: u64,
}

/// The counters of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    /// The statement.
    pub key: ProbeKey,
    /// The plan, as the extension has it.
    pub raw: Arc<[u8]>,
    /// 1 for the one that ran last.
    pub place: i64,
    /// Executions, their mean and the deviation of the population in milliseconds.
    pub numbers: (i64, f64, f64),
}

fn text(schema: &str, is_utf8: bool) -> String {
    let (plan, last_call) = (text_bytes("s.plan", MAX_PLAN_BYTES + 1, is_utf8), micros("s.last_call"));
    format!(
        "SELECT s.dbid::int8, s.userid::int8, s.queryid, {plan}, {last_call}, s.place, s.calls, s.mean_time, s.stddev_time \
         FROM (SELECT p.*, row_number() OVER (of_statement ORDER BY p.last_call DESC) AS place, \
             max(p.last_call) OVER of_statement AS ran_last FROM {schema}.pg_store_plans p WHERE p.queryid = ANY($1) \
             WINDOW of_statement AS (PARTITION BY p.dbid, p.userid, p.queryid)) s \
         WHERE s.place <= {MAX_TIMED_PLANS} AND s.ran_last > statement_timestamp() - make_interval(secs => $2)"
    )
}

/// Every statement of this module, by name. The schema of the last one is that of the extension.
pub(super) fn texts(facts: &Facts) -> [(&'static str, String, Rows); 3] {
    [
        ("plan: is pg_store_plans there", VIEW.to_owned(), Rows::Perhaps),
        ("plan: format of pg_store_plans", FORMAT.to_owned(), Rows::Always),
        ("plan: plans of pg_store_plans", text("pg_store_plans_schema", facts.is_utf8), Rows::Perhaps),
    ]
}

/// The schema of the view, as an identifier, if there is one to read, and whether executions are counted whatever they take.
///
/// # Errors
/// [`QueryError`]
pub async fn stored_plans_view(
    connection: &mut Connection,
    limits: Limits,
) -> Result<Option<(String, bool)>, QueryError> {
    let mut schema = None;
    let take = |row: &PgRow| {
        schema = Some((identifier(&row.try_get::<String, _>(0)?), row.try_get(1)?));
        Ok(())
    };
    let select = Select::perhaps(VIEW);
    connection.stream("pg_store_plans", limits, select, PgArguments::default(), take).await?;
    Ok(schema)
}

/// The plans of these statements that ran within the last `age`.
///
/// # Errors
/// [`QueryError`]
pub async fn read_stored_plans(
    connection: &mut Connection,
    limits: Limits,
    facts: &Facts,
    schema: &str,
    candidates: &[Candidate],
    age: Duration,
) -> Result<StoredPlans, QueryError> {
    let select = Select::always(FORMAT);
    connection.stream("format of stored plans", limits, select, PgArguments::default(), |_| Ok(())).await?;
    let ids: Vec<i64> = candidates.iter().map(|candidate| candidate.key.query_id).collect();
    let arguments = arguments(|arguments| {
        arguments.add(ids)?;
        arguments.add(age.as_secs_f64())
    })?;
    let mut found = StoredPlans::default();
    let take = |row: &PgRow| {
        let number = |index| row.try_get::<i64, _>(index).map(|id| u32::try_from(id).unwrap_or(0));
        let key = (number(0)?, number(1)?, row.try_get(2)?);
        found.rows += 1;
        match plan(row.try_get::<Option<&[u8]>, _>(3)?.unwrap_or_default()) {
            Some(plan) => {
                let (place, raw) = (row.try_get(5)?, Arc::clone(&plan.raw));
                let numbers = (row.try_get(6)?, row.try_get(7)?, row.try_get(8)?);
                found.counted.push(Counted { key, raw, place, numbers });
                if place == 1 {
                    found.plans.insert(key, (plan, Timestamp::from_micros(row.try_get(4)?)));
                }
            }
            None => found.unusable += 1,
        }
        Ok(())
    };
    let text = text(schema, facts.is_utf8);
    connection.stream("stored plans", limits, Select::perhaps(&text), arguments, take).await?;
    Ok(found)
}

// === impl StoredPlans ===

impl StoredPlans {
    /// Executions by plan, those of the plan that ran last at the end. What the extension takes for two plans can be one of ours.
    #[must_use]
    pub fn times(mut self) -> Vec<(ProbeKey, PlanTimes)> {
        self.counted.sort_by_key(|counted| std::cmp::Reverse(counted.place));
        let mut all: Vec<(ProbeKey, PlanTimes)> = Vec::new();
        for (key, times) in self.counted.iter().filter_map(|counted| Some((counted.key, counted.times()?))) {
            let is_it = |(other, known): &(ProbeKey, PlanTimes)| *other == key && known.plan == times.plan;
            let mut times = times;
            if let Some(place) = all.iter().position(is_it) {
                times.merge(&all.remove(place).1);
            }
            all.push((key, times));
        }
        all
    }
}

// === impl Counted ===

impl Counted {
    /// `None` of a plan that was cut, as the extension does with long ones: others begin like it.
    #[allow(clippy::cast_precision_loss, reason = "a count below 2^53")]
    fn times(&self) -> Option<PlanTimes> {
        let (calls, mean_ms, stddev_ms) = self.numbers;
        let executions = u64::try_from(calls).ok().filter(|calls| *calls > 0)?;
        let parsed = parse_postgresql(&self.raw, &mut Budget::steps(MAX_PLAN_STEPS));
        let is_cut = [ProblemKind::Malformed, ProblemKind::CutShort, ProblemKind::BudgetExhausted];
        let is_whole =
            !parsed.plan.nodes().is_empty() && !is_cut.into_iter().any(|kind| parsed.problems.contains(kind));
        let are_numbers = [mean_ms, stddev_ms].into_iter().all(|ms| (0.0..=TIME_MAX_MS).contains(&ms));
        (is_whole && are_numbers).then(|| PlanTimes {
            plan: parsed.plan.fingerprints().exact.as_u128(),
            source: PlanTimesSource::Extension,
            executions,
            mean_ms,
            // The deviation is that of the population, as in pg_stat_statements.
            squared_deviations_ms2: stddev_ms * stddev_ms * executions as f64,
        })
    }
}

/// A plan as the extension has it; `None` if it was cut, or is no JSON.
fn plan(bytes: &[u8]) -> Option<ObtainedPlan> {
    let is_whole = i64::try_from(bytes.len()).is_ok_and(|bytes| bytes <= MAX_PLAN_BYTES);
    let begins_well = bytes.trim_ascii_start().starts_with(b"{") && std::str::from_utf8(bytes).is_ok();
    (is_whole && begins_well).then(|| ObtainedPlan {
        raw: bytes.into(),
        rung: PlanRung::Extension,
        identity: PlanIdentity::Proven,
        planned: None,
        tables: Arc::default(),
        reaches_more_tables: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_whole_and_in_json() {
        assert!(plan(br#"{ "Plan": {"Node Type": "Result"}}"#).is_some());
        for other in [b"".as_slice(), b"Seq Scan on t", b"- Plan:", b"<explain>", b"{\xff}"] {
            assert!(plan(other).is_none(), "{other:?}");
        }
        let mut large = vec![b' '; MAX_PLAN_BYTES as usize];
        large[0] = b'{';
        assert!(plan(&large).is_some());
        large.push(b' ');
        assert!(plan(&large).is_none());
    }
}
