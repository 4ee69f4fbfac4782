//! The workload on real servers: what it leaves in the statistics that a collector reads.

use std::time::{Duration, Instant};

use dbintel_testkit::postgres::{Cluster, Major, Options, StopMode, available_majors};
use dbintel_testkit::workload::{
    Kind, Shop, Size, Traffic, distinct_statements, distinct_statements_of_size,
};

const STATEMENTS: &str = "SELECT count(*) FROM pg_stat_statements WHERE query LIKE '%distinct_source'";

async fn shop(major: Major) -> (Cluster, Shop) {
    let cluster = Cluster::start(major, Options::new()).await;
    let shop = Shop::install(&cluster, Size::SMALL).await;
    cluster.create_extension("postgres", "pg_stat_statements").await;
    (cluster, shop)
}

async fn wait_for(traffic: &Traffic, what: &str, condition: impl Fn(&Traffic) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition(traffic) {
        assert!(Instant::now() < deadline, "waited in vain for {what}: {:?}", traffic.report());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn every_kind_runs_on_every_major() {
    for major in available_majors() {
        let (cluster, shop) = shop(major).await;
        let traffic = Traffic::start(&cluster, &shop, 2_000.0, 1);
        wait_for(&traffic, "all kinds", |traffic| traffic.report().kinds.len() == 15).await;
        let report = traffic.stop().await;
        assert_eq!((report.failed(), report.failed_connections), (0, 0), "{major}: {report:?}");
        let roles = "SELECT count(DISTINCT userid) FROM pg_stat_statements JOIN pg_roles r ON r.oid = userid
                     WHERE rolname LIKE 'shop%'";
        assert_eq!(cluster.scalar::<i64>("postgres", roles).await, 2, "{major}");
        let left = "SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'shop%'";
        assert_eq!(cluster.scalar::<i64>("postgres", left).await, 0, "{major}: connections are left");
    }
}

#[tokio::test]
async fn data_are_the_same_everywhere() {
    let fingerprint = "SELECT md5(string_agg(o::text, ';' ORDER BY id)) FROM orders o";
    let (old, _) = shop(Major::OLDEST).await;
    let (new, _) = shop(Major::NEWEST).await;
    let old: String = old.scalar("shop", fingerprint).await;
    assert_eq!(old, new.scalar::<String>("shop", fingerprint).await);
}

#[tokio::test]
async fn somebody_waits_for_a_lock_now_and_then() {
    let (cluster, shop) = shop(Major::V16).await;
    let traffic = Traffic::start(&cluster, &shop, 1_000.0, 2);
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0";
    let deadline = Instant::now() + Duration::from_secs(30);
    while cluster.scalar::<i64>("postgres", waiting).await == 0 {
        assert!(Instant::now() < deadline, "nobody waited: {:?}", traffic.report());
    }
    traffic.stop().await;
}

#[tokio::test]
async fn traffic_survives_a_restart() {
    let (mut cluster, shop) = shop(Major::V17).await;
    let traffic = Traffic::start(&cluster, &shop, 500.0, 3);
    wait_for(&traffic, "traffic", |traffic| traffic.report().succeeded() > 20).await;
    cluster.stop(StopMode::Immediate).await;
    wait_for(&traffic, "failed connections", |traffic| traffic.report().failed_connections > 0).await;
    cluster.start_again().await;
    let before = traffic.report().succeeded();
    wait_for(&traffic, "traffic after the restart", |traffic| traffic.report().succeeded() > before + 20)
        .await;
    let report = traffic.stop().await;
    assert!(report.kinds.contains_key(&Kind::PointLookup));
}

#[tokio::test]
async fn distinct_statements_are_distinct_entries_at_the_top_level() {
    for major in available_majors() {
        let cluster = Cluster::start(major, Options::new().setting("pg_stat_statements.max", "30000")).await;
        cluster.create_extension("postgres", "pg_stat_statements").await;
        let begin = Instant::now();
        distinct_statements(&cluster, "postgres", 0..20_000).await;
        println!("{major}: 20000 statements in {:?}", begin.elapsed());
        assert_eq!(cluster.scalar::<i64>("postgres", STATEMENTS).await, 20_000, "{major}");
        if major >= Major::V14 {
            let top = format!("{STATEMENTS} AND toplevel");
            assert_eq!(cluster.scalar::<i64>("postgres", &top).await, 20_000, "{major}");
        }
    }
}

#[tokio::test]
async fn statement_texts_can_be_big() {
    for major in [Major::OLDEST, Major::NEWEST] {
        let cluster = Cluster::start(major, Options::new()).await;
        cluster.create_extension("postgres", "pg_stat_statements").await;
        distinct_statements_of_size(&cluster, "postgres", 0..640, 8 << 10).await;
        let bytes = "SELECT sum(length(query)) FROM pg_stat_statements WHERE query LIKE '%distinct_source%'";
        assert!(cluster.scalar::<i64>("postgres", bytes).await >= 5 << 20, "{major}");
    }
}
