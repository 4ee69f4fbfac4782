//! Which statements are the top ones.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, which clippy sees only in functions marked as such"
)]

mod support;

use dbintel_model::{Batch, Query, Record};
use dbintel_testkit::postgres::{Major, Options};
use support::client::{mark, query_id, send};
use support::settings::{cluster, yaml};
use support::{Watched, queries, text_of};

/// Calls of the cheap statement; together they take a small part of what one expensive call takes.
const CHEAP_CALLS: usize = 500;
const EXPENSIVE: &str = "SELECT pg_sleep(1.5), 'expensive'";
const EXPENSIVE_CALLS: i64 = 2;

/// A statement with few expensive calls is the top one before one with many cheap calls, and with room for one only it
/// leaves. The processors get both.
async fn top_by_time(major: Major) {
    let cluster = cluster(major, Options::new()).await;
    let top_one = ("top_query_collection", "{collection_interval: 1s, top_n_query: 1}");
    let mut watched = Watched::start(&yaml(cluster.port(), &[top_one]));
    watched.baseline().await;
    // What is refused becomes part of the next difference, so that both are in one.
    watched.refuse(true);
    let mut client = cluster.connect("postgres").await;
    for _ in 0..EXPENSIVE_CALLS {
        send(&mut client, EXPENSIVE).await;
    }
    mark(&mut client, CHEAP_CALLS).await;
    let expensive = query_id(&cluster, "SELECT pg_sleep").await;
    let cheap = query_id(&cluster, "SELECT note FROM orders").await;
    watched.refuse(false);
    let both = watched
        .until("both statements in one difference", |batches| {
            let both = |batch: &Batch| {
                let find = |id| {
                    let is_it = |query: &&Query| query.key.query_id == id && query.calls >= EXPENSIVE_CALLS;
                    queries_of(batch).find(is_it).cloned()
                };
                Some((batch.clone(), find(expensive)?, find(cheap)?))
            };
            batches.iter().find_map(|batch| both(batch))
        })
        .await;
    let (batch, expensive, cheap) = both;
    assert_eq!((expensive.calls, expensive.rank), (EXPENSIVE_CALLS, Some(1)));
    assert_eq!((cheap.calls, cheap.rank), (i64::try_from(CHEAP_CALLS).unwrap(), None));
    assert!(expensive.total_time_ms > cheap.total_time_ms && cheap.total_time_ms > 0.0, "{cheap:?}");
    let events: Vec<_> = batch
        .records
        .iter()
        .filter(|record| {
            record.leaves() && record.event().is_some_and(|event| event.name == "db.server.top_query")
        })
        .collect();
    let [Record::Query(only)] = events.as_slice() else { panic!("one event, not {}", events.len()) };
    assert!(text_of(only).starts_with("SELECT pg_sleep"), "{only:?}");
    // Never more than one at once, whatever ran.
    for batch in watched.batches() {
        assert!(queries_of(batch).filter(|query| query.rank.is_some()).count() <= 1);
    }
    watched.stop().await;
}

fn queries_of(batch: &Batch) -> impl Iterator<Item = &Query> {
    batch.records.iter().filter_map(|record| match record {
        Record::Query(query) => Some(&**query),
        _ => None,
    })
}

/// All ranks of a difference are in the order of time.
async fn ranks_fall_with_time(major: Major) {
    let cluster = cluster(major, Options::new()).await;
    let mut watched = Watched::start(&yaml(cluster.port(), &[]));
    watched.baseline().await;
    watched.refuse(true);
    let mut client = cluster.connect("postgres").await;
    // The longer, the fewer.
    for (seconds, calls) in [("0.9", 1), ("0.2 + 0.1", 2), ("0.02 * 2 + 0.01", 4)] {
        for _ in 0..calls {
            send(&mut client, &format!("SELECT pg_sleep({seconds})")).await;
        }
    }
    watched.refuse(false);
    let ranked = watched
        .until("three statements in one difference", |batches| {
            batches.iter().find_map(|batch| {
                let mut ranked: Vec<_> =
                    queries_of(batch).filter(|query| query.rank.is_some()).cloned().collect();
                let slept = ranked.iter().filter(|query| text_of(query).contains("pg_sleep")).count();
                ranked.sort_by_key(|query| query.rank);
                (slept >= 3).then_some(ranked)
            })
        })
        .await;
    let ranks: Vec<_> = ranked.iter().map(|query| query.rank.unwrap() as usize).collect();
    assert_eq!(ranks, (1..=ranked.len()).collect::<Vec<_>>());
    let times: Vec<_> = ranked.iter().map(|query| query.total_time_ms).collect();
    assert!(times.is_sorted_by(|before, after| before >= after), "{times:?}");
    assert!(queries(watched.batches()).all(|query| query.rank != Some(0)));
    watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_top_statement_is_the_one_that_took_longest_on_13_and_18() {
    tokio::join!(top_by_time(Major::V13), top_by_time(Major::V18));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ranks_follow_total_time_on_13_and_18() {
    tokio::join!(ranks_fall_with_time(Major::V13), ranks_fall_with_time(Major::V18));
}
