//! Counters and sessions, read from the server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};
use tokio::time::{MissedTickBehavior, interval};

/// Sessions are looked at fifty times in a block.
const LOOK_EVERY: Duration = Duration::from_millis(20);

const COUNTERS: &str = r"
SELECT queryid, substring(query FROM '/\* (s[0-9][0-9]) \*/') AS name, query, calls, total_exec_time, mean_exec_time,
    stddev_exec_time, rows, (shared_blks_hit + shared_blks_read + local_blks_hit + local_blks_read + temp_blks_read
    + temp_blks_written)::float8 AS touched
FROM pg_stat_statements WHERE query ~ '/\* s[0-9][0-9] \*/'";

const SESSIONS: &str = "
SELECT query_id, coalesce(wait_event_type IN ('Lock', 'IO'), false)
FROM pg_stat_activity
WHERE state = 'active' AND backend_type = 'client backend' AND query_id IS NOT NULL AND pid <> pg_backend_pid()";

/// What one statement did in one block.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Block {
    pub(crate) calls: f64,
    pub(crate) total_ms: f64,
    pub(crate) sum_sq: f64,
    pub(crate) touched: f64,
    pub(crate) rows: f64,
    pub(crate) sampled: u32,
    pub(crate) waiting: u32,
}

/// All blocks of one statement. `None`: it was not in one of the readings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorded {
    pub(crate) sql: String,
    pub(crate) blocks: Vec<Option<Block>>,
}

/// Counters as they stand.
#[derive(Clone, Copy, Debug)]
struct Counters {
    block: Block,
}

/// Reads counters, and makes blocks of their differences.
#[derive(Debug)]
pub(crate) struct Reader {
    connection: PgConnection,
    last: BTreeMap<String, Counters>,
    recorded: BTreeMap<String, Recorded>,
    blocks: usize,
}

/// Sessions by statement: all, and those that wait.
type Seen = Arc<Mutex<BTreeMap<i64, (u32, u32)>>>;

/// Looks at the sessions all the time.
#[derive(Debug)]
pub(crate) struct Sampler {
    seen: Seen,
}

// === impl Sampler ===

impl Sampler {
    pub(crate) fn start(connection: PgConnection) -> Self {
        let seen = Seen::default();
        tokio::spawn(look(connection, Arc::clone(&seen)));
        Self { seen }
    }

    fn take(&self) -> BTreeMap<i64, (u32, u32)> {
        std::mem::take(&mut self.seen.lock())
    }
}

async fn look(mut connection: PgConnection, seen: Seen) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let Ok(sessions) = sqlx::query_as::<_, (i64, bool)>(SESSIONS).fetch_all(&mut connection).await else {
            return;
        };
        let mut seen = seen.lock();
        for (statement, waits) in sessions {
            let (all, waiting) = seen.entry(statement).or_default();
            *all += 1;
            *waiting += u32::from(waits);
        }
    }
}

// === impl Reader ===

impl Reader {
    pub(crate) fn new(connection: PgConnection) -> Self {
        Self { connection, last: BTreeMap::new(), recorded: BTreeMap::new(), blocks: 0 }
    }

    /// The first reading begins the first block; each one after that ends a block.
    pub(crate) async fn read(&mut self, sampler: &Sampler) {
        let rows = sqlx::query(COUNTERS).fetch_all(&mut self.connection).await.expect("counters can be read");
        let seen = sampler.take();
        let mut counters = BTreeMap::new();
        for row in &rows {
            let name: String = row.get("name");
            let now = Counters::of(row);
            let (sampled, waiting) = seen.get(&row.get::<i64, _>("queryid")).copied().unwrap_or_default();
            if let Some(block) = self.last.get(&name).and_then(|last| now.since(last)) {
                let recorded = self.recorded.entry(name.clone()).or_default();
                recorded.sql = row.get("query");
                recorded.blocks.resize(self.blocks, None);
                if let Some(last) = recorded.blocks.last_mut() {
                    *last = Some(Block { sampled, waiting, ..block });
                }
            }
            // Two entries of one statement, of two roles: none is the whole. There is only one role.
            counters.insert(name, now);
        }
        self.last = counters;
        self.blocks += 1;
    }

    pub(crate) fn into_recorded(mut self) -> BTreeMap<String, Recorded> {
        let blocks = self.blocks.saturating_sub(1);
        self.recorded.values_mut().for_each(|recorded| recorded.blocks.resize(blocks, None));
        self.recorded
    }
}

// === impl Counters ===

impl Counters {
    fn of(row: &PgRow) -> Self {
        let calls = row.get::<i64, _>("calls") as f64;
        let (mean, deviation): (f64, f64) = (row.get("mean_exec_time"), row.get("stddev_exec_time"));
        Self {
            block: Block {
                calls,
                total_ms: row.get("total_exec_time"),
                sum_sq: calls * (deviation * deviation + mean * mean),
                touched: row.get("touched"),
                rows: row.get::<i64, _>("rows") as f64,
                ..Block::default()
            },
        }
    }

    /// `None` where the counters began anew.
    fn since(&self, last: &Self) -> Option<Block> {
        let (now, last) = (&self.block, &last.block);
        (now.calls >= last.calls).then(|| Block {
            calls: now.calls - last.calls,
            total_ms: now.total_ms - last.total_ms,
            sum_sq: (now.sum_sq - last.sum_sq).max(0.0),
            touched: now.touched - last.touched,
            rows: now.rows - last.rows,
            ..Block::default()
        })
    }
}
