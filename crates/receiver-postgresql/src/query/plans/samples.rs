//! Plans for the values with which a session is running a statement: its text, as `pg_stat_activity` has it, explained.
//!
//! Promises, beyond those of every plan:
//! * a text is explained by `dbintel.explain` alone ([`super::create_script`]), bound as a parameter: what fails is caught
//!   where it fails, so that the server logs nothing of it;
//! * nothing is explained where the server would log what we bind or what the function runs ([`LOGGING`]);
//! * only whole texts without parameters, of another session of the statement's own role and database, one of each
//!   statement, and no more than [`MAX_SAMPLES_BYTES`] of all;
//! * a plan counts only with the identifier of the statement;
//! * a text lives in its [`Sample`] from the reading to the `EXPLAIN`, and what held it is overwritten then.

use std::collections::HashMap;
use std::fmt;
use std::hint::black_box;
use std::time::Duration;

use dbintel_model::{PlanIdentity, PlanRung, QueryKey};
use sqlx::Arguments as _;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use super::vet::{Vetted, vet};
use super::{ObtainedPlan, PlanFunction, Session, plan_limits};
use crate::query::connection::{Connection, Limits};
use crate::query::error::QueryError;
use crate::query::facts::Facts;
use crate::query::meter::{Rows, Select};
use crate::query::sql::{arguments, text_bytes};
use crate::state::plans::ProbeKey;
use crate::state::samples::{NoSample, SampleFate};

/// The longest `lock_timeout` of a transaction that explains a sample, and the shortest there is. Whoever ends our session
/// while it waits for a lock of the statement makes the server log what the function is running; later, while it plans, that
/// is not told any more.
const LOCK_TIMEOUT_MAX: Duration = Duration::from_millis(1);
/// Bytes of the text of one sample.
const MAX_SAMPLE_BYTES: i64 = 32 * 1024;
/// Bytes of texts that are held at the same time, of one database; there is one at a time.
pub const MAX_SAMPLES_BYTES: usize = 64 * 1024;
/// Sessions that are looked at, one of each statement.
const MAX_SESSIONS: i64 = 32;
/// By how many bytes a text that was cut is shorter than the room for it, at most: the end mark, and what a character of
/// four bytes leaves that did not fit.
const CUT_WITHIN_BYTES: i64 = 4;

/// What decides whether the server would write a text of ours anywhere, for our own session: whether the server is a
/// standby; whether it logs what is bound, with an execution or with an error; whether it logs what a function runs, as the
/// context of a message or as a tree; whether a module logs or keeps what our statement is, plans or runs.
///
/// A function's block is a subtransaction, in which a conflict with recovery ends the session, with a message whose
/// context is what the function was running.
const LOGGING: &str = "SELECT pg_is_in_recovery(), \
     current_setting('log_parameter_max_length_on_error') <> '0' OR current_setting('log_parameter_max_length') <> '0' \
       AND (current_setting('log_statement') = 'all' OR current_setting('log_min_duration_statement') <> '-1' \
         OR current_setting('log_min_duration_sample') <> '-1' OR current_setting('log_transaction_sample_rate') <> '0'), \
     current_setting('log_min_messages') NOT IN ('warning', 'error', 'log', 'fatal', 'panic') \
       OR 'on' IN (current_setting('debug_print_parse'), current_setting('debug_print_rewritten'), \
         current_setting('debug_print_plan'), current_setting('log_parser_stats'), current_setting('log_planner_stats'), \
         current_setting('log_executor_stats'), current_setting('log_statement_stats')) \
       OR current_setting('log_lock_waits') = 'on' \
         AND current_setting('deadlock_timeout')::interval <= current_setting('lock_timeout')::interval \
       OR current_setting('standard_conforming_strings') = 'off', \
     coalesce(current_setting('auto_explain.log_min_duration', true), '-1') <> '-1' \
       OR coalesce(current_setting('pgaudit.log', true), 'none') NOT IN ('none', '') \
       OR coalesce(current_setting('pgaudit.role', true), '') <> '' \
       OR coalesce(current_setting('pg_stat_monitor.pgsm_track', true), 'none') = 'all'";

/// The text of a running statement, with its values. It says nothing of itself.
pub struct Sample {
    text: Vec<u8>,
    vetted: Vetted,
}

/// The plan of a sample, or why there is none.
pub type Sampled = Result<ObtainedPlan, NoSample>;

/// What was met.
#[derive(Debug, Default)]
pub struct Met {
    /// Of every statement that a session was running.
    pub samples: HashMap<ProbeKey, Result<Sample, NoSample>>,
    /// Whether there may have been more than are looked at.
    pub is_cut: bool,
}

/// Limits of a transaction that explains a sample.
#[must_use]
pub fn sample_limits(limits: Limits) -> Limits {
    let limits = plan_limits(limits);
    Limits { lock_timeout: limits.lock_timeout.min(LOCK_TIMEOUT_MAX), ..limits }
}

/// Every statement of this module, by name.
pub(in crate::query) fn sample_texts(facts: &Facts) -> Vec<(&'static str, String, Rows)> {
    let running = ("plan: running statements", text(facts), Rows::Perhaps);
    let logging = ("plan: what the server logs of ours", LOGGING.to_owned(), Rows::Always);
    if knows_identifiers(facts) { vec![running, logging] } else { Vec::new() }
}

/// Of each statement the session whose text is whole and that has been running it for longest.
fn text(facts: &Facts) -> String {
    let room = facts.activity_text_bytes.saturating_sub(CUT_WITHIN_BYTES);
    let longest = MAX_SAMPLE_BYTES.min(room.saturating_sub(1));
    let bytes = text_bytes("a.query", MAX_SAMPLE_BYTES, facts.is_utf8);
    format!(
        "SELECT DISTINCT ON (a.usesysid, a.query_id) a.usesysid::int8, a.query_id, \
           CASE WHEN octet_length(a.query) <= {longest} THEN {bytes} END \
         FROM pg_stat_activity a WHERE a.query_id = ANY($1) AND a.usesysid::int8 = ANY($2) AND a.state = 'active' \
           AND a.datname = current_database() AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid() \
           AND a.usename <> current_user \
         ORDER BY a.usesysid, a.query_id, octet_length(a.query) > {longest}, a.query_start LIMIT {MAX_SESSIONS}"
    )
}

fn knows_identifiers(facts: &Facts) -> bool {
    facts.has_column("pg_stat_activity", "query_id")
}

/// What stands in the way of all samples in this database, as far as it is known without asking.
#[must_use]
pub fn obstacle(facts: &Facts) -> Option<SampleFate> {
    let of_function = match facts.plan_function {
        Some(PlanFunction::Usable) => None,
        None => Some(SampleFate::FunctionMissing),
        Some(PlanFunction::Different) => Some(SampleFate::FunctionDifferent),
        Some(PlanFunction::OfSuperuser) => Some(SampleFate::FunctionOfSuperuser),
        Some(PlanFunction::NotGranted) => Some(SampleFate::FunctionNotGranted),
    };
    let others = [
        (!knows_identifiers(facts), SampleFate::NotInThisVersion),
        (facts.is_superuser, SampleFate::Superuser),
        (!facts.may_read_all_stats, SampleFate::Hidden),
        (!facts.is_utf8, SampleFate::Encoding),
    ];
    others.into_iter().find(|(is, _)| *is).map(|(_, fate)| fate).or(of_function)
}

/// What the server would do with a text of ours, if that stands in the way. Runs in the transaction that is open.
///
/// # Errors
/// [`QueryError`]
pub async fn logging(connection: &mut Connection, limits: Limits) -> Result<Option<SampleFate>, QueryError> {
    const IN_THE_WAY: [SampleFate; 4] = [
        SampleFate::Standby,
        SampleFate::ParametersLogged,
        SampleFate::ContextLogged,
        SampleFate::ModuleLogs,
    ];
    let take = |row: &PgRow| {
        for (column, fate) in IN_THE_WAY.into_iter().enumerate() {
            if row.try_get::<Option<bool>, _>(column)?.unwrap_or(true) {
                return Ok(Some(fate));
            }
        }
        Ok(None)
    };
    let read = connection.first("what the server logs of ours", limits, LOGGING, take).await?;
    Ok(read.unwrap_or(Some(SampleFate::ParametersLogged)))
}

/// Looks for sessions that are running one of these statements of this database, once for all. Of a statement that is not
/// in the answer there was none.
///
/// # Errors
/// [`QueryError`]
pub async fn read_samples(
    connection: &mut Connection,
    limits: Limits,
    facts: &Facts,
    keys: &[&QueryKey],
) -> Result<Met, QueryError> {
    let ids: Vec<i64> = keys.iter().map(|key| key.query_id).collect();
    let roles: Vec<i64> = keys.iter().map(|key| i64::from(key.user_id)).collect();
    let arguments = arguments(|arguments| {
        arguments.add(ids)?;
        arguments.add(roles)
    })?;
    let (mut met, mut room, mut sessions) = (Met::default(), MAX_SAMPLES_BYTES, 0);
    let take = |row: &PgRow| {
        sessions += 1;
        let role = u32::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0);
        let query_id: i64 = row.try_get(1)?;
        if let Some(key) = keys.iter().find(|key| (key.user_id, key.query_id) == (role, query_id)) {
            let sample = Sample::of(row.try_get::<Option<&[u8]>, _>(2)?, &mut room);
            met.samples.insert((key.database_id, role, query_id), sample.map_err(NoSample::from));
        }
        Ok(())
    };
    let text = text(facts);
    connection.stream("running statements", limits, Select::perhaps(&text), arguments, take).await?;
    met.is_cut = sessions >= MAX_SESSIONS;
    Ok(met)
}

/// Explains a sample. Runs in the transaction that is open, in the statement's database, right after [`logging`] had
/// nothing against it; the transaction is to be ended afterwards.
///
/// # Errors
/// [`QueryError`] if our own statements fail. What is wrong with the sample is in [`Sampled`].
pub async fn explain_sample(
    connection: &mut Connection,
    limits: Limits,
    facts: &Facts,
    key: &QueryKey,
    sample: Sample,
) -> Result<Sampled, QueryError> {
    let Ok(text) = std::str::from_utf8(&sample.text) else { return Ok(Err(SampleFate::Unfit.into())) };
    let mut session =
        Session { connection, limits, facts, key, vetted: &sample.vetted, rung: Some(PlanRung::Custom) };
    let path = session.apply_settings().await?;
    let explained = session.explain(text, path).await?;
    Ok(explained.map_err(NoSample::from).and_then(|plan| match plan.identity {
        PlanIdentity::Proven => Ok(plan),
        PlanIdentity::Unproven => Err(SampleFate::OtherStatement.into()),
    }))
}

// === impl Sample ===

impl Sample {
    /// A text that is fit to be explained and finds room; `bytes` are `None` of one that was cut.
    fn of(bytes: Option<&[u8]>, room: &mut usize) -> Result<Self, SampleFate> {
        let bytes = bytes.ok_or(SampleFate::Cut)?;
        let text = std::str::from_utf8(bytes).map_err(|_| SampleFate::Unfit)?;
        let vetted = vet(text).map_err(|reason| NoSample::from(reason).fate)?;
        if vetted.parameters > 0 {
            return Err(SampleFate::Parameters);
        }
        *room = room.checked_sub(bytes.len()).ok_or(SampleFate::LimitReached)?;
        Ok(Self { text: bytes.to_vec(), vetted })
    }
}

impl Drop for Sample {
    fn drop(&mut self) {
        self.text.fill(0);
        // So that overwriting what is freed next is not left out.
        black_box(&self.text);
    }
}

impl fmt::Debug for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sample(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fate(bytes: Option<&[u8]>) -> Option<SampleFate> {
        Sample::of(bytes, &mut MAX_SAMPLES_BYTES.clone()).err()
    }

    #[test]
    fn only_a_whole_statement_with_its_values_is_a_sample() {
        assert_eq!(fate(Some(b"SELECT * FROM a WHERE b = 'x' ;")), None);
        assert_eq!(fate(Some(b"SELECT * FROM a WHERE b = '$1'")), None, "it is in a literal");
        assert_eq!(fate(None), Some(SampleFate::Cut));
        assert_eq!(fate(Some(b"SELECT * FROM a WHERE b = $1")), Some(SampleFate::Parameters));
        for unfit in [
            b"SELECT 'cut".as_slice(),
            b"SELECT 1; SELECT 2",
            b"DROP TABLE a",
            b"EXECUTE a ('x')",
            b"\xff",
            b"EXPLAIN ANALYZE DELETE FROM a",
            b"DECLARE c CURSOR FOR SELECT 1",
        ] {
            assert_eq!(fate(Some(unfit)), Some(SampleFate::Unfit), "{}", String::from_utf8_lossy(unfit));
        }
    }

    #[test]
    fn a_sample_hardly_waits_for_a_lock() {
        let (short, long) = (Duration::from_millis(200), Duration::from_secs(5));
        let limits = sample_limits(Limits { statement_timeout: short, lock_timeout: long });
        assert_eq!((limits.statement_timeout, limits.lock_timeout), (short, Duration::from_millis(1)));
    }

    #[test]
    fn the_texts_that_are_held_have_a_bound_and_say_nothing_of_themselves() {
        let text = format!("SELECT '{}'", "x".repeat(MAX_SAMPLE_BYTES as usize - 9));
        let mut room = MAX_SAMPLES_BYTES;
        let kept: Vec<_> = (0..5).map(|_| Sample::of(Some(text.as_bytes()), &mut room)).collect();
        let full = kept.iter().filter(|kept| matches!(kept, Err(SampleFate::LimitReached))).count();
        assert_eq!(kept.len() - full, MAX_SAMPLES_BYTES / text.len());
        assert_eq!(format!("{:?}", kept[0]), "Ok(Sample(…))");
    }
}
