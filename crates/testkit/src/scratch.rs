//! Where fixtures keep their files while they run.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A file system in memory: a data directory is a thousand small files, and copying them to ext4 took between 20 and
/// 600 ms.
const MEMORY: &str = "/dev/shm";
/// Below this much free space (a container's default is 64 MiB) the ordinary temporary directory is taken.
const MEMORY_BYTES_MIN: u64 = 2 << 30;
/// Longest directory that leaves room for `/.s.PGSQL.PORT` in a unix socket's address (108 bytes).
const SOCKET_DIRECTORY_BYTES_MAX: usize = 88;

/// A new directory, removed on drop: below `TMPDIR` where somebody chose one, else in memory, else below `/tmp`.
pub(crate) fn directory(prefix: &str) -> TempDir {
    let parent = match std::env::var_os("TMPDIR") {
        Some(chosen) if chosen.len() + prefix.len() < SOCKET_DIRECTORY_BYTES_MAX => PathBuf::from(chosen),
        None if has_room(Path::new(MEMORY)) => PathBuf::from(MEMORY),
        Some(_) | None => PathBuf::from("/tmp"),
    };
    tempfile::Builder::new()
        .prefix(prefix)
        .tempdir_in(&parent)
        .unwrap_or_else(|error| panic!("no temporary directory in {}: {error}", parent.display()))
}

fn has_room(directory: &Path) -> bool {
    rustix::fs::statvfs(directory).is_ok_and(|stat| stat.f_bavail * stat.f_frsize >= MEMORY_BYTES_MIN)
}
