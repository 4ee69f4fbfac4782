//! Twice as many statements as the backend takes: memory must stay flat, below its limit, and losses be counted.
//!
//! All 5,000 statements run every second and all of them leave, uncompressed, with one request under way at a time.
//! For some seconds the backend takes them as fast as they come; then each request of logs is held up for twice the
//! time that passed between two of them.

use std::time::{Duration, Instant};

use dbintel_testkit::otlp_sink::{Behaviour, Options, OtlpSink};
use serde::Serialize;

use super::Extent;
use super::server::{STATEMENTS, Server, keep_active};
use crate::collector::{Collector, Plan};
use crate::watch::{Watched, watch};

/// The limit of memory.
const LIMIT_MIB: u32 = 128;
/// Poll interval, the shortest there is.
const INTERVAL: Duration = Duration::from_secs(1);
/// After the start: connections, texts, first differences.
const WARM_UP: Duration = Duration::from_secs(6);
/// The queue fills and memory settles.
const SETTLE: Duration = Duration::from_secs(8);

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Overload {
    /// The limit of memory.
    pub limit_mib: u32,
    /// Records offered to the backend per second, without hindrance.
    pub free_records_per_second: f64,
    /// Records that reached the exporter per second, in the window.
    pub offered_records_per_second: f64,
    /// Records that the hindered backend accepted per second.
    pub accepted_records_per_second: f64,
    /// Records dropped by the full queue per second, counted.
    pub dropped_records_per_second: f64,
    /// Records refused at the door per second: memory pressure.
    pub refused_records_per_second: f64,
    /// Memory and CPU while overloaded.
    pub watched: Watched,
}

/// Runs the program beside this server, with a backend that is too slow.
pub async fn measure(servers: &[Server], extent: Extent) -> Overload {
    let sink = |options: Options| OtlpSink::start_with(options.counts_only());
    let (logs, metrics) = (sink(Options::new()).await, sink(Options::new()).await);
    let mut plan = Plan::new(vec![servers[0].cluster.port()], &servers[0].password, "")
        .receiver("collection_interval: 1s")
        .receiver("top_query_collection: {collection_interval: 1s, top_n_query: 10000}");
    plan.exporter = vec![
        format!("logs_endpoint: {}/v1/logs", logs.http_endpoint()),
        format!("metrics_endpoint: {}/v1/metrics", metrics.http_endpoint()),
        "compression: none".to_owned(),
        "timeout: 30s".to_owned(),
        "sending_queue: {num_consumers: 1, max_bytes: 8MiB}".to_owned(),
    ];
    // The point is the backend, not the database.
    plan.budget = Some("60s".to_owned());
    plan.memory_limiter = vec![format!("limit_mib: {LIMIT_MIB}")];
    let collector = Collector::start(&plan).await;
    let measuring = async {
        tokio::time::sleep(WARM_UP).await;
        let (free, between) = calibrate(&collector, &logs, extent.seconds(6, 15)).await;
        logs.always(Behaviour::Accept.after(between * 2));
        tokio::time::sleep(SETTLE).await;
        let before = collector.metrics().await;
        let watched = watch(&collector, Instant::now() + extent.seconds(30, 180)).await;
        (free, before, collector.metrics().await, watched)
    };
    let (free_records_per_second, before, after, watched) = tokio::select! {
        () = keep_active(&servers[..1], STATEMENTS, INTERVAL) => unreachable!("it never ends"),
        measured = measuring => measured,
    };
    drop(collector);
    let rate = |name: &str| (after.sum(name, &[]) - before.sum(name, &[])) / watched.seconds;
    Overload {
        limit_mib: LIMIT_MIB,
        free_records_per_second,
        offered_records_per_second: rate("otelcol_receiver_accepted_log_records"),
        accepted_records_per_second: rate("otelcol_exporter_sent_log_records"),
        dropped_records_per_second: rate("otelcol_exporter_enqueue_failed_log_records"),
        refused_records_per_second: rate("otelcol_receiver_refused_log_records"),
        watched,
    }
}

/// Records per second, and the time between two requests, of a backend that takes them as they come.
async fn calibrate(collector: &Collector, logs: &OtlpSink, time: Duration) -> (f64, Duration) {
    let sent = async || collector.metrics().await.sum("otelcol_exporter_sent_log_records", &[]);
    let (records, requests, begun) = (sent().await, logs.totals().accepted, Instant::now());
    tokio::time::sleep(time).await;
    let requests = logs.totals().accepted - requests;
    assert!(requests > 0, "nothing arrived:\n{}", collector.log());
    let records = sent().await - records;
    let took = begun.elapsed();
    (records / took.as_secs_f64(), took / u32::try_from(requests).expect("few requests"))
}

impl Overload {
    /// Whether memory neither grew nor passed the limit.
    #[must_use]
    pub fn is_flat(&self) -> bool {
        let watched = &self.watched;
        let grew = watched.rss_last_third_mib > watched.rss_first_third_mib * 1.1 + 2.0;
        !grew && watched.rss_peak_mib <= f64::from(self.limit_mib)
    }

    /// How much more was offered than accepted.
    #[must_use]
    pub fn factor(&self) -> f64 {
        let lost = self.dropped_records_per_second;
        (self.accepted_records_per_second + lost) / self.accepted_records_per_second.max(1.0)
    }
}
