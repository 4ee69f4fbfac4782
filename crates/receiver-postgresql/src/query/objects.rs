//! Names and states that are compared or looked up: databases, roles, settings, extensions, tables.

use std::collections::{BTreeMap, HashMap};

use dbintel_model::{Text, Timestamp};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments as _, Row as _};

use super::connection::{Connection, Limits};
use super::error::QueryError;
use super::meter::{Rows, Select};
use super::sql::{arguments, micros};
use crate::state::changes::{
    MAX_ROLE_SETTINGS, MAX_SETTINGS, MAX_TABLES, MAX_VALUE_CHARS, Resets, RoleSetting, RoleSettings, Table,
    Tables, Values,
};

/// Databases of managed services that are the provider's own and refuse or confuse a visitor.
pub const SYSTEM_DATABASES: [&str; 6] =
    ["rdsadmin", "azure_maintenance", "azure_sys", "cloudsqladmin", "alloydbadmin", "alloydbmetadata"];
/// Roles whose names are held per server.
const MAX_ROLES: i64 = 20_000;

/// Names by object id.
pub type Names = HashMap<u32, Text>;

/// Databases that allow connections, templates left out, and whether our role may connect. What is left of a database
/// whose removal was interrupted is no database.
///
/// # Errors
/// [`QueryError`]
pub async fn databases(
    connection: &mut Connection,
    limits: Limits,
) -> Result<BTreeMap<Text, bool>, QueryError> {
    let mut databases = BTreeMap::new();
    let take = |row: &PgRow| {
        databases.insert(row.try_get::<String, _>(0)?.into(), row.try_get(1)?);
        Ok(())
    };
    connection.stream("databases", limits, Select::always(DATABASES), PgArguments::default(), take).await?;
    Ok(databases)
}

/// Every database and role, by object id, for the names of statements.
///
/// # Errors
/// [`QueryError`]
pub async fn database_names(connection: &mut Connection, limits: Limits) -> Result<Names, QueryError> {
    names(connection, limits, "database names", DATABASE_NAMES).await
}

/// Every role, by object id.
///
/// # Errors
/// [`QueryError`]
pub async fn role_names(connection: &mut Connection, limits: Limits) -> Result<Names, QueryError> {
    names(connection, limits, "role names", &role_names_text()).await
}

async fn names(
    connection: &mut Connection,
    limits: Limits,
    what: &str,
    text: &str,
) -> Result<Names, QueryError> {
    let mut names = Names::new();
    let take = |row: &PgRow| {
        let oid = u32::try_from(row.try_get::<i64, _>(0)?).unwrap_or(0);
        names.insert(oid, row.try_get::<String, _>(1)?.into());
        Ok(())
    };
    connection.stream(what, limits, Select::always(text), PgArguments::default(), take).await?;
    Ok(names)
}

/// Settings as the server has them for everybody: what our own session changed is not among them.
///
/// # Errors
/// [`QueryError`]
pub async fn settings(connection: &mut Connection, limits: Limits) -> Result<Values, QueryError> {
    values(connection, limits, "settings", &settings_text()).await
}

/// Settings that roles have in databases. The value of one with a dot in its name does not come: it is none of the
/// server's, and anything can be in it.
///
/// # Errors
/// [`QueryError`]
pub async fn role_settings(connection: &mut Connection, limits: Limits) -> Result<RoleSettings, QueryError> {
    let mut settings = RoleSettings::default();
    let take = |row: &PgRow| {
        let text = |index: usize| row.try_get::<String, _>(index).map(Text::from);
        let value = row.try_get::<Option<String>, _>(3)?.map(Text::from);
        let setting = RoleSetting { value, hash: row.try_get(4)? };
        settings.values.insert((text(0)?, text(1)?, text(2)?), setting);
        Ok(())
    };
    let select = role_settings_text();
    connection
        .stream("settings of roles", limits, Select::perhaps(&select), PgArguments::default(), take)
        .await?;
    if settings.values.len() > MAX_ROLE_SETTINGS {
        settings.values.pop_last();
        settings.is_cut = true;
    }
    Ok(settings)
}

/// When statistics other than those of `pg_stat_statements` were last reset, by view and database; unknown where they
/// never were. Resets of single tables and functions are dated nowhere.
///
/// # Errors
/// [`QueryError`]
pub async fn resets(connection: &mut Connection, limits: Limits) -> Result<Resets, QueryError> {
    let mut resets = Resets::new();
    let take = |row: &PgRow| {
        let at: Option<i64> = row.try_get(1)?;
        resets.insert(row.try_get::<String, _>(0)?.into(), at.map(Timestamp::from_micros));
        Ok(())
    };
    connection.stream("resets", limits, Select::always(&resets_text()), PgArguments::default(), take).await?;
    Ok(resets)
}

/// Extensions of the connected database and their versions.
///
/// # Errors
/// [`QueryError`]
pub async fn extensions(connection: &mut Connection, limits: Limits) -> Result<Values, QueryError> {
    values(connection, limits, "extensions", EXTENSIONS).await
}

async fn values(
    connection: &mut Connection,
    limits: Limits,
    what: &str,
    text: &str,
) -> Result<Values, QueryError> {
    let mut values = Values::new();
    let take = |row: &PgRow| {
        let value: Option<String> = row.try_get(1)?;
        values.insert(row.try_get::<String, _>(0)?.into(), value.unwrap_or_default().into());
        Ok(())
    };
    connection.stream(what, limits, Select::always(text), PgArguments::default(), take).await?;
    Ok(values)
}

/// Maintenance of the tables of the connected database, largest first.
///
/// # Errors
/// [`QueryError`]
pub async fn tables(connection: &mut Connection, limits: Limits) -> Result<Tables, QueryError> {
    let mut tables = Tables::new();
    let take = |row: &PgRow| {
        let time = |index: usize| {
            row.try_get::<Option<i64>, _>(index).map(|micros| micros.map(Timestamp::from_micros))
        };
        let table = Table {
            analyzed_at: time(1)?,
            vacuumed_at: time(2)?,
            modified_since_analyze: row.try_get::<Option<i64>, _>(3)?.unwrap_or(0),
            reltuples: row.try_get(4)?,
            relpages: row.try_get(5)?,
            relfilenode: row.try_get(6)?,
        };
        tables.insert(row.try_get::<String, _>(0)?.into(), table);
        Ok(())
    };
    connection
        .stream("tables", limits, Select::perhaps(&tables_text()), PgArguments::default(), take)
        .await?;
    Ok(tables)
}

/// Of these backends of ours, those that still run.
///
/// # Errors
/// [`QueryError`]
pub async fn still_running(
    connection: &mut Connection,
    limits: Limits,
    pids: &[i64],
) -> Result<Vec<i64>, QueryError> {
    let mut running = Vec::new();
    let take = |row: &PgRow| {
        running.push(row.try_get(0)?);
        Ok(())
    };
    let arguments = arguments(|arguments| {
        arguments.add(pids)?;
        arguments.add(super::connection::APPLICATION_NAME)
    })?;
    connection.stream("backends of ours", limits, Select::perhaps(STILL_RUNNING), arguments, take).await?;
    Ok(running)
}

// === The texts ===

const DATABASES: &str = "SELECT datname::text, has_database_privilege(oid, 'CONNECT') FROM pg_database \
     WHERE datallowconn AND NOT datistemplate AND datconnlimit <> -2";
const DATABASE_NAMES: &str = "SELECT oid::int8, datname::text FROM pg_database";
const EXTENSIONS: &str = "SELECT extname::text, extversion FROM pg_extension";
const STILL_RUNNING: &str =
    "SELECT pid::int8 FROM pg_stat_activity WHERE pid::int8 = ANY($1) AND application_name = $2";

fn role_names_text() -> String {
    format!("SELECT oid::int8, rolname::text FROM pg_roles LIMIT {MAX_ROLES}")
}

fn settings_text() -> String {
    // transaction_* and the like are of the session; reset_val is what a new session gets, whatever SET LOCAL says. What
    // our client sends at connect, and settings of our own role and database, are in reset_val too: nobody else's value
    // is known then.
    format!(
        "SELECT name, CASE WHEN source IN ('client', 'user', 'database', 'database user') \
           THEN coalesce(boot_val, '') ELSE reset_val END || coalesce(' ' || unit, '') FROM pg_settings \
         WHERE context <> 'internal' AND name NOT LIKE 'transaction\\_%' AND reset_val IS NOT NULL \
           AND name NOT IN ('application_name', 'client_encoding', 'session_authorization', 'role', 'seed') \
         LIMIT {MAX_SETTINGS}"
    )
}

fn role_settings_text() -> String {
    format!(
        "SELECT coalesce(d.datname::text, ''), coalesce(r.rolname::text, ''), split_part(one, '=', 1), \
         CASE WHEN split_part(one, '=', 1) NOT LIKE '%.%' THEN substr(one, strpos(one, '=') + 1, {MAX_VALUE_CHARS} + 1) END, \
         hashtextextended(one, 0) FROM pg_db_role_setting s CROSS JOIN LATERAL unnest(s.setconfig) one \
         LEFT JOIN pg_database d ON d.oid = s.setdatabase LEFT JOIN pg_roles r ON r.oid = s.setrole \
         ORDER BY 1, 2, 3 LIMIT {}",
        MAX_ROLE_SETTINGS + 1
    )
}

fn resets_text() -> String {
    format!(
        "SELECT 'pg_stat_database ' || s.datname, {} FROM pg_stat_database s WHERE s.datname IS NOT NULL \
         UNION ALL SELECT 'pg_stat_bgwriter', {} FROM pg_stat_bgwriter b \
         UNION ALL SELECT 'pg_stat_archiver', {} FROM pg_stat_archiver a LIMIT {MAX_SETTINGS}",
        micros("s.stats_reset"),
        micros("b.stats_reset"),
        micros("a.stats_reset"),
    )
}

fn tables_text() -> String {
    format!(
        "SELECT t.schemaname || '.' || t.relname, {}, {}, t.n_mod_since_analyze, c.reltuples::float8, c.relpages::int8, \
         c.relfilenode::int8 FROM pg_stat_user_tables t JOIN pg_class c ON c.oid = t.relid \
         WHERE c.relpersistence <> 't' ORDER BY c.relpages DESC, c.oid LIMIT {MAX_TABLES}",
        micros("greatest(t.last_analyze, t.last_autoanalyze)"),
        micros("greatest(t.last_vacuum, t.last_autovacuum)"),
    )
}

/// Every statement of this module, by the name of what it reads.
#[must_use]
pub(super) fn texts() -> [(&'static str, String, Rows); 9] {
    [
        ("databases", DATABASES.to_owned(), Rows::Always),
        ("database names", DATABASE_NAMES.to_owned(), Rows::Always),
        ("role names", role_names_text(), Rows::Always),
        ("settings", settings_text(), Rows::Always),
        ("settings of roles", role_settings_text(), Rows::Perhaps),
        ("resets", resets_text(), Rows::Always),
        ("extensions", EXTENSIONS.to_owned(), Rows::Always),
        ("tables", tables_text(), Rows::Perhaps),
        ("backends of ours", STILL_RUNNING.to_owned(), Rows::Perhaps),
    ]
}
