//! Every setting of a [`ServerTree`](crate::ServerTree), with its default.

use std::time::Duration;

use crate::aimd::AimdConfig;
use crate::breaker::BreakerConfig;
use crate::class::{CLASSES, ClassRule, FailureClass};
use crate::ledger::{Budget, LedgerConfig};
use crate::schedule::Schedule;
use crate::timeout::TimeoutConfig;
use crate::vocabulary::CostClass;

/// What may be sent to one database.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Ceiling of statements a second; the database's own health moves the rate below it. A poll has about thirty short
    /// ones. Default 50.
    pub statements_per_second: f64,
    /// Statements at once. Default 100: three polls.
    pub statement_burst: u32,
    /// EXPLAINs a minute. Default 6.
    pub plans_per_minute: f64,
    /// EXPLAINs at once. Default 2.
    pub plan_burst: u32,
    /// Database time a minute. Default 300 ms, half a percent of one core.
    pub budget: Budget,
}

/// Other limits at other times.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitSchedule {
    /// When.
    pub schedule: Schedule,
    /// The limits of each window, parallel to those of the schedule; outside of them, and for a window without one,
    /// [`TreeConfig::limits`] hold.
    pub limits: Vec<Limits>,
}

/// Work that may run only in its windows.
#[derive(Clone, Debug, PartialEq)]
pub struct HeavyWork {
    /// When it may run.
    pub schedule: Schedule,
    /// What.
    pub classes: Vec<CostClass>,
}

/// Settings of the tree of one server.
#[derive(Clone, Debug, PartialEq)]
pub struct TreeConfig {
    /// Breakers of all levels.
    pub breaker: BreakerConfig,
    /// The rules of the classes of failures; a class that is missing has its default. Default [`CLASSES`].
    pub classes: Vec<ClassRule>,
    /// Limits of each database.
    pub limits: Limits,
    /// Limits by the time of the week; they change budgets and rates, and what was used stays used. Default none.
    pub schedule: Option<LimitSchedule>,
    /// Work bound to maintenance windows. Default none.
    pub heavy_work: Option<HeavyWork>,
    /// Statements a second to the whole server, all databases together. Default 200.
    pub server_statements_per_second: f64,
    /// Statements at once to the whole server. Default 400.
    pub server_statement_burst: u32,
    /// How rates follow the database.
    pub aimd: AimdConfig,
    /// How budgets press.
    pub ledger: LedgerConfig,
    /// Time-outs of each feature.
    pub timeout: TimeoutConfig,
    /// Statements to one database at the same time; 1 makes the bound of the budget exact. Default 4.
    pub max_in_flight: u32,
    /// A statement that took longer is a failure of class `slow`. Default 5 s.
    pub slow_threshold: Duration,
    /// Distress: fewer free connection slots than this, those reserved for superusers not counted. Default 3.
    pub free_slots_min: u32,
    /// Distress: as many of our statements wait for a lock. Default 1.
    pub own_lock_waits_max: u32,
    /// Distress: planning one of our statements took longer. Default 500 ms.
    pub planning_time_max: Duration,
    /// Databases of the server, at most [`TreeConfig::MAX_DATABASES`]; there is no permit for more. Default 512.
    pub max_databases: usize,
    /// Features of a database, at most [`TreeConfig::MAX_FEATURES`]; there is no permit for more. Default 64.
    pub max_features: usize,
    /// Permits out at a time, at most [`TreeConfig::MAX_GRANTS`]. Default 1024.
    pub max_grants: usize,
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            statements_per_second: 50.0,
            statement_burst: 100,
            plans_per_minute: 6.0,
            plan_burst: 2,
            budget: Budget::default(),
        }
    }
}

// === impl TreeConfig ===

impl TreeConfig {
    /// Most databases of a server. With [`Self::MAX_FEATURES`] each and all time-outs full, a tree holds about 60 MB.
    pub const MAX_DATABASES: usize = 512;
    /// Most features of a database.
    pub const MAX_FEATURES: usize = 64;
    /// Most permits out at a time.
    pub const MAX_GRANTS: usize = 4_096;

    /// The rule of a class.
    #[must_use]
    pub fn rule(&self, class: FailureClass) -> ClassRule {
        self.classes.iter().find(|rule| rule.class == class).copied().unwrap_or_else(|| class.rule())
    }
}

impl Default for TreeConfig {
    fn default() -> Self {
        Self {
            breaker: BreakerConfig::default(),
            classes: CLASSES.to_vec(),
            limits: Limits::default(),
            schedule: None,
            heavy_work: None,
            server_statements_per_second: 200.0,
            server_statement_burst: 400,
            aimd: AimdConfig::default(),
            ledger: LedgerConfig::default(),
            timeout: TimeoutConfig::default(),
            max_in_flight: 4,
            slow_threshold: Duration::from_secs(5),
            free_slots_min: 3,
            own_lock_waits_max: 1,
            planning_time_max: Duration::from_millis(500),
            max_databases: Self::MAX_DATABASES,
            max_features: Self::MAX_FEATURES,
            max_grants: 1_024,
        }
    }
}
