//! What the receiver holds is in the memory accounts, and goes from there when it is let go; what can be read again is
//! let go when memory is short.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, which clippy sees only in functions marked as such"
)]

mod support;

use std::time::Duration;

use dbintel_testkit::postgres::{Cluster, Major, Options};
use dbintel_testkit::workload::distinct_statements;
use support::Watched;
use support::settings::{cluster, yaml};

const TEXTS: &str = "receiver postgresql texts";
const STATEMENTS: &str = "receiver postgresql statements";
const GUARD: &str = "receiver postgresql guard";
/// Statements the workload adds.
const ADDED: u32 = 2_000;
/// An entry or a text cannot be smaller.
const BYTES_EACH_MIN: f64 = 100.0;

async fn execute(cluster: &Cluster, statement: &str) {
    cluster.execute("postgres", statement).await;
}

/// Bytes of an account once they satisfy the condition.
async fn until(watched: &mut Watched, account: &str, wanted: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..60 {
        if let Some(bytes) = watched.account(account).filter(|bytes| wanted(*bytes)) {
            return bytes;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    panic!("{account} is {:?}", watched.account(account))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_grow_with_the_statements_and_go_back_with_them() {
    let cluster = cluster(Major::V17, Options::new()).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[]));
    watched.baseline().await;
    let (texts, statements) = (
        until(&mut watched, TEXTS, |bytes| bytes > 0.0).await,
        until(&mut watched, STATEMENTS, |bytes| bytes > 0.0).await,
    );
    assert!(watched.account(GUARD) > Some(0.0));
    distinct_statements(&cluster, "postgres", 0..ADDED).await;
    let added = f64::from(ADDED) * BYTES_EACH_MIN;
    until(&mut watched, TEXTS, |bytes| bytes >= texts + added).await;
    until(&mut watched, STATEMENTS, |bytes| bytes >= statements + added).await;
    // Above the hard limit texts go, and the readings that differences are told from stay.
    let freed = watched.accounts.shrink();
    assert!(freed.caches == 1 && freed.bytes as f64 >= added, "{freed:?}");
    assert!(watched.account(STATEMENTS).unwrap() >= added);
    until(&mut watched, TEXTS, |bytes| bytes < added).await;
    execute(&cluster, "SELECT pg_stat_statements_reset()").await;
    until(&mut watched, STATEMENTS, |bytes| bytes < added).await;
    let (registry, name) = (watched.registry.clone(), "dbintel_memory_account_bytes");
    watched.stop().await;
    for account in [TEXTS, STATEMENTS] {
        assert_eq!(registry.value(name, &[("account", account)]), None, "{account}");
    }
}
