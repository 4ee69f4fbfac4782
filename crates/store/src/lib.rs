//! What the collector keeps over a restart: baselines, findings, decisions, outcomes.
//!
//! It is an SQLite file that needs no set-up, or a PostgreSQL database that many collectors share; the schema and the
//! statements are the same. All SQL of our own state is here.
//!
//! Promises:
//! * a finding or a decision is durable when the call that made it has returned; killing the process at any moment loses
//!   none of them, and at most [`FLUSH_EVERY`] of baselines, of which what was given last is lost first;
//! * nothing waits for the store but who asks it: lanes put values into a buffer of [`MAX_PENDING_ENTRIES`] and
//!   [`MAX_PENDING_BYTES`], of each key the latest, and what does not fit is refused and counted;
//! * two processes that change a finding at once both learn what became of it ([`StoreError::Step`]); neither overwrites the
//!   other;
//! * a damaged SQLite file is set aside, with a message and a counter, and a new one is begun; a damaged row is passed over
//!   and counted. What is lost then is what the damage took;
//! * what is older than configured is deleted in small transactions.
//!
//! Not promised: that a lost disk loses nothing. `database/sqlite.rs` says what a crash of the machine can take.

#![forbid(unsafe_code)]

mod bulk;
mod config;
mod database;
pub mod definitions;
mod error;
mod findings;
mod instances;
mod past;
mod pending;
mod record;
mod retention;
mod store;
mod telemetry;
#[cfg(test)]
mod tests;
mod time;
mod writer;

pub use bulk::Restored;
pub use config::{
    Place, PostgresPlace, Retention, RetentionSettings, StoreConfig, StoreSettings, StoreTls,
    StoreTlsSettings,
};
pub use error::{StoreError, StoreTrouble};
pub use findings::{
    AuditEntry, Changed, Decided, Filter, Listed, MAX_DOCUMENT_BYTES, MAX_LISTED, MAX_PAST_CASES,
    MIN_PREFIX_DIGITS, Opened,
};
pub use instances::{Instance, MAX_SERVERS, OtherInstance};
pub use past::PastCases;
pub use pending::{
    BATCH_BYTES, BATCH_ENTRIES, MAX_KEY_BYTES, MAX_PENDING_BYTES, MAX_PENDING_ENTRIES, MAX_VALUE_BYTES,
};
pub use record::{MAX_PENDING_FINDING_BYTES, MAX_PENDING_FINDINGS};
pub use store::{OnDamage, RESTORE_PATIENCE, ServerState, Store, StoreContext};
pub use writer::{FLUSH_EVERY, HEARTBEAT, Writer};
