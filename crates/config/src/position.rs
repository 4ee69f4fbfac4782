//! Where a value was written.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A place in a configuration file, or a `--set` argument.
///
/// Lines and columns count from 1, columns in characters. A position without a line is a whole source:
/// a file that cannot be read, or `--set a.b=…` (the value is left out, it may be a secret).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    file: Arc<Path>,
    line: u32,
    column: u32,
}

// === impl Position ===

impl Position {
    /// A place in `file`.
    pub fn new(file: Arc<Path>, line: usize, column: usize) -> Self {
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self { file, line: narrow(line), column: narrow(column) }
    }

    /// All of `file`.
    pub fn whole(file: Arc<Path>) -> Self {
        Self { file, line: 0, column: 0 }
    }

    /// The file as it was named on the command line, or the `--set` argument without its value.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The line, from 1; 0 for a whole source.
    pub fn line(&self) -> u32 {
        self.line
    }

    /// The column, from 1; 0 for a whole source.
    pub fn column(&self) -> u32 {
        self.column
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
