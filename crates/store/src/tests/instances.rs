//! Two collectors on one store.

use super::*;

on_every_database!(another_collector_on_the_same_server_is_noticed);

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
