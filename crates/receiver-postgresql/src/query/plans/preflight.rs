//! The look that precedes every `EXPLAIN`: what planning would touch, and, of the tables it reaches, their sizes as the
//! planner has them and what they are partitions of.

use std::sync::Arc;

use dbintel_model::PlanTable;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

/// Tables of one plan that are told: partitioned ones first, then those with most rows.
pub const MAX_PLAN_TABLES: usize = 256;

macro_rules! preflight {
    ($further:literal, $columns:literal) => {
        concat!(
            "WITH RECURSIVE reached AS (\
       SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
       WHERE c.relname = ANY($1) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't' \
         AND n.nspname = ANY($3) AND n.nspname NOT IN ('pg_catalog', 'information_schema') \
     UNION SELECT further.oid FROM reached r CROSS JOIN LATERAL (\
       SELECT inhrelid AS oid FROM pg_inherits WHERE inhparent = r.oid \
       UNION ALL SELECT d.refobjid FROM pg_rewrite w JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass \
         AND d.objid = w.oid AND d.refclassid = 'pg_class'::regclass WHERE w.ev_class = r.oid) further), \
     bounded AS MATERIALIZED (SELECT oid FROM reached LIMIT 5001), \
     parts AS (SELECT 'pg_rewrite'::regclass AS class, w.oid FROM pg_rewrite w JOIN bounded b ON b.oid = w.ev_class \
       UNION ALL SELECT 'pg_attrdef'::regclass, a.oid FROM pg_attrdef a JOIN bounded b ON b.oid = a.adrelid \
       UNION ALL SELECT 'pg_constraint'::regclass, k.oid FROM pg_constraint k JOIN bounded b ON b.oid = k.conrelid \
       UNION ALL SELECT 'pg_class'::regclass, i.indexrelid FROM pg_index i JOIN bounded b ON b.oid = i.indrelid), \
     used AS (SELECT d.refclassid AS class, d.refobjid AS oid, false AS runs FROM parts \
         JOIN pg_depend d ON d.classid = parts.class AND d.objid = parts.oid \
         WHERE d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass) \
       UNION ALL SELECT d.refclassid, d.refobjid, d.classid = 'pg_constraint'::regclass FROM pg_depend d \
         WHERE d.refclassid IN ('pg_proc'::regclass, 'pg_operator'::regclass) \
         AND (d.classid IN ('pg_cast'::regclass, 'pg_type'::regclass, 'pg_statistic_ext'::regclass) \
           OR d.classid = 'pg_constraint'::regclass \
             AND EXISTS (SELECT FROM pg_constraint k WHERE k.oid = d.objid AND k.contypid <> 0) \
           OR d.classid = 'pg_class'::regclass \
             AND EXISTS (SELECT FROM pg_class c WHERE c.oid = d.objid AND c.relkind = 'p'))), \
     functions AS (SELECT p.oid, true AS named FROM pg_proc p \
         WHERE p.proname = ANY($1) AND p.pronamespace <> 'pg_catalog'::regnamespace \
       UNION ALL SELECT o.oprcode::oid, false FROM pg_operator o \
         WHERE o.oprname = ANY($2) AND o.oprnamespace <> 'pg_catalog'::regnamespace \
       UNION ALL SELECT u.oid, u.runs FROM used u WHERE u.class = 'pg_proc'::regclass \
       UNION ALL SELECT o.oprcode::oid, u.runs FROM used u JOIN pg_operator o ON o.oid = u.oid \
         WHERE u.class = 'pg_operator'::regclass), \
     judged AS (SELECT f.named, p.provolatile, EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass \
         AND e.objid = p.oid AND e.deptype = 'e') AS of_extension \
       FROM functions f JOIN pg_proc p ON p.oid = f.oid WHERE p.pronamespace <> 'pg_catalog'::regnamespace)",
            $further,
            " \
     SELECT (SELECT count(*) FROM bounded), \
       (SELECT count(*) FROM pg_index i JOIN bounded b ON b.oid = i.indrelid), \
       current_setting('max_locks_per_transaction')::int8, \
       EXISTS (SELECT FROM bounded b JOIN pg_class c ON c.oid = b.oid WHERE c.relrowsecurity), \
       EXISTS (SELECT FROM judged j WHERE CASE WHEN j.named THEN j.provolatile = 'v' OR NOT j.of_extension \
         ELSE j.provolatile <> 'v' AND NOT j.of_extension END), \
       current_setting('pg_stat_statements.track', true), \
       EXISTS (SELECT FROM bounded b JOIN pg_foreign_table t ON t.ftrelid = b.oid \
         JOIN pg_foreign_server s ON s.oid = t.ftserver JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw \
         WHERE w.fdwname NOT IN ('postgres_fdw', 'file_fdw') OR EXISTS (SELECT FROM unnest(s.srvoptions || t.ftoptions) option \
           WHERE option LIKE 'use\\_remote\\_estimate=%' AND option <> 'use_remote_estimate=false'))",
            $columns
        )
    };
}
/// What planning would touch: relations that the names can mean, with what views and partitions lead to.
///
/// Of these: locks it takes, locks there are for one transaction, whether row security is on, whether it reaches a
/// function that is not the server's nor an extension's, or a volatile one outside the catalogue; `track`; and whether
/// planning could ask another server. What has no name in a text counts wherever it is: casts, defaults and checks of domains,
/// keys of partitions, expressions with statistics. Checks of domains run also where they are volatile, when a parameter of an
/// `EXECUTE` is one.
pub(super) const PREFLIGHT: &str = preflight!("", "");
/// The same with the sizes of the tables ([`ReachedTables`]), which our function does not ask for.
pub(super) const PREFLIGHT_WITH_SIZES: &str = preflight!(
    ", sized AS (SELECT n.nspname::text AS schema, c.relname::text AS name, CASE WHEN c.relkind IN ('r', 'p', 'm', 'f') \
         AND (c.reltuples > 0 OR c.reltuples = 0 AND (c.relpages > 0 \
           OR current_setting('server_version_num')::int4 >= 140000)) THEN c.reltuples::float8 END AS size_in_rows, \
         CASE WHEN c.relpages > 0 THEN c.relpages::int8 END AS size_in_pages, \
         (SELECT m.nspname || '.' || p.relname FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhparent \
           JOIN pg_namespace m ON m.oid = p.relnamespace WHERE h.inhrelid = c.oid ORDER BY h.inhseqno LIMIT 1) AS parent \
       FROM bounded b JOIN pg_class c ON c.oid = b.oid JOIN pg_namespace n ON n.oid = c.relnamespace \
       ORDER BY c.relkind = 'p' DESC, c.reltuples DESC LIMIT 257)",
    ", t.* \
     FROM (SELECT array_agg(s.schema), array_agg(s.name), array_agg(s.size_in_rows), array_agg(s.size_in_pages), \
       array_agg(s.parent) FROM sized s) t (schemas, names, size_in_rows, size_in_pages, parents)"
);
/// Where the columns of [`PREFLIGHT_WITH_SIZES`] begin that tell the sizes.
pub(super) const FIRST_OF_TABLES: usize = 7;

/// Tables that a statement reaches.
#[derive(Debug, Default)]
pub(super) struct ReachedTables {
    pub(super) tables: Arc<[PlanTable]>,
    /// Whether there are more than [`MAX_PLAN_TABLES`].
    pub(super) is_cut: bool,
}

// === impl ReachedTables ===

impl ReachedTables {
    /// Five columns of a row from this one on, each a list; of no table they are NULL.
    pub(super) fn of(row: &PgRow, first: usize) -> Result<Self, sqlx::Error> {
        let schemas: Vec<String> = row.try_get::<Option<_>, _>(first)?.unwrap_or_default();
        let names: Vec<String> = row.try_get::<Option<_>, _>(first + 1)?.unwrap_or_default();
        let rows: Vec<Option<f64>> = row.try_get::<Option<_>, _>(first + 2)?.unwrap_or_default();
        let pages: Vec<Option<i64>> = row.try_get::<Option<_>, _>(first + 3)?.unwrap_or_default();
        let parents: Vec<Option<String>> = row.try_get::<Option<_>, _>(first + 4)?.unwrap_or_default();
        let is_cut = names.len() > MAX_PLAN_TABLES;
        let sizes = rows.into_iter().zip(pages).zip(parents);
        let tables = schemas.into_iter().zip(names).zip(sizes).take(MAX_PLAN_TABLES);
        let tables = tables.map(|((schema, name), ((rows, pages), parent))| PlanTable {
            schema: schema.into(),
            name: name.into(),
            rows,
            pages,
            parent: parent.map(Into::into),
        });
        Ok(Self { tables: tables.collect(), is_cut })
    }
}
