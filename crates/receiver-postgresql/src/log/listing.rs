//! What a directory has.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::FilePattern;

/// Names in a directory that are looked at.
pub(super) const MAX_NAMES: usize = 10_000;

/// Device and number: what a file is known by.
pub(super) type FileId = (u64, u64);

/// A file of a directory.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) id: FileId,
    pub(super) path: PathBuf,
    pub(super) metadata: Metadata,
}

impl Listed {
    /// When it was last written to.
    pub(super) fn modified(&self) -> (i64, i64) {
        modified(&self.metadata)
    }
}

pub(super) fn modified(metadata: &Metadata) -> (i64, i64) {
    (metadata.mtime(), metadata.mtime_nsec())
}

/// Appends the regular files of this pattern. `beyond` counts the names that were not looked at.
pub(super) fn list(pattern: &FilePattern, listed: &mut Vec<Listed>, beyond: &mut u64) -> io::Result<()> {
    for (place, entry) in fs::read_dir(pattern.directory())?.enumerate() {
        if place >= MAX_NAMES {
            *beyond += 1;
            break;
        }
        let name = entry?.file_name();
        let Some(name) = name.to_str().filter(|name| pattern.matches(name)) else { continue };
        let path = pattern.directory().join(name);
        // One that was removed meanwhile is none.
        let Ok(metadata) = fs::metadata(&path) else { continue };
        if metadata.is_file() {
            listed.push(Listed { id: (metadata.dev(), metadata.ino()), path, metadata });
        }
    }
    Ok(())
}

/// Opens a file to be read.
pub(super) fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}
