//! Errors of a real server's log: counted by SQLSTATE, told to the statements they ended, without what clients sent.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, which clippy sees only in functions marked as such"
)]

mod support;

use std::sync::Arc;

use dbintel_model::{Batch, QueryErrors, Record};
use dbintel_testkit::postgres::{Cluster, Major, Options};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use support::client::{query_id, send};
use support::settings::{cluster, yaml};
use support::{Watched, queries, value};

const ERRORS: &str = "postgresql.log.errors";
/// Stands in statements and in the server's messages.
const CANARY: &str = "canary4711";
/// Ends at once with a small value and never with a large one.
const SLEEP: &str = "SELECT pg_sleep(SECONDS) FROM orders WHERE id = 1";

async fn server(major: Major) -> Cluster {
    let destinations = if major >= Major::V15 { "stderr,csvlog,jsonlog" } else { "stderr,csvlog" };
    let options = Options::new()
        .setting("logging_collector", "on")
        .setting("log_filename", "pg.log")
        .setting("log_destination", destinations)
        .setting("log_line_prefix", "%m [%p] %e %q%u@%d %Q ");
    let options = if major >= Major::V14 { options.setting("compute_query_id", "on") } else { options };
    cluster(major, options).await
}

fn reading(cluster: &Cluster, name: &str) -> String {
    let path = cluster.data_dir().join("log").join(name);
    let plans = format!(
        "{{enabled: true, explain: false, collection_interval: 1s, log: {{include: ['{}']}}}}",
        path.display()
    );
    yaml(cluster.port(), &[("plan_collection", &plans)])
}

/// Sends what ends in an error, and gives its code.
async fn fail(client: &mut PgConnection, sql: &str) -> String {
    let error = client.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.unwrap_err();
    error.as_database_error().unwrap().code().unwrap().into_owned()
}

fn count(batches: &[Arc<Batch>], code: &str) -> Option<f64> {
    value(batches, ERRORS, &[("db.namespace", "postgres"), ("db.response.status_code", code)])
}

/// What was told of a statement, in all.
fn told(batches: &[Arc<Batch>], query_id: i64) -> QueryErrors {
    let of_statement = queries(batches).filter(|query| query.key.query_id == query_id);
    of_statement.filter_map(|query| query.errors).fold(
        QueryErrors { failed: 0, timed_out: 0 },
        |sum, errors| QueryErrors {
            failed: sum.failed + errors.failed,
            timed_out: sum.timed_out + errors.timed_out,
        },
    )
}

async fn errors(cluster: &Cluster, name: &str) {
    let what = format!("{} {name}", cluster.major());
    let mut watched = Watched::start(&reading(cluster, name));
    watched.baseline().await;
    watched.readings(2).await;
    let mut client = cluster.connect("postgres").await;
    let sleep = |seconds: &str| SLEEP.replace("SECONDS", seconds);
    send(&mut client, &sleep("0")).await;
    watched.query("pg_sleep").await;
    let id = query_id(cluster, "SELECT pg_sleep").await;
    let calls = |batches: &[Arc<Batch>]| -> i64 {
        queries(batches).filter(|query| query.key.query_id == id).map(|query| query.calls).sum()
    };

    send(&mut client, "SET statement_timeout = 20").await;
    for _ in 0..3 {
        assert_eq!(fail(&mut client, &sleep("3600")).await, "57014", "{what}");
    }
    send(&mut client, "RESET statement_timeout").await;
    let pid = support::client::pid(&mut client).await;
    let cancelling = async {
        let running = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE pid = {pid} AND query LIKE '%3601%' AND state = 'active'"
        );
        while cluster.scalar::<i64>("postgres", &running).await == 0 {}
        assert!(cluster.scalar::<bool>("postgres", &format!("SELECT pg_cancel_backend({pid})")).await);
    };
    let cancelled = sleep("3601");
    let (code, ()) = tokio::join!(fail(&mut client, &cancelled), cancelling);
    assert_eq!(code, "57014", "{what}");
    let insert = format!("INSERT INTO orders VALUES (1, '{CANARY}')");
    assert_eq!(fail(&mut client, &insert).await, "23505", "{what}");
    assert_eq!(fail(&mut client, &format!("SELECT '{CANARY}'::int")).await, "22P02", "{what}");
    let raise = format!("DO $$BEGIN RAISE EXCEPTION '{CANARY}' USING ERRCODE = 'MYERR'; END$$");
    assert_eq!(fail(&mut client, &raise).await, "MYERR", "{what}");
    // What was caught is no error, and neither is a warning.
    send(&mut client, "DO $$BEGIN PERFORM 1 / 0; EXCEPTION WHEN OTHERS THEN RAISE WARNING 'caught'; END$$")
        .await;
    // Ours are none, and neither are those of databases that there are not.
    let mut own = cluster.connect_as("dbintel", "postgres").await;
    assert_eq!(fail(&mut own, "SELECT 1 / 0").await, "22012", "{what}");
    assert!(PgConnection::connect(&cluster.admin_url("nowhere")).await.is_err());

    let all = |batches: &[Arc<Batch>]| (count(batches, "MYERR") == Some(1.0)).then_some(());
    watched.until("the last error", all).await;
    for (code, times) in [("57014", Some(4.0)), ("23505", Some(1.0)), ("22P02", Some(1.0)), ("22012", None)] {
        assert_eq!(count(watched.batches(), code), times, "{what} {code}");
    }
    let nowhere = [("db.namespace", "nowhere")];
    assert_eq!(value(watched.batches(), ERRORS, &nowhere), None, "{what}");
    if cluster.major() >= Major::V14 {
        let errors = QueryErrors { failed: 4, timed_out: 3 };
        watched
            .until(&format!("{what}: the statement's errors"), |batches| {
                (told(batches, id) == errors).then_some(())
            })
            .await;
        assert_eq!(calls(watched.batches()), 1, "{what}: executions that fail are no calls");
        let of_statement = queries(watched.batches()).filter(|query| query.key.query_id == id);
        let vanished: Vec<_> = of_statement.filter(|query| query.calls == 0).collect();
        assert!(!vanished.is_empty() && vanished.iter().all(|query| query.rank.is_none()), "{what}");
    } else {
        watched.readings(2).await;
        assert!(queries(watched.batches()).all(|query| query.errors.is_none()), "{what}");
    }
    watched.readings(2).await;
    let errors =
        queries(watched.batches()).filter_map(|query| query.errors).map(|errors| errors.failed).sum::<u64>();
    assert!(errors <= 4, "{what}: what the statistics do not know is no statement's");
    let left: Vec<&Record> = watched.batches().iter().flat_map(|batch| &batch.records).collect();
    assert!(!format!("{left:?}").contains(CANARY), "{what}");
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_are_counted_in_every_format() {
    let new = async {
        let cluster = server(Major::V18).await;
        for name in ["pg.json", "pg.csv", "pg.log"] {
            errors(&cluster, name).await;
        }
    };
    let old = async { errors(&server(Major::V14).await, "pg.csv").await };
    let oldest = async { errors(&server(Major::V13).await, "pg.csv").await };
    tokio::join!(new, old, oldest);
}

/// Clients that bind parameters: the server names their statements as well.
async fn bound(major: Major) {
    const STATEMENT: &str = "SELECT pg_sleep($1) FROM orders WHERE id = 1";
    let cluster = server(major).await;
    let mut watched = Watched::start(&reading(&cluster, "pg.csv"));
    watched.baseline().await;
    let mut client = cluster.connect("postgres").await;
    sqlx::query(STATEMENT).bind(0_f64).fetch_all(&mut client).await.unwrap();
    watched.query("pg_sleep").await;
    let id = query_id(&cluster, "SELECT pg_sleep").await;
    send(&mut client, "SET statement_timeout = 20").await;
    for _ in 0..3 {
        assert!(sqlx::query(STATEMENT).bind(3_600_f64).fetch_all(&mut client).await.is_err());
    }
    let errors = QueryErrors { failed: 3, timed_out: 3 };
    let all = |batches: &[Arc<Batch>]| (told(batches, id) == errors).then_some(());
    watched.until(&format!("errors on {major}"), all).await;
    assert_eq!(count(watched.batches(), "57014"), Some(3.0));
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_bound_statements() {
    tokio::join!(bound(Major::V14), bound(Major::V16), bound(Major::V18));
}
