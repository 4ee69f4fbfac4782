//! The log of a PostgreSQL server, 13 to 18: where its records end, what they say, and which plans auto_explain put there.
//!
//! Promises:
//! * pure and total: any bytes give a record or none, and every step forward is at least one byte;
//! * what a client can write into a record (statements, names, messages) does not end it: within JSON a line break is
//!   escaped, within CSV it is quoted, on standard error every further line begins with a tab. Only a reader that has
//!   [lost](Lost) its place in a CSV file must guess, by a line that begins with a time;
//! * [`auto_explain`] takes the text of the statement and its parameters out of the plan.
//!
//! The formats are those of the chapter "Error Reporting and Logging" of PostgreSQL's documentation.

mod csvlog;
mod explain;
mod frame;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod invariants;
mod jsonlog;
mod prefix;
mod stderr;
mod time;

use std::borrow::Cow;
use std::fmt;

pub use self::explain::{AutoExplain, LoggedPlan, MARK, auto_explain};
pub use self::frame::{Lost, record_end};
pub use self::prefix::{LinePrefix, MAX_PREFIX_BYTES, PrefixError};

/// How a log is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// `jsonlog`, from version 15 on: an object in each line.
    Json,
    /// `csvlog`.
    Csv,
    /// `stderr`, with what `log_line_prefix` puts before each message.
    Stderr(LinePrefix),
}

/// What a record of the log says, as far as it is asked for. The message can hold literals.
#[derive(Clone, Default, PartialEq)]
pub struct LogRecord<'a> {
    /// When it was written, in microseconds since 1970, if the name of the time zone says what it is.
    pub time_micros: Option<i64>,
    /// The role that logged in.
    pub user: Option<Cow<'a, str>>,
    /// The database.
    pub database: Option<Cow<'a, str>>,
    /// The identifier of the statement the session runs, from version 14 on: that of the outermost one.
    pub query_id: Option<i64>,
    /// `LOG`, `ERROR` and their like; in other languages than English other words.
    pub severity: Option<Cow<'a, str>>,
    /// SQLSTATE.
    pub sqlstate: Option<Cow<'a, str>>,
    /// The message.
    pub message: Cow<'a, str>,
    /// Whether it has a context: something within a function wrote it.
    pub has_context: bool,
}

impl LogFormat {
    /// The record in these bytes, which [`record_end`] has told from those after it.
    #[must_use]
    pub fn record<'a>(&self, bytes: &'a [u8]) -> Option<LogRecord<'a>> {
        // Each database writes in its own encoding.
        match String::from_utf8_lossy(bytes) {
            Cow::Borrowed(text) => self.read(text),
            Cow::Owned(text) => self.read(&text).map(LogRecord::into_owned),
        }
    }

    fn read<'a>(&self, text: &'a str) -> Option<LogRecord<'a>> {
        match self {
            Self::Json => jsonlog::record(text),
            Self::Csv => csvlog::record(text),
            Self::Stderr(prefix) => stderr::record(prefix, text),
        }
    }
}

impl LogRecord<'_> {
    /// The same with strings of its own.
    #[must_use]
    pub fn into_owned(self) -> LogRecord<'static> {
        fn own(text: Cow<'_, str>) -> Cow<'static, str> {
            Cow::Owned(text.into_owned())
        }
        LogRecord {
            time_micros: self.time_micros,
            user: self.user.map(own),
            database: self.database.map(own),
            query_id: self.query_id,
            severity: self.severity.map(own),
            sqlstate: self.sqlstate.map(own),
            message: own(self.message),
            has_context: self.has_context,
        }
    }
}

/// Without the message, which can hold literals.
impl fmt::Debug for LogRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogRecord")
            .field("time_micros", &self.time_micros)
            .field("user", &self.user)
            .field("database", &self.database)
            .field("query_id", &self.query_id)
            .field("severity", &self.severity)
            .field("sqlstate", &self.sqlstate)
            .field("has_context", &self.has_context)
            .finish_non_exhaustive()
    }
}

/// An identifier of a statement as the log has it: 0 where there is none.
fn query_id(text: &str) -> Option<i64> {
    text.parse().ok().filter(|id| *id != 0)
}

#[cfg(test)]
mod tests;
