//! What a lone, idle primary does not show: values of replication, of those who hold vacuum back, and of running
//! maintenance, compared with what the server says itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, which clippy sees only in functions marked as such"
)]

mod support;

use std::sync::Arc;

use dbintel_model::catalogue::METRICS;
use dbintel_model::{Batch, MetricPoint, NumberType};
use dbintel_testkit::postgres::{Cluster, Major};
use support::settings::yaml;
use support::world::{LOCKED, LOGICAL_SLOT, USED_IDS, World, stalled_base_backup};
use support::{Watched, points, texts_of};

/// A receiver on one server of the world.
struct Reader<'a> {
    server: &'a Cluster,
    watched: Watched,
}

type Attributes<'a> = [(&'a str, &'a str)];

impl<'a> Reader<'a> {
    fn start(server: &'a Cluster) -> Self {
        let on: Vec<_> = METRICS.iter().map(|metric| format!("{}: {{enabled: true}}", metric.name)).collect();
        let metrics = format!("{{{}}}", on.join(", "));
        Self { server, watched: Watched::start(&yaml(server.port(), &[("metrics", &metrics)])) }
    }

    async fn ask(&self, sql: &str) -> f64 {
        self.server.scalar("postgres", &format!("SELECT ({sql})::float8")).await
    }

    /// A point that was read after this call.
    async fn next(&mut self, name: &str, attributes: &Attributes<'_>) -> MetricPoint {
        let now = self.ask("floor(extract(epoch FROM clock_timestamp()) * 1000000)").await;
        let find = |batches: &[Arc<Batch>]| {
            let is_new = |point: &&MetricPoint| {
                let held = texts_of(point);
                let has = |(key, value): &(&str, &str)| held.iter().any(|(k, v)| k == key && v == value);
                point.metric.name == name
                    && point.time.as_micros() as f64 >= now
                    && attributes.iter().all(has)
            };
            points(batches).find(is_new).cloned()
        };
        self.watched.until(&format!("{name} {attributes:?}"), find).await
    }

    /// The value is between what the server says before and after it was read, and so is the point's unit of rounding.
    async fn agrees(&mut self, name: &str, attributes: &Attributes<'_>, sql: &str) -> f64 {
        let before = self.ask(sql).await;
        let point = self.next(name, attributes).await;
        let (value, after) = (point.value.as_f64(), self.ask(sql).await);
        let rounding = if point.metric.number == NumberType::Int { 0.5 } else { 1e-6 };
        let (low, high) = (before.min(after) - rounding, before.max(after) + rounding);
        assert!((low..=high).contains(&value), "{name} {attributes:?}: {value}, not {before} to {after}");
        value
    }
}

/// Slots, with who uses them, what they keep and how much more they may keep.
async fn slots(major: Major) {
    let mut world = World::start(major).await;
    world.write().await;
    let physical = world.physical_slot();
    let mut reader = Reader::start(&world.primary);
    for (name, kind, active) in [(LOGICAL_SLOT, "logical", 0.0), (physical.as_str(), "physical", 1.0)] {
        let slot = [("postgresql.replication_slot.name", name), ("postgresql.replication_slot.type", kind)];
        let point = reader.next("postgresql.replication_slot.active", &slot).await;
        assert_eq!(point.value.as_f64(), active, "{name}");
        let safe = format!("SELECT safe_wal_size FROM pg_replication_slots WHERE slot_name = '{name}'");
        let safe = reader.agrees("postgresql.replication_slot.safe_wal_size", &slot, &safe).await;
        assert!(safe > 0.0 && safe < (2_u64 << 30) as f64, "{safe}");
    }
    // The other slot moves with the standby.
    let slot = [("postgresql.replication_slot.name", LOGICAL_SLOT)];
    let retained = format!(
        "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn) FROM pg_replication_slots \
         WHERE slot_name = '{LOGICAL_SLOT}'"
    );
    let first = reader.agrees("postgresql.replication_slot.retained", &slot, &retained).await;
    let second = reader.agrees("postgresql.replication_slot.retained", &slot, &retained).await;
    assert!(0.0 < first && first < second, "{first} {second}");
    reader.watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_keep_what_the_server_says_on_13_and_18() {
    tokio::join!(slots(Major::V13), slots(Major::V18));
}

/// A standby that does not replay, as it sees itself and as its primary sees it; and the archiver.
async fn replication(major: Major) {
    let mut world = World::start(major).await;
    world.archive().await;
    world.write().await;
    let mut primary = Reader::start(&world.primary);
    let client = [("replication_client", "unix")];
    for operation in ["write", "flush", "replay"] {
        let of = [("operation", operation), client[0]];
        let lag = primary.next("postgresql.wal.delay", &of).await.value.as_f64();
        let uptime = primary.ask("extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())").await;
        assert!((0.0..uptime).contains(&lag), "{operation}: {lag}");
        let whole = primary.next("postgresql.wal.lag", &of).await.value;
        assert!((0..=i64::from(lag.ceil() as u32) + 1).contains(&support::int(whole)), "{whole:?} {lag}");
    }
    let age = "SELECT extract(epoch FROM clock_timestamp() - last_archived_time) FROM pg_stat_archiver";
    primary.agrees("postgresql.wal.age", &[], age).await;

    world.standby.execute("postgres", "SELECT pg_wal_replay_pause()").await;
    let behind = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) FROM pg_stat_replication";
    let first = primary.agrees("postgresql.replication.data_delay", &client, behind).await;
    let second = primary.agrees("postgresql.replication.data_delay", &client, behind).await;
    assert!(0.0 < first && first < second, "{first} {second}");
    primary.watched.stop().await;

    let mut standby = Reader::start(&world.standby);
    let backlog = "pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())";
    assert!(standby.agrees("postgresql.recovery.replay_backlog", &[], backlog).await > 0.0);
    let delay = "extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())";
    let first = standby.agrees("postgresql.recovery.replay_delay", &[], delay).await;
    let second = standby.agrees("postgresql.recovery.replay_delay", &[], delay).await;
    assert!(0.0 < first && first < second, "{first} {second}");
    standby.watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_does_not_replay_is_seen_from_both_sides_on_13_and_18() {
    tokio::join!(replication(Major::V13), replication(Major::V18));
}

/// Each of those who can hold vacuum back, with the age of what he holds; the oldest transactions; and their locks.
async fn holders(major: Major) {
    let mut world = World::start(major).await;
    // Without a slot the primary keeps what the standby needs for the connection.
    world.configure_standby(&[("hot_standby_feedback", "on"), ("primary_slot_name", "")]).await;
    world.hold_on_standby().await;
    world.hold().await;
    let told = "SELECT count(*) > 0 FROM pg_stat_replication WHERE backend_xmin IS NOT NULL";
    while !world.primary.scalar::<bool>("postgres", told).await {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    world.use_ids().await;
    let mut reader = Reader::start(&world.primary);
    for (holder, sql) in [
        (
            "backend",
            "SELECT max(age(backend_xmin)) FROM pg_stat_activity WHERE backend_type = 'client backend'",
        ),
        ("standby", "SELECT max(age(backend_xmin)) FROM pg_stat_replication"),
        ("prepared_transaction", "SELECT max(age(transaction)) FROM pg_prepared_xacts"),
        ("replication_slot", "SELECT max(age(catalog_xmin)) FROM pg_replication_slots"),
    ] {
        let age = reader.agrees("postgresql.xmin.age", &[("postgresql.xmin.holder", holder)], sql).await;
        assert!(age >= USED_IDS as f64, "{holder}: {age}");
    }
    for (state, sql) in [("active", "= 'active'"), ("idle_in_transaction", "= 'idle in transaction'")] {
        let oldest = format!(
            "SELECT max(extract(epoch FROM clock_timestamp() - xact_start)) FROM pg_stat_activity \
             WHERE backend_type = 'client backend' AND state {sql}"
        );
        assert!(reader.agrees("postgresql.transaction.oldest", &[("state", state)], &oldest).await > 0.0);
    }
    assert_eq!(reader.next("postgresql.prepared_transactions", &[]).await.value.as_f64(), 1.0);
    let lock = [("relation", LOCKED), ("mode", "RowShareLock"), ("lock_type", "relation")];
    assert_eq!(reader.next("postgresql.database.locks", &lock).await.value.as_f64(), 1.0);
    reader.watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_holds_vacuum_back_is_named_with_his_age_on_13_and_18() {
    tokio::join!(holders(Major::V13), holders(Major::V18));
}

/// Running maintenance says how far it is.
async fn progress(major: Major) {
    let mut world = World::start(major).await;
    let pages = "CREATE TABLE public.vacuumed AS SELECT n, repeat('x', 1000) AS t FROM generate_series(1, 10000) n; \
        CREATE TABLE public.analyzed AS SELECT * FROM vacuumed; CREATE TABLE public.rewritten AS SELECT 1 AS n; \
        CREATE FUNCTION public.at_leisure(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS \
        'BEGIN PERFORM pg_sleep(coalesce(nullif(current_setting(''test.leisure'', true), ''''), ''0'')::float8); RETURN n; END'; \
        CREATE INDEX ON public.rewritten (public.at_leisure(n))";
    world.primary.execute("postgres", pages).await;
    let leisurely = "SET vacuum_cost_delay = '100ms'; SET vacuum_cost_limit = 1";
    world.build_index().await;
    world.maintain(leisurely, "VACUUM public.vacuumed").await;
    world.maintain(leisurely, "ANALYZE public.analyzed").await;
    world.maintain("SET test.leisure = 600", "VACUUM FULL public.rewritten").await;
    let _unread = stalled_base_backup(&world.primary).await;
    let mut reader = Reader::start(&world.primary);
    for (command, relation, work, total, view) in [
        ("create index", "public.orders", "blocks_done", "blocks_total", "create_index"),
        ("vacuum", "public.vacuumed", "heap_blks_scanned", "heap_blks_total", "vacuum"),
        ("analyze", "public.analyzed", "sample_blks_scanned", "sample_blks_total", "analyze"),
        ("vacuum full", "public.rewritten", "heap_blks_scanned", "heap_blks_total", "cluster"),
        ("base backup", "", "backup_streamed", "backup_total", "basebackup"),
    ] {
        let mut attributes = vec![("postgresql.progress.command", command)];
        if !relation.is_empty() {
            attributes.push(("postgresql.progress.relation", relation));
            attributes.push(("db.namespace", "postgres"));
        }
        // Until the phase is reached whose total is known.
        let done = reader.next("postgresql.progress.done", &attributes).await;
        assert!((0.0..=1.0).contains(&done.value.as_f64()), "{command}: {done:?}");
        assert!(
            texts_of(&done)
                .iter()
                .any(|(key, phase)| key == "postgresql.progress.phase" && !phase.is_empty())
        );
        let view = format!("FROM pg_stat_progress_{view}");
        let amount =
            reader.agrees("postgresql.progress.work", &attributes, &format!("SELECT {work} {view}")).await;
        assert!(amount >= 0.0, "{command}: {amount}");
        let share = format!("SELECT {work}::float8 / {total} {view}");
        reader.agrees("postgresql.progress.done", &attributes, &share).await;
    }
    reader.watched.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn running_maintenance_says_how_far_it_is_on_13_and_18() {
    tokio::join!(progress(Major::V13), progress(Major::V18));
}
