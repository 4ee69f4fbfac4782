//! The program beside servers in trouble: what is missing is said in self-metrics and on the pages, a server that is
//! well and the databases that are well go on, and memory stays bounded.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use dbintel_testkit::otlp_sink::OtlpSink;
use dbintel_testkit::postgres::{Cluster, Major, Options, OwnStatements};
use dbintel_testkit::process::{Dbintel, Launch};
use dbintel_testkit::workload::distinct_statements_of_size;
use dbintel_tests::AdminPorts;
use sqlx::{ConnectOptions as _, Executor as _, PgConnection};

/// Longer than the first wait of a breaker because of slots, a minute and some.
const PATIENCE: Duration = Duration::from_secs(150);
/// What the process may use; the default of a sidecar in `deploy/kubernetes`.
const MEMORY_LIMIT_BYTES: f64 = 256.0 * 1024.0 * 1024.0;

/// The program, with a server that will be in trouble and one that is well.
struct World {
    troubled: Cluster,
    _well: Cluster,
    _sink: OtlpSink,
    ports: AdminPorts,
    program: Dbintel,
}

async fn cluster(options: Options) -> Cluster {
    let cluster = Cluster::start(Major::V17, options).await;
    cluster.create_monitor_role(OwnStatements::Untracked).await;
    cluster.create_extension("postgres", "pg_stat_statements").await;
    cluster.create_database("other").await;
    for database in ["postgres", "other"] {
        cluster.execute(database, "CREATE TABLE public.orders (id int PRIMARY KEY)").await;
    }
    cluster
}

impl World {
    async fn start(options: Options) -> Self {
        let (troubled, well) = tokio::join!(cluster(options), cluster(Options::new()));
        let sink = OtlpSink::start().await;
        let receiver = |port: u16| {
            format!(
                "{{endpoint: \"127.0.0.1:{port}\", username: dbintel, password: monitor-of-the-test, tls: {{insecure: true}}, \
                 collection_interval: 1s, initial_delay: 0, timeout: 1s, \
                 object_collection: {{collection_interval: 1s}}, size_collection: {{collection_interval: 1s}}, \
                 top_query_collection: {{collection_interval: 1s}}}}"
            )
        };
        let config = format!(
            "receivers:\n  postgresql/troubled: {}\n  postgresql/well: {}\n\
             processors:\n  circuit_breaker: {{limits: {{budget: 60s}}}}\n\
             exporters:\n  otlphttp: {{endpoint: \"{}\"}}\n\
             service:\n  pipelines:\n    databases:\n      receivers: [postgresql/troubled, postgresql/well]\n      \
             exporters: [otlphttp]\n",
            receiver(troubled.port()),
            receiver(well.port()),
            sink.http_endpoint(),
        );
        let ports = AdminPorts::default();
        let mut program = ports.apply(Launch::run(&config)).start();
        program.wait_until_ready(ports.health(), "/health/ready", PATIENCE).await;
        let world = Self { troubled, _well: well, _sink: sink, ports, program };
        world.goes_on("troubled").await;
        world.goes_on("well").await;
        world
    }

    /// The sum of a self-metric over the series that have all of these labels.
    async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let (_, body) = self.program.http_get(self.ports.metrics(), "/metrics").await.unwrap();
        let matches = |line: &&str| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|label| line.contains(label))
        };
        body.lines().filter(matches).filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let waiting = async {
            while !holds().await {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let ended = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(ended.is_ok(), "{what} did not happen; {}", self.program.stderr());
    }

    /// Waits until more points of this receiver are accepted.
    async fn goes_on(&self, receiver: &str) {
        let label = format!("receiver=\"postgresql/{receiver}\"");
        let name = "otelcol_receiver_accepted_metric_points";
        let before = self.metric(name, &[&label]).await;
        self.until("more points", async || self.metric(name, &[&label]).await > before).await;
    }

    /// Polls of every loop of the troubled server end.
    async fn polls_end(&self) {
        for name in ["server", "databases"] {
            let labels = ["receiver=\"postgresql/troubled\"", &format!("loop=\"{name}\"")];
            let before = self.metric("dbintel_polls_total", &labels).await;
            self.until("two more polls", async || {
                self.metric("dbintel_polls_total", &labels).await >= before + 2.0
            })
            .await;
        }
    }

    /// The part is missing for this reason: in the self-metrics and on the page.
    async fn is_told(&self, part: &str, reason: &str) {
        let (of_part, of_reason) = (format!("part=\"{part}\""), format!("reason=\"{reason}\""));
        let labels = ["receiver=\"postgresql/troubled\"", &*of_part, &*of_reason];
        self.until("the gap is counted", async || self.metric("dbintel_gaps_total", &labels).await > 0.0)
            .await;
        self.until("the page says so", async || {
            let (_, page) = self.program.http_get(self.ports.pages(), "/debug/pipelinez").await.unwrap();
            page.contains(part) && page.contains(reason)
        })
        .await;
        let well = ["receiver=\"postgresql/well\"", &*of_part, &*of_reason];
        assert!(self.metric("dbintel_gaps_total", &well).await < 1.0, "the server that is well has it too");
    }

    async fn memory_is_bounded(&self) {
        let rss = self.metric("otelcol_process_memory_rss", &[]).await;
        assert!(rss > 0.0 && rss < MEMORY_LIMIT_BYTES, "{rss} bytes");
    }

    async fn stop(mut self) {
        self.memory_is_bounded().await;
        assert!(self.program.stop(Duration::from_secs(30)).await.success(), "{}", self.program.stderr());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_table() {
    let world = World::start(Options::new()).await;
    let mut locker = world.troubled.connect("postgres").await;
    locker.execute(sqlx::raw_sql("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")).await.unwrap();
    world.is_told("table_size", "lock_timeout").await;
    world.polls_end().await;
    world.goes_on("troubled").await;
    world.goes_on("well").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs() {
    let world = World::start(Options::new()).await;
    world.troubled.sigstop();
    world.is_told("server", "deadline_exceeded").await;
    world.polls_end().await;
    for _ in 0..3 {
        world.goes_on("well").await;
    }
    world.troubled.sigcont();
    world.goes_on("troubled").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_slots_taken() {
    let world = World::start(Options::new().setting("max_connections", "12")).await;
    world.troubled.execute("postgres", "CREATE ROLE crowd LOGIN").await;
    let mut superuser = world.troubled.connect("postgres").await;
    let mut crowd: Vec<PgConnection> = Vec::new();
    let crowding = async {
        loop {
            while let Ok(client) = world.troubled.socket_options("crowd", "postgres").connect().await {
                crowd.push(client);
            }
            // Ours have to connect again, and find no slot.
            let ours = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'dbintel'";
            let _ = superuser.execute(ours).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = world.is_told("server", "too_many_connections") => {}
        () = crowding => unreachable!("it goes on until it is dropped"),
    }
    world.polls_end().await;
    world.goes_on("well").await;
    drop(crowd);
    world.goes_on("troubled").await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_megabytes_of_texts() {
    let world = World::start(Options::new().setting("pg_stat_statements.max", "20000")).await;
    distinct_statements_of_size(&world.troubled, "postgres", 0..5_200, 10 << 10).await;
    let bytes: i64 =
        world.troubled.scalar("postgres", "SELECT sum(length(query)) FROM pg_stat_statements").await;
    assert!(bytes > 50 << 20);
    // With a second for each statement of ours the texts may not be read in one go: then that is told.
    let part = ["receiver=\"postgresql/troubled\"", "part=\"statement texts\""];
    let cache = ["receiver=\"postgresql/troubled\""];
    world
        .until("texts are read, or said to be missing", async || {
            world.metric("dbintel_text_cache_bytes", &cache).await > 5e6
                || world.metric("dbintel_gaps_total", &part).await > 0.0
        })
        .await;
    world.polls_end().await;
    world.goes_on("troubled").await;
    world.goes_on("well").await;
    world.stop().await;
}
