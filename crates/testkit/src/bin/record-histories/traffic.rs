//! How often each statement is asked, and by whom.

use std::f64::consts::TAU;
use std::sync::Arc;
use std::time::Duration;

use dbintel_testkit::postgres::Cluster;
use fastrand::Rng;
use parking_lot::Mutex;
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::PER_DAY;
use crate::statements::{ALL, Statement};

/// Connections that ask.
const CONNECTIONS: usize = 8;
/// How far the logarithm of a rate swings over the day, and how far it wanders besides.
const SWING: (f64, f64) = (0.0, 0.8);
const WANDER: f64 = 0.25;
/// What the logarithm of a rate, or of a share, keeps of itself from block to block.
const KEEP: f64 = 0.97;
/// Usual shares of slow parameters, and how far their logarithms wander.
const SHARE: (f64, f64) = (0.01, 0.1);
const SHARE_WANDER: f64 = 0.6;
/// Weekends have fewer calls.
const WEEKEND: f64 = 0.6;

/// What one statement is like now.
#[derive(Clone, Copy, Debug, Default)]
struct Now {
    per_second: f64,
    share: f64,
}

/// What does not change about it, and what wanders.
#[derive(Clone, Copy, Debug)]
struct Habit {
    swing: f64,
    peak: f64,
    share: f64,
    rate_walk: f64,
    share_walk: f64,
}

/// How often each statement is asked now.
#[derive(Debug)]
pub(crate) struct Rates {
    habits: Vec<Habit>,
    rng: Rng,
    now: Arc<Mutex<Vec<Now>>>,
}

/// Connections at work.
#[derive(Debug)]
pub(crate) struct Traffic {
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

// === impl Rates ===

impl Rates {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let habit = |_: &Statement| Habit {
            swing: SWING.0 + rng.f64() * (SWING.1 - SWING.0),
            peak: 9.0 + rng.f64() * 11.0,
            share: SHARE.0 * (SHARE.1 / SHARE.0).powf(rng.f64()),
            rate_walk: WANDER * normal(&mut rng),
            share_walk: SHARE_WANDER * normal(&mut rng),
        };
        let habits = ALL.iter().map(habit).collect();
        Self { habits, rng, now: Arc::new(Mutex::new(vec![Now::default(); ALL.len()])) }
    }

    /// The rates of a block; the first one is Monday, 00:00.
    pub(crate) fn turn_to(&mut self, block: usize) {
        let hour = (block % PER_DAY) as f64 / (PER_DAY / 24) as f64;
        let weekend = if block / PER_DAY % 7 >= 5 { WEEKEND } else { 1.0 };
        let step = (1.0 - KEEP * KEEP).sqrt();
        let mut now = self.now.lock();
        for ((habit, statement), now) in self.habits.iter_mut().zip(&ALL).zip(now.iter_mut()) {
            habit.rate_walk = KEEP * habit.rate_walk + step * WANDER * normal(&mut self.rng);
            habit.share_walk = KEEP * habit.share_walk + step * SHARE_WANDER * normal(&mut self.rng);
            let swing = habit.swing * ((hour - habit.peak) / 24.0 * TAU).cos();
            now.per_second = statement.per_second * weekend * (swing + habit.rate_walk).exp();
            now.share = (habit.share * habit.share_walk.exp()).min(0.9);
        }
    }
}

fn normal(rng: &mut Rng) -> f64 {
    (-2.0 * (1.0 - rng.f64()).ln()).sqrt() * (TAU * rng.f64()).cos()
}

// === impl Traffic ===

impl Traffic {
    pub(crate) fn start(cluster: &Cluster, database: &str, rates: &Rates, seed: u64) -> Self {
        let (mut tasks, stop) = (JoinSet::new(), CancellationToken::new());
        for number in 0..CONNECTIONS {
            let options = cluster.socket_options("shop_app", database);
            let rng = Rng::with_seed(seed.wrapping_mul(1_000).wrapping_add(number as u64 + 1));
            tasks.spawn(ask(options, rng, Arc::clone(&rates.now), stop.clone()));
        }
        Self { tasks, stop }
    }

    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// One connection: waits, asks, waits. While it waits for an answer it asks nothing else, as users do.
async fn ask(options: PgConnectOptions, mut rng: Rng, now: Arc<Mutex<Vec<Now>>>, stop: CancellationToken) {
    let mut connection = options.connect().await.expect("the server accepts connections");
    while !stop.is_cancelled() {
        let (next, share, total) = pick(&now.lock(), &mut rng);
        let rest = -(1.0 - rng.f64()).ln() * CONNECTIONS as f64 / total.max(1.0);
        sleep(Duration::from_secs_f64(rest.min(1.0))).await;
        if let Some(statement) = ALL.get(next) {
            run(&mut connection, statement, &mut rng, share).await;
        }
    }
}

/// A statement by its rate, the share of slow parameters, and the rate of all.
fn pick(now: &[Now], rng: &mut Rng) -> (usize, f64, f64) {
    let total: f64 = now.iter().map(|now| now.per_second).sum();
    let mut ticket = rng.f64() * total;
    for (place, now) in now.iter().enumerate() {
        ticket -= now.per_second;
        if ticket < 0.0 {
            return (place, now.share, total);
        }
    }
    (0, 0.0, total)
}

async fn run(connection: &mut PgConnection, statement: &Statement, rng: &mut Rng, share: f64) {
    let mut query = sqlx::query(statement.sql);
    for parameter in statement.parameters {
        query = query.bind(parameter.draw(rng, share));
    }
    // A deadlock or a time-out is one of the things that happen.
    let _ = query.execute(connection).await;
}
