//! Behind a pooler in transaction mode every statement works, and no session state is relied on or left behind.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, which clippy sees only in functions marked as such"
)]

mod support;

use std::sync::Arc;

use dbintel_model::{Batch, ChangeKind, GapReason};
use dbintel_testkit::postgres::{Major, Options};
use sqlx::{Connection as _, PgConnection, Row as _};
use support::client::{Busy, mark, marker_id};
use support::pooler::Pooler;
use support::settings::{SAMPLES, cluster, yaml};
use support::{Watched, calls, changes, gaps, sessions};

async fn behind_a_pooler(major: Major) {
    let cluster = cluster(major, Options::new()).await;
    let pooler = Pooler::start(&cluster).await;
    let id = marker_id(&cluster).await;
    let mut watched = Watched::start(&yaml(pooler.port(), &[SAMPLES]));
    watched.baseline().await;
    mark(&mut cluster.connect("postgres").await, 25).await;
    watched.until("the calls", |batches| (calls(batches, id) == 25).then_some(())).await;
    let orders = [("db.namespace", "postgres|public"), ("db.collection.name", "orders")];
    assert_eq!(watched.still_delivers("postgresql.rows", &orders).await, 1000.0);
    let busy = Busy::start(&cluster, "postgres", "", "SELECT pg_sleep(60)").await;
    let sampled =
        |batches: &[Arc<Batch>]| sessions(batches).find(|session| session.pid == busy.pid).map(|_| ());
    watched.until("a session", sampled).await;
    // All three loops take turns on this one backend, and so do we: what we find is what they leave behind.
    let url = format!("postgres://dbintel@127.0.0.1:{}/postgres?sslmode=disable", pooler.port());
    let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
    let mut client = PgConnection::connect_with(&options.extra_float_digits(None)).await.unwrap();
    let state = "SELECT current_setting('statement_timeout') || ' ' || current_setting('search_path') || ' ' \
        || current_setting('transaction_read_only') || ' ' || (SELECT count(*) FROM pg_prepared_statements)";
    for _ in 0..20 {
        // One message: between parsing and binding, outside of a transaction, the pooler may change the backend.
        let found = sqlx::raw_sql(state).fetch_one(&mut client).await.unwrap();
        assert_eq!(found.get::<String, _>(0), "0 \"$user\", public off 0");
    }
    let unexpected: Vec<_> =
        gaps(watched.batches()).filter(|gap| gap.reason != GapReason::NotInThisVersion).collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
    // The table was analysed when it was made, which its statistics may show only after the first poll.
    let unexpected: Vec<_> =
        changes(watched.batches()).filter(|change| change.kind != ChangeKind::Analyze).collect();
    assert!(unexpected.is_empty(), "{unexpected:?}");
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transaction_pooling_works() {
    tokio::join!(behind_a_pooler(Major::V13), behind_a_pooler(Major::V17));
}
