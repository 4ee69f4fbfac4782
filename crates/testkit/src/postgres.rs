//! Private PostgreSQL clusters of the majors 13 to 18, on ports of their own.
//!
//! ```no_run
//! use dbintel_testkit::postgres::{Cluster, Major, Options, OwnStatements};
//!
//! # async fn example() {
//! let cluster = Cluster::start(Major::V16, Options::new().setting("pg_stat_statements.max", "20000")).await;
//! cluster.create_extension("postgres", "pg_stat_statements").await;
//! let role = cluster.create_monitor_role(OwnStatements::Untracked).await;
//! let url = cluster.monitor_url(&role, "postgres");
//! # }
//! ```
//!
//! Promises:
//! * each cluster has its own directory, port and processes, so tests run in parallel and in any order;
//! * nothing survives the test: dropping a cluster stops it, and a watchdog does when the test process is killed;
//! * what is missing stops the test with the command that installs it;
//! * settings are PostgreSQL's defaults but for `fsync`, memory, time zone and what the options say.

mod cluster;
mod installation;
mod options;
mod postmaster;
mod roles;
mod settings;
mod standby;
mod template;
mod user;

pub use self::cluster::{Cluster, Versions};
pub use self::installation::{Major, available_majors};
pub use self::options::Options;
pub use self::postmaster::StopMode;
pub use self::roles::{MonitorRole, OwnStatements};
