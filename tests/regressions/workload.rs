//! A steady workload: every statement so many times a second, one after the other on its connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use dbintel_testkit::postgres::Cluster;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// How often a second each statement is sent at usual load: at least ten calls in an accelerated hour, which evidence asks for.
const ROUNDS_PER_SECOND: u32 = 8;
const RECONNECT_PAUSE: Duration = Duration::from_millis(50);

/// A statement, with the number it compares with.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    /// The text, with `$1` where it has a parameter.
    pub(crate) text: String,
    /// The value of the parameter.
    pub(crate) value: Option<i32>,
}

/// Statements of a role that share a connection.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// The role.
    pub(crate) role: &'static str,
    /// What it sends.
    pub(crate) statements: Vec<Statement>,
}

/// Clients that send their statements until this is dropped.
pub(crate) struct Workload {
    load: Arc<AtomicU32>,
    generation: Arc<AtomicU32>,
    _tasks: JoinSet<()>,
}

struct Sender {
    options: PgConnectOptions,
    statements: Vec<Statement>,
    load: Arc<AtomicU32>,
    generation: Arc<AtomicU32>,
}

// === impl Statement ===

impl Statement {
    /// One with a parameter.
    pub(crate) fn of(text: impl Into<String>, value: i32) -> Self {
        Self { text: text.into(), value: Some(value) }
    }

    /// One without.
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), value: None }
    }
}

// === impl Workload ===

impl Workload {
    /// Starts all of them.
    pub(crate) fn start(cluster: &Cluster, clients: Vec<Client>) -> Self {
        let (load, generation) = (Arc::new(AtomicU32::new(1)), Arc::new(AtomicU32::new(0)));
        let mut tasks = JoinSet::new();
        for client in clients {
            let sender = Sender {
                options: cluster.socket_options(client.role, "postgres"),
                statements: client.statements,
                load: Arc::clone(&load),
                generation: Arc::clone(&generation),
            };
            tasks.spawn(sender.run());
        }
        Self { load, generation, _tasks: tasks }
    }

    /// So many times the usual load from now on.
    pub(crate) fn set_load(&self, times: u32) {
        self.load.store(times, Ordering::Relaxed);
    }

    /// All clients connect anew, as they do when an application is deployed; settings of roles hold for new sessions only.
    pub(crate) fn reconnect(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
    }
}

// === impl Sender ===

impl Sender {
    /// What fails is sent again on a new connection: servers are restarted here.
    async fn run(self) {
        loop {
            if let Ok(connection) = self.options.clone().connect().await {
                self.send(connection).await;
            }
            sleep(RECONNECT_PAUSE).await;
        }
    }

    async fn send(&self, mut connection: PgConnection) {
        let generation = self.generation.load(Ordering::Relaxed);
        while self.generation.load(Ordering::Relaxed) == generation {
            let load = self.load.load(Ordering::Relaxed);
            let mut ticks = interval(Duration::from_secs(1) / (ROUNDS_PER_SECOND * load));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while self.load.load(Ordering::Relaxed) == load
                && self.generation.load(Ordering::Relaxed) == generation
            {
                ticks.tick().await;
                // A collector that looks once a second would otherwise always see the same moment of what is sent eight times.
                sleep(ticks.period().mul_f64(fastrand::f64() / 2.0)).await;
                for statement in &self.statements {
                    let query = sqlx::query(AssertSqlSafe(statement.text.clone()));
                    let query = statement.value.into_iter().fold(query, sqlx::query::Query::bind);
                    if query.fetch_all(&mut connection).await.is_err() {
                        return;
                    }
                }
            }
        }
        let _ = connection.close().await;
    }
}
