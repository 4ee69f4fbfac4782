//! What the collector costs the database, in the database's own words.
//!
//! The collector's role is an ordinary one whose statements are tracked (`pg_stat_statements.track = all`, utility
//! statements and planning included), and another connection reads what the server booked under that role. Only
//! top-level statements are added up: nested time is contained in that of the caller.
//!
//! What it does not see: parsing, analysis and rewriting of statements, connecting, and the work of the server for the
//! protocol. The CPU time of the collector's backends, which the kernel counts, contains all of it; it is read beside
//! it where the same backends lived through the whole interval.

use std::collections::BTreeMap;
use std::fs;

use dbintel_testkit::postgres::Cluster;
use serde::Serialize;
use sqlx::{Connection as _, PgConnection, Row as _};

/// The role whose statements are looked at.
pub(crate) const ROLE: &str = "dbintel";
/// Characters of a statement's text that are kept for the JSON.
const TEXT_CHARS: usize = 400;

/// Sums of everything, since the statistics began.
#[derive(Clone, Debug, Default)]
pub struct Account {
    statements: BTreeMap<String, Sums>,
    backends: BTreeMap<i32, u64>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    calls: f64,
    exec_ms: f64,
    plan_ms: f64,
    rows: f64,
    min_exec_ms: f64,
}

/// What one statement cost in an interval.
#[derive(Clone, Debug, Serialize)]
pub struct Cost {
    /// What it is for, in a few words.
    pub what: String,
    /// Executions per poll, over all databases.
    pub calls_per_poll: f64,
    /// Rows per execution.
    pub rows_per_call: f64,
    /// Execution time per poll.
    pub exec_ms_per_poll: f64,
    /// Planning time per poll.
    pub plan_ms_per_poll: f64,
    /// Mean execution time.
    pub mean_exec_ms: f64,
    /// Shortest execution since the server knows the statement: the least noisy figure.
    pub min_exec_ms: f64,
    /// The beginning of its text.
    pub text: String,
}

/// What all of them cost in an interval.
#[derive(Clone, Debug, Default, Serialize)]
pub struct DatabaseTime {
    /// Execution and planning, per poll of one server.
    pub ms_per_poll: f64,
    /// Execution alone.
    pub exec_ms_per_poll: f64,
    /// Planning alone.
    pub plan_ms_per_poll: f64,
    /// The reading of the counters of `pg_stat_statements`, execution and planning.
    pub counters_ms_per_poll: f64,
    /// Statements executed per poll.
    pub statements_per_poll: f64,
    /// CPU time of the collector's backends per poll, by the kernel; absent where it opened new connections.
    pub backend_cpu_ms_per_poll: Option<f64>,
    /// Backends of the collector.
    pub backends: usize,
    /// By statement, the most expensive first.
    pub statements: Vec<Cost>,
}

// === impl Account ===

impl Account {
    /// Everything the server has booked under the collector's role so far.
    pub async fn read(cluster: &Cluster) -> Self {
        let mut connection = cluster.connect("postgres").await;
        let account =
            Self { statements: statements(&mut connection).await, backends: backends(&mut connection).await };
        let _ = connection.close().await;
        account
    }

    /// What was added since `earlier`, divided by `polls`.
    #[must_use]
    pub fn since(&self, earlier: &Self, polls: f64) -> DatabaseTime {
        let mut time = DatabaseTime { backends: self.backends.len(), ..DatabaseTime::default() };
        for (text, now) in &self.statements {
            let before = earlier.statements.get(text).copied().unwrap_or_default();
            let calls = now.calls - before.calls;
            if calls <= 0.0 {
                continue;
            }
            let (exec_ms, plan_ms) = (now.exec_ms - before.exec_ms, now.plan_ms - before.plan_ms);
            let what = describe(text);
            if what == COUNTERS {
                time.counters_ms_per_poll += (exec_ms + plan_ms) / polls;
            }
            time.exec_ms_per_poll += exec_ms / polls;
            time.plan_ms_per_poll += plan_ms / polls;
            time.statements_per_poll += calls / polls;
            time.statements.push(Cost {
                what,
                calls_per_poll: calls / polls,
                rows_per_call: (now.rows - before.rows) / calls,
                exec_ms_per_poll: exec_ms / polls,
                plan_ms_per_poll: plan_ms / polls,
                mean_exec_ms: exec_ms / calls,
                min_exec_ms: now.min_exec_ms,
                text: text.chars().take(TEXT_CHARS).collect(),
            });
        }
        time.ms_per_poll = time.exec_ms_per_poll + time.plan_ms_per_poll;
        time.statements.sort_by(|a, b| b.ms_per_poll().total_cmp(&a.ms_per_poll()));
        let same = self.backends.keys().eq(earlier.backends.keys()) && !self.backends.is_empty();
        let cpu_ns = |account: &Self| account.backends.values().sum::<u64>() as f64;
        time.backend_cpu_ms_per_poll = same.then(|| (cpu_ns(self) - cpu_ns(earlier)) / 1e6 / polls);
        time
    }
}

impl Cost {
    /// Execution and planning.
    #[must_use]
    pub fn ms_per_poll(&self) -> f64 {
        self.exec_ms_per_poll + self.plan_ms_per_poll
    }
}

impl DatabaseTime {
    /// The mean of several servers; statements are those of the first.
    #[must_use]
    pub fn mean(mut all: Vec<Self>) -> Self {
        let count = all.len().max(1) as f64;
        let mean = |of: fn(&Self) -> f64| all.iter().map(of).sum::<f64>() / count;
        let figures = [
            mean(|time| time.ms_per_poll),
            mean(|time| time.exec_ms_per_poll),
            mean(|time| time.plan_ms_per_poll),
            mean(|time| time.counters_ms_per_poll),
            mean(|time| time.statements_per_poll),
        ];
        let cpu: Option<Vec<f64>> = all.iter().map(|time| time.backend_cpu_ms_per_poll).collect();
        let mut first = if all.is_empty() { Self::default() } else { all.swap_remove(0) };
        [
            first.ms_per_poll,
            first.exec_ms_per_poll,
            first.plan_ms_per_poll,
            first.counters_ms_per_poll,
            first.statements_per_poll,
        ] = figures;
        first.backend_cpu_ms_per_poll = cpu.map(|cpu| cpu.iter().sum::<f64>() / count);
        first
    }
}

/// Statements by text: the same one in several databases, with several ids, is one line.
async fn statements(connection: &mut PgConnection) -> BTreeMap<String, Sums> {
    let text = "SELECT s.query, sum(s.calls)::float8, sum(s.total_exec_time), sum(s.total_plan_time), \
                  sum(s.rows)::float8, min(s.min_exec_time) \
                FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid \
                WHERE r.rolname = $1 AND s.toplevel AND s.query IS NOT NULL GROUP BY s.query";
    let rows = sqlx::query(text).bind(ROLE).fetch_all(connection).await.expect("pg_stat_statements is there");
    let sums = rows.iter().map(|row| {
        let number = |index: usize| row.get::<f64, _>(index);
        let sums = Sums {
            calls: number(1),
            exec_ms: number(2),
            plan_ms: number(3),
            rows: number(4),
            min_exec_ms: number(5),
        };
        (row.get::<String, _>(0), sums)
    });
    sums.collect()
}

/// CPU time in nanoseconds of the backends that are there, by process id.
async fn backends(connection: &mut PgConnection) -> BTreeMap<i32, u64> {
    let text = "SELECT pid FROM pg_stat_activity WHERE usename = $1";
    let pids: Vec<i32> =
        sqlx::query_scalar(text).bind(ROLE).fetch_all(connection).await.expect("pg_stat_activity");
    pids.into_iter().filter_map(|pid| Some((pid, cpu_ns(pid)?))).collect()
}

/// First field of `schedstat`; absent on kernels built without it.
pub(crate) fn cpu_ns(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    text.split(' ').next()?.parse().ok()
}

const COUNTERS: &str = "statements: counters";

/// A few words for a statement of the receiver, by what only it contains; the first that fits wins.
const WORDS: [(&str, &str); 48] = [
    ("octet_length(query)", "statements: texts"),
    ("pg_stat_get_tuples_inserted(c)", "schema rows written"),
    ("pg_stat_get_activity(NULL)", "distress"),
    ("pg_stat_statements.track'), max", "connect: fixed at start"),
    ("FROM \"public\".pg_stat_statements(", COUNTERS),
    ("dealloc", "statements: info"),
    ("has_function_privilege", "connect: abilities"),
    ("pg_postmaster_start_time()) * $", "node"),
    ("pg_control_system", "node"),
    ("has_parameter_privilege", "connect: parameter privileges"),
    ("hashtextextended(concat_ws", "schema marks"),
    ("LEFT JOIN pg_collation", "schema definitions"),
    ("pg_attribute", "connect: columns"),
    ("pg_backend_pid()::int8", "connect: backend pid"),
    ("pg_catalog.set_config", "connect: sqlx"),
    ("boot_val", "catalogue: settings"),
    ("FROM pg_extension", "catalogue: extensions"),
    ("n_mod_since_analyze, c.reltuples", "catalogue: tables"),
    ("has_database_privilege(oid", "catalogue: databases"),
    ("datname::text FROM pg_database", "names of databases"),
    ("rolname::text", "names of roles"),
    ("pg_stat_progress_vacuum", "family progress"),
    ("pg_database_size", "family database_size"),
    ("pg_stat_database_conflicts", "family database_conflicts"),
    ("datfrozenxid", "family database_age"),
    ("pg_stat_bgwriter b", "family bgwriter"),
    ("pg_stat_wal w", "family wal"),
    ("pg_stat_archiver a", "family archiver"),
    ("FROM pg_stat_replication r", "family replication"),
    ("FROM pg_replication_slots s", "family replication_slots"),
    ("pg_last_xact_replay_timestamp", "family recovery"),
    ("pg_get_replication_slots()", "family xmin"),
    ("FROM pg_stat_activity a", "family activity"),
    ("FROM pg_stat_io i", "family io"),
    ("pg_stat_slru", "family slru"),
    ("FROM pg_stat_database s", "family database"),
    ("pg_relation_size(c.oid)", "family table_size"),
    ("pg_relation_size(i.oid)", "family index_size"),
    ("indexrelid JOIN pg_class c", "family index"),
    ("LEFT JOIN (SELECT indrelid", "family table"),
    ("(count(*))::int8 FROM pg_class c", "family table_count"),
    ("pending_restart", "family settings"),
    ("reserved_connections", "family server"),
    ("pg_stat_user_functions", "family function"),
    ("FROM pg_locks l", "family locks"),
    ("pg_sequences", "family sequence"),
    ("SET LOCAL", "SET LOCAL …"),
    ("BEGIN READ ONLY", "BEGIN READ ONLY"),
];

fn describe(text: &str) -> String {
    let found = WORDS.iter().find(|(part, _)| text.contains(part));
    found.map_or_else(|| text.chars().take(40).collect(), |(_, words)| (*words).to_owned())
}
