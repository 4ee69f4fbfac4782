//! What was read, what of it is of no use to processors, and what was wrong.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dbintel_model::Timestamp;

/// Problems that are kept with their places; all are counted.
pub const PROBLEMS_KEPT_MAX: usize = 20;
/// Names of events that are counted by name; records of further ones are counted as `other`.
pub const EVENT_NAMES_MAX: usize = 64;

/// What can be in a line and has a meaning for processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// What a statement did in an interval.
    Query,
    /// A sampled session.
    Session,
    /// Something that happened to the server.
    Change,
    /// A change of a statement's plan.
    PlanChange,
}

/// Why a record that has a meaning was not given to processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PassedOver {
    /// It lacks this attribute.
    Incomplete(&'static str),
    /// It is about a database of another system.
    OtherSystem,
    /// A change of a kind that is not known.
    UnknownChange,
    /// The first reading of another collector, which does not say since when it counts.
    NoInterval,
    /// The first time another collector tells of the statement, when its numbers are no differences.
    FirstSighting,
    /// There are too many servers.
    TooManyServers,
}

/// What is wrong with a place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The line is no OTLP/JSON: what was expected, and at which byte of it.
    Damaged {
        /// What should have been there.
        expected: &'static str,
        /// Where, from 1.
        column: usize,
    },
    /// The line is longer than [`LINE_BYTES_MAX`](crate::LINE_BYTES_MAX).
    TooLong,
    /// A frame, which holds one line, cannot be decompressed.
    DamagedFrame(String),
    /// The file could not be opened or read further.
    Unreadable(String),
}

/// Something wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0 for the file itself.
    pub line: u64,
    /// What it is.
    pub what: What,
}

/// Everything that was counted.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Files that were read, to the end or to a problem.
    pub files: u64,
    /// Lines in them that were not empty.
    pub lines: u64,
    /// Bytes of these lines.
    pub bytes: u64,
    /// Records for processors.
    pub records: [u64; Kind::ALL.len()],
    /// Records that no processor of a replay needs, by what they are.
    pub unused: BTreeMap<String, u64>,
    /// Records that have a meaning and could not be used, by the reason.
    pub passed_over: BTreeMap<PassedOver, u64>,
    /// Problems.
    pub problems: u64,
    /// The first of them.
    pub first_problems: Vec<Problem>,
    /// The earliest time of a record for processors.
    pub first: Option<Timestamp>,
    /// The latest one.
    pub last: Option<Timestamp>,
    /// Servers.
    pub servers: usize,
}

// === impl Kind ===

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Query, Self::Session, Self::Change, Self::PlanChange];

    /// In words, for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Query => "statement intervals",
            Self::Session => "sampled sessions",
            Self::Change => "changes of the server",
            Self::PlanChange => "changes of plans",
        }
    }
}

// === impl Counts ===

impl Counts {
    /// Records for processors.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.records.iter().sum()
    }

    pub(crate) fn record(&mut self, kind: Kind, time: Timestamp) {
        if let Some(count) = self.records.get_mut(kind as usize) {
            *count += 1;
        }
        self.first = Some(self.first.map_or(time, |first| first.min(time)));
        self.last = self.last.max(Some(time));
    }

    pub(crate) fn unused(&mut self, what: &str, records: u64) {
        if records == 0 {
            return;
        }
        if let Some(count) = self.unused.get_mut(what) {
            *count += records;
            return;
        }
        let name = if self.unused.len() < EVENT_NAMES_MAX { what } else { "other" };
        *self.unused.entry(name.to_owned()).or_default() += records;
    }

    pub(crate) fn passed_over(&mut self, why: PassedOver) {
        *self.passed_over.entry(why).or_default() += 1;
    }

    pub(crate) fn problem(&mut self, file: &Path, line: u64, what: What) {
        self.problems += 1;
        if self.first_problems.len() < PROBLEMS_KEPT_MAX {
            self.first_problems.push(Problem { file: file.to_owned(), line, what });
        }
    }
}

impl std::fmt::Display for PassedOver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Incomplete(attribute) => write!(f, "without `{attribute}`"),
            Self::OtherSystem => f.write_str("of another database system"),
            Self::UnknownChange => f.write_str("changes of an unknown kind"),
            Self::NoInterval => {
                f.write_str("of the first reading of another collector, whose interval is not known")
            }
            Self::FirstSighting => {
                f.write_str("told for the first time by another collector, which are no differences")
            }
            Self::TooManyServers => write!(f, "of servers beyond the first {}", crate::SOURCES_MAX),
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let file = self.file.display();
        match &self.what {
            What::Damaged { expected, column } => {
                write!(f, "{file}:{}: no OTLP/JSON: {expected} expected at byte {column}", self.line)
            }
            What::TooLong => {
                write!(f, "{file}:{}: longer than {} bytes", self.line, crate::LINE_BYTES_MAX)
            }
            What::DamagedFrame(why) => {
                write!(f, "{file}:{}: the frame cannot be decompressed: {why}", self.line)
            }
            What::Unreadable(why) if self.line == 0 => write!(f, "{file}: {why}"),
            What::Unreadable(why) => write!(f, "{file}: cannot be read beyond line {}: {why}", self.line),
        }
    }
}
