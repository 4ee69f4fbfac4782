//! Guarantees: the kind of each statement, and which text stays inside.

use super::{
    super::{StatementKind, StatementKind::*, invariants},
    masked,
};

#[track_caller]
fn check(input: &str, expected: StatementKind) {
    let masked = masked(input);
    assert_eq!(masked.kind, expected, "{input}");
    assert_eq!(masked.text_may_leave(), expected.text_may_leave(), "{input}");
    assert_eq!(masked.releasable_text().is_some(), expected.text_may_leave(), "{input}");
    invariants::check(input);
}

#[test]
fn queries() {
    check("SELECT 1", Select);
    check("((select 1) UNION (SELECT 2))", Select);
    check("/* c */ -- d\n SELECT 1", Select);
    check("INSERT INTO t VALUES (1)", Insert);
    check("UPDATE t SET a = 1", Update);
    check("DELETE FROM t", Delete);
    check("MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE", Merge);
    check("VALUES (1)", Values);
    check("TABLE t", Table);
    check("CALL p(1)", Call);
}

#[test]
fn with_has_the_kind_of_its_main_verb() {
    check("WITH a AS (SELECT 1) SELECT * FROM a", Select);
    check("WITH RECURSIVE a (b) AS (SELECT 1 UNION ALL SELECT b FROM a) SELECT * FROM a", Select);
    check("WITH gone AS (DELETE FROM t RETURNING *) SELECT * FROM gone", Select);
    check("WITH a AS (SELECT 1), b AS MATERIALIZED (SELECT 2) INSERT INTO t SELECT * FROM a", Insert);
    check("WITH a AS NOT MATERIALIZED (SELECT 1) UPDATE t SET a = 1", Update);
    check("WITH a AS (INSERT INTO t VALUES (1) RETURNING *) DELETE FROM u", Delete);
    check("WITH a AS (SELECT 1) MERGE INTO t USING a ON true WHEN MATCHED THEN DO NOTHING", Merge);
    check("WITH a AS (SELECT 1) VALUES (1)", Values);
    check("WITH a AS (SELECT 1) TABLE a", Table);
    check("WITH a AS (SELECT 1) ((SELECT * FROM a))", Select);
    check("(WITH a AS (SELECT 1) SELECT * FROM a)", Select);
    // Verbs that are not reserved can be names.
    check("WITH update AS (SELECT 1), delete AS (SELECT 2) SELECT * FROM update", Select);
    check("WITH a AS (SELECT 1) SEARCH DEPTH FIRST BY b SET c DELETE FROM t", Delete);
    // Cut before the verb is known.
    check("WITH a AS (SELECT 1)", Other);
    check("WITH a AS (SELECT 'x", Other);
}

#[test]
fn explain() {
    check("EXPLAIN SELECT 1", Explain);
    check("EXPLAIN ANALYZE VERBOSE UPDATE t SET a = 1", Explain);
    check("EXPLAIN (ANALYZE, BUFFERS on, FORMAT json) WITH a AS (SELECT 1) TABLE a", Explain);
    check("EXPLAIN (SELECT 1)", Explain);
    check("EXPLAIN EXECUTE p('secret')", ExplainOther);
    check("EXPLAIN (ANALYZE) EXECUTE p('secret')", ExplainOther);
    check("EXPLAIN CREATE TABLE t AS SELECT 1", ExplainOther);
    check("EXPLAIN DECLARE c CURSOR FOR SELECT 1", ExplainOther);
    check("EXPLAIN (ANALYZE, BUF", ExplainOther);
    check("EXPLAIN", ExplainOther);
}

#[test]
fn transactions_and_sessions() {
    check("BEGIN ISOLATION LEVEL SERIALIZABLE", Begin);
    check("START TRANSACTION", Begin);
    check("COMMIT", Commit);
    check("END", Commit);
    check("COMMIT PREPARED 'gid'", Commit);
    check("ROLLBACK", Rollback);
    check("ABORT", Rollback);
    check("ROLLBACK TO s", Rollback);
    check("SAVEPOINT s", Savepoint);
    check("RELEASE SAVEPOINT s", Release);
    check("PREPARE TRANSACTION 'gid'", PrepareTransaction);
    check("SET application_name = bob", Set);
    check("SET LOCAL a.b TO 'c'", Set);
    check("RESET ALL", Reset);
    check("SHOW ALL", Show);
    check("DISCARD ALL", Discard);
    check("LOCK TABLE t IN SHARE MODE", Lock);
    check("CHECKPOINT", Checkpoint);
    check("LISTEN user_4711", Listen);
    check("UNLISTEN *", Unlisten);
    check("NOTIFY user_4711, 'hello'", Notify);
}

#[test]
fn prepared_statements_and_cursors() {
    check("PREPARE p (int) AS SELECT $1", Prepare);
    check("EXECUTE p('secret')", Execute);
    check("DEALLOCATE p", Deallocate);
    check("DECLARE c CURSOR FOR SELECT 1", Declare);
    check("FETCH 10 FROM c", Fetch);
    check("MOVE 10 FROM c", Move);
    check("CLOSE c", Close);
}

#[test]
fn roles() {
    check("CREATE ROLE bob PASSWORD 'secret'", CreateRole);
    check("CREATE USER bob WITH PASSWORD 'secret'", CreateRole);
    check("CREATE GROUP g", CreateRole);
    check("CREATE USER \"bob\" PASSWORD 'secret'", CreateRole);
    check("CREATE USER", CreateRole);
    check("ALTER ROLE bob PASSWORD 'secret'", AlterRole);
    check("ALTER USER bob SET a = b", AlterRole);
    check("ALTER GROUP g ADD USER bob", AlterRole);
    check("ALTER USER ALL RESET ALL", AlterRole);
    check("CREATE USER MAPPING FOR bob SERVER s OPTIONS (password 'secret')", DdlOther);
    check("ALTER USER MAPPING FOR bob SERVER s OPTIONS (SET password 'secret')", DdlOther);
}

#[test]
fn data_definition() {
    check("CREATE TABLE t (a int DEFAULT 1)", Ddl);
    check("CREATE TABLE t AS SELECT 1", Ddl);
    check("CREATE TEMPORARY TABLE IF NOT EXISTS t (a int)", Ddl);
    check("CREATE UNLOGGED TABLE t (a int)", Ddl);
    check("CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)", Ddl);
    check("CREATE OR REPLACE VIEW v AS SELECT 1", Ddl);
    check("CREATE MATERIALIZED VIEW v AS SELECT 1", Ddl);
    check("CREATE SEQUENCE s", Ddl);
    check("CREATE SCHEMA s", Ddl);
    check("ALTER TABLE t ADD COLUMN a int", Ddl);
    check("ALTER INDEX i RENAME TO j", Ddl);
    check("DROP TABLE t", Ddl);
    check("DROP ROLE bob", Ddl);
    check("DROP FUNCTION f(int)", Ddl);
    check("TRUNCATE t", Ddl);
    check("REINDEX TABLE t", Ddl);
    check("CLUSTER t USING i", Ddl);
    check("REFRESH MATERIALIZED VIEW v", Ddl);
}

#[test]
fn data_definition_that_stays_inside() {
    check("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$", DdlOther);
    check("CREATE OR REPLACE PROCEDURE p() AS 'x' LANGUAGE plpgsql", DdlOther);
    check("CREATE FUNCTION f() RETURNS int RETURN 1", DdlOther);
    check("CREATE SUBSCRIPTION s CONNECTION 'password=secret' PUBLICATION p", DdlOther);
    check("ALTER SUBSCRIPTION s CONNECTION 'password=secret'", DdlOther);
    check("CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'x')", DdlOther);
    check("CREATE FOREIGN TABLE t (a int) SERVER s OPTIONS (password 'x')", DdlOther);
    check("CREATE FOREIGN DATA WRAPPER w OPTIONS (a 'b')", DdlOther);
    check("ALTER SYSTEM SET a = secret", DdlOther);
    check("ALTER DATABASE d SET a = secret", DdlOther);
    check("ALTER FUNCTION f() SET a = secret", DdlOther);
    check("CREATE TRIGGER t AFTER UPDATE ON t EXECUTE FUNCTION f('x')", DdlOther);
    check("CREATE TABLE t AS EXECUTE p('secret')", DdlOther);
    check("CREATE EXTENSION e", DdlOther);
    check("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO bob", DdlOther);
    check("REASSIGN OWNED BY a TO b", DdlOther);
    check("CREATE", DdlOther);
    check("CREATE OR REPLACE", DdlOther);
    check("ALTER \"TABLE\" t", DdlOther);
}

#[test]
fn other_statements() {
    check("COPY t FROM STDIN", Copy);
    check("COPY (SELECT 'secret') TO STDOUT", Copy);
    check("DO $$ BEGIN END $$", Do);
    check("COMMENT ON TABLE t IS 'secret'", Comment);
    check("GRANT SELECT ON t TO bob", Grant);
    check("REVOKE ALL ON t FROM bob", Revoke);
    check("VACUUM (ANALYZE) t", Vacuum);
    check("ANALYZE t", Analyze);
    check("ANALYSE t", Analyze);
    check("SECURITY LABEL ON TABLE t IS 'x'", SecurityLabel);
    check("IMPORT FOREIGN SCHEMA s FROM SERVER f INTO i", Import);
}

#[test]
fn unknown_and_empty() {
    check("SELEC", Other);
    check("x > 1", Other);
    check("a := 1", Other);
    check("LOAD 'x'", Other);
    check("'SELECT'", Other);
    check("\"select\" 1", Other);
    check("$1", Other);
    check(")", Other);
    check("((", Other);
    check("", Empty);
    check(" \n;; -- x", Empty);
    check("/* x", Empty);
}

/// A second list beside the match, so that a change of one alone is noticed.
#[test]
fn the_kinds_whose_text_stays_inside() {
    let stay: Vec<_> = StatementKind::ALL.into_iter().filter(|kind| !kind.text_may_leave()).collect();
    let expected = [
        ExplainOther,
        Set,
        Copy,
        Do,
        CreateRole,
        AlterRole,
        Comment,
        DdlOther,
        Execute,
        Listen,
        Unlisten,
        Notify,
        SecurityLabel,
        Import,
        Other,
    ];
    assert_eq!(stay, expected);
}

#[test]
fn one_statement_that_stays_keeps_all_inside() {
    for (text, may_leave) in [
        ("SELECT 1; SELECT 2", true),
        ("SELECT 1; SET a = b", false),
        ("SELECT 1; SELECT 2; ALTER ROLE bob PASSWORD 'x'; SELECT 3", false),
        ("SELECT 1; foo", false),
        ("SET a = b; SELECT 1", false),
        ("SELECT 1;", true),
    ] {
        let masked = masked(text);
        assert_eq!(masked.text_may_leave(), may_leave, "{text}");
        assert_eq!(masked.releasable_text().is_some(), may_leave, "{text}");
    }
    assert_eq!(masked("SELECT 1; SET a = b").kind, Select);
    assert_eq!(masked("; SET a = b; SELECT 1").kind, Set);
}

#[test]
fn names_are_distinct_and_in_form() {
    let mut names: Vec<_> = StatementKind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert!(names.iter().all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), StatementKind::ALL.len());
    for kind in StatementKind::ALL {
        assert!(kind.operation_name().is_none_or(|name| name == name.to_ascii_uppercase()));
    }
}
