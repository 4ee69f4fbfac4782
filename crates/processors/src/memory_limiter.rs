//! `memory_limiter`: keeps the process within its memory by refusing records at the door of every lane.
//!
//! Promises:
//! * the processor itself passes every batch on unchanged: refusal happens at the door, before any processor has seen
//!   the batch, and protects a lane whether or not this processor is in its chain;
//! * the figure compared with the limits is the resident set size of the process, read by whoever starts
//!   [`MemoryWatchContext::run`], every `check_interval`;
//! * above the soft limit every door refuses, and the allocator is asked to give memory back; above the hard limit
//!   caches are emptied as well. At or below the soft limit the doors open again at the next check;
//! * no reading is no reason to refuse for ever: after [`UNREAD_CHECKS_MAX`] checks in a row without one the doors
//!   open, and this is logged and counted.
//!
//! Names and meaning of the settings are those of the OpenTelemetry Collector's `memory_limiter`; there is no garbage
//! collector, so its settings for one are answered by name. `soft_limit` and `hard_limit` are ours.

mod config;
mod view;
mod watch;

use dbintel_model::{Batch, Text};
use dbintel_pipeline::memory::MemoryAccounts;
use dbintel_pipeline::{Command, Context, Output, Processor, Reply};

pub use config::{
    AvailableMemory, DEFAULT_LIMIT_MACHINE_BYTES_MAX, DEFAULT_LIMIT_PERCENT, DEFAULT_LIMIT_UNKNOWN_BYTES,
    HARD_LIMIT_BYTES_MIN, MemoryLimiterConfig, MemoryLimiterError, MemoryLimiterSettings, MemorySource,
    ResolvedLimits,
};
pub use view::{MemoryStanding, MemoryView};
pub use watch::{
    Check, LOG_PAUSE, MemoryWatch, MemoryWatchContext, RELIEF_PAUSE, ReadUsedBytes, UNREAD_CHECKS_MAX,
};

/// Accounts listed by `Show`: the largest ones.
const ACCOUNTS_SHOWN_MAX: usize = 10;

/// The processor: passes batches on and shows how the process stands to its limits.
#[derive(Debug)]
pub struct MemoryLimiter {
    id: Text,
    view: MemoryView,
    accounts: MemoryAccounts,
    batches: u64,
    records: u64,
}

// === impl MemoryLimiter ===

impl MemoryLimiter {
    /// A processor that shows what the watch of the process has found. Every lane has its own.
    #[must_use]
    pub const fn new(id: Text, view: MemoryView, accounts: MemoryAccounts) -> Self {
        Self { id, view, accounts, batches: 0, records: 0 }
    }

    fn account_lines(&self) -> Vec<(Text, Text)> {
        let mut balances = self.accounts.balances();
        balances.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
        let total = balances.iter().fold(0_usize, |sum, (_, bytes)| sum.saturating_add(*bytes));
        let summary = format!("{} in {} queues, caches and tables", mib_of(total), balances.len());
        let mut lines = vec![("accounted".into(), summary.into())];
        for (name, bytes) in balances.into_iter().take(ACCOUNTS_SHOWN_MAX) {
            lines.push((format!("account {name}").into(), mib_of(bytes).into()));
        }
        lines
    }
}

impl Processor for MemoryLimiter {
    fn id(&self) -> &str {
        &self.id
    }

    fn process(&mut self, _cx: &mut Context<'_>, batch: Batch, out: &mut Output) {
        self.batches += 1;
        self.records += batch.records.len() as u64;
        out.emit(batch);
    }

    fn command(&mut self, cx: &mut Context<'_>, command: &Command, _out: &mut Output) -> Reply {
        match command {
            Command::Show => {
                let mut lines = self.view.standing().lines(cx.now);
                let passed = format!("{} batches, {} records", self.batches, self.records);
                lines.push(("passed on".into(), passed.into()));
                lines.extend(self.account_lines());
                Reply { lines, ..Reply::default() }
            }
            Command::Plans { .. }
            | Command::Findings { .. }
            | Command::Statements
            | Command::Decisions(_) => Reply::default(),
        }
    }
}

fn mib_of(bytes: usize) -> String {
    view::mib(u64::try_from(bytes).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
