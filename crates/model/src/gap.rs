//! Gaps: what was not read, from when to when, and why. Unknown is not zero.

use crate::{Text, Timestamp, ValueRef};

/// Something that was due and is missing.
#[derive(Clone, Debug, PartialEq)]
pub struct Gap {
    /// What is missing: a metric family or a part of a poll, for instance `statements` or `tables`.
    pub what: Text,
    /// The database concerned; `None` for the whole server.
    pub database: Option<Text>,
    /// Start of the missing time; absent where nothing had been read before.
    pub from: Option<Timestamp>,
    /// End of the missing time, so far.
    pub to: Timestamp,
    /// Why, from a closed list.
    pub reason: GapReason,
    /// What happened and what to do, in a sentence; never a secret, never a literal of a query.
    pub detail: Text,
}

/// Why something is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GapReason {
    /// The server could not be reached, or closed the connection.
    ConnectionFailed,
    /// The server refused the log-in.
    AuthenticationFailed,
    /// All connection slots of the server are taken.
    TooManyConnections,
    /// The server cancelled our statement at its `statement_timeout`.
    StatementTimeout,
    /// The server gave up waiting for a lock at our `lock_timeout`.
    LockTimeout,
    /// The server did not answer within our own deadline.
    DeadlineExceeded,
    /// The role lacks a privilege.
    InsufficientPrivilege,
    /// An extension is not installed in the database we are connected to, or not preloaded.
    ExtensionMissing,
    /// This server version does not have the view or column.
    NotInThisVersion,
    /// The feature is switched off on the server, for instance `track_functions = none`.
    DisabledOnServer,
    /// What is asked for does not exist on a standby, or only there.
    NotInThisRole,
    /// Another node answered than before; differences start anew.
    NodeChanged,
    /// The server's statistics were reset.
    StatisticsReset,
    /// The server evicted statements from its table; the interval is incomplete.
    Evicted,
    /// The lane refused the records; the next ones cover the longer interval.
    Refused,
    /// A named limit of ours was reached.
    LimitReached,
    /// Admission gave no permit.
    NotAdmitted,
    /// A row or value could not be understood.
    Undecodable,
    /// The server's log files cannot be read.
    LogNotReachable,
    /// An error of the server that none of the other reasons names.
    ServerError,
}

impl GapReason {
    /// Every reason, for documentation and for tests of completeness.
    pub const ALL: [Self; 20] = [
        Self::ConnectionFailed,
        Self::AuthenticationFailed,
        Self::TooManyConnections,
        Self::StatementTimeout,
        Self::LockTimeout,
        Self::DeadlineExceeded,
        Self::InsufficientPrivilege,
        Self::ExtensionMissing,
        Self::NotInThisVersion,
        Self::DisabledOnServer,
        Self::NotInThisRole,
        Self::NodeChanged,
        Self::StatisticsReset,
        Self::Evicted,
        Self::Refused,
        Self::LimitReached,
        Self::NotAdmitted,
        Self::Undecodable,
        Self::LogNotReachable,
        Self::ServerError,
    ];

    /// The reason as an attribute value: closed set, lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConnectionFailed => "connection_failed",
            Self::AuthenticationFailed => "authentication_failed",
            Self::TooManyConnections => "too_many_connections",
            Self::StatementTimeout => "statement_timeout",
            Self::LockTimeout => "lock_timeout",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::InsufficientPrivilege => "insufficient_privilege",
            Self::ExtensionMissing => "extension_missing",
            Self::NotInThisVersion => "not_in_this_version",
            Self::DisabledOnServer => "disabled_on_server",
            Self::NotInThisRole => "not_in_this_role",
            Self::NodeChanged => "node_changed",
            Self::StatisticsReset => "statistics_reset",
            Self::Evicted => "evicted",
            Self::Refused => "refused",
            Self::LimitReached => "limit_reached",
            Self::NotAdmitted => "not_admitted",
            Self::Undecodable => "undecodable",
            Self::LogNotReachable => "log_not_reachable",
            Self::ServerError => "server_error",
        }
    }
}

impl Gap {
    /// Calls `visit` with every attribute of the `dbintel.gap` event that is known.
    pub fn for_each_attribute(&self, visit: &mut dyn FnMut(&str, ValueRef<'_>)) {
        visit("dbintel.gap.what", ValueRef::Text(&self.what));
        visit("dbintel.gap.reason", ValueRef::Text(self.reason.as_str()));
        visit("dbintel.gap.detail", ValueRef::Text(&self.detail));
        if let Some(database) = &self.database {
            visit("db.namespace", ValueRef::Text(database));
        }
        if let Some(from) = self.from {
            visit("dbintel.interval.start", ValueRef::Text(from.to_rfc3339().as_str()));
        }
        visit("dbintel.interval.end", ValueRef::Text(self.to.to_rfc3339().as_str()));
    }

    /// Bytes this record keeps alive beyond its own size.
    #[must_use]
    pub fn weight_bytes(&self) -> usize {
        self.what.len() + self.detail.len()
    }
}
