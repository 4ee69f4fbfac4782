//! Obtaining a plan of a statement without running it, without side effects, and without leaving a trace.
//!
//! Promises:
//! * `EXPLAIN` without `ANALYZE`, in a `READ ONLY` transaction with limits of its own, [`plan_limits`];
//! * only complete texts of one statement that has a plan ([`vet`]) and that reaches no function of anybody but the
//!   server and its extensions, since planning runs functions that are not volatile;
//! * all SQL is constant: text, path and settings are bound. `EXPLAIN` runs inside a `DO` block that catches what goes
//!   wrong, so that the server logs no error with the text in it, and that undoes itself before it ends: no lock on a table
//!   of the statement outlives it, and what was prepared is deallocated;
//! * where a DBA has installed our function ([`create_script`]), it does the same with the rights of its owner;
//! * nothing is sent where our own statements would enter `pg_stat_statements`, or would run as superuser;
//! * a text lives in a [`StatementText`], [`Planned`] or [`Sample`] and nowhere else: not in records, logs or errors.

mod function;
mod preflight;
mod rewrite;
mod samples;
mod search_path;
mod sensitivity;
mod stored;
mod vet;

use std::collections::HashMap;
use std::fmt;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use dbintel_model::{GapReason, PlanIdentity, PlanRung, PlanTable, QueryKey};
use sqlx::Arguments as _;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

pub(super) use self::function::are_bodies;
pub use self::function::{PlanFunction, create_script, drop_script};
pub use self::preflight::MAX_PLAN_TABLES;
use self::preflight::{FIRST_OF_TABLES, PREFLIGHT_WITH_SIZES, ReachedTables};
use self::rewrite::{Guesses, rewrite};
pub(super) use self::samples::sample_texts;
pub use self::samples::{
    MAX_SAMPLES_BYTES, Met, Sample, Sampled, explain_sample, logging, obstacle, read_samples, sample_limits,
};
use self::search_path::schemas_of;
pub use self::sensitivity::{OfValue, Planned, PlannedValue, explain_value, outline};
pub use self::stored::{StoredPlans, read_stored_plans, stored_plans_view};
use self::vet::{Vetted, vet};
use super::connection::{Connection, Limits};
use super::error::QueryError;
use super::facts::Facts;
use super::meter::{Rows, Select};
use super::sql::{arguments, identifier, text_bytes};
use crate::state::plans::MissingPlan;
use crate::state::texts::TextKey;

/// Bytes of a text that are read to be explained.
pub const MAX_STATEMENT_BYTES: i64 = 65_536;
/// Bytes of a plan that are read.
pub const MAX_PLAN_BYTES: i64 = 1_048_576;
/// The longest `statement_timeout` of a transaction that explains. It interrupts planning.
pub const STATEMENT_TIMEOUT_MAX: Duration = Duration::from_millis(500);
/// The longest `lock_timeout` of a transaction that explains.
pub const LOCK_TIMEOUT_MAX: Duration = Duration::from_millis(100);
/// The longest transaction that explains, however many search paths and rewritten texts it tries.
pub const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);
/// First version with `transaction_timeout`.
const TRANSACTION_TIMEOUT_SINCE: u32 = 170_000;
/// Search paths that are tried, the role's own included.
const MAX_PATHS: usize = 4;
/// Tables, views and partitions that are followed before it is said that there are too many.
const MAX_RELATIONS: i64 = 5_000;
/// First version with `GENERIC_PLAN`.
const GENERIC_PLAN_SINCE: u32 = 160_000;
/// First version whose plans hold the query identifier.
const IDENTIFIER_SINCE: u32 = 140_000;
/// What the block ends its inner part with, to undo it.
const DONE: &str = "DBI00";

/// Settings of a role or database that are applied: those the planner looks at, and none that does anything else.
const PLANNER_SETTINGS: [&str; 45] = [
    "constraint_exclusion",
    "cpu_index_tuple_cost",
    "cpu_operator_cost",
    "cpu_tuple_cost",
    "cursor_tuple_fraction",
    "default_statistics_target",
    "effective_cache_size",
    "effective_io_concurrency",
    "enable_async_append",
    "enable_bitmapscan",
    "enable_distinct_reordering",
    "enable_gathermerge",
    "enable_group_by_reordering",
    "enable_hashagg",
    "enable_hashjoin",
    "enable_incremental_sort",
    "enable_indexonlyscan",
    "enable_indexscan",
    "enable_material",
    "enable_memoize",
    "enable_mergejoin",
    "enable_nestloop",
    "enable_parallel_append",
    "enable_parallel_hash",
    "enable_partition_pruning",
    "enable_partitionwise_aggregate",
    "enable_partitionwise_join",
    "enable_presorted_aggregate",
    "enable_self_join_elimination",
    "enable_seqscan",
    "enable_sort",
    "enable_tidscan",
    "from_collapse_limit",
    "geqo",
    "geqo_threshold",
    "hash_mem_multiplier",
    "join_collapse_limit",
    "max_parallel_workers_per_gather",
    "min_parallel_index_scan_size",
    "min_parallel_table_scan_size",
    "parallel_setup_cost",
    "parallel_tuple_cost",
    "random_page_cost",
    "seq_page_cost",
    "work_mem",
];
const SEARCH_PATH: &str = "search_path";

/// What the server would give a session of the role in the database, the weakest first.
const SETTINGS: &str = "SELECT s.setting FROM (SELECT 'search_path=' || reset_val AS setting, 0 AS strength \
       FROM pg_settings WHERE name = 'search_path' \
     UNION ALL SELECT one, 1 + 2 * (r.setrole <> 0)::int + (r.setdatabase <> 0)::int \
       FROM pg_db_role_setting r, unnest(r.setconfig) one \
       WHERE r.setdatabase::int8 IN (0, $1) AND r.setrole::int8 IN (0, $2)) s ORDER BY s.strength";

/// Schemas that have tables of these names.
const SCHEMAS: &str = "SELECT DISTINCT n.nspname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
     WHERE c.relname = ANY($1) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT LIKE 'pg\\_%' \
       AND n.nspname <> 'information_schema' ORDER BY 1 LIMIT 3";

/// Applies settings to the transaction.
const APPLY: &str =
    "SELECT set_config(s.name, s.value, true) FROM unnest($1::text[], $2::text[]) AS s (name, value)";

/// Hands the block what it needs.
const HAND_OVER: &str = "SELECT set_config('dbintel.statement', $1, true), set_config('dbintel.nulls', $2, true), \
     set_config('dbintel.path', $3, true)";

/// What the block left.
const RESULT: &str = "SELECT current_setting('dbintel.code'), octet_length(current_setting('dbintel.plan'))::int8, \
     CASE WHEN octet_length(current_setting('dbintel.plan')) <= 1048576 THEN current_setting('dbintel.plan') END";

/// A cursor takes one statement only, so the server itself refuses a text with several. The inner block always ends in
/// an error, by which its locks and its search path are gone; errors that are caught are not logged.
macro_rules! explaining {
    ($explain:literal) => {
        concat!(
            "DO $dbintel$ DECLARE command text := '",
            $explain,
            "' || current_setting('dbintel.statement'); path text := current_setting('dbintel.path'); line text; \
             plan text := ''; code text := ''; BEGIN BEGIN PERFORM pg_catalog.set_config('search_path', path, true); \
             FOR line IN EXECUTE command LOOP plan := line; END LOOP; RAISE EXCEPTION USING ERRCODE = 'DBI00'; \
             EXCEPTION WHEN query_canceled OR OTHERS THEN code := SQLSTATE; END; \
             PERFORM set_config('dbintel.plan', plan, true), set_config('dbintel.code', code, true); END $dbintel$"
        )
    };
}
const EXPLAIN: &str = explaining!("EXPLAIN (FORMAT JSON, VERBOSE, SETTINGS) ");
const EXPLAIN_GENERIC: &str = explaining!("EXPLAIN (FORMAT JSON, VERBOSE, SETTINGS, GENERIC_PLAN) ");
/// Prepared statements outlive a transaction: ours has a name of its own and is deallocated before the block ends.
const EXPLAIN_PREPARED: &str = "DO $dbintel$ DECLARE preparation text := \
     'PREPARE dbintel_plan AS ' || current_setting('dbintel.statement'); command text := \
     'EXPLAIN (FORMAT JSON, VERBOSE, SETTINGS) EXECUTE dbintel_plan' || current_setting('dbintel.nulls'); \
     path text := current_setting('dbintel.path'); line text; plan text := ''; code text := ''; BEGIN \
     IF EXISTS (SELECT FROM pg_prepared_statements WHERE name = 'dbintel_plan') THEN DEALLOCATE dbintel_plan; END IF; \
     BEGIN PERFORM pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true), \
     pg_catalog.set_config('search_path', path, true); EXECUTE preparation; \
     FOR line IN EXECUTE command LOOP plan := line; END LOOP; RAISE EXCEPTION USING ERRCODE = 'DBI00'; \
     EXCEPTION WHEN query_canceled OR OTHERS THEN code := SQLSTATE; END; \
     IF EXISTS (SELECT FROM pg_prepared_statements WHERE name = 'dbintel_plan') THEN DEALLOCATE dbintel_plan; END IF; \
     PERFORM set_config('dbintel.plan', plan, true), set_config('dbintel.code', code, true); END $dbintel$";

/// The text of a statement as the server normalised it. It can hold literals, and says nothing of itself.
pub struct StatementText(Result<String, MissingPlan>);

/// A plan.
#[derive(Clone, PartialEq)]
pub struct ObtainedPlan {
    /// As the server gave it.
    pub raw: Arc<[u8]>,
    /// How.
    pub rung: PlanRung,
    /// Whether the server vouches that it is the statement's.
    pub identity: PlanIdentity,
    /// What our function was asked, if it has parameters and the function planned it.
    pub planned: Option<Planned>,
    /// Tables that the statement reaches, with their sizes, at most [`MAX_PLAN_TABLES`].
    pub tables: Arc<[PlanTable]>,
    /// Whether it reaches more.
    pub reaches_more_tables: bool,
}

/// A plan, or why there is none.
pub type Explained = Result<ObtainedPlan, MissingPlan>;

/// Limits of a transaction that explains.
#[must_use]
pub fn plan_limits(limits: Limits) -> Limits {
    Limits {
        statement_timeout: limits.statement_timeout.min(STATEMENT_TIMEOUT_MAX),
        lock_timeout: limits.lock_timeout.min(LOCK_TIMEOUT_MAX),
    }
}

/// Every statement that returns rows and is sent with the time it took as its last column, by name.
pub(super) fn texts(facts: &Facts) -> Vec<(&'static str, String, Rows)> {
    let constants = [
        ("plan: settings of role and database", SETTINGS, Rows::Perhaps),
        ("plan: what planning would touch", PREFLIGHT_WITH_SIZES, Rows::Always),
        ("plan: schemas", SCHEMAS, Rows::Perhaps),
        ("plan: apply settings", APPLY, Rows::Perhaps),
        ("plan: explain by the function", function::CALL, Rows::Always),
        ("plan: explain for a value by the function", sensitivity::CALL, Rows::Always),
        ("plan: hand over the statement", HAND_OVER, Rows::Always),
        ("plan: result", RESULT, Rows::Always),
    ];
    let mut texts: Vec<_> =
        constants.into_iter().map(|(name, text, rows)| (name, text.to_owned(), rows)).collect();
    texts.extend(stored::texts(facts));
    texts.extend(statement_texts(facts).map(|text| ("plan: statement texts", text, Rows::Perhaps)));
    texts
}

/// Every statement that is sent as it is, by name.
pub(super) fn blocks(facts: &Facts) -> Vec<(&'static str, &'static str)> {
    let generic = ("plan: explain with parameters", generic(facts.version_number).0);
    vec![("plan: explain without parameters", EXPLAIN), generic]
}

fn statement_texts(facts: &Facts) -> Option<String> {
    let extension = facts.statements.as_ref().filter(|extension| extension.may_use)?;
    let query = text_bytes("query", MAX_STATEMENT_BYTES, facts.is_utf8);
    Some(format!(
        "SELECT dbid::int8, queryid, {query}, octet_length(query) > {MAX_STATEMENT_BYTES} \
         FROM {}.pg_stat_statements(true) WHERE queryid = ANY($1) AND query IS NOT NULL",
        extension.schema
    ))
}

const fn generic(version: u32) -> (&'static str, PlanRung) {
    if version >= GENERIC_PLAN_SINCE {
        (EXPLAIN_GENERIC, PlanRung::Generic)
    } else {
        (EXPLAIN_PREPARED, PlanRung::GenericNulls)
    }
}

/// Reads the texts of these statements, all at once: the server reads its whole text file for any of them. Runs in the
/// transaction that is open, in the database that has `pg_stat_statements`.
///
/// # Errors
/// [`QueryError`]
pub async fn read_texts(
    connection: &mut Connection,
    limits: Limits,
    facts: &Facts,
    keys: &[TextKey],
) -> Result<HashMap<TextKey, StatementText>, QueryError> {
    let query = statement_texts(facts).ok_or_else(|| {
        QueryError::new(
            GapReason::ExtensionMissing,
            "pg_stat_statements is not installed in connect_database",
        )
    })?;
    let ids: Vec<i64> = keys.iter().map(|(_, query_id)| *query_id).collect();
    let mut texts = HashMap::new();
    let take = |row: &PgRow| {
        let key = (u32::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0), row.try_get(1)?);
        if keys.contains(&key) {
            let too_long: bool = row.try_get(3)?;
            let text =
                std::str::from_utf8(row.try_get::<&[u8], _>(2)?).map_err(|_| MissingPlan::TextUnreadable);
            let text = if too_long { Err(MissingPlan::TextTooLong) } else { text.map(str::to_owned) };
            texts.insert(key, StatementText(text));
        }
        Ok(())
    };
    let arguments = arguments(|arguments| arguments.add(ids))?;
    connection.stream("statement texts for plans", limits, Select::perhaps(&query), arguments, take).await?;
    Ok(texts)
}

/// Explains one statement. Runs in the transaction that is open, in the statement's database; the transaction is to be
/// ended afterwards, since it has the role's settings.
///
/// # Errors
/// [`QueryError`] if our own statements fail. What is wrong with the statement is in [`Explained`].
pub async fn explain(
    connection: &mut Connection,
    limits: Limits,
    facts: &Facts,
    key: &QueryKey,
    text: &StatementText,
) -> Result<Explained, QueryError> {
    if facts.is_superuser {
        return Ok(Err(MissingPlan::Superuser));
    }
    let text = match &text.0 {
        Ok(text) => text,
        Err(reason) => return Ok(Err(*reason)),
    };
    let vetted = match vet(text) {
        Ok(vetted) => vetted,
        Err(reason) => return Ok(Err(reason)),
    };
    let mut session = Session { connection, limits, facts, key, vetted: &vetted, rung: None };
    let path = session.apply_settings().await?;
    session.explain(text, path).await
}

/// One statement being explained.
struct Session<'a> {
    connection: &'a mut Connection,
    limits: Limits,
    facts: &'a Facts,
    key: &'a QueryKey,
    vetted: &'a Vetted,
    /// The rung of a sample, which is explained by our function or not at all; otherwise it follows from the text.
    rung: Option<PlanRung>,
}

impl Session<'_> {
    /// Gives the transaction the planner's settings of role and database, and says which search path they have.
    async fn apply_settings(&mut self) -> Result<Vec<String>, QueryError> {
        let (database, role) = (i64::from(self.key.database_id), i64::from(self.key.user_id));
        let arguments_of_role = arguments(|arguments| {
            arguments.add(database)?;
            arguments.add(role)
        })?;
        let mut settings: Vec<(String, String)> = Vec::new();
        let take = |row: &PgRow| {
            let setting: String = row.try_get(0)?;
            settings.extend(setting.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())));
            Ok(())
        };
        self.connection
            .stream("settings of the role", self.limits, Select::perhaps(SETTINGS), arguments_of_role, take)
            .await?;
        // The last one is the strongest.
        let path = settings.iter().rev().find(|(name, _)| name == SEARCH_PATH);
        let path = path.map_or_else(|| vec!["public".to_owned()], |(_, path)| self.without_user(path));
        let planner = |(name, _): &(String, String)| PLANNER_SETTINGS.contains(&name.as_str());
        let mut applied: Vec<_> = settings.into_iter().filter(planner).collect();
        if self.facts.version_number >= TRANSACTION_TIMEOUT_SINCE {
            applied.push(("transaction_timeout".to_owned(), TRANSACTION_TIMEOUT.as_millis().to_string()));
        }
        let (names, values): (Vec<_>, Vec<_>) = applied.into_iter().unzip();
        if !names.is_empty() {
            let arguments = arguments(|arguments| {
                arguments.add(names)?;
                arguments.add(values)
            })?;
            self.connection
                .stream("settings", self.limits, Select::perhaps(APPLY), arguments, |_| Ok(()))
                .await?;
        }
        Ok(path)
    }

    /// `$user` is the role of the statement, not ours.
    fn without_user(&self, path: &str) -> Vec<String> {
        let user = |name: String| if name == "$user" { self.key.user.to_string() } else { name };
        schemas_of(path).into_iter().map(user).collect()
    }

    /// Tries search paths until the server says that the plan is the statement's, or there are no more.
    async fn explain(&mut self, text: &str, own_path: Vec<String>) -> Result<Explained, QueryError> {
        let mut best = self.explain_in(text, &own_path).await?;
        let may_be_proven = self.facts.version_number >= IDENTIFIER_SINCE;
        let elsewhere = match &best {
            Ok(plan) => plan.identity == PlanIdentity::Unproven && may_be_proven,
            Err(reason) => *reason == MissingPlan::ObjectMissing,
        };
        if !elsewhere {
            return Ok(best);
        }
        for schema in self.schemas(&own_path).await?.into_iter().take(MAX_PATHS - 1) {
            let path: Vec<String> = iter::once(schema).chain(own_path.iter().cloned()).collect();
            let other = self.explain_in(text, &path).await?;
            match &other {
                Ok(plan) if plan.identity == PlanIdentity::Proven => return Ok(other),
                Ok(_) if best.is_err() => best = other,
                // A path on which it may not be planned says that it must not be guessed at.
                Err(reason) if best == Err(MissingPlan::ObjectMissing) => best = Err(*reason),
                _ => {}
            }
        }
        Ok(best)
    }

    /// Other schemas that have tables of the names in the text.
    async fn schemas(&mut self, path: &[String]) -> Result<Vec<String>, QueryError> {
        let names = self.vetted.names.clone();
        let arguments = arguments(|arguments| arguments.add(names))?;
        let mut schemas: Vec<String> = Vec::new();
        let take = |row: &PgRow| {
            schemas.push(row.try_get(0)?);
            Ok(())
        };
        self.connection.stream("schemas", self.limits, Select::perhaps(SCHEMAS), arguments, take).await?;
        schemas.retain(|schema| Some(schema) != path.first());
        Ok(schemas)
    }

    /// Explains it with one search path, as it is and, if it cannot be read so, rewritten.
    async fn explain_in(&mut self, text: &str, path: &[String]) -> Result<Explained, QueryError> {
        let reached = match self.preflight(path).await? {
            Ok(reached) => reached,
            Err(reason) => return Ok(Err(reason)),
        };
        // The names that were looked at, and no others: the server reads the path as this list.
        let path: Vec<String> = path.iter().map(|schema| identifier(schema)).collect();
        let explained = self.explain_as_it_is_or_rewritten(text, &path.join(", ")).await?;
        Ok(explained.map(|plan| ObtainedPlan {
            tables: reached.tables,
            reaches_more_tables: reached.is_cut,
            ..plan
        }))
    }

    async fn explain_as_it_is_or_rewritten(
        &mut self,
        text: &str,
        path: &str,
    ) -> Result<Explained, QueryError> {
        let parameters = self.vetted.parameters;
        let explained = self.explain_as(text, parameters, path).await?;
        let unreadable = [
            MissingPlan::Syntax,
            MissingPlan::ParameterType,
            // A function of which there is none that takes these types.
            MissingPlan::ObjectMissing,
        ];
        if self.rung.is_some() || explained.as_ref().err().is_none_or(|reason| !unreadable.contains(reason)) {
            return Ok(explained);
        }
        for guesses in [Guesses::Needed, Guesses::Bold] {
            let Some((rewritten, parameters)) = rewrite(text, parameters, guesses) else { continue };
            if let Ok(plan) = self.explain_as(&rewritten, parameters, path).await? {
                return Ok(Ok(ObtainedPlan { identity: PlanIdentity::Unproven, ..plan }));
            }
        }
        Ok(explained)
    }

    async fn preflight(&mut self, path: &[String]) -> Result<Result<ReachedTables, MissingPlan>, QueryError> {
        let Vetted { names, operators, .. } = self.vetted;
        let schemas: Vec<String> = path.iter().chain(names).cloned().collect();
        let arguments = arguments(|arguments| {
            arguments.add(names)?;
            arguments.add(operators)?;
            arguments.add(schemas)
        })?;
        let mut refused = Err(MissingPlan::ServerError);
        let take = |row: &PgRow| {
            let (relations, indexes, locks): (i64, i64, i64) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            let track: Option<String> = row.try_get(5)?;
            refused = if track.is_some_and(|track| track != "none") {
                Err(MissingPlan::OwnStatementsTracked)
            } else if relations > MAX_RELATIONS || relations + indexes > locks {
                Err(MissingPlan::TooManyLocks)
            } else if row.try_get(4)? {
                Err(MissingPlan::Function)
            } else if row.try_get(6)? {
                Err(MissingPlan::ForeignTable)
            } else if row.try_get(3)? {
                Err(MissingPlan::RowSecurity)
            } else {
                Ok(ReachedTables::of(row, FIRST_OF_TABLES)?)
            };
            Ok(())
        };
        self.connection
            .stream(
                "what planning would touch",
                self.limits,
                Select::always(PREFLIGHT_WITH_SIZES),
                arguments,
                take,
            )
            .await?;
        Ok(refused)
    }

    async fn explain_as(&mut self, text: &str, parameters: u32, path: &str) -> Result<Explained, QueryError> {
        let text = text.trim_end().trim_end_matches(';');
        match self.explain_by_function(text, parameters, path).await? {
            Some(explained) => Ok(explained),
            // The other way has the rights of our role, and leaves the text in a setting of the session.
            None if self.rung.is_some() => Ok(Err(MissingPlan::Function)),
            None => self.explain_by_block(text, parameters, path).await,
        }
    }

    async fn explain_by_block(
        &mut self,
        text: &str,
        parameters: u32,
        path: &str,
    ) -> Result<Explained, QueryError> {
        let (block, rung) = match parameters {
            0 => (EXPLAIN, PlanRung::Generic),
            _ => generic(self.facts.version_number),
        };
        let nulls = vec!["NULL"; parameters as usize].join(", ");
        let arguments = arguments(|arguments| {
            arguments.add(text)?;
            arguments.add(format!("({nulls})"))?;
            arguments.add(path)
        })?;
        self.connection
            .stream("the statement", self.limits, Select::always(HAND_OVER), arguments, |_| Ok(()))
            .await?;
        self.connection.run("a plan", self.limits, block).await?;
        let take = |row: &PgRow| {
            let code: String = row.try_get(0)?;
            if code != DONE {
                return Ok(Err(MissingPlan::of_sqlstate(&code)));
            }
            let plan: Option<String> = row.try_get(2)?;
            Ok(plan.ok_or(MissingPlan::PlanTooLarge))
        };
        let result = self.connection.first("a plan", self.limits, RESULT, take).await?;
        Ok(result.unwrap_or(Err(MissingPlan::ServerError)).and_then(|plan| self.judge(plan, rung)))
    }

    fn judge(&self, plan: String, rung: PlanRung) -> Explained {
        if rung == PlanRung::GenericNulls && removes_subplans(&plan) {
            return Err(MissingPlan::PrunedToNothing);
        }
        let proven = identifier_of(&plan) == Some(self.key.query_id);
        let identity = if proven { PlanIdentity::Proven } else { PlanIdentity::Unproven };
        Ok(ObtainedPlan {
            raw: plan.into_bytes().into(),
            rung,
            identity,
            planned: None,
            tables: Arc::default(),
            reaches_more_tables: false,
        })
    }
}

/// The identifier in a plan. Within a string of JSON the quotes of the key would have backslashes before them.
fn identifier_of(plan: &str) -> Option<i64> {
    let (_, after) = plan.rsplit_once("\"Query Identifier\":")?;
    let after = after.trim_start();
    let end = after.find(|c: char| c != '-' && !c.is_ascii_digit()).unwrap_or(after.len());
    after.get(..end)?.parse().ok()
}

/// Whether a part of the plan was left out for the values of parameters: there is a number with every list of subplans.
fn removes_subplans(plan: &str) -> bool {
    let mut numbers = plan.split("\"Subplans Removed\":").skip(1).map(str::trim_start);
    numbers.any(|number| !number.starts_with('0'))
}

impl fmt::Debug for StatementText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StatementText(…)")
    }
}

impl fmt::Debug for ObtainedPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rung, identity) = (self.rung, self.identity);
        f.debug_struct("ObtainedPlan")
            .field("rung", &rung)
            .field("identity", &identity)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
