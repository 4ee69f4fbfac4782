//! What dbintel costs, measured: `make bench`.
//!
//! * `benches/*.rs`: micro-benches of single parts (criterion), on the records of [`fixtures`].
//! * `dbintel-bench`: the release program on private PostgreSQL servers, one [`scenario`] after the other: start,
//!   memory, CPU, and the time it takes from the database, as the database itself counts it ([`database_time`]).
//! * [`chain`]: the processors of a lane, all of them: throughput, allocations, latency.
//! * [`plans`]: plans that were not seen before, run by run.
//! * [`report`]: machine, targets and measurements as a table, and all of it as `target/bench.json`.
//!
//! * [`endurance`]: whether the budget is held in every minute of a long run, `make endurance`.
//!
//! A target that is missed is printed as missed. Only a broken measurement ends the program: a figure of nothing is
//! worse than none.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a program for people to look at; one that is broken stops loudly"
)]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "real time is what is measured, of processes that no simulated clock moves"
)]

pub mod allocations;
pub mod chain;
pub mod collector;
pub mod database_time;
pub mod endurance;
pub mod fixtures;
pub mod histories;
pub mod machine;
pub mod micro;
pub mod plans;
pub mod replay;
pub mod report;
pub mod scenario;
pub mod scrape;
pub mod watch;
