//! Tables, columns, constraints, indexes and statistics objects of the connected database, as definitions to compare.
//!
//! Promises:
//! * no reading waits for a lock: `pg_get_expr`, which takes one on the table in newer versions, is called only for tables that
//!   nobody has or wants to himself; the others are left to the next reading. `pg_get_indexdef` and its like are not called;
//! * the marks are one pass over the catalogue, without a text of any object, and are left alone where the server says that
//!   nothing was written there; definitions are read only of objects whose mark is another one;
//! * expressions are masked here, row by row: what leaves this module holds no literal of a default, a constraint, an
//!   index or a statistics object, only a hash of all of them.

use std::collections::{BTreeMap, HashMap};

use dbintel_model::{DdlObject, Text};
use dbintel_plan::sql::{MaskLimits, Masker};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments as _, Row as _};
use xxhash_rust::xxh3::xxh3_64;

use super::connection::{Connection, Limits};
use super::error::QueryError;
use super::facts::Facts;
use super::meter::{Rows, Select};
use super::sql::arguments;
use crate::state::schema::{
    Definition, Definitions, MAX_DEFINITION_ROWS, MAX_OBJECTS, Mark, ObjectId, ObjectName, Part, Reading,
    Space,
};

/// Characters of an expression that are read.
const MAX_EXPRESSION_CHARS: usize = 4_000;
/// Bytes of a masked expression.
const MAX_MASKED_BYTES: usize = 500;
/// What makes an expression a text of which it is known that it may leave.
const AS_STATEMENT: &str = "SELECT ";

/// Marks of every table, index and statistics object.
///
/// # Errors
/// [`QueryError`]
pub async fn marks(connection: &mut Connection, limits: Limits) -> Result<Reading, QueryError> {
    let mut reading = Reading::default();
    let take = |row: &PgRow| {
        let (space, object) = kind(row.try_get(0)?);
        let (schema, name): (String, String) = (row.try_get(1)?, row.try_get(2)?);
        let name = ObjectName { space, schema: schema.into(), name: name.into() };
        reading.marks.insert(name, Mark { id: row.try_get(3)?, object, mark: row.try_get(4)? });
        Ok(())
    };
    let text = marks_text();
    connection.stream("schema marks", limits, Select::perhaps(&text), PgArguments::default(), take).await?;
    if reading.marks.len() > MAX_OBJECTS {
        reading.marks.pop_last();
        reading.is_cut = true;
    }
    Ok(reading)
}

/// Whether [`rows_written`] can be asked.
#[must_use]
pub const fn counts_writes(facts: &Facts) -> bool {
    facts.version_number >= WRITES_COUNTED_SINCE
}

/// How many rows of the catalogue that [`marks`] reads were ever written, as the server's statistics have it. `None` where they
/// do not say that nothing was: a standby counts what it writes itself, which is nothing. A backend counts what it wrote when
/// its transaction has ended, or within ten seconds after that. What VACUUM and ANALYZE write in place is not counted.
///
/// For servers that have it ([`counts_writes`]).
///
/// # Errors
/// [`QueryError`]
pub async fn rows_written(connection: &mut Connection, limits: Limits) -> Result<Option<i64>, QueryError> {
    let read = connection.first("schema rows written", limits, ROWS_WRITTEN, |row| row.try_get(0)).await?;
    Ok(read.flatten())
}

/// The definitions of these objects, of those that are still there and found room.
///
/// # Errors
/// [`QueryError`]
pub async fn definitions(
    connection: &mut Connection,
    limits: Limits,
    facts: &Facts,
    wanted: &[ObjectId],
) -> Result<Definitions, QueryError> {
    let of = |space| wanted.iter().filter(move |id| id.0 == space).map(|id| id.1).collect::<Vec<i64>>();
    let (relations, statistics) = (of(Space::Relations), of(Space::Statistics));
    let arguments = arguments(|arguments| {
        arguments.add(relations)?;
        arguments.add(statistics)
    })?;
    let mut masker = Masker::new(MaskLimits { max_text_bytes: MAX_MASKED_BYTES, ..MaskLimits::default() });
    let (mut definitions, mut last, mut rows) = (HashMap::new(), None, 0_usize);
    let take = |row: &PgRow| {
        rows += 1;
        let (space, object) = kind(row.try_get(0)?);
        let id = (space, row.try_get(1)?);
        let table: Option<String> = row.try_get(2)?;
        let (name, text): (String, String) = (row.try_get(3)?, row.try_get(4)?);
        let part = part(&mut masker, text, row.try_get(5)?);
        let new = || Definition { object, table: table.map(Text::from), parts: BTreeMap::new() };
        let definition: &mut Definition = definitions.entry(id).or_insert_with(new);
        definition.parts.insert(name.into(), part);
        last = last.max(Some(id));
        Ok(())
    };
    let text = definitions_text(facts);
    connection.stream("schema", limits, Select::perhaps(&text), arguments, take).await?;
    if rows > MAX_DEFINITION_ROWS {
        // Rows of the last object may be missing.
        last.map(|last| definitions.remove(&last));
    }
    Ok(definitions)
}

/// What is said of an expression is what the masker leaves of it.
fn part(masker: &mut Masker, text: String, expression: Option<String>) -> Part {
    let Some(expression) = expression else { return Part { text: text.into(), values: 0 } };
    let masked = masker.mask(&format!("{AS_STATEMENT}{expression}"));
    let masked = masked.releasable_text().and_then(|masked| masked.strip_prefix(AS_STATEMENT)).unwrap_or("?");
    Part { text: format!("{text} {masked}").into(), values: xxh3_64(expression.as_bytes()) }
}

/// The first column of both statements.
const fn kind(number: i32) -> (Space, DdlObject) {
    match number {
        0 => (Space::Relations, DdlObject::Table),
        1 => (Space::Relations, DdlObject::Index),
        _ => (Space::Statistics, DdlObject::Statistics),
    }
}

// === The texts ===

/// First server version whose backends bring what they have written into the shared statistics themselves.
const WRITES_COUNTED_SINCE: u32 = 150_000;

const ROWS_WRITTEN: &str = "SELECT CASE WHEN NOT pg_is_in_recovery() AND current_setting('track_counts')::bool THEN \
     sum(pg_stat_get_tuples_inserted(c) + pg_stat_get_tuples_updated(c) + pg_stat_get_tuples_deleted(c))::int8 END \
     FROM unnest('{pg_class,pg_namespace,pg_attribute,pg_constraint,pg_index,pg_statistic_ext}'::regclass[]) c";

/// Kinds of relations that are tables, and indexes.
const TABLES: &str = "'r', 'p', 'm', 'f'";
const INDEXES: &str = "'i', 'I'";
/// The first number that an object can have that is not the server's own.
const FIRST_OWN: &str = "16384";

/// Columns and constraints are looked up by their index for each object: the sizes of a catalogue that nobody has analysed
/// are guessed far too low, and a join of sums becomes one that looks at all of them for each object.
///
/// Temporary objects are left out, and those of the server. The order is that in which a reading is cut: names compare by
/// their bytes. Every row of the catalogue bears the transaction that wrote it; what VACUUM and ANALYZE write there they
/// write in place.
fn marks_text() -> String {
    format!(
        "SELECT o.kind, o.schema::text, o.name::text, o.id, o.mark FROM ( \
           SELECT CASE WHEN c.relkind IN ({TABLES}) THEN 0 ELSE 1 END AS kind, 0 AS space, n.nspname AS schema, \
             c.relname AS name, c.oid::int8 AS id, \
             hashtextextended(concat_ws(' ', c.oid, c.xmin, i.xmin, i.indisvalid, \
               (SELECT sum(hashtext(a.xmin::text) # a.attnum) FROM pg_attribute a \
                 WHERE a.attrelid = c.oid AND a.attnum > 0), \
               CASE WHEN c.relkind IN ({TABLES}) THEN (SELECT sum(hashtext(k.xmin::text) # hashoid(k.oid)) \
                 FROM pg_constraint k WHERE k.conrelid = c.oid) END), 0) AS mark \
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             LEFT JOIN pg_index i ON i.indexrelid = c.oid \
           WHERE c.oid >= {FIRST_OWN} AND c.relkind IN ({TABLES}, {INDEXES}) AND c.relpersistence <> 't' \
             AND n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema') \
           UNION ALL SELECT 2, 1, n.nspname, s.stxname, s.oid::int8, hashtextextended(concat_ws(' ', s.oid, s.xmin), 0) \
           FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE s.oid >= {FIRST_OWN}) o \
         ORDER BY o.space, o.schema, o.name LIMIT {}",
        MAX_OBJECTS + 1
    )
}

/// One row for each part of an object: kind, number, table it is on, name of the part, what it is, and what of that can
/// hold literals.
fn definitions_text(facts: &Facts) -> String {
    let expressions = if facts.has_column("pg_statistic_ext", "stxexprs") {
        "pg_get_expr(s.stxexprs, s.stxrelid)"
    } else {
        "NULL::text"
    };
    let parts = [
        RELATIONS.to_owned(),
        COLUMNS.to_owned(),
        CONSTRAINTS.to_owned(),
        INDEX.to_owned(),
        STATISTICS.replace("ITS_EXPRESSIONS", expressions),
    ];
    let parts = parts.join(" UNION ALL ").replace("KINDS_OF_TABLES", TABLES);
    format!(
        "WITH locked AS MATERIALIZED ({LOCKED}) \
         SELECT p.kind, p.id::int8, p.of_table, p.part::text, p.plain, left(p.expression, {MAX_EXPRESSION_CHARS}) \
         FROM ({parts}) p ORDER BY p.kind = 2, p.id LIMIT {}",
        MAX_DEFINITION_ROWS + 1
    )
}

/// Tables that somebody has to himself, or waits to have.
const LOCKED: &str = "SELECT relation FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND locktype = 'relation' \
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

const RELATIONS: &str = "SELECT 0 AS kind, c.oid AS id, NULL::text AS of_table, '' AS part, concat_ws(', ', \
       CASE c.relkind WHEN 'p' THEN 'partitioned table' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' \
         ELSE 'table' END, \
       CASE c.relpersistence WHEN 'u' THEN 'unlogged' END, CASE WHEN c.relrowsecurity THEN 'row security' END, \
       CASE WHEN c.relforcerowsecurity THEN 'row security forced' END, array_to_string(c.reloptions, ', '), \
       (SELECT 'child of ' || string_agg(n.nspname || '.' || p.relname, ', ' ORDER BY h.inhseqno) FROM pg_inherits h \
         JOIN pg_class p ON p.oid = h.inhparent JOIN pg_namespace n ON n.oid = p.relnamespace \
         WHERE h.inhrelid = c.oid)) AS plain, NULL::text AS expression \
     FROM pg_class c WHERE c.oid = ANY($1::oid[]) AND c.relkind IN (KINDS_OF_TABLES) \
       AND c.oid NOT IN (SELECT relation FROM locked)";

const COLUMNS: &str = "SELECT 0, c.oid, NULL, 'column ' || a.attname, concat_ws(' ', \
       format_type(a.atttypid, a.atttypmod), CASE WHEN a.attcollation <> t.typcollation THEN 'collate ' || l.collname END, \
       CASE WHEN a.attnotnull THEN 'not null' END, CASE WHEN a.attstattarget >= 0 THEN 'statistics ' || a.attstattarget END, \
       array_to_string(a.attoptions, ' '), CASE WHEN a.attidentity <> '' THEN 'identity' END, \
       CASE WHEN a.attgenerated <> '' THEN 'generated' WHEN d.oid IS NOT NULL THEN 'default' END), \
       pg_get_expr(d.adbin, d.adrelid) \
     FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
       JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_collation l ON l.oid = a.attcollation \
       LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
     WHERE c.oid = ANY($1::oid[]) AND c.relkind IN (KINDS_OF_TABLES) AND c.oid NOT IN (SELECT relation FROM locked)";

/// Others are told by their indexes and columns.
const CONSTRAINTS: &str = "SELECT 0, k.conrelid, NULL, 'constraint ' || k.conname, concat_ws(' ', \
       CASE k.contype WHEN 'f' THEN 'foreign key (' || (SELECT string_agg(a.attname, ', ' ORDER BY x.place) \
           FROM unnest(k.conkey) WITH ORDINALITY x (number, place) \
           JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = x.number) \
         || ') references ' || (SELECT n.nspname || '.' || f.relname FROM pg_class f JOIN pg_namespace n \
           ON n.oid = f.relnamespace WHERE f.oid = k.confrelid) ELSE 'check' END, \
       CASE WHEN NOT k.convalidated THEN 'not valid' END), \
       CASE k.contype WHEN 'c' THEN pg_get_expr(k.conbin, k.conrelid) END \
     FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid \
     WHERE k.conrelid = ANY($1::oid[]) AND k.contype IN ('c', 'f') AND c.relkind IN (KINDS_OF_TABLES) \
       AND c.oid NOT IN (SELECT relation FROM locked)";

const INDEX: &str = "SELECT 1, i.indexrelid, n.nspname || '.' || t.relname, '', concat_ws(' ', \
       CASE WHEN i.indisprimary THEN 'primary key' WHEN i.indisunique THEN 'unique' END, m.amname, \
       '(' || k.keys || ')', 'include (' || k.included || ')', array_to_string(c.reloptions, ', '), \
       CASE WHEN NOT i.indisvalid THEN 'invalid' END), \
       nullif(concat_ws(' ', 'on ' || pg_get_expr(i.indexprs, i.indrelid), 'where ' || pg_get_expr(i.indpred, i.indrelid)), '') \
     FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam \
       JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace \
       CROSS JOIN LATERAL (SELECT \
         string_agg(concat_ws(' ', coalesce(a.attname::text, '(expression)'), o.opcname, \
             CASE WHEN i.indoption[(x.place - 1)::int] & 1 = 1 THEN 'desc' END), ', ' ORDER BY x.place) \
           FILTER (WHERE x.place <= i.indnkeyatts) AS keys, \
         string_agg(a.attname, ', ' ORDER BY x.place) FILTER (WHERE x.place > i.indnkeyatts) AS included \
         FROM unnest(i.indkey) WITH ORDINALITY x (number, place) \
         LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = x.number AND x.number <> 0 \
         LEFT JOIN pg_opclass o ON o.oid = i.indclass[(x.place - 1)::int] AND NOT o.opcdefault) k \
     WHERE i.indexrelid = ANY($1::oid[]) AND i.indrelid NOT IN (SELECT relation FROM locked)";

const STATISTICS: &str = "SELECT 2, s.oid, n.nspname || '.' || t.relname, '', concat_ws(' ', \
       (SELECT string_agg(CASE x.kind WHEN 'd' THEN 'ndistinct' WHEN 'f' THEN 'dependencies' WHEN 'm' THEN 'mcv' \
           WHEN 'e' THEN 'expressions' ELSE x.kind::text END, ', ') FROM unnest(s.stxkind) x (kind)), \
       '(' || (SELECT string_agg(a.attname, ', ' ORDER BY x.place) FROM unnest(s.stxkeys) WITH ORDINALITY x (number, place) \
         JOIN pg_attribute a ON a.attrelid = s.stxrelid AND a.attnum = x.number) || ')', \
       CASE WHEN s.stxstattarget >= 0 THEN 'statistics ' || s.stxstattarget END), \
       'on ' || ITS_EXPRESSIONS \
     FROM pg_statistic_ext s JOIN pg_class t ON t.oid = s.stxrelid JOIN pg_namespace n ON n.oid = t.relnamespace \
     WHERE s.oid = ANY($2::oid[]) AND s.stxrelid NOT IN (SELECT relation FROM locked)";

/// Every statement of this module, by the name of what it reads.
#[must_use]
pub(super) fn texts(facts: &Facts) -> Vec<(&'static str, String, Rows)> {
    let written =
        counts_writes(facts).then(|| ("schema rows written", ROWS_WRITTEN.to_owned(), Rows::Always));
    let read =
        [("schema marks", marks_text(), Rows::Perhaps), ("schema", definitions_text(facts), Rows::Perhaps)];
    written.into_iter().chain(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_literal_of_an_expression_is_in_a_part_but_another_one_makes_another_part() {
        let mut masker = Masker::new(MaskLimits::default());
        let mut of = |expression: &str| part(&mut masker, "btree (a)".into(), Some(expression.to_owned()));
        let (one, other) = (of("where (status = 'canary'::text)"), of("where (status = 'second'::text)"));
        assert_eq!(&*one.text, "btree (a) where (status = ?::text)");
        assert!(one.text == other.text && one != other);
        for cut in 0..=one.text.len() {
            let expression: String =
                "where (s = ANY (ARRAY['can''ary', E'c\\'anary', $$canary$$]) AND n > 4711)"
                    .chars()
                    .take(cut)
                    .collect();
            let text = of(&expression).text;
            assert!(!text.contains("ary") && !text.contains("47"), "{text}");
        }
        assert_eq!(&*of("'canary'; CREATE USER a PASSWORD 'canary'").text, "btree (a) ?");
        assert_eq!(part(&mut masker, "text not null".into(), None).values, 0);
    }
}
