//! Guarantees: `db.query.summary` for the usual statements, and that it is bounded and silent where the text is.

use super::{
    super::{MAX_SUMMARY_BYTES, invariants},
    masked,
};

#[track_caller]
fn check(input: &str, expected: &str) {
    assert_eq!(masked(input).summary, expected, "{input}");
    invariants::check(input);
}

#[test]
fn queries() {
    check("SELECT 1", "SELECT");
    check("select * from wuser_table where username = 'x'", "SELECT wuser_table");
    check("SELECT * FROM songs, artists WHERE songs.artist_id = artists.id", "SELECT songs artists");
    check(
        "SELECT * FROM \"song list\" s, public.\"Artists\" AS a",
        "SELECT \"song list\" public.\"Artists\"",
    );
    check("SELECT * FROM a JOIN b USING (id) LEFT OUTER JOIN c.d x ON x.i = a.i, e", "SELECT a b c.d e");
    check("SELECT * FROM (a JOIN b ON true) JOIN ONLY c ON true", "SELECT a b c");
    check(
        "SELECT d FROM (SELECT * FROM orders o JOIN customers c ON o.i = c.i) x",
        "SELECT SELECT orders customers",
    );
    check("SELECT a FROM t WHERE b IN (SELECT c FROM u) ORDER BY a, b", "SELECT t SELECT u");
    check("SELECT a FROM t UNION ALL SELECT b FROM u", "SELECT t SELECT u");
    check("SELECT * FROM t, LATERAL (SELECT * FROM u) v", "SELECT t SELECT u");
    check("SELECT * FROM t FOR UPDATE OF t", "SELECT t");
    check("SELECT * FROM role, user_group", "SELECT role user_group");
    check("TABLE t", "TABLE t");
    check("VALUES (1)", "VALUES");
}

#[test]
fn from_is_not_always_a_clause() {
    check("SELECT extract(year FROM ts), trim(both FROM x), a FROM t", "SELECT t");
    check("SELECT a IS DISTINCT FROM b FROM t", "SELECT t");
    check("SELECT substring(a FROM 2 FOR 3) FROM t", "SELECT t");
}

#[test]
fn changes() {
    check(
        "INSERT INTO shipping_details (a, b) SELECT c, d FROM orders",
        "INSERT shipping_details SELECT orders",
    );
    check("INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = 1", "INSERT t");
    check("UPDATE ONLY t SET a = u.a FROM u, v WHERE t.b = u.b", "UPDATE t u v");
    check("DELETE FROM t USING u, v WHERE t.a = u.a", "DELETE t u v");
    check("MERGE INTO t USING s ON true WHEN MATCHED THEN UPDATE SET a = 1", "MERGE t s");
    check(
        "WITH a AS (DELETE FROM t RETURNING *) INSERT INTO u SELECT * FROM a",
        "DELETE t INSERT u SELECT a",
    );
}

#[test]
fn other_statements() {
    check("CREATE TABLE IF NOT EXISTS s.t (a int)", "CREATE TABLE s.t");
    check("CREATE TABLE t AS SELECT * FROM u", "CREATE TABLE t SELECT u");
    check("CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)", "CREATE INDEX i");
    check("CREATE INDEX ON t (a)", "CREATE INDEX t");
    check("CREATE OR REPLACE VIEW v AS SELECT * FROM t", "CREATE VIEW v SELECT t");
    check("ALTER TABLE ONLY t ADD COLUMN a int", "ALTER TABLE t");
    check("DROP TABLE IF EXISTS t, u", "DROP TABLE t");
    check("TRUNCATE TABLE t", "TRUNCATE TABLE t");
    check("REFRESH MATERIALIZED VIEW CONCURRENTLY v", "REFRESH MATERIALIZED VIEW v");
    check("VACUUM (VERBOSE, ANALYZE) t", "VACUUM t");
    check("ANALYZE t (a)", "ANALYZE t");
    check("CALL s.p(1)", "CALL s.p");
    check("EXPLAIN ANALYZE UPDATE t SET a = 1", "EXPLAIN UPDATE t");
    check("DECLARE c CURSOR FOR SELECT * FROM t", "DECLARE SELECT t");
    check("BEGIN", "BEGIN");
    check("BEGIN; UPDATE t SET a = 1; COMMIT", "BEGIN UPDATE t COMMIT");
    check("", "");
}

#[test]
fn only_the_operation_if_the_text_stays_inside() {
    check("CREATE ROLE bob PASSWORD 'x'", "CREATE ROLE");
    check("COPY t FROM STDIN", "COPY");
    check("CREATE FUNCTION f() RETURNS int AS ''", "");
    check("SELECT * FROM t; SET a = bob", "SELECT");
    check("gibberish FROM t", "");
}

#[test]
fn bounded_without_partial_names() {
    let name = "n".repeat(60);
    let text = format!("SELECT * FROM {name}, {name}, {name}, {name}, {name}, t");
    assert_eq!(masked(&text).summary, format!("SELECT {name} {name} {name} {name}"));
    let text = format!("SELECT * FROM {}.b, c", "n".repeat(MAX_SUMMARY_BYTES - 7));
    assert_eq!(masked(&text).summary, "SELECT");
    let text = format!("SELECT * FROM {}", "n".repeat(MAX_SUMMARY_BYTES - 7));
    assert_eq!(masked(&text).summary.len(), MAX_SUMMARY_BYTES);
}
