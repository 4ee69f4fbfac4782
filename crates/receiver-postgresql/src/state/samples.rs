//! Samples of running statements, which are explained for their values: how many, how often, and what became of each.
//!
//! Promises:
//! * no more than [`MAX_SAMPLES_PER_MINUTE`] are explained on a server, whatever the number of its databases;
//! * a statement whose sample could not be explained waits before another one is looked for, longer each time, by what the
//!   reason says about the chance that it will go better.
//!
//! No text is here: it lives in `query::plans` from its reading to its `EXPLAIN`.

use std::time::Duration;

use dbintel_model::{GapReason, Monotonic};

use super::plans::{MissingPlan, Retry};

/// Samples that are explained in a minute, of all databases of a server together.
pub const MAX_SAMPLES_PER_MINUTE: u32 = 4;
/// The time for which [`MAX_SAMPLES_PER_MINUTE`] are.
const MINUTE: Duration = Duration::from_secs(60);
/// Doublings of the wait that are counted.
const MAX_DOUBLINGS: u32 = 16;

macro_rules! fates {
    ($($fate:ident, $name:literal, $retry:expr, $doc:literal;)*) => {
        /// What becomes of the wish for a sample of a statement.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum SampleFate {
            $(#[doc = $doc] $fate,)*
        }

        impl SampleFate {
            /// Every one.
            pub const ALL: [Self; [$($name),*].len()] = [$(Self::$fate),*];

            /// As a label: closed set, lower case.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$fate => $name),* }
            }

            /// What it means.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$fate => $doc),* }
            }

            /// When to look for another one; `None` at the next turn of the statement.
            #[must_use]
            pub const fn retry(self) -> Option<Retry> {
                match self { $(Self::$fate => $retry),* }
            }
        }
    };
}

const SOON: Option<Retry> = Some(Retry::Soon);
const NEXT: Option<Retry> = Some(Retry::NextInterval);
const RARELY: Option<Retry> = Some(Retry::Rarely);

fates! {
    Taken, "taken", None, "A plan of the rung `custom` was obtained.";
    NotRunning, "not_running", None, "No session of its role was running it just then.";
    Parameters, "parameters", RARELY, "It arrives with parameters, whose values no other session sees.";
    Cut, "cut", NEXT, "The text is longer than track_activity_query_size or than is read.";
    Unfit, "unfit", RARELY, "The text is not one complete statement of a kind that is explained.";
    OtherStatement, "other_statement", NEXT, "The plan did not have the statement's own identifier.";
    Refused, "refused", NEXT, "Planning could run a function of other people, ask another server, lock too much or meet row security, or dbintel.explain refused the text.";
    LockTimeout, "lock_timeout", SOON, "One of its tables was locked.";
    StatementTimeout, "statement_timeout", NEXT, "Planning took longer than the limit.";
    Failed, "failed", NEXT, "The server answered with an error.";
    LimitReached, "limit_reached", None, "So many samples were explained within the last minute, or so many bytes were met, that there was no room for it.";
    NotAdmitted, "not_admitted", None, "Admission allowed no further statement.";
    NotInThisVersion, "not_in_this_version", None, "Sessions have no identifiers of statements before version 14.";
    Hidden, "hidden", None, "Our role may not see what other sessions run.";
    Superuser, "superuser", None, "Our role is a superuser, with whose rights nothing is planned.";
    Encoding, "encoding", None, "The database is not in UTF-8.";
    FunctionMissing, "function_missing", None, "dbintel.explain is not in the database.";
    FunctionDifferent, "function_different", None, "dbintel.explain is not the one of this version.";
    FunctionOfSuperuser, "function_of_superuser", None, "The owner of dbintel.explain is a superuser.";
    FunctionNotGranted, "function_not_granted", None, "Our role may not execute dbintel.explain.";
    Standby, "standby", None, "On a standby a conflict with recovery could write the text into the server's log.";
    ParametersLogged, "parameters_logged", None, "The server would log the parameters of our statement, and with them the text.";
    ContextLogged, "context_logged", None, "The server could log what our statement runs, as the context of another message.";
    ModuleLogs, "module_logs", None, "auto_explain, pgaudit or pg_stat_monitor would log or keep the text.";
}

/// Why there is no plan of a sample, and when to look for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSample {
    /// Why.
    pub fate: SampleFate,
    /// When to look again; `None` at the next turn of the statement.
    pub retry: Option<Retry>,
}

/// When the next sample of a statement is looked for.
#[derive(Clone, Copy, Debug)]
pub struct SampleTurn {
    due: Option<Monotonic>,
    /// Failures in a row, for the back-off.
    failures: u32,
}

/// How many samples were explained lately.
#[derive(Debug, Default)]
pub struct SampleRate {
    since: Option<Monotonic>,
    taken: u32,
}

// === impl SampleFate ===

impl SampleFate {
    /// What stands in the way of all samples of a database, for people to see: the class, and what to do.
    #[must_use]
    pub const fn obstacle(self) -> Option<(GapReason, &'static str)> {
        let told = match self {
            Self::NotInThisVersion => (
                GapReason::NotInThisVersion,
                "no samples are explained: sessions have no identifiers of statements before version 14",
            ),
            Self::Hidden => (
                GapReason::InsufficientPrivilege,
                "no samples are explained: the statements of other roles are hidden; GRANT pg_monitor",
            ),
            Self::Superuser => (
                GapReason::InsufficientPrivilege,
                "no samples are explained as superuser: planning runs functions",
            ),
            Self::Encoding => (
                GapReason::DisabledOnServer,
                "no samples are explained: the database is not in UTF-8, so that an error could show a part of a text",
            ),
            Self::FunctionMissing => (
                GapReason::DisabledOnServer,
                "no samples are explained without dbintel.explain; its SQL: dbintel doctor --plan-function",
            ),
            Self::FunctionDifferent => (
                GapReason::DisabledOnServer,
                "no samples are explained: dbintel.explain is not the one of this version; its SQL: dbintel doctor \
                 --plan-function",
            ),
            Self::FunctionOfSuperuser => (
                GapReason::InsufficientPrivilege,
                "no samples are explained: the owner of dbintel.explain is a superuser; its SQL: dbintel doctor \
                 --plan-function",
            ),
            Self::FunctionNotGranted => (
                GapReason::InsufficientPrivilege,
                "no samples are explained: our role may not execute dbintel.explain; its SQL: dbintel doctor \
                 --plan-function",
            ),
            Self::Standby => (
                GapReason::NotInThisRole,
                "no samples are explained on a standby: a conflict with recovery could write their texts into the log",
            ),
            Self::ParametersLogged => (
                GapReason::DisabledOnServer,
                "no samples are explained, since the server would log their texts among the parameters of our statements; \
                 run as superuser: ALTER ROLE the collector's role SET log_parameter_max_length = 0, and leave \
                 log_parameter_max_length_on_error at 0",
            ),
            Self::ContextLogged => (
                GapReason::DisabledOnServer,
                "no samples are explained, since the server could log their texts as the context of other messages; for \
                 the collector's role leave log_min_messages at warning or above, debug_print_*, log_*_stats and \
                 log_lock_waits off, standard_conforming_strings on",
            ),
            Self::ModuleLogs => (
                GapReason::DisabledOnServer,
                "no samples are explained, since a module would log or keep their texts; run as superuser: ALTER ROLE the \
                 collector's role SET auto_explain.log_min_duration = -1, pgaudit.log = 'none', pgaudit.role = '' or \
                 pg_stat_monitor.pgsm_track = 'none'",
            ),
            _ => return None,
        };
        Some(told)
    }
}

// === impl NoSample ===

impl From<SampleFate> for NoSample {
    fn from(fate: SampleFate) -> Self {
        Self { fate, retry: fate.retry() }
    }
}

/// Why it could not be planned; the class of the error says when it may be tried again.
impl From<MissingPlan> for NoSample {
    fn from(reason: MissingPlan) -> Self {
        let fate = match reason {
            MissingPlan::LockTimeout => SampleFate::LockTimeout,
            MissingPlan::StatementTimeout => SampleFate::StatementTimeout,
            MissingPlan::NotAdmitted => SampleFate::NotAdmitted,
            MissingPlan::Superuser => SampleFate::Superuser,
            MissingPlan::TextTooLong => SampleFate::Cut,
            MissingPlan::TextUnreadable | MissingPlan::StatementKind | MissingPlan::SeveralStatements => {
                SampleFate::Unfit
            }
            MissingPlan::Function
            | MissingPlan::ForeignTable
            | MissingPlan::RowSecurity
            | MissingPlan::TooManyLocks
            | MissingPlan::OwnStatementsTracked => SampleFate::Refused,
            _ => SampleFate::Failed,
        };
        Self { fate, retry: Some(reason.retry()) }
    }
}

// === impl SampleTurn ===

impl SampleTurn {
    /// None was looked for yet.
    pub const NEW: Self = Self { due: None, failures: 0 };

    /// Whether a sample may be looked for.
    #[must_use]
    pub fn is_due(&self, now: Monotonic) -> bool {
        self.due.is_none_or(|due| due <= now)
    }

    /// There was a plan.
    pub const fn taken(&mut self) {
        *self = Self::NEW;
    }

    /// There was none. `base` is the first wait for a reason of this class, `max` the longest one.
    pub fn failed(&mut self, base: Duration, max: Duration, now: Monotonic) {
        let wait = base.saturating_mul(1 << self.failures.min(MAX_DOUBLINGS)).min(max);
        *self = Self { due: Some(now.plus(wait)), failures: self.failures.saturating_add(1) };
    }
}

// === impl SampleRate ===

impl SampleRate {
    /// Whether one more may be explained now; it counts then.
    pub fn take(&mut self, now: Monotonic) -> bool {
        if self.since.is_none_or(|since| now.since(since) >= MINUTE) {
            *self = Self { since: Some(now), taken: 0 };
        }
        let may = self.taken < MAX_SAMPLES_PER_MINUTE;
        self.taken += u32::from(may);
        may
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use dbintel_model::{Clock as _, ManualClock, Timestamp};

    use super::*;

    #[test]
    fn no_more_samples_than_are_allowed_in_a_minute() {
        let (clock, mut rate) = (ManualClock::at(Timestamp::default()), SampleRate::default());
        for _ in 0..3 {
            let taken = (0..20).filter(|_| rate.take(clock.monotonic())).count();
            assert_eq!(taken, MAX_SAMPLES_PER_MINUTE as usize);
            clock.advance(MINUTE - Duration::from_secs(1));
            assert!(!rate.take(clock.monotonic()));
            clock.advance(Duration::from_secs(1));
        }
    }

    #[test]
    fn what_failed_waits_longer_each_time_and_a_plan_ends_that() {
        let (clock, mut turn) = (ManualClock::at(Timestamp::default()), SampleTurn::NEW);
        let (base, max) = (Duration::from_secs(60), Duration::from_secs(200));
        for wait in [60, 120, 200, 200] {
            assert!(turn.is_due(clock.monotonic()));
            turn.failed(base, max, clock.monotonic());
            clock.advance(Duration::from_secs(wait - 1));
            assert!(!turn.is_due(clock.monotonic()), "{wait}");
            clock.advance(Duration::from_secs(1));
        }
        turn.taken();
        turn.failed(base, max, clock.monotonic());
        clock.advance(base);
        assert!(turn.is_due(clock.monotonic()));
    }

    #[test]
    fn fates_have_names_of_their_own_and_are_documented() {
        let names: HashSet<_> = SampleFate::ALL.iter().map(|fate| fate.as_str()).collect();
        assert_eq!(names.len(), SampleFate::ALL.len());
        let docs = include_str!("../../../../docs/plans.md");
        for fate in SampleFate::ALL {
            let row = format!("| `{}` | {} |\n", fate.as_str(), fate.description());
            assert!(docs.contains(&row), "docs/plans.md lacks: {row}");
        }
    }

    #[test]
    fn an_error_decides_by_its_class_when_another_sample_is_looked_for() {
        let of = |reason: MissingPlan| NoSample::from(reason);
        assert_eq!(of(MissingPlan::LockTimeout).fate, SampleFate::LockTimeout);
        assert_eq!(of(MissingPlan::RowSecurity).fate, SampleFate::Refused);
        assert_eq!(of(MissingPlan::of_sqlstate("42601")).fate, SampleFate::Failed);
        assert_eq!(of(MissingPlan::of_sqlstate("42601")).retry, Some(Retry::Rarely));
        assert_eq!(of(MissingPlan::of_sqlstate("42501")).retry, Some(Retry::NextInterval));
    }
}
