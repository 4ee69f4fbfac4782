//! Which files of a directory: `*` stands for any characters, `?` for one.

use std::path::{Path, PathBuf};

/// Endings of files that were packed after they were complete.
const PACKED: [&str; 5] = [".gz", ".xz", ".zst", ".bz2", ".lz4"];

/// Files of one directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilePattern {
    directory: PathBuf,
    name: String,
}

/// What is wrong with a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It does not begin with `/`.
    #[error("expected a path that begins with /, for instance /var/log/postgresql/*.json")]
    Relative,
    /// It has `*` or `?` before the last `/`.
    #[error("* and ? can stand only in the name of the file, not in its directory")]
    InDirectory,
    /// It ends in `/`.
    #[error("expected the name of a file at the end, for instance *.json")]
    NoName,
}

impl FilePattern {
    /// Reads a path whose last component may have `*` and `?`.
    ///
    /// # Errors
    /// [`PatternError`]
    pub fn parse(path: &str) -> Result<Self, PatternError> {
        let (directory, name) = path.rsplit_once('/').ok_or(PatternError::Relative)?;
        if !path.starts_with('/') {
            return Err(PatternError::Relative);
        }
        if directory.contains(['*', '?']) {
            return Err(PatternError::InDirectory);
        }
        if name.is_empty() {
            return Err(PatternError::NoName);
        }
        let directory = if directory.is_empty() { "/" } else { directory };
        Ok(Self { directory: directory.into(), name: name.to_owned() })
    }

    /// The directory.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The names of the files, as the pattern has them.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is the name of such a file. One that was packed is none.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        !PACKED.iter().any(|ending| name.ends_with(ending)) && fits(self.name.as_bytes(), name.as_bytes())
    }
}

/// Goes back to the last `*` only, so that it ends after at most the product of both lengths.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut place) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = name.get(at) {
        match pattern.get(place) {
            Some(b'*') => {
                star = Some((place, at));
                place += 1;
            }
            Some(wanted) if wanted == byte || *wanted == b'?' => {
                (at, place) = (at + 1, place + 1);
            }
            _ => {
                let Some((of_star, from)) = star else { return false };
                star = Some((of_star, from + 1));
                (at, place) = (from + 1, of_star + 1);
            }
        }
    }
    pattern.get(place..).unwrap_or_default().iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_matched_as_people_expect() {
        let matches = |pattern: &str, name: &str| FilePattern::parse(pattern).unwrap().matches(name);
        for (pattern, name) in [
            ("/l/*", "a"),
            ("/l/postgresql-*.json", "postgresql-2026-11-21.json"),
            ("/l/*a*b?.log", "xxaaxbxbb1.log"),
            ("/a.log", "a.log"),
            ("/l/a*", "a"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("/l/*.json", "a.json.1"),
            ("/l/*", "a.gz"),
            ("/l/?", "ab"),
            ("/l/a", "b"),
            ("/l/*a", "b"),
            ("/l/ab", "a"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
        let error = |pattern: &str| FilePattern::parse(pattern).unwrap_err();
        assert_eq!(error("log/*.json"), PatternError::Relative);
        assert_eq!(error("a.json"), PatternError::Relative);
        assert_eq!(error("/var/*/a.json"), PatternError::InDirectory);
        assert_eq!(error("/var/log/"), PatternError::NoName);
        assert_eq!(FilePattern::parse("/a").unwrap().directory(), Path::new("/"));
    }
}
