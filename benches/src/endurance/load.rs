//! A live load that leaves cores free: the shop of the testkit, and 5,000 distinct statements in turn.

use std::time::Duration;

use dbintel_testkit::postgres::Cluster;
use dbintel_testkit::workload::{Shop, Size, Traffic, distinct_statements_of_size};
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};

use crate::scenario::server::STATEMENTS;

/// Bytes of each of their texts.
const STATEMENT_BYTES: usize = 500;
/// Statements of the shop a second.
const SHOP_PER_SECOND: f64 = 50.0;
/// The distinct statements run in parts, one part each second: every statement once in twenty seconds.
const PARTS: u32 = 20;
const SEED: u64 = 7;

/// The load of a server.
pub(super) struct Load<'a> {
    cluster: &'a Cluster,
    database: &'static str,
    traffic: Traffic,
    distinct: u64,
}

/// What ran.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Ran {
    /// Statements and transactions of the shop.
    pub shop: u64,
    /// Executions of the distinct statements.
    pub distinct: u64,
    /// What of it failed.
    pub failed: u64,
}

// === impl Load ===

impl<'a> Load<'a> {
    /// Installs the shop, runs every distinct statement once, and starts the shop's traffic.
    pub(super) async fn start(cluster: &'a Cluster) -> Self {
        let shop = Shop::install(cluster, Size::SMALL).await;
        let database = shop.database();
        distinct_statements_of_size(cluster, database, 0..STATEMENTS, STATEMENT_BYTES).await;
        let traffic = Traffic::start(cluster, &shop, SHOP_PER_SECOND, SEED);
        Self { cluster, database, traffic, distinct: 0 }
    }

    /// Where it runs.
    pub(super) const fn database(&self) -> &'static str {
        self.database
    }

    /// Runs the distinct statements in turn. Never ends.
    pub(super) async fn run(&mut self) {
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let size = STATEMENTS / PARTS;
        for part in (0..PARTS).cycle() {
            ticks.tick().await;
            let numbers = part * size..(part + 1) * size;
            distinct_statements_of_size(self.cluster, self.database, numbers, STATEMENT_BYTES).await;
            self.distinct += u64::from(size);
        }
    }

    pub(super) async fn stop(self) -> Ran {
        let report = self.traffic.stop().await;
        Ran { shop: report.succeeded(), distinct: self.distinct, failed: report.failed() }
    }
}
