//! Two collectors on one store.

use super::*;

use futures_util::FutureExt as _;

use crate::database::{Durability, transaction};

on_every_database!(
    another_collector_on_the_same_server_is_noticed,
    another_collector_is_noticed_among_thousands_of_others,
);

async fn another_collector_on_the_same_server_is_noticed(fixture: Fixture) {
    let (ours, theirs) = (fixture.open().await, fixture.open_as("theirs").await.unwrap());
    let identity = |name: &'static str| Text::from(name).into();
    ours.store.watch(identity("id:1/1"));
    ours.store.watch(identity("id:2/1"));
    theirs.store.watch(identity("id:2/1"));
    theirs.store.watch(identity("id:3/1"));
    for _ in 0..2 {
        theirs.writer.beat().await;
        ours.writer.beat().await;
        fixture.clock.advance(HEARTBEAT);
    }
    let other = OtherInstance { id: "theirs".into(), server: "id:2/1".into(), host: "here".into() };
    assert_eq!(ours.store.others(), [other]);
    assert_eq!(ours.value("dbintel_store_other_instances", &[]), Some(1.0));
    // One that ends says so.
    theirs.writer.finish().await;
    ours.writer.beat().await;
    assert_eq!(ours.store.others(), []);
    assert_eq!(ours.value("dbintel_store_other_instances", &[]), Some(0.0));
}

/// A store that a large fleet shares: what others watch finds no place among what is looked at.
async fn another_collector_is_noticed_among_thousands_of_others(fixture: Fixture) {
    let ours = fixture.open().await;
    ours.store.watch(Text::from("id:1/1").into());
    ours.store
        .on(|database| {
            async move {
                transaction!(database, Durability::Soon, connection => {
                    let text = "INSERT INTO dbintel_instances (id, server, host, started_at, last_seen) \
                                VALUES ($1, $2, 'there', 1, 1)";
                    for number in 0..5_000 {
                        let insert = sqlx::query(text).bind(format!("far/{number:04}"));
                        insert.bind(format!("far:{number}")).execute(&mut *connection).await?;
                    }
                });
                Ok(())
            }
            .boxed()
        })
        .await
        .unwrap();
    let theirs = fixture.open_as("theirs").await.unwrap();
    theirs.store.watch(Text::from("id:1/1").into());
    for _ in 0..2 {
        theirs.writer.beat().await;
        ours.writer.beat().await;
        fixture.clock.advance(HEARTBEAT);
    }
    let other = OtherInstance { id: "theirs".into(), server: "id:1/1".into(), host: "here".into() };
    assert_eq!(ours.store.others(), [other]);
}
