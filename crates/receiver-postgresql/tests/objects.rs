//! How databases, tables and indexes are named, in both layouts, and which are left out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, which clippy sees only in functions marked as such"
)]

mod support;

use std::sync::Arc;

use dbintel_model::{Attribute, Batch, MetricPoint};
use dbintel_testkit::postgres::{Major, Options};
use support::client::{Busy, send};
use support::settings::{cluster, yaml};
use support::{Watched, changes, points, texts_of};

fn pairs(attributes: &[Attribute]) -> Vec<(String, String)> {
    let text =
        |attribute: &Attribute| format!("{:?}", attribute.value).replace("Text(\"", "").replace("\")", "");
    attributes.iter().map(|attribute| (attribute.key.to_string(), text(attribute))).collect()
}

async fn point(watched: &mut Watched, name: &str) -> MetricPoint {
    let find = |batches: &[Arc<Batch>]| points(batches).find(|point| point.metric.name == name).cloned();
    watched.until(name, find).await
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// In contrib's layout a database, a table and an index are attributes of the resource; by default, of the point.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn objects_are_resources_in_the_layout_of_contrib() {
    let cluster = cluster(Major::V17, Options::new()).await;
    let database = ("postgresql.database.name", "postgres");
    let table = ("postgresql.table.name", "public.orders");
    let index = ("postgresql.index.name", "orders_pkey");
    let mut watched = Watched::start(&yaml(cluster.port(), &[("resource_layout", "contrib")]));
    let checks: [(&str, &[(&str, &str)]); 4] = [
        ("postgresql.db_size", &[database]),
        ("postgresql.table.count", &[database]),
        ("postgresql.table.size", &[database, table]),
        ("postgresql.index.scans", &[database, table, index]),
    ];
    for (name, resource) in checks {
        let point = point(&mut watched, name).await;
        assert_eq!(
            (pairs(&point.labels.resource), pairs(&point.labels.point)),
            (owned(resource), vec![]),
            "{name}"
        );
    }
    let rows = point(&mut watched, "postgresql.rows").await;
    assert_eq!(pairs(&rows.labels.resource), owned(&[database, table]));
    assert!(!rows.fixed.is_empty());
    watched.stop().await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[]));
    let scans = point(&mut watched, "postgresql.index.scans").await;
    let own = [("db.namespace", "postgres|public"), ("db.collection.name", "orders"), index];
    assert_eq!((pairs(&scans.labels.resource), pairs(&scans.labels.point)), (vec![], owned(&own)));
    watched.stop().await;
}

/// Temporary tables, which come and go with sessions and have names of their own each, are not series.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn temporary_tables_are_left_out() {
    let cluster = cluster(Major::V17, Options::new()).await;
    let mut client = cluster.connect("postgres").await;
    send(&mut client, "CREATE TEMP TABLE passing (id int PRIMARY KEY); ANALYZE passing").await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[]));
    for _ in 0..2 {
        point(&mut watched, "postgresql.index.size").await;
        point(&mut watched, "postgresql.table.size").await;
        send(&mut client, "ANALYZE passing").await;
        let orders = [("db.namespace", "postgres|public"), ("db.collection.name", "orders")];
        watched.still_delivers("postgresql.rows", &orders).await;
        watched.readings(1).await;
        let passing: Vec<_> = points(watched.batches())
            .filter(|point| format!("{:?}", texts_of(point)).contains("passing"))
            .collect();
        assert!(passing.is_empty(), "{passing:?}");
        assert_eq!(changes(watched.batches()).count(), 0);
    }
    watched.stop().await;
}

/// The progress of a command in another database is not given the name that the same number has in ours.
async fn progress(major: Major) {
    let cluster = cluster(major, Options::new()).await;
    cluster.execute("postgres", "CREATE DATABASE copy TEMPLATE postgres").await;
    let slow = "CREATE FUNCTION slow(int) RETURNS int LANGUAGE plpgsql IMMUTABLE \
        AS 'BEGIN PERFORM pg_sleep(0.05); RETURN $1; END'";
    cluster.execute("copy", &format!("ALTER TABLE orders RENAME TO renamed; {slow}")).await;
    cluster.execute("postgres", slow).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[]));
    let of = |batches: &[Arc<Batch>], database: &str| {
        let mut found =
            points(batches).filter(|point| point.metric.name == "postgresql.progress.work").map(texts_of);
        found.find(|texts| texts.contains(&("db.namespace".to_owned(), database.to_owned())))
    };
    let relation = |texts: Vec<(String, String)>| {
        texts.into_iter().find(|(key, _)| key == "postgresql.progress.relation").unwrap().1
    };
    let _there = Busy::start(&cluster, "copy", "", "CREATE INDEX ON renamed (slow(id))").await;
    let _here = Busy::start(&cluster, "postgres", "", "CREATE INDEX ON orders (slow(id))").await;
    let there = relation(watched.until("progress there", |batches| of(batches, "copy")).await);
    assert!(there.parse::<u32>().is_ok(), "{there}");
    let here = relation(watched.until("progress here", |batches| of(batches, "postgres")).await);
    assert_eq!(here, "public.orders");
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relations_of_other_databases_are_not_misnamed() {
    tokio::join!(progress(Major::V13), progress(Major::V18));
}
