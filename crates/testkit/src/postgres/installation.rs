//! The servers in the cache: which majors there are and where their programs lie.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cache;

/// A major version of PostgreSQL that the tests cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Major {
    /// 13, end of life since November 2025 and still found in production.
    V13,
    /// 14
    V14,
    /// 15
    V15,
    /// 16
    V16,
    /// 17
    V17,
    /// 18
    V18,
}

/// The programs of one major version.
#[derive(Clone, Debug)]
pub(crate) struct Installation {
    directory: PathBuf,
    package_version: String,
}

/// Every major version that `make setup` unpacked, oldest first. Panics unless all of [`Major::ALL`] are there:
/// a test over "all majors" that silently runs over fewer proves less than it says.
pub fn available_majors() -> Vec<Major> {
    for major in Major::ALL {
        Installation::find(major);
    }
    Major::ALL.to_vec()
}

// === impl Major ===

impl Major {
    /// Oldest first.
    pub const ALL: [Self; 6] = [Self::V13, Self::V14, Self::V15, Self::V16, Self::V17, Self::V18];
    /// The newest, for tests that need just one server.
    pub const NEWEST: Self = Self::V18;
    /// The oldest, for tests of what is missing there.
    pub const OLDEST: Self = Self::V13;

    /// 13 to 18.
    pub const fn number(self) -> u16 {
        match self {
            Self::V13 => 13,
            Self::V14 => 14,
            Self::V15 => 15,
            Self::V16 => 16,
            Self::V17 => 17,
            Self::V18 => 18,
        }
    }
}

impl fmt::Display for Major {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number())
    }
}

// === impl Installation ===

impl Installation {
    /// Panics with the setup hint when the cache does not hold this major.
    pub(crate) fn find(major: Major) -> Self {
        let directory = cache::root().join("postgres").join(major.to_string());
        let stamp = fs::read_to_string(directory.join("VERSION")).unwrap_or_else(|error| {
            panic!("no PostgreSQL {major} in {} ({error}): {}", directory.display(), cache::SETUP_HINT)
        });
        let package_version = stamp.split_whitespace().next().expect("VERSION names the package").to_owned();
        Self { directory, package_version }
    }

    /// Version of the npm package: names the template, so that another package makes another template.
    pub(crate) fn package_version(&self) -> &str {
        &self.package_version
    }

    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.directory.join("bin").join(name)
    }

    pub(crate) fn has_library(&self, name: &str) -> bool {
        Path::new(&self.directory).join("lib/postgresql").join(format!("{name}.so")).exists()
    }
}
