//! The table of a run, as it is printed and kept in `docs/endurance.md`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use dbintel_admission::Budget;
use dbintel_model::{Clock as _, SystemClock};
use serde::Serialize;

use super::TIMES_AS_OFTEN;
use super::load::Ran;
use super::minute::Minute;
use crate::machine::Machine;
use crate::watch::mib;

/// A run.
#[derive(Clone, Debug, Serialize)]
pub struct Endurance {
    /// Where.
    pub machine: Machine,
    /// When it ended.
    pub at: String,
    /// How often was read, as settings of the receiver.
    pub intervals: Vec<String>,
    /// The minutes under load.
    pub minutes: Vec<Minute>,
    /// What the load was.
    pub load: Ran,
    /// Statements the server knew in the end.
    pub statements_known: i64,
    /// Rows of the collector's role in `pg_stat_statements`.
    pub rows_of_ours: i64,
    /// Transaction ids given out in a minute without load.
    pub transaction_ids_used: i64,
    /// Times that a backend of ours was seen with a transaction id.
    pub transaction_ids_seen: u64,
}

/// The date and time.
pub(super) fn now() -> String {
    let now = SystemClock::default().now().to_rfc3339();
    now.as_str().get(..16).unwrap_or_default().replace('T', " ")
}

/// Title and rule of the table.
pub(super) fn head() -> String {
    let titles = [
        "minute",
        "by the ledger, ms",
        "of which by our clock",
        "by the server's log, ms",
        "backends' CPU, ms",
        "highest share of a budget",
        "stretch",
        "parts missing",
        "polls left out",
        "RSS, MiB",
    ];
    format!("| {} |\n|{}", titles.join(" | "), "---:|".repeat(titles.len()))
}

/// The row of a minute.
pub(super) fn row(minute: &Minute) -> String {
    format!(
        "| {} | {:.1} | {:.1} | {:.1} | {:.1} | {:.0} % | {:.2} | {:.0} | {:.0} | {:.1} |",
        minute.number,
        minute.ledger_total_ms(),
        minute.wall_ms,
        minute.log_total_ms(),
        minute.cpu_ms,
        minute.ratio() * 100.0,
        minute.stretch,
        minute.gaps,
        minute.missed_polls,
        mib(minute.rss_bytes),
    )
}

/// For what the collector reads when it reads everything.
const PURPOSES: [&str; 4] = ["statements", "sessions", "plans", "catalogue"];

// === impl Endurance ===

impl Endurance {
    /// What was promised and not held.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let budget_ms = Budget::default().per_minute.as_secs_f64() * 1e3;
        let over = self.minutes.iter().filter(|minute| minute.is_over_budget(budget_ms));
        let mut failures: Vec<String> =
            over.map(|minute| format!("minute {} was over budget", minute.number)).collect();
        let counts = [
            (self.rows_of_ours.unsigned_abs(), "rows of ours in pg_stat_statements"),
            (self.transaction_ids_used.unsigned_abs(), "transaction ids used in the minute without load"),
            (self.transaction_ids_seen, "times a backend of ours had a transaction id"),
        ];
        let spent = |purpose: &str| {
            self.minutes.iter().filter_map(|minute| minute.ledger_ms.get(purpose)).sum::<f64>()
        };
        let unread = PURPOSES.into_iter().filter(|purpose| spent(purpose) <= 0.0);
        failures.extend(unread.map(|purpose| format!("nothing was spent on {purpose}")));
        failures.extend(
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")),
        );
        failures
    }

    /// The whole document.
    #[must_use]
    pub fn markdown(&self) -> String {
        let machine = &self.machine;
        let mut text = format!(
            "# Endurance\n\nMade by `make endurance`; not to be edited.\n\n\
             {} minutes until {} UTC, {}, {} ({} build), on {} cores of {}, {:.0} GiB, Linux {}; load average {} before and \
             {} after it.\n\n\
             The collector with its default budget ({} ms of database time a minute for each database, and for what is \
             asked of the server as a whole) reads {TIMES_AS_OFTEN} times as often as by default:\n\n```yaml\n{}\n```\n\n\
             The server knows {} statements; in the time {} statements and transactions of a shop ran, and {} executions \
             of 5,000 distinct statements ({} failures).\n\n",
            self.minutes.len(),
            self.at,
            machine.postgresql,
            machine.dbintel,
            machine.profile,
            machine.cores,
            machine.cpu,
            machine.memory_gib,
            machine.kernel,
            machine.load_before,
            machine.load_after,
            Budget::default().per_minute.as_millis(),
            self.intervals.join("\n"),
            self.statements_known,
            self.load.shop,
            self.load.distinct,
            self.load.failed,
        );
        text += "Three sources measure the same work. The **ledger** is the collector's account, from what each statement \
                 says of itself; it is kept for each database, and what it holds decides about the cadence. The \
                 **server's log** (`log_duration`) has the time of every message of ours in the server: parsing, planning, \
                 execution. The **CPU** time of our backends is the kernel's, with connecting. Log and ledger are wall \
                 time: on a busy server a statement also waits for a core.\n\n";
        let _ = writeln!(text, "{}", head());
        for minute in &self.minutes {
            let _ = writeln!(text, "{}", row(minute));
        }
        text += "\n## By purpose\n\n";
        text += &self.by_purpose();
        let verdict = match self.failures() {
            failures if failures.is_empty() => "Everything was held.".to_owned(),
            failures => format!("**Not held:** {}.", failures.join("; ")),
        };
        let _ = write!(
            text,
            "\n## Result\n\n* Rows of the collector's role in `pg_stat_statements` (its `track` is `none`): {}\n\
             * Transaction ids given out in a minute without load: {}; backends of ours seen with one: {}\n\
             * Highest share of a budget in any minute: {:.0} %\n\n{verdict}\n",
            self.rows_of_ours,
            self.transaction_ids_used,
            self.transaction_ids_seen,
            self.minutes.iter().map(Minute::ratio).fold(0.0, f64::max) * 100.0,
        );
        text
    }

    /// Milliseconds of the ledger by purpose.
    fn by_purpose(&self) -> String {
        let purposes: BTreeSet<&String> =
            self.minutes.iter().flat_map(|minute| minute.ledger_ms.keys()).collect();
        let titles: Vec<&str> = purposes.iter().map(|purpose| purpose.as_str()).collect();
        let rule = "---:|".repeat(titles.len() + 1);
        let mut text = format!("| minute | {} |\n|{rule}\n", titles.join(" | "));
        for minute in &self.minutes {
            let spent = |purpose: &&String| minute.ledger_ms.get(*purpose).copied().unwrap_or(0.0);
            let cells: Vec<String> =
                purposes.iter().map(|purpose| format!("{:.1}", spent(purpose))).collect();
            let _ = writeln!(text, "| {} | {} |", minute.number, cells.join(" | "));
        }
        text
    }
}
