//! The closed table of failures: on whom each acts, after how many, for how long, and what is tried instead.
//!
//! Permission denied is not connection refused is not a statement time-out. Loss of the connection, log-in, slots and a
//! starting server concern everybody on the server; time-outs and locks concern one database; a missing privilege,
//! object or extension concerns one query and never its database. SQLSTATEs: PostgreSQL documentation, appendix A.

use std::time::Duration;

use crate::vocabulary::{Purpose, StatementError};

/// A level of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// This process.
    Process,
    /// One server: everything behind one endpoint.
    Server,
    /// One database of a server.
    Database,
    /// One query of ours in one database.
    Feature,
}

/// Why a breaker counts a statement, or an observation, as a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FailureClass {
    /// The connection was lost or could not be made.
    ConnectionLost,
    /// The server refused the log-in.
    AuthenticationFailed,
    /// No connection slot was free.
    TooManyConnections,
    /// The server is starting, stopping, or in recovery and not yet open.
    ServerStartingOrStopping,
    /// Disk, memory or another resource of the server is used up.
    OutOfResources,
    /// The database does not exist, or was dropped.
    MissingDatabase,
    /// The server cancelled the statement at its time-out.
    StatementTimeout,
    /// The server gave up waiting for a lock, or found a deadlock.
    LockTimeout,
    /// The server did not answer within our own deadline.
    DeadlineExceeded,
    /// A standby cancelled the statement because it stood in the way of replay.
    RecoveryConflict,
    /// Not an error: the statement took longer than the threshold of slow statements.
    Slow,
    /// The role lacks a privilege.
    InsufficientPrivilege,
    /// A view, column, function or library is not there.
    MissingObject,
    /// Not possible in the role or state the server is in: a standby, or an extension that is not preloaded.
    NotInThisRole,
    /// The answer could not be understood.
    Decode,
    /// Any other error of the server.
    ServerError,
    /// Distress: few connection slots are left for the database's own clients.
    DistressSlots,
    /// Distress: replay lag of a standby rises while our snapshot is open.
    DistressReplay,
    /// Distress: our own statements wait for locks.
    DistressLocks,
    /// Distress: planning our statements takes long.
    DistressPlanning,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassRule {
    /// The class.
    pub class: FailureClass,
    /// Whose breaker it opens: the server's, the database's, or the feature's.
    pub level: Level,
    /// Consecutive failures of the class that open the breaker; at least 1.
    pub threshold: u32,
    /// First wait before a probe.
    pub base: Duration,
    /// Longest wait before a probe.
    pub max: Duration,
    /// What is tried instead, or what a person can do, in a sentence.
    pub instead: &'static str,
}

/// The table: every class once, with its defaults. Documentation is generated from it.
pub const CLASSES: [ClassRule; 20] = [
    FailureClass::ConnectionLost.rule(),
    FailureClass::AuthenticationFailed.rule(),
    FailureClass::TooManyConnections.rule(),
    FailureClass::ServerStartingOrStopping.rule(),
    FailureClass::OutOfResources.rule(),
    FailureClass::MissingDatabase.rule(),
    FailureClass::StatementTimeout.rule(),
    FailureClass::LockTimeout.rule(),
    FailureClass::DeadlineExceeded.rule(),
    FailureClass::RecoveryConflict.rule(),
    FailureClass::Slow.rule(),
    FailureClass::InsufficientPrivilege.rule(),
    FailureClass::MissingObject.rule(),
    FailureClass::NotInThisRole.rule(),
    FailureClass::Decode.rule(),
    FailureClass::ServerError.rule(),
    FailureClass::DistressSlots.rule(),
    FailureClass::DistressReplay.rule(),
    FailureClass::DistressLocks.rule(),
    FailureClass::DistressPlanning.rule(),
];

// === impl Level ===

impl Level {
    /// The level as a label: closed set, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Server => "server",
            Self::Database => "database",
            Self::Feature => "feature",
        }
    }
}

// === impl FailureClass ===

impl FailureClass {
    /// The class of an error; `None` for a statement that was abandoned or not sent, which says nothing about the database.
    ///
    /// A deadline that passes while connecting is a server that does not answer anybody (a stopped process still accepts
    /// connections in the kernel), so it counts as a lost connection.
    #[must_use]
    pub fn of(purpose: Purpose, error: &StatementError) -> Option<Self> {
        Some(match error {
            StatementError::Sqlstate(sqlstate) => Self::of_sqlstate(sqlstate),
            StatementError::Deadline if purpose == Purpose::Connect => Self::ConnectionLost,
            StatementError::Connection => Self::ConnectionLost,
            StatementError::Deadline => Self::DeadlineExceeded,
            StatementError::Decode => Self::Decode,
            StatementError::Abandoned | StatementError::NotSent => return None,
        })
    }

    /// The class of a SQLSTATE.
    #[must_use]
    pub fn of_sqlstate(sqlstate: &str) -> Self {
        match sqlstate {
            "53300" => Self::TooManyConnections,
            "57014" | "25P04" => Self::StatementTimeout,
            "55P03" | "40P01" => Self::LockTimeout,
            "40001" => Self::RecoveryConflict,
            "3D000" | "57P04" => Self::MissingDatabase,
            "57P05" => Self::ConnectionLost,
            "42501" => Self::InsufficientPrivilege,
            "42703" | "42704" | "42883" | "42P01" | "3F000" | "58P01" | "0A000" => Self::MissingObject,
            "55000" | "25006" => Self::NotInThisRole,
            code if code.starts_with("08") => Self::ConnectionLost,
            code if code.starts_with("28") => Self::AuthenticationFailed,
            code if code.starts_with("57P") => Self::ServerStartingOrStopping,
            code if code.starts_with("53") => Self::OutOfResources,
            _ => Self::ServerError,
        }
    }

    /// Whether what the role may do, what there is in the database, or the role of the node decides: the wait ends when
    /// one of them changes.
    #[must_use]
    pub const fn follows_abilities(self) -> bool {
        matches!(self, Self::InsufficientPrivilege | Self::MissingObject | Self::NotInThisRole)
    }

    /// Whether the server is short of connection slots, so that ours are to be given back.
    #[must_use]
    pub const fn wants_slots(self) -> bool {
        matches!(self, Self::TooManyConnections | Self::DistressSlots)
    }

    /// The class as a label: closed set, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConnectionLost => "connection_lost",
            Self::AuthenticationFailed => "authentication_failed",
            Self::TooManyConnections => "too_many_connections",
            Self::ServerStartingOrStopping => "server_starting_or_stopping",
            Self::OutOfResources => "out_of_resources",
            Self::MissingDatabase => "missing_database",
            Self::StatementTimeout => "statement_timeout",
            Self::LockTimeout => "lock_timeout",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::RecoveryConflict => "recovery_conflict",
            Self::Slow => "slow",
            Self::InsufficientPrivilege => "insufficient_privilege",
            Self::MissingObject => "missing_object",
            Self::NotInThisRole => "not_in_this_role",
            Self::Decode => "decode",
            Self::ServerError => "server_error",
            Self::DistressSlots => "distress_slots",
            Self::DistressReplay => "distress_replay",
            Self::DistressLocks => "distress_locks",
            Self::DistressPlanning => "distress_planning",
        }
    }

    /// The row of the table, with its defaults.
    #[must_use]
    pub const fn rule(self) -> ClassRule {
        use Level::{Database, Feature, Server};
        let (level, threshold, base_secs, max_secs, instead) = match self {
            Self::ConnectionLost => (
                Server,
                2,
                2,
                120,
                "one connection attempt as the probe, with the look at what is there; nothing else until it succeeds",
            ),
            Self::AuthenticationFailed => (
                Server,
                1,
                60,
                1_800,
                "one log-in as the probe, rarely, so that no account is locked; check username and password. Where pg_hba.conf refuses one \
                 database alone (28000), only that database's breaker opens",
            ),
            Self::TooManyConnections => (
                Server,
                1,
                30,
                600,
                "one connection attempt as the probe; the connections we have are closed, so that the slots are the clients'",
            ),
            Self::ServerStartingOrStopping => {
                (Server, 1, 5, 60, "one connection attempt as the probe, until the server is open")
            }
            Self::OutOfResources => {
                (Server, 1, 60, 900, "the cheapest probe only; free disk or memory on the server")
            }
            Self::MissingDatabase => (
                Database,
                1,
                60,
                3_600,
                "the other databases of the server; check connect_database and databases",
            ),
            Self::StatementTimeout => (
                Database,
                3,
                15,
                600,
                "the cheapest probe, then the features one after the other; one that times out alone waits alone",
            ),
            Self::LockTimeout => {
                (Database, 3, 15, 600, "the cheapest probe, which reads no table and so waits for no lock")
            }
            Self::DeadlineExceeded => (
                Database,
                2,
                15,
                600,
                "the cheapest probe on a new connection, once the old one has answered or is seen gone, or half a minute later",
            ),
            Self::RecoveryConflict => (
                Database,
                2,
                60,
                900,
                "the cheapest probe; a snapshot of ours never lasts longer than one statement",
            ),
            Self::Slow => (
                Database,
                3,
                30,
                600,
                "the cheapest probe, then fewer statements a second; what the slow ones cost stretches the cadence",
            ),
            Self::InsufficientPrivilege => (
                Feature,
                1,
                300,
                3_600,
                "the other queries, each made for what the role may see; asked again at once after a GRANT, which `dbintel doctor` prints",
            ),
            Self::MissingObject => (
                Feature,
                1,
                300,
                3_600,
                "a new connection with a fresh look at the catalogue; the query for what is there now goes at once if that differs",
            ),
            Self::NotInThisRole => (
                Feature,
                1,
                60,
                900,
                "what the node has in the role it is in; asked again at once when it is promoted or another node answers",
            ),
            Self::Decode => {
                (Feature, 3, 300, 3_600, "nothing; an answer we misread is a defect of ours to report")
            }
            Self::ServerError => (Feature, 3, 60, 1_800, "the other features; see the SQLSTATE in the log"),
            Self::DistressSlots => (
                Server,
                1,
                60,
                600,
                "one connection attempt as the probe; the connections we have are closed, so that the slots are the clients'",
            ),
            Self::DistressReplay => (
                Server,
                1,
                60,
                900,
                "the cheapest probe, whose snapshot ends with it; replay is looked at again before anything else is read",
            ),
            Self::DistressLocks => {
                (Database, 1, 30, 600, "the cheapest probe, which reads no table and so waits for no lock")
            }
            Self::DistressPlanning => (
                Database,
                1,
                60,
                900,
                "the cheapest probe, which has nothing to plan; no other query is planned until the wait is over",
            ),
        };
        ClassRule {
            class: self,
            level,
            threshold,
            base: Duration::from_secs(base_secs),
            max: Duration::from_secs(max_secs),
            instead,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlstates_have_their_class_and_level() {
        let check = |sqlstate: &'static str, class: FailureClass, level| {
            assert_eq!(FailureClass::of_sqlstate(sqlstate), class, "{sqlstate}");
            assert_eq!(class.rule().level, level, "{sqlstate}");
        };
        check("08006", FailureClass::ConnectionLost, Level::Server);
        check("28P01", FailureClass::AuthenticationFailed, Level::Server);
        check("53300", FailureClass::TooManyConnections, Level::Server);
        check("53200", FailureClass::OutOfResources, Level::Server);
        check("57P03", FailureClass::ServerStartingOrStopping, Level::Server);
        check("57P04", FailureClass::MissingDatabase, Level::Database);
        check("3D000", FailureClass::MissingDatabase, Level::Database);
        check("57014", FailureClass::StatementTimeout, Level::Database);
        check("55P03", FailureClass::LockTimeout, Level::Database);
        check("40001", FailureClass::RecoveryConflict, Level::Database);
        check("42501", FailureClass::InsufficientPrivilege, Level::Feature);
        for missing in ["42703", "42883", "42P01", "58P01"] {
            check(missing, FailureClass::MissingObject, Level::Feature);
        }
        check("55000", FailureClass::NotInThisRole, Level::Feature);
        check("XX000", FailureClass::ServerError, Level::Feature);
        check("", FailureClass::ServerError, Level::Feature);
    }

    #[test]
    fn a_deadline_while_connecting_is_a_lost_connection() {
        let class = |purpose| FailureClass::of(purpose, &StatementError::Deadline);
        assert_eq!(class(Purpose::Connect), Some(FailureClass::ConnectionLost));
        assert_eq!(class(Purpose::Statements), Some(FailureClass::DeadlineExceeded));
        for nothing in [StatementError::Abandoned, StatementError::NotSent] {
            assert_eq!(FailureClass::of(Purpose::Connect, &nothing), None);
        }
    }

    #[test]
    fn the_table_has_every_class_once_with_sound_bounds() {
        let mut names: Vec<_> = CLASSES.iter().map(|rule| rule.class.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CLASSES.len());
        for rule in CLASSES {
            assert!(rule.threshold >= 1 && rule.base <= rule.max && !rule.base.is_zero(), "{rule:?}");
            assert!(rule.level != Level::Process && !rule.instead.is_empty(), "{rule:?}");
        }
    }
}
