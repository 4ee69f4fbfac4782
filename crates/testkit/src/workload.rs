//! A small shop that is busy: schema, seeded data, a mix of statements, and ways to fill `pg_stat_statements`.
//!
//! ```no_run
//! use dbintel_testkit::postgres::{Cluster, Major, Options};
//! use dbintel_testkit::workload::{Shop, Size, Traffic};
//!
//! # async fn example() {
//! let cluster = Cluster::start(Major::NEWEST, Options::new()).await;
//! let shop = Shop::install(&cluster, Size::SMALL).await;
//! let traffic = Traffic::start(&cluster, &shop, 200.0, 7);
//! // … what the test is about …
//! let report = traffic.stop().await;
//! assert!(report.succeeded() > 0);
//! # }
//! ```
//!
//! Promises: data depend on the size only, on every major version; which statement comes when depends on the seed and
//! the number of the connection only (timing is the machine's); traffic survives a restart of the server; stopping
//! waits for running statements, up to [`STOP_TIMEOUT`].

mod fill;
mod schema;
mod statement;
mod traffic;

pub use self::fill::{distinct_statements, distinct_statements_of_size};
pub use self::schema::{Shop, Size};
pub use self::statement::Kind;
pub use self::traffic::{CONNECTIONS, Count, Report, STOP_TIMEOUT, Traffic};
