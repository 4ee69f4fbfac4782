//! What can go wrong, and what kind of failure it is.

use std::time::Duration;

use dbintel_model::Text;
use dbintel_model::finding::IllegalStep;

/// Why an operation of the store failed. Nothing of a value or a password is in its text.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file or its directory cannot be used.
    #[error("the store {place} cannot be opened: {reason}; check the path, its owner and the disk")]
    Open {
        /// Which store.
        place: String,
        /// Why.
        reason: String,
    },
    /// The database cannot be reached, or did not answer in time.
    #[error("the store cannot be reached: {0}")]
    Unavailable(String),
    /// Another process held the SQLite file for too long.
    #[error("the store is in use by another process for too long; what was to be written is tried again")]
    Busy,
    /// No room on the disk.
    #[error(
        "there is no room for the store on its disk; what is to be written waits in memory, up to a limit"
    )]
    Full,
    /// The SQLite file is damaged.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// The schema is of a later version of dbintel.
    #[error(
        "the store has schema {found} and this version of dbintel knows {known}; use the version that made it, or another store"
    )]
    NewerSchema {
        /// The number it has.
        found: i64,
        /// The newest this version knows.
        known: i64,
    },
    /// Another process changed the finding again and again.
    #[error("finding {0} was changed by others at the same time; try again")]
    Conflict(String),
    /// There is no such finding.
    #[error("there is no finding {0}")]
    NotFound(String),
    /// Several findings begin so.
    #[error("several findings begin with {0}; give more digits")]
    Ambiguous(String),
    /// The finding is not in a state for this.
    #[error(transparent)]
    Step(#[from] IllegalStep),
    /// The finding is too large.
    #[error("the document of a finding has {bytes} bytes; at most {max} are stored")]
    TooLarge {
        /// Its bytes.
        bytes: usize,
        /// The most.
        max: usize,
    },
    /// Its content cannot be read.
    #[error("the document of finding {0} cannot be read")]
    Unreadable(String),
    /// Anything else the database says.
    #[error("the store's database refused: {0}")]
    Database(String),
}

/// A failure in words that can be kept and shown: of which kind, what happened, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreTrouble {
    /// [`StoreError::kind`].
    pub kind: &'static str,
    /// What happened.
    pub what: Text,
    /// What to do.
    pub remedy: &'static str,
}

/// Primary result codes of SQLite that mean something to us, from its documentation.
mod sqlite {
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const NOTADB: i32 = 26;
}

// === impl StoreError ===

impl StoreError {
    /// Whether it says something of one finding, so that another one can be written all the same.
    pub(crate) const fn is_of_the_finding(&self) -> bool {
        matches!(
            self,
            Self::NotFound(_)
                | Self::Step(_)
                | Self::TooLarge { .. }
                | Self::Conflict(_)
                | Self::Unreadable(_)
        )
    }

    /// Whether the same may succeed a little later.
    pub(crate) const fn may_pass(&self) -> bool {
        matches!(self, Self::Open { .. } | Self::Unavailable(_) | Self::Busy)
    }

    pub(crate) fn deadline(after: Duration) -> Self {
        Self::Unavailable(format!("no answer within {} s", after.as_secs()))
    }

    /// The kind of failure as a label: closed set, lower case.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Open { .. } | Self::Unavailable(_) => "unavailable",
            Self::Busy => "busy",
            Self::Full => "full",
            Self::Corrupt(_) => "corrupt",
            Self::Database(_) | Self::NewerSchema { .. } => "database",
            Self::Conflict(_) => "conflict",
            Self::NotFound(_)
            | Self::Ambiguous(_)
            | Self::Step(_)
            | Self::TooLarge { .. }
            | Self::Unreadable(_) => "other",
        }
    }

    /// What somebody can do about it.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self.kind() {
            "unavailable" => {
                "check that the directory of the file is there and can be written to, or that the database answers"
            }
            "busy" => "see which other process holds the file, and give one of them another store",
            "full" => "make room on its disk, or shorten extensions.store.retention",
            "corrupt" => "nothing: the file is set aside, and the log says where it is",
            "database" => "check the version of the store and the rights of its role",
            _ => "see the log",
        }
    }

    /// Whether the SQLite file is to be set aside.
    pub(crate) const fn is_corrupt(&self) -> bool {
        matches!(self, Self::Corrupt(_))
    }

    /// The failure of a statement on SQLite.
    fn of_sqlite(code: i32, message: String) -> Self {
        match code & 0xff {
            sqlite::CORRUPT | sqlite::NOTADB => Self::Corrupt(message),
            sqlite::FULL => Self::Full,
            sqlite::BUSY | sqlite::LOCKED => Self::Busy,
            sqlite::IOERR | sqlite::CANTOPEN => Self::Unavailable(message),
            _ => Self::Database(message),
        }
    }
}

// === impl StoreTrouble ===

impl StoreTrouble {
    /// The words of a failure.
    #[must_use]
    pub fn of(error: &StoreError) -> Self {
        Self { kind: error.kind(), what: error.to_string().into(), remedy: error.remedy() }
    }
}

impl std::fmt::Display for StoreTrouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}; what to do: {}", self.kind, self.what, self.remedy)
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(database) => {
                let message = database.message().to_owned();
                if database.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
                    let code = database.code().and_then(|code| code.parse().ok()).unwrap_or(0);
                    return Self::of_sqlite(code, message);
                }
                // 53100 is disk_full; class 08 and 57P: the connection or the server is going away.
                match database.code().as_deref() {
                    Some("53100") => Self::Full,
                    Some(code) if code.starts_with("08") || code.starts_with("57P") => {
                        Self::Unavailable(message)
                    }
                    _ => Self::Database(message),
                }
            }
            // The thread of an SQLite connection died: the library met something in the file that cannot be.
            sqlx::Error::WorkerCrashed => Self::Corrupt("the file cannot be read".to_owned()),
            error @ (sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_)) => {
                Self::Database(error.to_string())
            }
            error => Self::Unavailable(error.to_string()),
        }
    }
}
