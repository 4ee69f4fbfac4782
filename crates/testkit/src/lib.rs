//! What dbintel is tested against. Used by tests, benches and the demo, never by the product.
//!
//! * [`postgres`]: private PostgreSQL clusters of the majors 13 to 18, with standbys, TLS and freezing.
//! * [`otlp_sink`]: an OTLP backend that can fail.
//! * [`oracle`]: an OTLP receiver in Python, which shares no code with us.
//! * [`process`]: the compiled `dbintel` as a process.
//! * [`workload`]: a busy shop, and ways to fill `pg_stat_statements`.
//! * [`cache`]: where `make setup` put the servers and the Python of the oracle.
//! * [`ports`]: ports on loopback that stay ours while nothing listens on them.
//! * [`tls`]: a certificate authority for one test.
//!
//! A broken fixture panics with a text that says what to do: a test must never pass because its server was missing.
//! Everything waits with a named upper bound, on real time: the things waited for are other processes.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test support: a broken fixture must stop the test loudly"
)]
#![allow(
    clippy::disallowed_types,
    reason = "std::time::Instant: fixtures wait for real processes, simulated time would not move them"
)]
#![allow(
    clippy::disallowed_methods,
    reason = "test support: reads DBINTEL_CACHE and DBINTEL_BIN, sleeps on blocking threads only"
)]

pub mod cache;
pub mod oracle;
pub mod otlp_sink;
pub mod ports;
pub mod postgres;
pub mod process;
mod scratch;
pub mod tls;
mod wait;
mod watchdog;
pub mod workload;
