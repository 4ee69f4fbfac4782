//! Servers with 5,000 known statements, polled every 10 s.
//!
//! The order of one interval: poll, a pause of two seconds, then the statements run. So the polls and the load do not
//! get into each other's way, and the figures are those of the collector.

use std::time::{Duration, Instant};

use dbintel_testkit::otlp_sink::{Options, OtlpSink, Totals};
use serde::Serialize;

use super::server::{Server, keep_active};
use crate::collector::{Collector, Plan};
use crate::database_time::{Account, DatabaseTime};
use crate::scrape::Page;
use crate::watch::{Watched, median, watch};

/// How often is polled.
pub const INTERVAL: Duration = Duration::from_secs(10);
/// After a poll was seen to have ended: the sending of its data falls into this.
const AFTER_POLL: Duration = Duration::from_millis(1_500);
/// How often the end of a poll is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Sizes and catalogue are read once in so many polls.
const POLLS_PER_MINUTE: u32 = 6;
/// Polls before the window.
const WARM_UP_POLLS: f64 = 8.0;
/// How long the first polls may take.
const FIRST_POLLS_TIMEOUT: Duration = Duration::from_secs(180);

/// Counters of records that did not arrive.
const LOSSES: [&str; 6] = [
    "otelcol_receiver_refused_metric_points",
    "otelcol_receiver_refused_log_records",
    "otelcol_exporter_send_failed_metric_points",
    "otelcol_exporter_send_failed_log_records",
    "otelcol_exporter_enqueue_failed_metric_points",
    "otelcol_exporter_enqueue_failed_log_records",
];

/// What is to be measured.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Polls in the window. Sizes and catalogue are read every sixth poll: a multiple of six has them in full.
    pub polls: u32,
    /// Statements of each server that run in each interval.
    pub active: u32,
}

/// What was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Steady {
    /// Servers, one receiver each.
    pub servers: usize,
    /// Statements of each server that ran in each interval.
    pub active_statements: u32,
    /// Polls of each server in the window.
    pub polls: f64,
    /// Memory and CPU.
    pub watched: Watched,
    /// Durations of the loop with the statements: the slowest server of each poll.
    pub server_loop_ms: Vec<f64>,
    /// Durations of the loop over the databases.
    pub databases_loop_ms: Vec<f64>,
    /// Points per poll of one server.
    pub points_per_poll: f64,
    /// Log records per poll of one server that reached the lane.
    pub log_records_per_poll: f64,
    /// Log records per poll of one server that the backend accepted.
    pub log_records_sent_per_poll: f64,
    /// Bytes per poll of one server as they went over the wire.
    pub wire_bytes_per_poll: f64,
    /// Records refused at doors or lost by exporters. More than 0 means that something is wrong.
    pub lost_records: f64,
    /// Parts of polls that could not be read. More than 0 means that something is wrong.
    pub gaps: f64,
    /// What the collector cost the databases in the window, mean of all servers.
    pub database: DatabaseTime,
    /// The same of each minute of the window. A minute has every part of a poll in full; what differs between them is
    /// the machine.
    pub database_by_minute: Vec<DatabaseTime>,
    /// What it cost to connect, and the first poll, which reads the texts of all statements.
    pub database_at_start: DatabaseTime,
    /// Time our statements took per poll of one server, by the collector's own account (`/metrics`).
    pub own_account_ms_per_poll: f64,
}

/// One reading of everything that only grows.
struct Reading {
    page: Page,
    totals: Totals,
    accounts: Vec<Account>,
}

/// Runs the program beside these servers.
pub async fn measure(servers: &[Server], window: Window) -> Steady {
    let sink = OtlpSink::start_with(Options::new().counts_only()).await;
    let ports = servers.iter().map(|server| server.cluster.port()).collect();
    let interval = format!("{{collection_interval: {}s}}", INTERVAL.as_secs());
    let plan = Plan::new(ports, &servers[0].password, &sink.http_endpoint())
        .receiver(format!("collection_interval: {}s", INTERVAL.as_secs()))
        .receiver(format!("top_query_collection: {interval}"));
    let untouched = accounts(servers).await;
    let collector = Collector::start(&plan).await;
    wait_for_polls(&collector, servers.len() as f64).await;
    let started = accounts(servers).await;
    // After a minute every part was read at least twice: the collector knows the texts of its own statements too.
    wait_for_polls(&collector, servers.len() as f64 * WARM_UP_POLLS).await;
    tokio::time::sleep(AFTER_POLL).await;
    // One interval with load before the window, so that the window begins in the steady state.
    let measured = tokio::select! {
        () = keep_active(servers, window.active, INTERVAL) => unreachable!("it never ends"),
        measured = in_window(&collector, &sink, servers, window) => measured,
    };
    let log = collector.stop().await;
    let steady = Steady::new(servers.len(), window, differences(&started, &untouched, 1.0), &measured);
    if steady.lost_records + steady.gaps > 0.0 {
        println!("  attention: records were lost or parts are missing; the log of dbintel:\n{log}");
    }
    steady
}

/// Durations of the loops, in milliseconds: server, databases.
type Loops = [Vec<f64>; 2];

/// What happened in the window.
struct Measured {
    before: Reading,
    after: Reading,
    watched: Watched,
    loops: Loops,
    /// At the end of each minute.
    minutes: Vec<Vec<Account>>,
}

async fn in_window(collector: &Collector, sink: &OtlpSink, servers: &[Server], window: Window) -> Measured {
    tokio::time::sleep(INTERVAL).await;
    let before = read(collector, sink, servers).await;
    let begun = Instant::now();
    let looking = async {
        let (mut loops, mut minutes) = (Loops::default(), Vec::new());
        for poll in 1..=window.polls {
            // Just before the end of each interval, when its poll has long ended.
            let at = begun + INTERVAL * poll - Duration::from_millis(200);
            tokio::time::sleep_until(at.into()).await;
            let page = collector.metrics().await;
            for (durations, name) in loops.iter_mut().zip(["server", "databases"]) {
                let label = format!("loop=\"{name}\"");
                durations.push(page.max("dbintel_poll_duration_seconds", &[&label]) * 1e3);
            }
            if poll.is_multiple_of(POLLS_PER_MINUTE) {
                minutes.push(accounts(servers).await);
            }
        }
        (loops, minutes)
    };
    let (watched, (loops, minutes)) =
        tokio::join!(watch(collector, begun + INTERVAL * window.polls), looking);
    let after = read(collector, sink, servers).await;
    Measured { before, after, watched, loops, minutes }
}

async fn read(collector: &Collector, sink: &OtlpSink, servers: &[Server]) -> Reading {
    Reading { page: collector.metrics().await, totals: sink.totals(), accounts: accounts(servers).await }
}

async fn accounts(servers: &[Server]) -> Vec<Account> {
    let mut accounts = Vec::new();
    for server in servers {
        accounts.push(Account::read(&server.cluster).await);
    }
    accounts
}

/// Waits until the server loops have polled so often, all together.
async fn wait_for_polls(collector: &Collector, polls: f64) {
    let waiting = async {
        while server_polls(&collector.metrics().await) < polls {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let waited = tokio::time::timeout(FIRST_POLLS_TIMEOUT, waiting).await;
    assert!(waited.is_ok(), "the first polls did not end:\n{}", collector.log());
}

fn server_polls(page: &Page) -> f64 {
    page.sum("dbintel_polls", &["loop=\"server\""])
}

/// The mean over all servers of what was added between two readings.
fn differences(now: &[Account], then: &[Account], polls: f64) -> DatabaseTime {
    DatabaseTime::mean(now.iter().zip(then).map(|(now, then)| now.since(then, polls)).collect())
}

impl Steady {
    fn new(servers: usize, window: Window, database_at_start: DatabaseTime, measured: &Measured) -> Self {
        let Measured { before, after, watched, loops, minutes } = measured;
        let grown = |name: &str| after.page.sum(name, &[]) - before.page.sum(name, &[]);
        let polls = server_polls(&after.page) - server_polls(&before.page);
        let polls_per_server = polls / servers as f64;
        let wire_bytes = after.totals.accepted_wire_bytes - before.totals.accepted_wire_bytes;
        let lost = LOSSES.iter().map(|name| after.page.sum(name, &[]));
        let [server_loop_ms, databases_loop_ms] = loops.clone();
        let begins = std::iter::once(&before.accounts).chain(minutes);
        let per_minute = f64::from(POLLS_PER_MINUTE);
        let database_by_minute =
            minutes.iter().zip(begins).map(|(now, then)| differences(now, then, per_minute)).collect();
        Self {
            servers,
            active_statements: window.active,
            polls: polls_per_server,
            watched: watched.clone(),
            server_loop_ms,
            databases_loop_ms,
            points_per_poll: grown("otelcol_receiver_accepted_metric_points") / polls,
            log_records_per_poll: grown("otelcol_receiver_accepted_log_records") / polls,
            log_records_sent_per_poll: grown("otelcol_exporter_sent_log_records") / polls,
            wire_bytes_per_poll: wire_bytes as f64 / polls,
            lost_records: lost.fold(0.0, |sum, lost| sum + lost),
            gaps: after.page.sum("dbintel_gaps", &[]),
            database: differences(&after.accounts, &before.accounts, polls_per_server),
            database_by_minute,
            database_at_start,
            own_account_ms_per_poll: grown("dbintel_database_time_seconds") / polls * 1e3,
        }
    }

    /// The minute in which the machine got into the way least.
    #[must_use]
    pub fn best_minute(&self) -> &DatabaseTime {
        let best = self.database_by_minute.iter().min_by(|a, b| a.ms_per_poll.total_cmp(&b.ms_per_poll));
        best.unwrap_or(&self.database)
    }

    /// Median duration of the loop with the statements.
    #[must_use]
    pub fn server_loop_median_ms(&self) -> f64 {
        median(self.server_loop_ms.iter().copied())
    }

    /// Median duration of the loop over the databases.
    #[must_use]
    pub fn databases_loop_median_ms(&self) -> f64 {
        median(self.databases_loop_ms.iter().copied())
    }
}
