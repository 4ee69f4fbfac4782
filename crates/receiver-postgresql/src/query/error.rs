//! What can go wrong with a statement, in the closed classes that gaps, breakers and metrics use.

use std::io::ErrorKind;
use std::time::Duration;

use dbintel_model::{GapReason, Text};
use dbintel_pipeline::admission::StatementError;

const TLS_HINT: &str = "; check that tls.ca_file holds the authority of the server's certificate and that the certificate \
     is for the host of endpoint; write tls.insecure: true for a server without TLS";
/// Characters of a server's message that are kept.
const MAX_MESSAGE_CHARS: usize = 200;

/// A statement, or a connection, that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// The class.
    pub reason: GapReason,
    /// SQLSTATE, where the server gave one.
    pub sqlstate: Option<Text>,
    /// What happened and what to do; no literal of anybody's query.
    pub message: Text,
    /// Whether the connection can still be used after a rollback.
    pub connection_usable: bool,
    /// When to ask again, where it is only a rate that stands against it.
    pub retry_after: Option<Duration>,
    /// It is of our making, before anything was sent, and says nothing about the server.
    pub is_ours: bool,
}

impl QueryError {
    /// An error of our own making.
    pub fn new(reason: GapReason, message: impl Into<Text>) -> Self {
        Self {
            reason,
            sqlstate: None,
            message: message.into(),
            connection_usable: true,
            retry_after: None,
            is_ours: false,
        }
    }

    /// An error of our making, before anything was sent, that says nothing about the server.
    pub fn not_sent(reason: GapReason, message: impl Into<Text>) -> Self {
        Self { is_ours: true, ..Self::new(reason, message) }
    }

    /// The server did not answer in time; the connection must be given up.
    #[must_use]
    pub fn deadline(what: &str) -> Self {
        Self {
            reason: GapReason::DeadlineExceeded,
            sqlstate: None,
            message: format!(
                "the server did not answer within our deadline for {what}; the connection was given up"
            )
            .into(),
            connection_usable: false,
            retry_after: None,
            is_ours: false,
        }
    }

    /// Whether looking at the catalogue again can help: something it was said to have is gone.
    #[must_use]
    pub fn contradicts_catalogue(&self) -> bool {
        matches!(self.sqlstate.as_deref(), Some("42703" | "42704" | "42883" | "42P01" | "3F000" | "58P01"))
    }

    /// Whether it is admission that said no, so that nothing was sent and the transaction is as it was.
    #[must_use]
    pub fn was_denied(&self) -> bool {
        self.reason == GapReason::NotAdmitted
    }

    /// The error as admission wants it reported.
    #[must_use]
    pub fn for_admission(&self) -> StatementError {
        if self.is_ours {
            return StatementError::NotSent;
        }
        match (&self.sqlstate, self.reason) {
            (Some(sqlstate), _) => StatementError::Sqlstate(sqlstate.clone()),
            (None, GapReason::DeadlineExceeded) => StatementError::Deadline,
            (None, GapReason::Undecodable) => StatementError::Decode,
            (None, _) => StatementError::Connection,
        }
    }
}

impl From<sqlx::Error> for QueryError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(database) => {
                let sqlstate = database.code().unwrap_or_default().into_owned();
                let reason = reason_of(&sqlstate, database.message());
                let told = if quotes_data(&sqlstate) {
                    "the server could not take a value".to_owned()
                } else {
                    cut(database.message())
                };
                let message = format!("{told} (SQLSTATE {sqlstate}){}", hint(reason, &sqlstate));
                Self {
                    reason,
                    connection_usable: !sqlstate.starts_with("57P") && !sqlstate.starts_with("08"),
                    retry_after: None,
                    is_ours: false,
                    sqlstate: Some(sqlstate.into()),
                    message: message.into(),
                }
            }
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. } => {
                Self::new(GapReason::Undecodable, cut(&error.to_string()))
            }
            sqlx::Error::Tls(source) => Self::connection("TLS with the server failed", &*source, TLS_HINT),
            // What the TLS library finds wrong arrives as an error of input.
            sqlx::Error::Io(source) if source.kind() == ErrorKind::InvalidData => {
                Self::connection("TLS with the server failed", &source, TLS_HINT)
            }
            sqlx::Error::Io(source) => Self::connection("cannot reach the server", &source, ""),
            other => Self::connection("cannot talk to the server", &other, ""),
        }
    }
}

impl QueryError {
    fn connection(what: &str, source: &dyn std::error::Error, hint: &str) -> Self {
        Self {
            reason: GapReason::ConnectionFailed,
            sqlstate: None,
            message: format!("{what}: {}{hint}", cut(&source.to_string())).into(),
            connection_usable: false,
            retry_after: None,
            is_ours: false,
        }
    }
}

/// The class of a SQLSTATE. PostgreSQL documentation, appendix A.
fn reason_of(sqlstate: &str, message: &str) -> GapReason {
    match sqlstate {
        "57014" | "25P04" => GapReason::StatementTimeout,
        "55P03" | "40P01" => GapReason::LockTimeout,
        "42501" => GapReason::InsufficientPrivilege,
        "53300" => GapReason::TooManyConnections,
        "42703" | "42883" | "42P01" => GapReason::NotInThisVersion,
        // "pg_stat_statements must be loaded via shared_preload_libraries"
        "55000" if message.contains("shared_preload_libraries") => GapReason::ExtensionMissing,
        "55000" => GapReason::NotInThisRole,
        code if code.starts_with("28") => GapReason::AuthenticationFailed,
        code if code.starts_with("08") || code.starts_with("57P") || code == "3D000" => {
            GapReason::ConnectionFailed
        }
        _ => GapReason::ServerError,
    }
}

fn hint(reason: GapReason, sqlstate: &str) -> &'static str {
    match reason {
        GapReason::ConnectionFailed if sqlstate == "3D000" => "; check connect_database and databases",
        GapReason::AuthenticationFailed => "; check username and password, and pg_hba.conf on the server",
        GapReason::InsufficientPrivilege => "; GRANT pg_monitor TO the collector's role",
        GapReason::ExtensionMissing => {
            "; add pg_stat_statements to shared_preload_libraries and restart the server"
        }
        GapReason::TooManyConnections => "; no slot was free and we took none of the reserved ones",
        _ => "",
    }
}

/// Whether messages of this class (22, data exception) can quote a value, such as bytes of somebody's text in another encoding.
fn quotes_data(sqlstate: &str) -> bool {
    sqlstate.starts_with("22")
}

fn cut(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    line.chars().take(MAX_MESSAGE_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlstates_have_their_class() {
        let check =
            |sqlstate, message, expected| assert_eq!(reason_of(sqlstate, message), expected, "{sqlstate}");
        check("57014", "canceling statement due to statement timeout", GapReason::StatementTimeout);
        check("55P03", "canceling statement due to lock timeout", GapReason::LockTimeout);
        check("53300", "sorry, too many clients already", GapReason::TooManyConnections);
        check("28P01", "password authentication failed", GapReason::AuthenticationFailed);
        check("57P03", "the database system is starting up", GapReason::ConnectionFailed);
        check(
            "55000",
            "pg_stat_statements must be loaded via \"shared_preload_libraries\"",
            GapReason::ExtensionMissing,
        );
        check("55000", "recovery is in progress", GapReason::NotInThisRole);
        check("XX000", "internal error", GapReason::ServerError);
    }
}
