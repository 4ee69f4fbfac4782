//! Polls one PostgreSQL server, version 13 to 18, without harm.
//!
//! Promises:
//! * every statement is read-only, limited by the server itself (`statement_timeout`, `lock_timeout`), and sent only
//!   with a permit of admission; nothing is written, no transaction id is used, no reset function is called;
//! * at most [`config::Config::max_connections`] connections at a time, those that outlived our deadline included; while
//!   there are such, one more every half minute looks whether another server answers;
//! * a poll yields what it can: every missing part has a reason, as a gap record, in status and in self-metrics;
//! * counters are differenced against the last reading the lane accepted, never counted twice ([`state::statements`]);
//! * texts leave masked, and only of statement kinds that are on the list of [`dbintel_plan::sql`].
//!
//! Rooms: [`config`] (settings to validated values), [`query`] (all SQL and connections), [`log`] (the server's log files),
//! [`decode`] (rows to points), [`state`] (what is remembered, pure), `task` (what ties them).

pub mod config;
pub mod decode;
pub mod log;
pub mod query;
pub mod state;
mod task;

pub use task::{Advice, Examination, PostgresqlReceiver, examine, server};
