//! What the server has: views, columns, extensions, and what our role may do. Found by looking.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use dbintel_model::GapReason;
use parking_lot::Mutex;
use sqlx::Row as _;
use sqlx::postgres::{PgArguments, PgRow};

use super::connection::{Connection, Limits};
use super::error::QueryError;
use super::meter::Select;
use super::plans::{PlanFunction, are_bodies};
use super::sql::identifier;

/// What is known of one database of one server, for as long as the connection lasts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    columns: Arc<Columns>,
    /// Where `pg_stat_statements` is installed in this database: schema (quoted) and extension version.
    pub statements: Option<StatementsExtension>,
    /// Whether the library behind `pg_stat_statements` was loaded at server start.
    pub statements_preloaded: bool,
    /// Whether our role may switch tracking of its own statements off.
    pub may_untrack: bool,
    /// Whether our role may read the control file, with system identifier and timeline.
    pub may_read_control: bool,
    /// Whether our role sees the statements and sessions of others.
    pub may_read_all_stats: bool,
    /// Server version as a number, for instance 170010.
    pub version_number: u32,
    /// Bytes of a session's statement that the server keeps, its end mark included.
    pub activity_text_bytes: i64,
    /// Whether our role is a superuser.
    pub is_superuser: bool,
    /// Whether texts of the connected database are in UTF-8.
    pub is_utf8: bool,
    /// Which statistics views and functions our role may not use, as a sum of hashes: it is compared, and nothing else.
    pub forbidden: i64,
    /// Our functions that explain, if one of their names is in this database.
    pub plan_function: Option<PlanFunction>,
}

/// View and column.
type Columns = HashSet<(String, String)>;

/// Sets of columns that are remembered. One server needs two: its databases have the extension or not.
const SEEN_COLUMNS_MAX: usize = 8;

/// What was read before and needs no other look at the catalogue on a connection more: the columns of statistics views are the
/// same wherever server and extension have the same versions, and some settings until the server is started anew.
#[derive(Debug, Default)]
pub struct SeenFacts {
    columns: Mutex<Vec<(Versions, Arc<Columns>)>>,
    fixed: Mutex<Option<FixedAtStart>>,
}

/// What holds until the server is started anew.
#[derive(Clone, Copy, Debug)]
struct FixedAtStart {
    /// Microseconds since the Unix epoch.
    started_at: i64,
    statements_preloaded: bool,
    activity_text_bytes: Option<i64>,
}

/// What decides which columns there are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Versions {
    server: u32,
    statements: Option<StatementsExtension>,
}

/// The installed extension.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StatementsExtension {
    /// Its schema as a quoted identifier.
    pub schema: String,
    /// Its version, for instance `1.11`.
    pub version: String,
    /// Whether our role may use the schema.
    pub may_use: bool,
}

/// Of relations outside the catalogue only those that the extension made: a view of its name that somebody else made runs what its owner
/// likes, with our rights.
const COLUMNS: &str = "SELECT c.relname::text, a.attname::text \
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
     WHERE a.attnum > 0 AND NOT a.attisdropped AND (c.relnamespace = 'pg_catalog'::regnamespace \
       AND (c.relname LIKE 'pg\\_stat%' OR c.relname IN ('pg_locks', 'pg_replication_slots', 'pg_sequences')) \
       OR c.relname IN ('pg_stat_statements', 'pg_stat_statements_info') AND EXISTS (SELECT FROM pg_catalog.pg_depend d \
         JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid WHERE d.classid = 'pg_catalog.pg_class'::regclass \
         AND d.objid = c.oid AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e' \
         AND e.extname = 'pg_stat_statements' AND e.extnamespace = c.relnamespace))";

/// Of our functions also the types count (`text`, `integer`, `float8`): with one of somebody's own, calling them would cast to it.
const ABILITIES: &str = "SELECT current_setting('server_version_num')::int4, \
     has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') \
       AND has_function_privilege('pg_catalog.pg_control_checkpoint()', 'EXECUTE'), \
     pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'), \
     (extract(epoch FROM pg_postmaster_start_time()) * 1000000)::int8, \
     current_setting('is_superuser') = 'on', \
     (SELECT n.nspname::text FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace \
       WHERE e.extname = 'pg_stat_statements'), \
     (SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'pg_stat_statements'), \
     getdatabaseencoding() = 'UTF8', pg_backend_pid()::int8, \
     (SELECT has_schema_privilege(extnamespace, 'USAGE') FROM pg_catalog.pg_extension \
       WHERE extname = 'pg_stat_statements'), \
     (SELECT coalesce(sum(hashtext(c.oid::text)), 0)::int8 FROM pg_catalog.pg_class c \
       WHERE c.relname LIKE 'pg\\_%' AND c.relkind IN ('v', 'r') AND NOT has_table_privilege(c.oid, 'SELECT')) \
     + (SELECT coalesce(sum(hashtext(p.oid::text)), 0)::int8 FROM pg_catalog.pg_proc p \
       WHERE p.proname LIKE 'pg\\_%' AND p.proacl IS NOT NULL AND NOT has_function_privilege(p.oid, 'EXECUTE')), \
     f.source, f.of_superuser, f.may_execute \
     FROM (SELECT string_agg(CASE WHEN p.prosecdef AND l.lanname = 'plpgsql' AND p.proretset IS FALSE \
         AND (p.proname::text, p.proargtypes::text, p.proallargtypes::text) IN (('explain', '25 23 25', '{25,23,25,25,25}'), \
           ('explain_value', '25 23 25 25', '{25,23,25,25,25,23,25,25,701,25}')) AND p.proconfig = '{\"search_path=pg_catalog, pg_temp\",\
         debug_print_parse=off,debug_print_rewritten=off,debug_print_plan=off}' THEN p.prosrc ELSE '' END, '' ORDER BY p.proname) \
         AS source, bool_or(r.rolsuper) AS of_superuser, \
         bool_and(has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE')) AS may_execute \
       FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
         JOIN pg_catalog.pg_roles r ON r.oid = p.proowner JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
       WHERE n.nspname = 'dbintel' AND p.proname IN ('explain', 'explain_value')) f";

/// What holds until the server is started anew. Every look at `pg_settings` makes the server write out all of them, which takes
/// longer than all [`ABILITIES`]; but a setting of a library that is not loaded can have a value, and only there is it
/// missing.
const FIXED_AT_START: &str = "SELECT bool_or(name = 'pg_stat_statements.track'), \
     max(setting) FILTER (WHERE name = 'track_activity_query_size')::int8 FROM pg_settings";

const PARAMETER_PRIVILEGES: &str = "SELECT has_parameter_privilege('pg_stat_statements.track', 'SET')";

/// Every statement of this module, by the name of what it reads.
pub(super) const TEXTS: [(&str, &str); 4] = [
    ("abilities", ABILITIES),
    ("what is fixed at server start", FIXED_AT_START),
    ("columns", COLUMNS),
    ("parameter privileges", PARAMETER_PRIVILEGES),
];

/// First server version with privileges on parameters.
const PARAMETER_PRIVILEGES_SINCE: u32 = 150_000;

impl Facts {
    /// Looks at the database the connection is in. Runs in the transaction that is open. Columns that were `seen` with
    /// the same versions of server and extension are not read again.
    ///
    /// # Errors
    /// [`QueryError`]
    pub async fn read(
        connection: &mut Connection,
        limits: Limits,
        seen: &SeenFacts,
    ) -> Result<Self, QueryError> {
        let read = connection.first("abilities", limits, ABILITIES, abilities).await?;
        let (mut facts, started_at, backend_pid) =
            read.ok_or_else(|| QueryError::new(GapReason::Undecodable, "no row of abilities"))?;
        connection.backend_pid = Some(backend_pid);
        let fixed = fixed_at_start(connection, limits, started_at, seen).await?;
        facts.statements_preloaded = fixed.statements_preloaded;
        facts.activity_text_bytes = fixed.activity_text_bytes.unwrap_or(i64::MAX);
        facts.may_untrack = facts.statements_preloaded
            && (facts.is_superuser || may_set_track(connection, limits, facts.version_number).await?);
        let versions = Versions { server: facts.version_number, statements: facts.statements.clone() };
        if let Some(columns) = seen.columns_of(&versions) {
            facts.columns = columns;
            return Ok(facts);
        }
        let mut columns = Columns::new();
        let take = |row: &PgRow| {
            columns.insert((row.try_get(0)?, row.try_get(1)?));
            Ok(())
        };
        connection.stream("columns", limits, Select::always(COLUMNS), PgArguments::default(), take).await?;
        facts.columns = Arc::new(columns);
        seen.add_columns(versions, &facts.columns);
        Ok(facts)
    }

    /// The same for facts that are equal, and for others not. Kept where the facts themselves would take too much memory.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let hash = |of: &dyn Fn(&mut DefaultHasher)| {
            let mut hasher = DefaultHasher::new();
            of(&mut hasher);
            hasher.finish()
        };
        // The columns are in no order.
        let columns =
            self.columns.iter().map(|column| hash(&|hasher| column.hash(hasher))).fold(0, u64::wrapping_add);
        let Self { columns: _, statements, statements_preloaded, .. } = self;
        let rights =
            [*statements_preloaded, self.may_untrack, self.may_read_control, self.may_read_all_stats];
        let server = (self.version_number, self.activity_text_bytes, self.is_utf8, self.forbidden);
        hash(&|hasher| (columns, statements, rights, server).hash(hasher))
    }

    /// Whether the view exists.
    #[must_use]
    pub fn has_view(&self, view: &str) -> bool {
        self.columns.iter().any(|(held, _)| held == view)
    }

    /// Whether the view has the column.
    #[must_use]
    pub fn has_column(&self, view: &str, column: &str) -> bool {
        self.columns.contains(&(view.to_owned(), column.to_owned()))
    }

    /// For tests: a server with these columns.
    #[cfg(test)]
    pub(crate) fn with_columns(columns: &[(&str, &str)]) -> Self {
        let columns =
            columns.iter().map(|(view, column)| ((*view).to_owned(), (*column).to_owned())).collect();
        Self { columns: Arc::new(columns), ..Self::default() }
    }
}

// === impl SeenFacts ===

impl SeenFacts {
    /// Forgets the columns: a statement has shown that what was seen holds no longer.
    pub fn forget_columns(&self) {
        self.columns.lock().clear();
    }

    fn columns_of(&self, versions: &Versions) -> Option<Arc<Columns>> {
        let seen = self.columns.lock();
        seen.iter().find(|(of, _)| of == versions).map(|(_, columns)| Arc::clone(columns))
    }

    /// The oldest go if there is no room.
    fn add_columns(&self, versions: Versions, columns: &Arc<Columns>) {
        let mut seen = self.columns.lock();
        seen.retain(|(of, _)| *of != versions);
        if seen.len() >= SEEN_COLUMNS_MAX {
            seen.remove(0);
        }
        seen.push((versions, Arc::clone(columns)));
    }
}

/// What is fixed since the server was started, read only if it was not seen of this start.
async fn fixed_at_start(
    connection: &mut Connection,
    limits: Limits,
    started_at: i64,
    seen: &SeenFacts,
) -> Result<FixedAtStart, QueryError> {
    let held = *seen.fixed.lock();
    if let Some(fixed) = held.filter(|fixed| fixed.started_at == started_at) {
        return Ok(fixed);
    }
    let take = |row: &PgRow| {
        let statements_preloaded = row.try_get::<Option<bool>, _>(0)?.unwrap_or(false);
        Ok(FixedAtStart { started_at, statements_preloaded, activity_text_bytes: row.try_get(1)? })
    };
    let read = connection.first("what is fixed at server start", limits, FIXED_AT_START, take).await?;
    let fixed = read.ok_or_else(|| QueryError::new(GapReason::Undecodable, "no row of settings"))?;
    *seen.fixed.lock() = Some(fixed);
    Ok(fixed)
}

async fn may_set_track(
    connection: &mut Connection,
    limits: Limits,
    version: u32,
) -> Result<bool, QueryError> {
    if version < PARAMETER_PRIVILEGES_SINCE {
        return Ok(false);
    }
    let read = connection.first("parameter privileges", limits, PARAMETER_PRIVILEGES, |row| row.try_get(0));
    Ok(read.await?.unwrap_or(false))
}

/// A row of [`ABILITIES`]: what it says, when the server was started, and the process id of the backend.
fn abilities(row: &PgRow) -> Result<(Facts, i64, i64), sqlx::Error> {
    let schema: Option<String> = row.try_get(5)?;
    let version: Option<String> = row.try_get(6)?;
    let may_use = row.try_get::<Option<bool>, _>(9)?.unwrap_or(false);
    let facts = Facts {
        version_number: u32::try_from(row.try_get::<i32, _>(0)?).unwrap_or(0),
        may_read_control: row.try_get(1)?,
        may_read_all_stats: row.try_get(2)?,
        statements: schema.zip(version).map(|(schema, version)| StatementsExtension {
            schema: identifier(&schema),
            version,
            may_use,
        }),
        is_superuser: row.try_get(4)?,
        is_utf8: row.try_get(7)?,
        forbidden: row.try_get(10)?,
        plan_function: plan_function(row)?,
        ..Facts::default()
    };
    Ok((facts, row.try_get(3)?, row.try_get(8)?))
}

/// What a row of [`ABILITIES`] says of our function.
fn plan_function(row: &PgRow) -> Result<Option<PlanFunction>, sqlx::Error> {
    let source: Option<String> = row.try_get(11)?;
    let of_superuser = row.try_get::<Option<bool>, _>(12)?.unwrap_or(true);
    let may_execute = row.try_get::<Option<bool>, _>(13)?.unwrap_or(false);
    Ok(source.map(|source| match (are_bodies(&source), of_superuser, may_execute) {
        (_, true, _) => PlanFunction::OfSuperuser,
        (false, ..) => PlanFunction::Different,
        (true, false, false) => PlanFunction::NotGranted,
        (true, false, true) => PlanFunction::Usable,
    }))
}
