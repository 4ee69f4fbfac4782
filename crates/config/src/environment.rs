//! The only door to environment variables and files, so that tests bring their own.

use std::env::VarError;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// What configuration may look at outside its own text.
///
/// A closure `Fn(&str) -> Option<String>` is an environment too: it answers variables, and files are the
/// real ones.
pub trait Environment {
    /// The value of an environment variable. A variable set to the empty string is set.
    ///
    /// # Errors
    /// `NotPresent` when it is not set, `NotUnicode` when its value is not text.
    fn variable(&self, name: &str) -> Result<String, VarError>;

    /// At most `bytes_max + 1` bytes of a file: one more than allowed, so that the caller sees the excess.
    ///
    /// # Errors
    /// Whatever opening and reading the file says.
    fn read_file(&self, path: &Path, bytes_max: usize) -> io::Result<Vec<u8>> {
        let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
        let mut bytes = Vec::new();
        File::open(path)?.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// The environment of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessEnvironment;

// === impl ProcessEnvironment ===

impl Environment for ProcessEnvironment {
    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    fn variable(&self, name: &str) -> Result<String, VarError> {
        std::env::var(name)
    }
}

// === impl Environment for closures ===

impl<F> Environment for F
where
    F: Fn(&str) -> Option<String>,
{
    fn variable(&self, name: &str) -> Result<String, VarError> {
        self(name).ok_or(VarError::NotPresent)
    }
}
