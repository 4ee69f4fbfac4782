//! `dbintel.explain`, installed by the script that `dbintel doctor --plan-function` prints: what it gives a role that has no
//! rights, that a thief of that role gets nothing more, and that nothing is left when it is removed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, which clippy sees only in functions marked as such"
)]

mod support;

use dbintel_model::{PlanIdentity, PlanRung};
use dbintel_receiver_postgresql::config::{Settings, validate};
use dbintel_receiver_postgresql::examine;
use dbintel_receiver_postgresql::query::plans::{create_script, drop_script};
use dbintel_testkit::postgres::{Cluster, Major, Options};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Row as _};
use support::Watched;
use support::client::{Busy, send};
use support::settings::{cluster, yaml};

const PLANS: (&str, &str) =
    ("plan_collection", "{enabled: true, collection_interval: 1s, max_per_collection: 100}");
const MISSING: &str = "dbintel_plans_missing";
const MAJORS: [Major; 3] = [Major::V13, Major::V16, Major::V18];

/// Tables on which the collector's role has no rights, and functions of other people that planning would run.
const WORLD: &str = "
CREATE SCHEMA shop;
CREATE TABLE shop.account (id int PRIMARY KEY, owner text, secret text);
INSERT INTO shop.account SELECT n, 'o' || n, 'canary-' || n FROM generate_series(1, 1000) n;
CREATE TABLE shop.marks (id int);
CREATE FUNCTION shop.tells() RETURNS text LANGUAGE plpgsql IMMUTABLE AS
    'BEGIN RETURN (SELECT secret FROM shop.account WHERE id = 7); END';
CREATE FUNCTION shop.\"Speaks Out\"() RETURNS text LANGUAGE plpgsql IMMUTABLE AS
    'BEGIN RETURN (SELECT secret FROM shop.account WHERE id = 7); END';
CREATE FUNCTION shop.marks_it(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
    'BEGIN PERFORM nextval(''shop.effects''); RETURN n; END';
CREATE SEQUENCE shop.effects;
CREATE FUNCTION shop.compares(text, text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
    'BEGIN RETURN $1 = (SELECT secret FROM shop.account WHERE id = 7); END';
CREATE OPERATOR shop.=== (FUNCTION = shop.compares, LEFTARG = text, RIGHTARG = text);
CREATE VIEW shop.behind AS SELECT shop.tells() AS told;
ANALYZE shop.account;
GRANT USAGE ON SCHEMA shop TO dbintel;
ALTER ROLE postgres SET search_path = shop, public";

/// What the application runs: statements that read, write and lock rows.
const STATEMENTS: [&str; 5] = [
    "SELECT owner FROM account WHERE id = $1",
    "SELECT owner FROM account WHERE id = $1 FOR UPDATE",
    "UPDATE account SET owner = secret WHERE id = $1",
    "INSERT INTO account (id) VALUES ($1) ON CONFLICT DO NOTHING",
    "WITH gone AS (DELETE FROM account WHERE id = $1 AND owner IS NULL RETURNING id) SELECT count(*) FROM gone",
];

async fn world(major: Major) -> Cluster {
    let options = Options::new()
        .setting("log_line_prefix", "by %u: ")
        .setting("autovacuum", "off")
        .setting("pg_stat_statements.track", "all");
    let cluster = cluster(major, options).await;
    cluster.execute("postgres", WORLD).await;
    cluster
}

async fn run_statements(cluster: &Cluster) {
    let mut client = cluster.connect("postgres").await;
    for statement in STATEMENTS {
        sqlx::query(statement).bind(3_i32).execute(&mut client).await.unwrap();
    }
}

/// Lines of the log that our role caused.
fn our_lines(cluster: &Cluster) -> Vec<String> {
    let log = cluster.log();
    log.lines().filter(|line| line.starts_with("by dbintel")).map(str::to_owned).collect()
}

/// A role without any right on the tables has no plan; with the function it has all of them, and nothing is left behind.
async fn rights_of_its_own(major: Major) {
    let cluster = world(major).await;
    let rights = "SELECT count(*) FROM information_schema.table_privileges WHERE grantee = 'dbintel' \
        AND table_schema IN ('shop', 'public')";
    let mut watched = Watched::start(&yaml(cluster.port(), &[PLANS]));
    watched.baseline().await;
    run_statements(&cluster).await;
    watched.query("INTO account").await;
    let privilege = [("reason", "insufficient_privilege")];
    watched.until_own(MISSING, &privilege, |count| count >= STATEMENTS.len() as f64).await;
    assert!(watched.plans.lock().is_empty(), "{major}");
    watched.stop().await;

    cluster.execute("postgres", &create_script("dbintel")).await;
    let rows: i64 = cluster.scalar("postgres", "SELECT count(*) FROM shop.account").await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[PLANS]));
    watched.baseline().await;
    run_statements(&cluster).await;
    let xids = "SELECT txid_snapshot_xmax(txid_current_snapshot())";
    let before: i64 = cluster.scalar("postgres", xids).await;
    for part in [
        "WHERE id = $1 FOR UPDATE",
        "UPDATE account",
        "INTO account",
        "DELETE FROM account",
        "owner FROM account",
    ] {
        let plan = watched.plan(part).await;
        let identity = if major >= Major::V14 { PlanIdentity::Proven } else { PlanIdentity::Unproven };
        let rung = if major >= Major::V16 { PlanRung::Generic } else { PlanRung::GenericNulls };
        assert_eq!((plan.identity, plan.rung), (identity, rung), "{major}: {part}");
        let raw = std::str::from_utf8(&plan.raw).unwrap();
        assert!(raw.contains("\"account\"") && !raw.contains("Actual"), "{major}: {raw}");
    }
    assert_eq!(cluster.scalar::<i64>("postgres", xids).await, before, "{major}: no transaction id is used");
    assert_eq!(cluster.scalar::<i64>("postgres", "SELECT count(*) FROM shop.account").await, rows);
    assert_eq!(cluster.scalar::<i64>("postgres", rights).await, 0, "{major}");
    let ours = "SELECT count(*) FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid \
        WHERE r.rolname IN ('dbintel', 'dbintel_explain')";
    assert_eq!(cluster.scalar::<i64>("postgres", ours).await, 0, "{major}");
    assert_eq!(our_lines(&cluster), Vec::<String>::new(), "{major}");
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_without_rights_gets_plans_by_the_function() {
    for major in MAJORS {
        rights_of_its_own(major).await;
    }
}

/// Calls the function as whoever has the collector's role would, in a transaction that may write.
async fn call(client: &mut PgConnection, statement: &str, parameters: i32) -> (String, String) {
    let row = sqlx::query("SELECT code, plan FROM dbintel.explain($1, $2, 'shop, public')")
        .bind(statement)
        .bind(parameters)
        .fetch_one(client)
        .await
        .unwrap_or_else(|error| panic!("{error} of {statement}"));
    (row.get(0), row.get(1))
}

/// Whoever steals the collector's role can have statements planned and nothing run: no data are changed, and none are told.
async fn stolen(major: Major) {
    let cluster = world(major).await;
    cluster.execute("postgres", &create_script("dbintel")).await;
    let mut thief = cluster.connect_as("dbintel", "postgres").await;
    for (statement, parameters) in STATEMENTS.map(|statement| (statement, 1)).into_iter().chain([
        ("-- SELECT\n/* * / */ (SELECT 1)", 0),
        ("TABLE account", 0),
        ("VALUES (1)", 0),
        ("SELECT * INTO copied FROM account", 0),
    ]) {
        let (code, plan) = call(&mut thief, statement, parameters).await;
        assert!(code == "DBI00" && plan.contains("Node Type"), "{major}: {code} of {statement}");
        assert!(!plan.contains("canary"), "{major}: {plan}");
    }
    // Whatever begins with what is told, and has this code: a refusal of the function, or of the server before it runs.
    const KIND: &[&str] = &["DBI02"];
    const SYNTAX: &[&str] = &["42601"];
    // Before 16 the semicolon is refused where there are parameters, for which a statement is prepared.
    const SEVERAL: &[&str] = &["42P11", "42601", "DBI03"];
    const FUNCTION: &[&str] = &["DBI04"];
    const NAMES: &[&str] = &["DBI03"];
    for (statement, expected) in [
        ("ANALYZE DELETE FROM shop.account", KIND),
        ("ANALYZE SELECT 1", KIND),
        ("(ANALYZE) DELETE FROM shop.account", KIND),
        ("(ANALYZE, FORMAT JSON) SELECT 1", KIND),
        ("VERBOSE SELECT 1", KIND),
        ("; DROP TABLE shop.account", KIND),
        ("", KIND),
        ("/* SELECT */ DELETEs", KIND),
        ("-- SELECT 1", KIND),
        ("/* /* */ SELECT */ DROP TABLE shop.account", KIND),
        ("CREATE TABLE taken AS SELECT * FROM shop.account", KIND),
        ("EXECUTE mine(shop.tells())", KIND),
        ("DECLARE c CURSOR FOR SELECT * FROM shop.account", KIND),
        ("COPY shop.account TO STDOUT", KIND),
        ("DO 'BEGIN DELETE FROM shop.account; END'", KIND),
        ("SET ROLE postgres", KIND),
        ("REFRESH MATERIALIZED VIEW shop.behind", KIND),
        ("SELECT 1; DELETE FROM shop.account", SEVERAL),
        ("SELECT 1; DROP TABLE shop.account; --", SEVERAL),
        ("SELECT 1;; COMMIT; DELETE FROM shop.account", SEVERAL),
        ("DELETE FROM shop.account; SELECT 1", SEVERAL),
        ("WITH (ANALYZE) SELECT 1", SYNTAX),
        ("SELECT 1 ANALYZE DELETE FROM shop.account", SYNTAX),
        ("SELECT shop.tells()", FUNCTION),
        ("SELECT shop.\"Speaks Out\"()", FUNCTION),
        ("SELECT 'a'::text === 'b'", FUNCTION),
        ("SELECT shop . /* */ TELLS --\n ()", FUNCTION),
        ("SELECT * FROM shop.behind", FUNCTION),
        ("SELECT shop.marks_it(1)", FUNCTION),
        ("INSERT INTO shop.marks VALUES (shop.marks_it(1))", FUNCTION),
        ("SELECT shop.U&\"t\\0065lls\"()", NAMES),
        ("SELECT \"a\"\"b\" FROM shop.account", NAMES),
    ] {
        for parameters in [0, 2] {
            let (code, plan) = call(&mut thief, statement, parameters).await;
            assert!(expected.contains(&code.as_str()), "{major}: {code} of {statement} with {parameters}");
            assert_eq!(plan, "", "{major}: {statement}");
        }
    }
    let untouched = "SELECT (SELECT count(*) FROM shop.account) - (SELECT count(*) FROM shop.marks) * 10000 \
        - (SELECT is_called::int FROM shop.effects) * 10000 - (SELECT count(*) FROM pg_class WHERE relname IN ('taken', 'copied')) * 10000";
    assert_eq!(cluster.scalar::<i64>("postgres", untouched).await, 1_000, "{major}");
    let left: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_prepared_statements WHERE name = 'dbintel_plan'")
            .fetch_one(&mut thief)
            .await
            .unwrap();
    assert_eq!(left, 0, "{major}");
    makes_objects(&mut thief, major).await;
    leaves_nothing(&cluster, &mut thief, major).await;
    cast_and_extension(&cluster, &mut thief, major).await;
    assert_eq!(our_lines(&cluster), Vec::<String>::new(), "{major}");
}

/// What the thief can make is not run either: everybody may make temporary objects.
async fn makes_objects(thief: &mut PgConnection, major: Major) {
    let makes = [
        "CREATE FUNCTION pg_temp.mine() RETURNS text LANGUAGE plpgsql IMMUTABLE AS \
            'BEGIN RETURN (SELECT secret FROM shop.account WHERE id = 7); END'",
        "CREATE TEMP TABLE mine (id int)",
        "CREATE DOMAIN pg_temp.mine AS int DEFAULT 1",
    ];
    let drops = ["DROP FUNCTION pg_temp.mine()", "DROP TABLE pg_temp.mine", "DROP DOMAIN pg_temp.mine"];
    for (make, drop) in makes.into_iter().zip(drops) {
        send(thief, make).await;
        for statement in ["SELECT pg_temp.mine()", "SELECT owner FROM account WHERE id = 1"] {
            let (code, plan) = call(thief, statement, 0).await;
            assert_eq!((code.as_str(), plan.as_str()), ("DBI07", ""), "{major}: {make}");
        }
        send(thief, drop).await;
    }
    assert_eq!(call(thief, "SELECT owner FROM account WHERE id = 1", 0).await.0, "DBI00");
}

/// Settings of the session do not change what the function means; nothing of it stays in the transaction that called it,
/// also where it was stopped.
async fn leaves_nothing(cluster: &Cluster, thief: &mut PgConnection, major: Major) {
    const HARMLESS: &str = "SELECT owner FROM account WHERE id = 1";
    send(thief, "SET standard_conforming_strings = off; SET statement_timeout = '200ms'").await;
    assert_eq!(call(thief, "EXECUTE a", 0).await.0, "DBI02");
    send(thief, "BEGIN").await;
    assert_eq!(call(thief, HARMLESS, 0).await.0, "DBI00");
    let locks = "SELECT count(*) FROM pg_locks WHERE relation = 'shop.account'::regclass";
    assert_eq!(cluster.scalar::<i64>("postgres", locks).await, 0, "{major}");
    let lock = "BEGIN; LOCK TABLE shop.account IN ACCESS EXCLUSIVE MODE";
    let holder = Busy::start(cluster, "postgres", lock, "SELECT pg_sleep(600)").await;
    assert_eq!(call(thief, HARMLESS, 0).await.0, "57014", "{major}");
    let state: String = sqlx::query_scalar("SELECT current_user || current_setting('transaction_read_only')")
        .fetch_one(&mut *thief)
        .await
        .unwrap();
    assert_eq!(state, "dbinteloff", "{major}: neither rights nor settings of the function stay");
    send(thief, "ROLLBACK").await;
    cluster.execute("postgres", &format!("SELECT pg_terminate_backend({})", holder.pid)).await;
}

/// What an extension brought is run by planning, in a transaction that is read-only and undone. What has no name in a text is
/// not run: a cast, a default, a key, a policy.
async fn cast_and_extension(cluster: &Cluster, thief: &mut PgConnection, major: Major) {
    let of_extension = "ALTER EXTENSION pg_stat_statements ADD FUNCTION shop.marks_it(int); \
        GRANT ALL ON SEQUENCE shop.effects TO dbintel_explain";
    cluster.execute("postgres", of_extension).await;
    assert_eq!(call(thief, "SELECT shop.marks_it(1)", 0).await.0, "25006", "{major}");
    let function = "CREATE TYPE shop.kind AS ENUM ('a'); CREATE FUNCTION shop.kind_of(int) RETURNS shop.kind LANGUAGE plpgsql \
        IMMUTABLE AS 'BEGIN RETURN ''a''; END'; CREATE FUNCTION shop.alike(float8, float8) RETURNS boolean LANGUAGE plpgsql \
        IMMUTABLE AS 'BEGIN RETURN true; END'";
    cluster.execute("postgres", function).await;
    for (make, statement, unmake) in [
        (
            "CREATE CAST (int AS shop.kind) WITH FUNCTION shop.kind_of(int)",
            "SELECT 1::shop.kind",
            "DROP CAST (int AS shop.kind)",
        ),
        (
            "CREATE DOMAIN shop.filled AS shop.kind DEFAULT shop.kind_of(1); CREATE TABLE shop.fills (f shop.filled)",
            "INSERT INTO shop.fills DEFAULT VALUES",
            "DROP TABLE shop.fills; DROP DOMAIN shop.filled",
        ),
        (
            "CREATE TABLE shop.fills (id int) PARTITION BY LIST (shop.kind_of(id))",
            "SELECT FROM shop.fills WHERE id = 1",
            "DROP TABLE shop.fills",
        ),
        (
            "CREATE TABLE shop.fills (id int); ALTER TABLE shop.fills ENABLE ROW LEVEL SECURITY; \
             CREATE POLICY one ON shop.fills USING (shop.kind_of(1) = 'a')",
            "SELECT FROM shop.fills",
            "DROP TABLE shop.fills",
        ),
        (
            "CREATE DOMAIN shop.checked AS int CHECK (shop.kind_of(VALUE) = 'a')",
            "SELECT $1::shop.checked",
            "DROP DOMAIN shop.checked",
        ),
        (
            "CREATE VIEW shop.compared AS SELECT 'a'::text OPERATOR(shop.===) 'b'::text AS same",
            "SELECT same FROM shop.compared",
            "DROP VIEW shop.compared",
        ),
        (
            "CREATE OPERATOR shop.~~ (FUNCTION = shop.alike, LEFTARG = float8, RIGHTARG = float8)",
            "SELECT pi() LIKE pi()",
            "DROP OPERATOR shop.~~ (float8, float8)",
        ),
        (
            "CREATE OPERATOR shop.<> (FUNCTION = shop.alike, LEFTARG = float8, RIGHTARG = float8)",
            "SELECT pi() != pi()",
            "DROP OPERATOR shop.<> (float8, float8)",
        ),
    ] {
        cluster.execute("postgres", make).await;
        let parameters = i32::from(statement.contains("$1"));
        assert_eq!(call(thief, statement, parameters).await.0, "DBI04", "{major}: {make}");
        cluster.execute("postgres", unmake).await;
        assert_eq!(call(thief, "SELECT 'a'::shop.kind", 0).await.0, "DBI00", "{major}: {unmake}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stolen_role_can_have_statements_planned_and_nothing_run() {
    for major in MAJORS {
        stolen(major).await;
    }
}

/// Nobody but the collector's role may call it, and with a superuser's rights it plans nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_for_one_role_and_never_a_superusers() {
    let cluster = world(Major::V16).await;
    cluster.execute("postgres", &create_script("dbintel")).await;
    cluster.execute("postgres", "CREATE ROLE other LOGIN").await;
    let mut other = cluster.connect_as("other", "postgres").await;
    let called = sqlx::query("SELECT code FROM dbintel.explain('SELECT 1', 0, '')").execute(&mut other).await;
    assert_eq!(called.unwrap_err().as_database_error().unwrap().code().as_deref(), Some("42501"));
    cluster.execute("postgres", "ALTER FUNCTION dbintel.explain OWNER TO postgres").await;
    let mut thief = cluster.connect_as("dbintel", "postgres").await;
    assert_eq!(call(&mut thief, "SELECT owner FROM account", 0).await, ("DBI01".to_owned(), String::new()));
}

/// What the doctor says of it.
async fn advice(cluster: &Cluster) -> Option<String> {
    let settings: Settings = dbintel_config::from_yaml(&yaml(cluster.port(), &[PLANS])).unwrap();
    let examination = examine(&validate(&settings).unwrap().config).await.unwrap();
    let mut all = examination.advice.into_iter().map(|advice| advice.what);
    all.find(|what| what.contains("dbintel.explain"))
}

/// The doctor says whether it is there and fit to be used, and what is not fit is not used.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_knows_the_state_of_the_function() {
    let cluster = world(Major::V18).await;
    let check = async |after: &str, expected: Option<&str>| {
        cluster.execute("postgres", after).await;
        let told = advice(&cluster).await;
        match expected {
            Some(part) => {
                assert!(told.as_deref().is_some_and(|told| told.contains(part)), "{after}: {told:?}");
            }
            None => assert_eq!(told, None, "{after}"),
        }
    };
    check("SELECT 1", Some("is not there")).await;
    check(&create_script("dbintel"), None).await;
    check("ALTER FUNCTION dbintel.explain OWNER TO postgres", Some("superuser")).await;
    check("ALTER FUNCTION dbintel.explain OWNER TO dbintel_explain", None).await;
    check("REVOKE USAGE ON SCHEMA dbintel FROM dbintel", Some("may not execute")).await;
    check(&create_script("dbintel"), None).await;
    check("ALTER FUNCTION dbintel.explain RESET search_path", Some("not the one of this version")).await;
    check(&create_script("dbintel"), None).await;
    let older = create_script("dbintel").replace("line_ends", "line_end");
    check(&older, Some("not the one of this version")).await;
    check(&drop_script("dbintel"), Some("is not there")).await;
    // The same bodies for arguments of somebody's own type: to call them would cast to it.
    cluster
        .execute("postgres", "CREATE SCHEMA dbintel; CREATE TYPE dbintel.statement_text AS ENUM ('a')")
        .await;
    let forged = create_script("dbintel")
        .replace("(statement text,", "(statement dbintel.statement_text,")
        .replace("(text, integer", "(dbintel.statement_text, integer");
    check(&forged, Some("not the one of this version")).await;
}

/// Whatever the script made is gone, in every database, and it may be run twice.
async fn removed(major: Major) {
    let cluster = world(major).await;
    cluster.create_database("second").await;
    let everything = "SELECT coalesce(string_agg(what, ' '), '') FROM (SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'dbintel\\_%' \
        UNION ALL SELECT nspname || coalesce(nspacl::text, '') FROM pg_namespace \
            WHERE nspname = 'dbintel' OR nspacl::text LIKE '%dbintel_explain%' \
        UNION ALL SELECT proname::text FROM pg_proc WHERE prosrc LIKE '%DBI0%' \
        UNION ALL SELECT relname::text FROM pg_class WHERE relacl::text LIKE '%dbintel_explain%') AS found (what)";
    for database in ["postgres", "second", "second"] {
        cluster.execute(database, &create_script("dbintel")).await;
    }
    assert_ne!(cluster.scalar::<String>("postgres", everything).await, "");
    cluster.execute("postgres", &drop_script("dbintel")).await;
    assert_eq!(cluster.scalar::<String>("postgres", everything).await, "dbintel_explain", "{major}");
    let mut client = cluster.connect_as("dbintel", "second").await;
    let still = sqlx::query(AssertSqlSafe("SELECT code FROM dbintel.explain('SELECT 1', 0, '')".to_owned()))
        .fetch_one(&mut client)
        .await
        .unwrap();
    assert_eq!(still.get::<String, _>(0), "DBI00", "{major}");
    for database in ["second", "postgres"] {
        cluster.execute(database, &drop_script("dbintel")).await;
        assert_eq!(cluster.scalar::<String>(database, everything).await, "", "{major}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_drop_script_leaves_nothing() {
    for major in MAJORS {
        removed(major).await;
    }
}
