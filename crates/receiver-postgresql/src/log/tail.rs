//! Follows the files of a log: from the end at the first look, then everything that comes, in files that are there, that
//! are new, and that were renamed.
//!
//! Promises:
//! * a file is known by its number on its device, not by its name. One that is new is read from its beginning; one that
//!   was cut, or whose first bytes are others now, as well. Files that are written to are held open, so that their end is
//!   read after they were renamed or removed;
//! * of a record that is not complete nothing is kept but where it begins: it is read again with what follows;
//! * a round reads at most [`TailLimits::bytes`]. Where more has come, the newest is read and the rest counted;
//! * nothing but regular files is opened, and nothing is written.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use dbintel_plan::log::LogFormat;

use super::FilePattern;
use super::followed::{Followed, Round};
use super::listing::{FileId, Listed, list, open};

/// Files that are followed. Of more, those are that were written to last.
pub const MAX_FILES: usize = 256;
/// Files that are held open from one round to the next.
const MAX_OPEN: usize = 8;
/// Rounds without a new byte after which a file is not held open any more.
const QUIET_ROUNDS: u32 = 10;

/// Bounds of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TailLimits {
    /// Bytes that are read, of all files.
    pub bytes: usize,
    /// Bytes of a record; a longer one is given up and counted.
    pub record_bytes: usize,
}

/// What came of a round.
#[derive(Debug, Default)]
pub struct Reading {
    /// Bytes that were read.
    pub bytes: u64,
    /// Bytes that were skipped because more had come than is read in a round.
    pub skipped_bytes: u64,
    /// Records that were too long.
    pub long_records: u64,
    /// Files, and names in a directory, beyond those that are looked at.
    pub files_beyond: u64,
    /// Why the files cannot be read, or one of them.
    pub error: Option<LogError>,
}

/// Why the log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A directory or file refuses us, or is not there.
    #[error("{path} cannot be read: {kind}", path = .path.display(), kind = .error.kind())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// There is no file.
    #[error("no file matches plan_collection.log.include")]
    NoFile,
}

/// See the module.
#[derive(Debug)]
pub struct Tail {
    include: Vec<FilePattern>,
    limits: TailLimits,
    /// Directories that were looked at: what they have from now on is new.
    begun: HashSet<PathBuf>,
    files: HashMap<FileId, Followed>,
}

// === impl LogError ===

impl LogError {
    /// Whether it is the rights on a file or directory that are missing.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::Unreadable { error, .. } if error.kind() == io::ErrorKind::PermissionDenied)
    }
}

// === impl Tail ===

impl Tail {
    /// Nothing looked at yet.
    #[must_use]
    pub fn new(include: Vec<FilePattern>, limits: TailLimits) -> Self {
        Self { include, limits, begun: HashSet::new(), files: HashMap::new() }
    }

    /// Looks which files there are, and begins at the end of those of a directory that it sees for the first time.
    pub fn look(&mut self) -> Reading {
        let mut reading = Reading::default();
        self.files.values_mut().for_each(Followed::unlist);
        let (listed, directories) = self.list(&mut reading);
        for (place, listed) in listed.into_iter().enumerate() {
            let is_old = listed.path.parent().is_none_or(|directory| !self.begun.contains(directory));
            let new = || if is_old { Followed::from_end(&listed.metadata) } else { Followed::new() };
            let file = self.files.entry(listed.id).or_insert_with(new);
            file.list(&listed.path, &listed.metadata);
            // So that its end is read if it is renamed before it grows, and so that it is known whether it can be read.
            if (place == 0 || is_old && place < MAX_OPEN) && file.open.is_none() {
                match open(&listed.path) {
                    Ok(open) => file.open = Some(open),
                    Err(error) => reading.error = Some(LogError::Unreadable { path: listed.path, error }),
                }
            }
        }
        self.begun.extend(directories);
        reading
    }

    /// Reads what has come, and gives each complete record to `take`. `format_of` says how a file is written; one of which
    /// it does not know is read when it does.
    pub fn read(
        &mut self,
        format_of: &dyn Fn(&Path) -> Option<LogFormat>,
        take: &mut dyn FnMut(&LogFormat, &[u8]),
    ) -> Reading {
        let mut reading = self.look();
        // What was renamed comes first and what was written to last comes last, so that records come in the order of their
        // time.
        let mut waiting: Vec<&mut Followed> =
            self.files.values_mut().filter_map(|file| file.is_waiting().then_some(file)).collect();
        waiting.sort_by_key(|file| (file.is_listed, file.modified));
        let (mut budget, mut left) = (self.limits.bytes, waiting.len());
        for file in waiting {
            let share = budget / left.max(1);
            left -= 1;
            let Some(format) = format_of(&file.path) else { continue };
            let limits = TailLimits { bytes: share, ..self.limits };
            let mut round = Round { format: &format, limits, reading: &mut reading, take };
            match file.read(&mut round) {
                Ok(bytes) => {
                    budget = budget.saturating_sub(bytes);
                    reading.bytes += bytes as u64;
                }
                // It was removed since the directory was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    reading.error = Some(LogError::Unreadable { path: file.path.clone(), error });
                }
            }
        }
        self.close_quiet();
        reading
    }

    /// The files, those first that were written to last, and the directories that could be read.
    fn list(&self, reading: &mut Reading) -> (Vec<Listed>, Vec<PathBuf>) {
        let (mut listed, mut directories): (Vec<Listed>, _) = (Vec::new(), Vec::new());
        for pattern in &self.include {
            let path = pattern.directory().to_owned();
            match list(pattern, &mut listed, &mut reading.files_beyond) {
                Ok(()) => directories.push(path),
                Err(error) => reading.error = Some(LogError::Unreadable { path, error }),
            }
        }
        // Two patterns can match the same file.
        listed.sort_unstable_by_key(|file| file.id);
        listed.dedup_by_key(|file| file.id);
        listed.sort_by_key(|file| std::cmp::Reverse(file.modified()));
        reading.files_beyond += listed.len().saturating_sub(MAX_FILES) as u64;
        listed.truncate(MAX_FILES);
        if listed.is_empty() && reading.error.is_none() {
            reading.error = Some(LogError::NoFile);
        }
        (listed, directories)
    }

    /// Holds no more files open than allowed, and forgets those that are gone.
    fn close_quiet(&mut self) {
        let mut open: Vec<&mut Followed> =
            self.files.values_mut().filter(|file| file.open.is_some()).collect();
        open.sort_by_key(|file| file.quiet_rounds);
        for (place, file) in open.into_iter().enumerate() {
            if place >= MAX_OPEN || file.quiet_rounds >= QUIET_ROUNDS || file.is_removed_and_read() {
                file.open = None;
            }
        }
        self.files.retain(|_, file| file.is_listed || file.open.is_some());
    }
}

#[cfg(test)]
mod tests;
