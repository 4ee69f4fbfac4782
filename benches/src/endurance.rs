//! Whether the budget is held in every minute of a long run: `make endurance`.
//!
//! The program as it is, with its default budget and every processor, reads everything there is, sessions and plans included, of a private
//! PostgreSQL with 5,000 distinct statements under a live load, five times as often as by default. In every minute, what the collector's ledger says is
//! put beside what the server's log and the kernel say ([`observed`]). In the end, after a minute without load, there must
//! be no row of ours in `pg_stat_statements`, and no transaction id may have been used.

mod load;
mod minute;
mod observed;
mod table;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dbintel_config::from_yaml;
use dbintel_receiver_postgresql::config::Settings;
use dbintel_receiver_postgresql::query::plans::create_script;
use dbintel_testkit::otlp_sink::{Options as SinkOptions, OtlpSink};
use dbintel_testkit::postgres::{Cluster, Major, Options, OwnStatements};

use self::load::Load;
use self::minute::{Minute, Reading};
use self::observed::{Backends, LOG_LINE_PREFIX, Log};
pub use self::table::Endurance;
use crate::collector::{Collector, Plan};
use crate::database_time::ROLE;
use crate::machine::{self, Machine};
use crate::scrape::Page;

/// How many times as often as by default everything is read.
const TIMES_AS_OFTEN: u32 = 5;
/// What the server, the kernel and the collector are asked.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Runs for so many minutes, and says what each of them was.
pub async fn run(major: Major, minutes: u32) -> Endurance {
    let options = Options::new()
        .setting("pg_stat_statements.max", "10000")
        .setting("log_line_prefix", LOG_LINE_PREFIX)
        .setting("log_checkpoints", "off");
    let cluster = Cluster::start(major, options).await;
    cluster.create_extension("postgres", "pg_stat_statements").await;
    let role = cluster.create_monitor_role(OwnStatements::Untracked).await;
    cluster.execute("postgres", &format!("ALTER ROLE {ROLE} SET log_duration = on")).await;
    let versions = cluster.versions().await;
    let postgresql = format!(
        "PostgreSQL {} with pg_stat_statements {}",
        versions.server_version, versions.pg_stat_statements
    );
    let mut machine = Machine::describe(&crate::collector::program(), postgresql).await;
    let mut load = Load::start(&cluster).await;
    // Plans of tables on which the collector's role has no rights.
    cluster.execute(load.database(), &create_script(ROLE)).await;

    let sink = OtlpSink::start_with(SinkOptions::new().counts_only()).await;
    let mut plan = Plan::new(vec![cluster.port()], &role.password, &sink.http_endpoint());
    plan.receiver = intervals();
    plan.processors = vec!["adaptive_sampler", "verification"];
    let collector = Collector::start(&plan).await;
    let mut watch = Watch::new(&cluster, &collector).await;
    let seen = tokio::select! {
        () = load.run() => unreachable!("it never ends"),
        seen = watch.minutes(minutes) => seen,
    };
    let load = load.stop().await;
    let transaction_ids_used = watch.quiet_minute().await;
    machine.load_after = machine::load();
    let result = Endurance {
        machine,
        minutes: seen,
        intervals: plan.receiver,
        load,
        rows_of_ours: rows_of_ours(&cluster).await,
        statements_known: cluster.scalar("postgres", "SELECT count(*) FROM pg_stat_statements").await,
        transaction_ids_used,
        transaction_ids_seen: watch.backends.transaction_ids,
        at: table::now(),
    };
    let log = collector.stop().await;
    if !result.failures().is_empty() {
        println!("the log of dbintel:\n{log}");
    }
    result
}

/// Everything there is, sessions and plans included, at the default intervals, divided.
fn intervals() -> Vec<String> {
    let settings: Settings = from_yaml("{endpoint: localhost, username: x}").expect("settings");
    let every = |interval: Duration| format!("{}ms", (interval / TIMES_AS_OFTEN).as_millis());
    let part = |name: &str, interval| format!("{name}: {{collection_interval: {}}}", every(interval));
    vec![
        format!("collection_interval: {}", every(settings.collection_interval.get())),
        part("top_query_collection", settings.top_query_collection.collection_interval.get()),
        part("object_collection", settings.object_collection.collection_interval.get()),
        part("size_collection", settings.size_collection.collection_interval.get()),
        part("catalogue_collection", settings.catalogue_collection.collection_interval.get()),
        // By default they are sampled as often as everything else is read.
        part("query_sample_collection", settings.collection_interval.get()),
        part("plan_collection", settings.plan_collection.collection_interval.get()),
        "events: {db.server.query_sample: {enabled: true}, db.server.query_plan: {enabled: true}}".to_owned(),
    ]
}

async fn rows_of_ours(cluster: &Cluster) -> i64 {
    let text = format!(
        "SELECT count(*) FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid WHERE rolname = '{ROLE}'"
    );
    cluster.scalar("postgres", &text).await
}

/// What is looked at while the collector runs.
struct Watch<'a> {
    cluster: &'a Cluster,
    collector: &'a Collector,
    log: Log,
    backends: Backends,
    before: Reading,
    next: Instant,
}

// === impl Watch ===

impl<'a> Watch<'a> {
    /// Begins with nothing spent: connecting and the first readings belong to the first minute.
    async fn new(cluster: &'a Cluster, collector: &'a Collector) -> Self {
        let mut backends = Backends::of(cluster).await;
        backends.look().await;
        let log = Log::of(cluster);
        Self { cluster, collector, log, backends, before: Reading::default(), next: Instant::now() }
    }

    async fn minutes(&mut self, minutes: u32) -> Vec<Minute> {
        let mut seen = Vec::new();
        println!("{}", table::head());
        for number in 1..=minutes {
            let minute = self.minute(number).await;
            println!("{}", table::row(&minute));
            seen.push(minute);
        }
        seen
    }

    async fn minute(&mut self, number: u32) -> Minute {
        let end = self.next + MINUTE;
        let mut ratios = BTreeMap::new();
        let mut page = self.look(&mut ratios).await;
        while self.next < end {
            page = self.look(&mut ratios).await;
        }
        let reading = Reading::of(&page, &self.backends);
        let minute = Minute::between(
            number,
            &self.before,
            &reading,
            ratios,
            self.log.durations(),
            self.collector.figures().rss_bytes,
        );
        self.before = reading;
        minute
    }

    /// Looks at everything once, when it is time, and remembers the highest ratio of each account.
    async fn look(&mut self, ratios: &mut BTreeMap<String, f64>) -> Page {
        self.next += LOOK_EVERY;
        tokio::time::sleep_until(self.next.into()).await;
        self.backends.look().await;
        let page = self.collector.metrics().await;
        for (database, ratio) in page.by("collector_database_budget_ratio", "database", &[]) {
            let highest = ratios.entry(database).or_insert(0.0_f64);
            *highest = highest.max(ratio);
        }
        page
    }

    /// A minute in which nobody but the collector works. How many transaction ids were given out in it.
    async fn quiet_minute(&mut self) -> i64 {
        let next = "SELECT txid_snapshot_xmax(txid_current_snapshot())";
        self.cluster.execute("postgres", "ALTER SYSTEM SET autovacuum = off").await;
        self.cluster.execute("postgres", "SELECT pg_reload_conf()").await;
        let wait = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'autovacuum worker'";
        while self.cluster.scalar::<i64>("postgres", wait).await > 0 {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let before: i64 = self.cluster.scalar("postgres", next).await;
        tokio::time::sleep(MINUTE).await;
        self.cluster.scalar::<i64>("postgres", next).await - before
    }
}
