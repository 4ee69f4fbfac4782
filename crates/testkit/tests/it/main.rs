//! The fixtures against the real thing: real servers of six majors, real sockets, plain clients.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]
#![allow(clippy::disallowed_types, reason = "std::time::Instant: real processes take real time")]

mod oracle;
mod postgres;
mod process;
mod sink_client;
mod sink_grpc;
mod sink_http;
mod workload;
