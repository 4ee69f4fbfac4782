//! Baselines.

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use dbintel_model::{Clock as _, SystemClock};
use futures_util::FutureExt as _;

use super::*;
use crate::database::{Database, Durability, transaction};

on_every_database!(
    the_latest_value_of_a_key_is_restored,
    what_is_removed_is_gone_and_nothing_else,
    ten_thousand_baselines_are_restored,
    the_writer_writes_and_leaves_nothing_behind,
    a_schema_of_a_later_version_is_refused,
    an_earlier_schema_is_brought_up_to_date,
);

async fn the_latest_value_of_a_key_is_restored(fixture: Fixture) {
    let opened = fixture.open().await;
    opened.put("a", Some(b"1"));
    opened.put("a", Some(b"2"));
    opened.put("b", Some(&[0, 255, 128]));
    opened.put("c", Some(b""));
    opened.writer.flush().await.unwrap();
    opened.put("a", Some(b"3"));
    opened.put("b", None);
    let other = opened.store.state_of("other:5432".into());
    other.put(StateChange { key: "a".into(), value: Some(b"other".to_vec()) }).unwrap();
    opened.writer.flush().await.unwrap();
    assert_eq!(opened.value("dbintel_store_written_total", &[]), Some(6.0));
    opened.store.close().await;
    let opened = fixture.open().await;
    assert_eq!(opened.restored().await, [("a".to_owned(), b"3".to_vec()), ("c".to_owned(), Vec::new())]);
}

/// More than one statement removes, of two servers with the same keys.
async fn what_is_removed_is_gone_and_nothing_else(fixture: Fixture) {
    let opened = fixture.open().await;
    let other = opened.store.state_of("other:5432".into());
    let of_other = |number: usize, value: Option<&[u8]>| {
        let key = format!("key/{number:03}").into();
        other.put(StateChange { key, value: value.map(<[u8]>::to_vec) }).unwrap();
    };
    for number in 0..300 {
        opened.put(&format!("key/{number:03}"), Some(b"ours"));
        of_other(number, Some(b"theirs"));
    }
    opened.writer.flush().await.unwrap();
    for number in 0..250 {
        opened.put(&format!("key/{number:03}"), None);
    }
    of_other(7, None);
    opened.put("never/there", None);
    opened.writer.flush().await.unwrap();
    let left: Vec<_> = opened.restored().await.into_iter().map(|(key, _)| key).collect();
    assert_eq!(left, (250..300).map(|number| format!("key/{number:03}")).collect::<Vec<_>>());
    let mut left = Vec::new();
    opened.store.restore("other:5432", |batch| left.extend(batch)).await.unwrap();
    assert!(left.len() == 299 && left.iter().all(|change| change.key.as_str() != "key/007"));
}

async fn ten_thousand_baselines_are_restored(fixture: Fixture) {
    let clock = SystemClock::default();
    let opened = fixture.open().await;
    let value = |number: usize| vec![(number % 251) as u8; 4_096];
    for number in 0..10_000 {
        opened.put(&format!("statement/{number:05}"), Some(&value(number)));
    }
    let begun = clock.monotonic();
    opened.writer.flush().await.unwrap();
    let written = clock.monotonic().since(begun);
    opened.store.close().await;

    let opened = fixture.open().await;
    let begun = clock.monotonic();
    let mut batches = Vec::new();
    let restored = opened.store.restore("db:5432", |batch| batches.push(batch)).await.unwrap();
    println!(
        "10,000 baselines of 4 KiB: written in {written:?}, restored in {:?}",
        clock.monotonic().since(begun)
    );
    assert_eq!(restored, Restored { values: 10_000, bytes: 10_000 * 4_096, unreadable: 0 });
    assert!(batches.len() > 10, "they come in batches");
    let mut keys: Vec<_> = batches.into_iter().flatten().collect();
    keys.sort_by(|a, b| a.key.cmp(&b.key));
    for (number, change) in keys.iter().enumerate() {
        assert_eq!(change.key.as_str(), format!("statement/{number:05}"));
        assert_eq!(change.value.as_ref().unwrap(), &value(number));
    }
}

async fn the_writer_writes_and_leaves_nothing_behind(fixture: Fixture) {
    let opened = fixture.open().await;
    let shutdown = CancellationToken::new();
    let mut tasks = JoinSet::new();
    tasks.spawn(opened.writer.clone().run(shutdown.clone()));
    for number in 0..3_000 {
        opened.put(&format!("key/{number}"), Some(b"value"));
        if number % 100 == 0 {
            tokio::task::yield_now().await;
        }
    }
    shutdown.cancel();
    tasks.join_next().await.unwrap().unwrap().unwrap();
    let state = opened.store.state_of("db:5432".into());
    let refused = state.put(StateChange { key: "late".into(), value: None });
    assert_eq!(refused, Err(dbintel_pipeline::StateRefused::Closed));
    assert_eq!(opened.value("dbintel_store_refused_total", &[("reason", "no_store")]), Some(1.0));
    assert_eq!(fixture.open().await.restored().await.len(), 3_000);
}

async fn a_schema_of_a_later_version_is_refused(fixture: Fixture) {
    let opened = fixture.open().await;
    opened.put("a", Some(b"1"));
    opened.writer.flush().await.unwrap();
    let later = async |number: i64| {
        opened
            .store
            .on(|database| {
                async move {
                    transaction!(database, Durability::Durable, connection => {
                        let text = "UPDATE dbintel_meta SET value = $1 WHERE name = 'schema'";
                        sqlx::query(text).bind(number).execute(&mut *connection).await?;
                    });
                    Ok(())
                }
                .boxed()
            })
            .await
            .unwrap();
    };
    later(99).await;
    let refused = match fixture.open_as("later").await {
        Ok(opened) => opened.store.findings(&Filter::default()).await.map(|_| ()),
        Err(error) => Err(error),
    };
    assert!(matches!(refused, Err(StoreError::NewerSchema { found: 99, known: 2 })), "{refused:?}");
    later(2).await;
    assert_eq!(fixture.open().await.restored().await.len(), 1);
}

async fn an_earlier_schema_is_brought_up_to_date(fixture: Fixture) {
    for _ in 0..2 {
        let opened = fixture.open().await;
        opened.put("a", Some(b"1"));
        opened.writer.flush().await.unwrap();
        assert_eq!(opened.restored().await.len(), 1);
        // The second time this fails unless the table is gone.
        let make_first = |database: Arc<Database>| {
            async move {
                transaction!(database, Durability::Durable, connection => {
                    for text in [
                        "CREATE TABLE dbintel_observations (server TEXT NOT NULL)",
                        "UPDATE dbintel_meta SET value = 1 WHERE name = 'schema'",
                    ] {
                        sqlx::query(text).execute(&mut *connection).await?;
                    }
                });
                Ok(())
            }
            .boxed()
        };
        opened.store.on(make_first).await.unwrap();
        opened.store.close().await;
    }
}

#[tokio::test]
async fn values_wait_while_the_server_is_away_and_are_written_when_it_is_back() {
    let fixture = Fixture::postgres(Major::V18).await;
    let mut cluster = Cluster::start(Major::V18, Options::new()).await;
    cluster.execute("postgres", "CREATE DATABASE state").await;
    let yaml = format!("{{url: '{}', tls: {{insecure: true}}}}", cluster.admin_url("state"));
    cluster.stop(dbintel_testkit::postgres::StopMode::Fast).await;
    // The collector starts without its store.
    let opened = fixture.open_at(&yaml, "ours", OnDamage::SetAside).await.unwrap();
    opened.put("a", Some(b"1"));
    opened.put("b", Some(b"1"));
    assert!(matches!(opened.writer.flush().await, Err(StoreError::Unavailable(_))));
    opened.put("a", Some(b"2"));
    let (ids, fresh) = finding(1, NOW);
    assert!(matches!(opened.store.open_finding(ids, &fresh).await, Err(StoreError::Unavailable(_))));
    assert!(opened.value("dbintel_store_errors_total", &[("reason", "unavailable")]).unwrap() >= 2.0);
    cluster.start_again().await;
    opened.writer.flush().await.unwrap();
    assert_eq!(opened.restored().await, [("a".to_owned(), b"2".to_vec()), ("b".to_owned(), b"1".to_vec())]);
    opened.store.open_finding(ids, &fresh).await.unwrap();
}

#[tokio::test]
async fn what_could_not_be_written_before_the_end_is_counted() {
    let fixture = Fixture::sqlite();
    let opened = fixture.open().await;
    opened.put("a", Some(b"1"));
    opened.put("b", Some(b"1"));
    let database = opened.store.database().unwrap();
    let Database::Sqlite(sqlite) = &*database else { panic!() };
    sqlx::query("PRAGMA query_only = 1").execute(sqlite.pool(Durability::Soon)).await.unwrap();
    opened.writer.finish().await;
    assert_eq!(opened.value("dbintel_store_refused_total", &[("reason", "shutdown")]), Some(2.0));
    assert_eq!(fixture.open().await.restored().await, []);
}

#[tokio::test]
async fn large_values_are_written_in_several_transactions_of_one_turn() {
    let fixture = Fixture::sqlite();
    let opened = fixture.open().await;
    for number in 0..40 {
        opened.put(&format!("key/{number}"), Some(&vec![1; MAX_VALUE_BYTES]));
    }
    opened.writer.flush().await.unwrap();
    assert_eq!(opened.restored().await.len(), 40);
}

#[tokio::test]
async fn a_server_whose_certificate_cannot_be_checked_is_not_believed() {
    let fixture = Fixture::sqlite();
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cluster = Cluster::start(Major::V18, Options::new().tls()).await;
    cluster.execute("postgres", "CREATE DATABASE state").await;
    let url = cluster.admin_url("state").replace("127.0.0.1", "localhost");
    let ca_file = fixture.directory.path().join("ca.pem");
    std::fs::write(&ca_file, cluster.authority().certificate_pem()).unwrap();
    let connect = async |tls: &str| {
        let opened = fixture
            .open_at(&format!("{{url: '{url}', tls: {tls}}}"), "ours", OnDamage::SetAside)
            .await
            .unwrap();
        opened.store.findings(&Filter::default()).await.map(|_| ())
    };
    assert!(matches!(connect("{}").await, Err(StoreError::Unavailable(_))));
    connect(&format!("{{ca_file: {}}}", ca_file.display())).await.unwrap();
    connect("{insecure_skip_verify: true}").await.unwrap();
    let yaml = format!("{{url: '{url}', tls: {{ca_file: /nowhere.pem}}}}");
    let missing = fixture.open_at(&yaml, "ours", OnDamage::Fail);
    assert!(matches!(missing.await, Err(StoreError::Open { .. })));
}
