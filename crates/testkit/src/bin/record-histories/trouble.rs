//! What else happens to a server: long reports, batch jobs, locks, maintenance.

use std::time::Duration;

use dbintel_testkit::postgres::Cluster;
use fastrand::Rng;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Executor as _};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// Blocks between two of them, on the average.
const EVERY: f64 = 60.0;
/// How long each lasts, in blocks.
const LASTS: (u64, u64) = (6, 60);

/// Kinds, each with what is done again and again, and with the rest in between.
const KINDS: [(&str, f64); 5] = [
    // A report that sorts on disk and reads more than the cache holds.
    (
        "SELECT count(*) FROM (SELECT * FROM order_items ORDER BY price_cents, order_id OFFSET 1000) sorted",
        0.2,
    ),
    // A batch job.
    ("UPDATE orders SET total_cents = total_cents + 1 WHERE customer_id BETWEEN 1 AND 40", 0.3),
    // Somebody keeps a table locked.
    ("BEGIN; LOCK TABLE orders IN EXCLUSIVE MODE; SELECT pg_sleep(0.15); COMMIT", 0.6),
    // Somebody keeps the hot rows locked.
    ("BEGIN; UPDATE products SET stock = stock WHERE id < 40; SELECT pg_sleep(0.1); COMMIT", 0.4),
    // Maintenance.
    ("VACUUM orders; CHECKPOINT", 2.0),
];

/// Makes trouble now and then.
#[derive(Debug)]
pub(crate) struct Trouble {
    options: PgConnectOptions,
    rng: Rng,
    tasks: JoinSet<()>,
}

// === impl Trouble ===

impl Trouble {
    pub(crate) fn new(cluster: &Cluster, database: &str, seed: u64) -> Self {
        let options = cluster.socket_options("postgres", database);
        Self { options, rng: Rng::with_seed(seed ^ 0x0074_726f_7562_6c65), tasks: JoinSet::new() }
    }

    /// Decides whether something begins in this block.
    pub(crate) fn look(&mut self, block: usize) {
        if self.rng.f64() * EVERY >= 1.0 {
            return;
        }
        let (sql, rest) = KINDS.get(self.rng.usize(..KINDS.len())).copied().unwrap_or_default();
        let seconds = self.rng.u64(LASTS.0..=LASTS.1);
        println!("block {block}: for {seconds} blocks: {sql}");
        let options = self.options.clone();
        self.tasks.spawn(async move {
            let until = Instant::now() + Duration::from_secs(seconds);
            let Ok(mut connection) = options.connect().await else { return };
            while Instant::now() < until {
                let _ = connection.execute(sqlx::raw_sql(sql)).await;
                sleep(Duration::from_secs_f64(rest)).await;
            }
        });
    }

    pub(crate) async fn end(mut self) {
        self.tasks.shutdown().await;
    }
}
