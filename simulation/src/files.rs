//! Histories as files, one a statement: comma-separated, with a head. `docs/evidence-histories.md` is its definition.

mod read;
mod write;

use std::path::{Path, PathBuf};

pub use self::read::parse;
pub use self::write::text;

use crate::history::History;

/// First line of a file.
pub const FIRST_LINE: &str = "# dbintel history 1";
/// Largest file that is read.
pub const FILE_BYTES_MAX: u64 = 64 << 20;
/// Most files of a directory that are read.
pub const FILES_MAX: usize = 1_000_000;
/// Most blocks from the first to the last row: a year of the shortest ones that make sense would be five times as many.
pub const BLOCKS_MAX: usize = 100_000;
/// Columns. The first three must be there.
pub const COLUMNS: [&str; 11] = [
    "start",
    "calls",
    "total_ms",
    "sum_sq",
    "blocks",
    "rows",
    "min_ms",
    "control",
    "control_statements",
    "sampled",
    "waiting",
];

/// Why a file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: {what}", .file.display())]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0: none.
    pub line: usize,
    /// What is wrong, and what is expected.
    pub what: String,
}

/// Files of a directory that hold histories, in the order of their names.
///
/// # Errors
///
/// If the directory cannot be read, or holds too many or none.
pub fn list(directory: &Path) -> Result<Vec<PathBuf>, Problem> {
    let problem = |what: String| Problem { file: directory.to_owned(), line: 0, what };
    let entries =
        std::fs::read_dir(directory).map_err(|error| problem(format!("cannot be read: {error}")))?;
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "csv"))
        .collect();
    files.sort_unstable();
    match files.len() {
        0 => Err(problem("holds no file whose name ends with .csv".to_owned())),
        count if count > FILES_MAX => {
            Err(problem(format!("holds {count} files; at most {FILES_MAX} are read")))
        }
        _ => Ok(files),
    }
}

/// Reads a file.
///
/// # Errors
///
/// If it cannot be read, or is not as documented.
pub fn read(file: &Path) -> Result<History, Problem> {
    let problem = |what: String| Problem { file: file.to_owned(), line: 0, what };
    let size = std::fs::metadata(file).map_err(|error| problem(format!("cannot be read: {error}")))?.len();
    if size > FILE_BYTES_MAX {
        return Err(problem(format!("has {size} bytes; at most {FILE_BYTES_MAX} are read")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| problem(format!("cannot be read: {error}")))?;
    parse(&text, file)
}

/// Writes a history into a directory. Gives the path of the file.
///
/// # Errors
///
/// If it cannot be written.
pub fn keep(history: &History, directory: &Path) -> Result<PathBuf, Problem> {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let file = directory.join(format!("{}.csv", history.name.chars().map(plain).collect::<String>()));
    let problem = |error: std::io::Error| Problem {
        file: file.clone(),
        line: 0,
        what: format!("cannot be written: {error}"),
    };
    std::fs::write(&file, text(history)).map_err(problem)?;
    Ok(file)
}

#[cfg(test)]
mod tests;
