//! The mix of statements as background tasks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use parking_lot::Mutex;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::schema::{Shop, Size};
use super::statement::{Kind, MIX};
use crate::postgres::Cluster;

/// Tasks that send statements. Each has one connection per role and database it has needed.
pub const CONNECTIONS: u32 = 4;
/// How long stopping waits for running statements before it gives up on them.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after a failed connection: the server is down or restarting.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// Running traffic. Dropping it stops it without waiting.
#[derive(Debug)]
pub struct Traffic {
    stop: CancellationToken,
    tasks: JoinSet<()>,
    report: Arc<Mutex<Report>>,
}

/// What was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// By kind; kinds that never came are absent.
    pub kinds: BTreeMap<Kind, Count>,
    /// Connections that could not be made: the server was down.
    pub failed_connections: u64,
    /// Text of the last error that was not meant to be.
    pub last_error: Option<String>,
}

/// How often a kind was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Did what it is for, which for [`Kind::Failing`] is to fail.
    pub succeeded: u64,
    /// Did not.
    pub failed: u64,
}

/// One task: its randomness and its connections.
struct Sender {
    rng: Rng,
    size: Size,
    options: BTreeMap<(&'static str, &'static str), PgConnectOptions>,
    connections: BTreeMap<(&'static str, &'static str), PgConnection>,
    report: Arc<Mutex<Report>>,
}

// === impl Traffic ===

impl Traffic {
    /// Starts sending about `statements_per_second`, over [`CONNECTIONS`] tasks. A server that is too slow for the
    /// rate gets less, never a burst to catch up.
    pub fn start(cluster: &Cluster, shop: &Shop, statements_per_second: f64, seed: u64) -> Self {
        let period = Duration::from_secs_f64(f64::from(CONNECTIONS) / statements_per_second);
        let stop = CancellationToken::new();
        let report = Arc::default();
        let mut tasks = JoinSet::new();
        for number in 0..CONNECTIONS {
            let sender = Sender {
                rng: Rng::with_seed(seed.wrapping_mul(31).wrapping_add(u64::from(number))),
                size: shop.size,
                options: connect_options(cluster),
                connections: BTreeMap::new(),
                report: Arc::clone(&report),
            };
            tasks.spawn(sender.run(period, stop.clone()));
        }
        Self { stop, tasks, report }
    }

    /// What has been sent so far.
    pub fn report(&self) -> Report {
        self.report.lock().clone()
    }

    /// Lets running statements end, closes the connections and says what was sent.
    pub async fn stop(mut self) -> Report {
        self.stop.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let _ = timeout(STOP_TIMEOUT, all).await;
        self.report()
    }
}

// === impl Report ===

impl Report {
    /// Statements and transactions that did what they are for.
    pub fn succeeded(&self) -> u64 {
        self.kinds.values().map(|count| count.succeeded).sum()
    }

    /// Those that did not, for instance because the server was stopped.
    pub fn failed(&self) -> u64 {
        self.kinds.values().map(|count| count.failed).sum()
    }
}

// === impl Sender ===

impl Sender {
    async fn run(mut self, period: Duration, stop: CancellationToken) {
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = ticks.tick() => {}
            }
            self.send().await;
        }
        for (_, connection) in self.connections {
            let _ = connection.close().await;
        }
    }

    async fn send(&mut self) {
        let kind = Kind::pick(&mut self.rng);
        let place = kind.place();
        let key = (place.role, place.database);
        let mut connection = match self.connections.remove(&key) {
            Some(connection) => connection,
            None => match self.connect(key, place.application).await {
                Some(connection) => connection,
                None => return,
            },
        };
        let result = kind.run(&mut connection, &mut self.rng, self.size).await;
        let is_lost = matches!(result, Err(sqlx::Error::Io(_) | sqlx::Error::Protocol(_)))
            || result.as_ref().is_err_and(is_shutdown);
        self.count(kind, result);
        if !is_lost {
            self.connections.insert(key, connection);
        }
    }

    async fn connect(&self, key: (&'static str, &'static str), application: &str) -> Option<PgConnection> {
        let options = self.options.get(&key)?.clone().application_name(application);
        match options.connect().await {
            Ok(connection) => Some(connection),
            Err(_) => {
                self.report.lock().failed_connections += 1;
                sleep(RECONNECT_PAUSE).await;
                None
            }
        }
    }

    fn count(&self, kind: Kind, result: Result<(), sqlx::Error>) {
        let mut report = self.report.lock();
        let count = report.kinds.entry(kind).or_default();
        if result.is_err() == kind.is_meant_to_fail() {
            count.succeeded += 1;
        } else {
            count.failed += 1;
            report.last_error = result.err().map(|error| format!("{kind:?}: {error}"));
        }
    }
}

fn connect_options(cluster: &Cluster) -> BTreeMap<(&'static str, &'static str), PgConnectOptions> {
    let places = MIX.iter().map(|(kind, _)| kind.place());
    places
        .map(|place| ((place.role, place.database), cluster.socket_options(place.role, place.database)))
        .collect()
}

/// SQLSTATE class 57P: the server is going away.
fn is_shutdown(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| code.starts_with("57P"))
}
