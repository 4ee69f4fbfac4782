//! Why a statement has no plan: a closed list, in metrics and in `docs/plans.md`.

use dbintel_model::PlanMissing;

/// How long to wait before a statement is probed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It failed because of the moment.
    Soon,
    /// A grant or a change of the schema can help.
    NextInterval,
    /// It is the text that cannot be planned.
    Rarely,
}

macro_rules! reasons {
    ($($reason:ident, $name:literal, $retry:ident, $doc:literal;)*) => {
        /// Why a statement has no plan.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum MissingPlan {
            $(#[doc = $doc] $reason,)*
        }

        impl MissingPlan {
            /// Every reason.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$reason),*];

            /// As a label: closed set, lower case.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$reason => $name),* }
            }

            /// What it means.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$reason => $doc),* }
            }

            /// When to try again.
            #[must_use]
            pub const fn retry(self) -> Retry {
                match self { $(Self::$reason => Retry::$retry),* }
            }
        }
    };
}

reasons! {
    NotYetProbed, "not_yet_probed", Soon, "Its turn has not come yet.";
    NotAdmitted, "not_admitted", Soon, "Admission allowed no further EXPLAIN: rate, budget, or a server in trouble.";
    Unreachable, "unreachable", Soon, "Its database could not be connected to, or the connection was lost.";
    DatabaseExcluded, "database_excluded", Rarely, "Its database is not to be read.";
    TextUnknown, "text_unknown", NextInterval, "The server has no text for it: it was evicted, or the text file was cut.";
    TextTooLong, "text_too_long", Rarely, "The text is longer than is read.";
    TextUnreadable, "text_unreadable", Rarely, "The text cannot be read to its end with certainty, so that nobody knows what it does.";
    StatementKind, "statement_kind", Rarely, "Statements of its kind have no plan, or are not on the list of those that are explained.";
    SeveralStatements, "several_statements", Rarely, "The text holds more than one statement.";
    OwnStatementsTracked, "own_statements_tracked", NextInterval, "Our statements would fill pg_stat_statements: pg_stat_statements.track is not none for our role.";
    Superuser, "superuser", NextInterval, "Our role is a superuser; planning can run functions of other people, and they would run as superuser.";
    Function, "function", Rarely, "Planning could run a function, or reach one, that is neither the server's nor an extension's.";
    ForeignTable, "foreign_table", Rarely, "Planning could ask another server about one of its foreign tables, or reads them in a way that is not known to be harmless.";
    RowSecurity, "row_security", NextInterval, "Row security is on for one of its tables; the plan would be that of our role's policies.";
    TooManyLocks, "too_many_locks", NextInterval, "Planning would lock more partitions and indexes than max_locks_per_transaction.";
    InsufficientPrivilege, "insufficient_privilege", NextInterval, "Our role lacks a privilege on one of its tables, or the owner of dbintel.explain does.";
    ObjectMissing, "object_missing", NextInterval, "A table, column, function or schema in it is not there: dropped, temporary, or outside of every search path tried.";
    ParameterType, "parameter_type", Rarely, "The types of its parameters cannot be told from the text.";
    Syntax, "syntax", Rarely, "The text as the server normalised it is not valid SQL.";
    LockTimeout, "lock_timeout", Soon, "One of its tables was locked.";
    StatementTimeout, "statement_timeout", NextInterval, "Planning took longer than the limit.";
    PrunedToNothing, "pruned_to_nothing", Rarely, "With nulls as parameters partitions were left out of the plan, so that it is not the one that runs.";
    PlanTooLarge, "plan_too_large", Rarely, "The plan is larger than is read.";
    ReadOnlyNode, "read_only_node", NextInterval, "It writes, and a standby plans no statement that writes.";
    NotLogged, "not_logged", Soon, "The server's log is the only way (`explain: false`), and it has held no plan of it yet.";
    LogNotReachable, "log_not_reachable", Soon, "The server's log is the only way (`explain: false`), and it cannot be read.";
    ServerError, "server_error", NextInterval, "The server answered with another error.";
}

impl MissingPlan {
    /// As records tell it.
    #[must_use]
    pub const fn told(self) -> PlanMissing {
        PlanMissing { reason: self.as_str(), meaning: self.description() }
    }

    /// What a failed EXPLAIN says. PostgreSQL documentation, appendix A.
    #[must_use]
    pub fn of_sqlstate(sqlstate: &str) -> Self {
        match sqlstate {
            "42501" => Self::InsufficientPrivilege,
            "42P01" | "42703" | "42704" | "42883" | "3F000" | "42P02" => Self::ObjectMissing,
            "42P18" | "42P08" | "42725" | "42804" | "42803" | "42P38" | "42846" => Self::ParameterType,
            "42601" | "42P10" => Self::Syntax,
            "55P03" => Self::LockTimeout,
            "57014" => Self::StatementTimeout,
            "25006" | "55000" => Self::ReadOnlyNode,
            _ => Self::ServerError,
        }
    }
}
