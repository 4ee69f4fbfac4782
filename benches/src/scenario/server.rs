//! A database server to be watched: a private PostgreSQL 17 whose `pg_stat_statements` also tracks the collector.

use std::ops::Range;
use std::time::Duration;

use dbintel_testkit::postgres::{Cluster, Major, Options, OwnStatements};
use dbintel_testkit::workload::distinct_statements_of_size;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// Database of the application, beside `postgres`.
pub const APPLICATION: &str = "app";
/// Statements that are known on a loaded server.
pub const STATEMENTS: u32 = 5_000;
/// Bytes of each of their texts.
const STATEMENT_BYTES: usize = 500;
/// Tables of the application, with two indexes each.
const TABLES: u32 = 100;

/// A server with a role for the collector.
#[derive(Debug)]
pub struct Server {
    /// The server.
    pub cluster: Cluster,
    /// Password of the role `dbintel`.
    pub password: String,
}

impl Server {
    /// With the extension in `postgres`, and no other database.
    pub async fn bare() -> Self {
        let options = Options::new()
            .setting("pg_stat_statements.max", "10000")
            .setting("pg_stat_statements.track", "all")
            .setting("pg_stat_statements.track_utility", "on")
            .setting("pg_stat_statements.track_planning", "on");
        let cluster = Cluster::start(Major::V17, options).await;
        cluster.create_extension("postgres", "pg_stat_statements").await;
        let role = cluster.create_monitor_role(OwnStatements::Tracked).await;
        Self { cluster, password: role.password }
    }

    /// With an application database: 100 tables, 200 indexes, 5,000 statements that have run once.
    pub async fn loaded() -> Self {
        let server = Self::bare().await;
        server.cluster.create_database(APPLICATION).await;
        let tables = format!(
            "DO $$ BEGIN FOR n IN 1..{TABLES} LOOP \
               EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, a int, b text)', n); \
               EXECUTE format('CREATE INDEX ON t%s (a)', n); \
               EXECUTE format('INSERT INTO t%s SELECT i, i, i FROM generate_series(1, 100) i', n); \
             END LOOP; END $$"
        );
        server.cluster.execute(APPLICATION, &tables).await;
        server.run(0..STATEMENTS).await;
        server
    }

    /// Runs each of these statements once.
    pub async fn run(&self, statements: Range<u32>) {
        distinct_statements_of_size(&self.cluster, APPLICATION, statements, STATEMENT_BYTES).await;
    }
}

/// The first `statements` statements of every server, every `every`, the first time after half a second. Never ends.
pub async fn keep_active(servers: &[Server], statements: u32, every: Duration) {
    let mut ticks = interval_at(Instant::now() + Duration::from_millis(500), every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        for server in servers {
            server.run(0..statements).await;
        }
    }
}

/// Loaded servers, made two at a time.
pub async fn loaded(count: usize) -> Vec<Server> {
    let mut servers = Vec::new();
    while servers.len() < count {
        let mut making = JoinSet::new();
        for _ in 0..(count - servers.len()).min(2) {
            making.spawn(Server::loaded());
        }
        servers.extend(making.join_all().await);
    }
    servers
}
