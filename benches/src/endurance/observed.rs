//! What the server and the kernel say of the collector's sessions, independent of the collector's own account.
//!
//! * **The server's log**: `log_duration` is on for the collector's role, so the server writes how long each message of
//!   ours took it: parsing, planning (in the binding), execution. That is wall time in the server.
//! * **The kernel**: CPU time of our backends, connecting included. What a backend used in its last second before it ended
//!   is not seen.
//! * **`pg_stat_activity`**: whether a backend of ours has a transaction id.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use dbintel_testkit::postgres::Cluster;
use sqlx::{PgConnection, Row as _};

use crate::database_time::{ROLE, cpu_ns};

/// Role and database of the session at the beginning of each line of the log.
pub(super) const LOG_LINE_PREFIX: &str = "%u@%d ";

/// A log that is read as it grows.
#[derive(Debug)]
pub(super) struct Log {
    file: PathBuf,
    read_to: u64,
}

/// Sessions of the collector, looked at every second.
#[derive(Debug)]
pub(super) struct Backends {
    connection: PgConnection,
    cpu_ns: BTreeMap<i32, u64>,
    /// CPU time of all of them so far.
    pub(super) total_cpu_ns: u64,
    /// Times that one was seen with a transaction id.
    pub(super) transaction_ids: u64,
}

// === impl Log ===

impl Log {
    pub(super) fn of(cluster: &Cluster) -> Self {
        Self { file: cluster.log_file(), read_to: 0 }
    }

    /// Milliseconds that the messages of the collector took since the last call, by database.
    pub(super) fn durations(&mut self) -> BTreeMap<String, f64> {
        let mut text = Vec::new();
        let mut file = File::open(&self.file).expect("the server's log");
        file.seek(SeekFrom::Start(self.read_to)).expect("a file");
        file.read_to_end(&mut text).expect("a file");
        // The last line may be half written.
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        self.read_to += whole as u64;
        sums(&String::from_utf8_lossy(&text[..whole]))
    }
}

fn sums(log: &str) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for line in log.lines() {
        let Some((session, message)) = line.split_once(' ') else { continue };
        let Some(database) = session.strip_prefix(ROLE).and_then(|rest| rest.strip_prefix('@')) else {
            continue;
        };
        let duration = message.split_once("duration: ").and_then(|(_, rest)| rest.split_once(" ms"));
        if let Some(ms) = duration.and_then(|(ms, _)| ms.parse::<f64>().ok()) {
            *sums.entry(database.to_owned()).or_default() += ms;
        }
    }
    sums
}

// === impl Backends ===

impl Backends {
    pub(super) async fn of(cluster: &Cluster) -> Self {
        let connection = cluster.connect("postgres").await;
        Self { connection, cpu_ns: BTreeMap::new(), total_cpu_ns: 0, transaction_ids: 0 }
    }

    /// Looks once.
    pub(super) async fn look(&mut self) {
        let text = "SELECT pid, backend_xid IS NOT NULL FROM pg_stat_activity WHERE usename = $1";
        let rows = sqlx::query(text).bind(ROLE).fetch_all(&mut self.connection).await;
        let mut now = BTreeMap::new();
        for row in rows.expect("pg_stat_activity") {
            let (pid, has_transaction_id): (i32, bool) = (row.get(0), row.get(1));
            self.transaction_ids += u64::from(has_transaction_id);
            let Some(cpu) = cpu_ns(pid) else { continue };
            self.total_cpu_ns += cpu.saturating_sub(self.cpu_ns.get(&pid).copied().unwrap_or(0));
            now.insert(pid, cpu);
        }
        self.cpu_ns = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_durations_of_the_collector_are_added_up() {
        let log = "dbintel@postgres LOG:  duration: 1.500 ms\ndbintel@app LOG:  duration: 0.250 ms\n\
                   dbintel@postgres LOG:  duration: 2.000 ms\nshop@app LOG:  duration: 9.000 ms\n\
                   @ LOG:  checkpoint complete\ndbintel@app ERROR:  canceling statement due to timeout\n";
        let sums: Vec<_> = sums(log).into_iter().collect();
        assert_eq!(sums, [("app".to_owned(), 0.25), ("postgres".to_owned(), 3.5)]);
    }
}
