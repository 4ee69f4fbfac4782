//! Errors in the server's log: how many by database and SQLSTATE, and how many executions of which statement they ended.
//!
//! Promises:
//! * of a record nothing is kept but its database, its SQLSTATE, and whether it says that a statement was timed out;
//! * an error is a statement's only where the record has the statement's own identifier, and it is not one of the session;
//! * everything is bounded, and what finds no room is counted.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use dbintel_model::{QueryErrors, QueryKey, QueryText, Text};
use dbintel_plan::log::LogRecord;

use super::plans::{Candidate, ProbeKey};

/// Pairs of database and SQLSTATE that are counted; a function can raise any code. Of further ones the code is [`OTHER`].
pub const MAX_ERROR_SERIES: usize = 256;
/// Statements whose errors wait for the next reading of the statements.
pub const MAX_FAILED_STATEMENTS: usize = 2_000;
/// Stands for a code that found no room.
pub const OTHER: &str = "other";

/// Severities, as they begin, of records that are no errors. In other languages they are other words; there it is told by
/// the code alone.
const NO_ERRORS: [&str; 5] = ["DEBUG", "LOG", "INFO", "NOTICE", "WARNING"];
/// Classes of codes that are no errors: success, warning, no data.
const NO_ERROR_CLASSES: [&str; 3] = ["00", "01", "02"];
/// What begins the codes of errors that end a session, whatever it does at that time: connection, authorisation, idle for
/// too long, shutdown and recovery.
const OF_SESSIONS: [&str; 8] = ["08", "28", "25P03", "25P04", "57P01", "57P02", "57P03", "57P05"];
const QUERY_CANCELED: &str = "57014";
/// What is no time-out among the records with this code; in other languages it cannot be told.
const BY_REQUEST: &str = "canceling statement due to user request";

/// See the module.
#[derive(Debug, Default)]
pub struct LogErrors {
    codes: BTreeMap<(Text, Text), u64>,
    failed: HashMap<ProbeKey, FailedStatement>,
    cut: u64,
}

/// A statement, and how many of its executions ended in an error.
#[derive(Clone, Debug, PartialEq)]
pub struct FailedStatement {
    /// Which.
    pub key: QueryKey,
    /// Its masked text, once known.
    pub text: Option<Arc<QueryText>>,
    /// How many.
    pub errors: QueryErrors,
}

/// The code of a record that is an error.
#[must_use]
pub fn error_code<'a>(record: &'a LogRecord<'_>) -> Option<&'a str> {
    let code = record.sqlstate.as_deref()?;
    let is_code =
        code.len() == 5 && code.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    let severity = record.severity.as_deref().unwrap_or_default();
    let is_no_error = NO_ERRORS.iter().any(|word| severity.starts_with(word))
        || NO_ERROR_CLASSES.iter().any(|class| code.starts_with(class));
    (is_code && !is_no_error).then_some(code)
}

// === impl LogErrors ===

impl LogErrors {
    /// One error in this database; of this statement, if it is known.
    pub fn note(&mut self, database: &Text, code: &str, message: &str, statement: Option<&Candidate>) {
        self.count(database, code, 1);
        let is_of_session = OF_SESSIONS.iter().any(|of_session| code.starts_with(of_session));
        if let Some(Candidate { key, text }) = statement.filter(|_| !is_of_session) {
            let timed_out = u64::from(code == QUERY_CANCELED && message != BY_REQUEST);
            let errors = QueryErrors { failed: 1, timed_out };
            self.add(FailedStatement { key: key.clone(), text: text.clone(), errors });
        }
    }

    /// Adds what was found elsewhere.
    pub fn merge(&mut self, other: Self) {
        for ((database, code), count) in &other.codes {
            self.count(database, code, *count);
        }
        self.put_back(other.failed.into_values());
        self.cut += other.cut;
    }

    /// Takes what the statements have, for the next reading of them.
    pub fn take_failed(&mut self) -> Vec<FailedStatement> {
        std::mem::take(&mut self.failed).into_values().collect()
    }

    /// Puts back what was taken and did not get through.
    pub fn put_back(&mut self, failed: impl IntoIterator<Item = FailedStatement>) {
        failed.into_iter().for_each(|failed| self.add(failed));
    }

    /// Errors by database and code, since counting began.
    pub fn codes(&self) -> impl Iterator<Item = (&Text, &Text, u64)> {
        self.codes.iter().map(|((database, code), count)| (database, code, *count))
    }

    /// Bytes held, shared texts counted in full.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let text = |failed: &FailedStatement| failed.text.as_ref().map_or(0, |text| text.weight_bytes());
        let failed = self.failed.values();
        failed.map(|failed| size_of::<(ProbeKey, FailedStatement)>() + text(failed)).sum::<usize>()
            + self.codes.len() * size_of::<((Text, Text), u64)>()
    }

    /// What found no room since this was last asked.
    pub fn take_cut(&mut self) -> u64 {
        std::mem::take(&mut self.cut)
    }

    fn count(&mut self, database: &Text, code: &str, count: u64) {
        let key = (database.clone(), Text::from(code.to_owned()));
        if let Some(held) = self.codes.get_mut(&key) {
            *held += count;
        } else if self.codes.len() < MAX_ERROR_SERIES {
            self.codes.insert(key, count);
        } else {
            // Those of a merge were counted where they found no room.
            self.cut += if code == OTHER { 0 } else { count };
            // One for each database that has others.
            *self.codes.entry((key.0, Text::Static(OTHER))).or_default() += count;
        }
    }

    fn add(&mut self, failed: FailedStatement) {
        let id = (failed.key.database_id, failed.key.user_id, failed.key.query_id);
        if let Some(held) = self.failed.get_mut(&id) {
            held.errors.failed += failed.errors.failed;
            held.errors.timed_out += failed.errors.timed_out;
        } else if self.failed.len() < MAX_FAILED_STATEMENTS {
            self.failed.insert(id, failed);
        } else {
            self.cut += failed.errors.failed;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn record(severity: &'static str, code: &'static str) -> LogRecord<'static> {
        LogRecord {
            severity: Some(severity).filter(|severity| !severity.is_empty()).map(Cow::Borrowed),
            sqlstate: Some(code).filter(|code| !code.is_empty()).map(Cow::Borrowed),
            ..LogRecord::default()
        }
    }

    fn candidate(query_id: i64) -> Candidate {
        let key = QueryKey {
            system: "postgresql",
            database: "app".into(),
            database_id: 5,
            user: "web".into(),
            user_id: 10,
            query_id,
            toplevel: None,
        };
        Candidate { key, text: None }
    }

    #[test]
    fn an_error_has_a_code_that_is_one_and_no_severity_that_is_none() {
        let check = |severity, code, expected: bool| {
            assert_eq!(error_code(&record(severity, code)).is_some(), expected, "{severity} {code}");
        };
        for severity in ["ERROR", "FATAL", "PANIC", "FEHLER", ""] {
            check(severity, "57014", true);
            check(severity, "00000", false);
            check(severity, "01000", false);
            check(severity, "", false);
        }
        for severity in ["LOG", "WARNING", "NOTICE", "DEBUG", "DEBUG2", "INFO"] {
            check(severity, "08006", false);
        }
        for code in ["5701", "570140", "5701a", "57 14", "57014\n"] {
            check("ERROR", code, false);
        }
    }

    #[test]
    fn errors_are_counted_by_code_and_those_of_statements_by_statement() {
        let mut errors = LogErrors::default();
        let (app, statement) = ("app".into(), candidate(7));
        for (code, message, of) in [
            ("57014", "canceling statement due to statement timeout", Some(&statement)),
            ("57014", BY_REQUEST, Some(&statement)),
            ("57014", "Storniere Anfrage wegen Zeitüberschreitung", Some(&statement)),
            ("23505", "canary", Some(&statement)),
            ("57P01", "terminating connection due to administrator command", Some(&statement)),
            ("25P03", "terminating connection due to idle-in-transaction timeout", Some(&statement)),
            ("42601", "canary", None),
        ] {
            errors.note(&app, code, message, of);
        }
        let codes: Vec<_> = errors.codes().map(|(_, code, count)| (code.to_string(), count)).collect();
        let expected = [("23505", 1), ("25P03", 1), ("42601", 1), ("57014", 3), ("57P01", 1)];
        assert_eq!(codes, expected.map(|(code, count)| (code.to_owned(), count)));
        let failed = errors.take_failed();
        assert_eq!(failed.len(), 1);
        assert_eq!(failed[0].errors, QueryErrors { failed: 4, timed_out: 2 });
        assert!(!format!("{errors:?}{failed:?}").contains("canary"));
        assert_eq!(errors.take_failed(), []);
        errors.put_back(failed);
        errors.note(&app, "40P01", "deadlock detected", Some(&statement));
        assert_eq!(errors.take_failed()[0].errors, QueryErrors { failed: 5, timed_out: 2 });
        assert_eq!(errors.take_cut(), 0);
    }

    #[test]
    fn what_finds_no_room_is_counted() {
        let (mut all, mut errors) = (LogErrors::default(), LogErrors::default());
        let over = 3;
        for number in 0..MAX_FAILED_STATEMENTS + over {
            let code = format!("X{number:04}");
            errors.note(&"app".into(), &code, "", Some(&candidate(number as i64)));
        }
        let series_over = (MAX_FAILED_STATEMENTS + over - MAX_ERROR_SERIES) as u64;
        all.merge(errors);
        assert_eq!(all.codes().count(), MAX_ERROR_SERIES + 1);
        let other = all.codes().find(|(_, code, _)| ***code == *OTHER).map(|(_, _, count)| count);
        assert_eq!(other, Some(series_over));
        assert_eq!(all.take_failed().len(), MAX_FAILED_STATEMENTS);
        assert_eq!(all.take_cut(), series_over + over as u64);
    }
}
