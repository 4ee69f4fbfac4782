//! Clusters and configurations that are polled every second, so that tests are short.

use std::time::Duration;

use dbintel_testkit::postgres::{Cluster, Major, Options, OwnStatements};

/// Every key with its value; a test replaces those it is about.
const FAST: [(&str, &str); 10] = [
    ("username", "dbintel"),
    ("password", "monitor-of-the-test"),
    ("collection_interval", "1s"),
    ("initial_delay", "0"),
    ("tls", "{insecure: true}"),
    ("top_query_collection", "{collection_interval: 1s}"),
    ("object_collection", "{collection_interval: 1s}"),
    ("size_collection", "{collection_interval: 1s}"),
    ("catalogue_collection", "{collection_interval: 1s}"),
    ("query_sample_collection", "{collection_interval: 1s}"),
];

/// Switches session samples on.
pub const SAMPLES: (&str, &str) = ("events", "{db.server.query_sample: {enabled: true}}");

/// A configuration for a server on a port of 127.0.0.1. A key that is changed to nothing is left out.
pub fn yaml(port: u16, changes: &[(&str, &str)]) -> String {
    let endpoint = format!("127.0.0.1:{port}");
    let mut keys: Vec<(&str, &str)> = FAST.to_vec();
    keys.insert(0, ("endpoint", &endpoint));
    for (key, value) in changes {
        keys.retain(|(held, _)| held != key);
        keys.push((key, value));
    }
    keys.iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| format!("{key}: {value}\n"))
        .collect()
}

/// A server with the collector's role and `pg_stat_statements` in `postgres`, and a table with an index.
pub async fn cluster(major: Major, options: Options) -> Cluster {
    let cluster = Cluster::start(major, options).await;
    cluster.create_monitor_role(OwnStatements::Untracked).await;
    cluster.create_extension("postgres", "pg_stat_statements").await;
    orders(&cluster, "postgres").await;
    cluster
}

/// A table with an index and a thousand rows.
pub async fn orders(cluster: &Cluster, database: &str) {
    let schema = "CREATE TABLE public.orders (id int PRIMARY KEY, note text); \
        INSERT INTO orders SELECT n, 'note' FROM generate_series(1, 1000) n; ANALYZE orders";
    cluster.execute(database, schema).await;
    // The statistics show it a moment later.
    let counted = "SELECT n_live_tup FROM pg_stat_user_tables WHERE relname = 'orders' AND last_analyze IS NOT NULL \
        UNION ALL SELECT 0 ORDER BY 1 DESC LIMIT 1";
    while cluster.scalar::<i64>(database, counted).await != 1_000 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
