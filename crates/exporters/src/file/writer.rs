//! The file and its backups. Everything here blocks.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::config::Config;

/// Files we make can be read by our user alone.
const FILE_MODE: u32 = 0o600;
/// So can directories.
const DIRECTORY_MODE: u32 = 0o700;

/// Appends lines to the file.
#[derive(Debug)]
pub(super) struct Writer {
    config: Config,
    open: Option<Open>,
    begun: Begun,
}

/// Whether the file was emptied already, where it is not to be continued. Clones are the same, so that a writer that follows another one
/// in the same process goes on where it ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Begun(Arc<AtomicBool>);

#[derive(Debug)]
struct Open {
    file: File,
    /// Length of the whole lines in it.
    bytes: u64,
}

// === impl Writer ===

impl Writer {
    pub(super) const fn new(config: Config, begun: Begun) -> Self {
        Self { config, open: None, begun }
    }

    /// Appends a line, which ends in a line feed, to the file or to a new one.
    pub(super) fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let result = self.try_write(line);
        if result.is_err()
            && let Some(open) = self.open.take()
        {
            // Half a line would spoil the next one. If this fails too, opening cuts it off.
            drop(open.file.set_len(open.bytes));
        }
        result
    }

    fn try_write(&mut self, line: &[u8]) -> io::Result<()> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.open()?,
        };
        if open.bytes > 0 && open.bytes + line.len() as u64 > self.config.max_bytes {
            drop(open);
            self.rotate()?;
            open = self.open()?;
        }
        let open = self.open.insert(open);
        open.file.write_all(line)?;
        open.bytes += line.len() as u64;
        Ok(())
    }

    fn open(&mut self) -> io::Result<Open> {
        if self.config.create_directory
            && let Some(directory) = self.config.path.parent()
        {
            DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory)?;
        }
        let empty = !self.config.append && !self.begun.0.load(Ordering::Relaxed);
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .mode(FILE_MODE)
            .open(&self.config.path)?;
        if empty {
            file.set_len(0)?;
        }
        self.begun.0.store(true, Ordering::Relaxed);
        let bytes = cut_off_half_line(&mut file)?;
        Ok(Open { file, bytes })
    }

    /// `path.1` becomes `path.2` and so on; the oldest is gone.
    fn rotate(&self) -> io::Result<()> {
        if self.config.max_backups == 0 {
            return fs::remove_file(&self.config.path);
        }
        for number in (1..self.config.max_backups).rev() {
            rename_if_there(&self.backup(number), &self.backup(number + 1))?;
        }
        rename_if_there(&self.config.path, &self.backup(1))
    }

    fn backup(&self, number: u32) -> PathBuf {
        let mut path = OsString::from(&self.config.path);
        path.push(format!(".{number}"));
        path.into()
    }
}

fn rename_if_there(from: &PathBuf, to: &PathBuf) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Removes what follows the last line feed: a line that a crash or a full disk has cut. Returns the length left.
fn cut_off_half_line(file: &mut File) -> io::Result<u64> {
    use std::io::{Read as _, Seek as _, SeekFrom};
    const CHUNK: u64 = 64 << 10;
    let length = file.metadata()?.len();
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(CHUNK);
        let mut chunk = Vec::new();
        file.seek(SeekFrom::Start(start))?;
        (&*file).take(end - start).read_to_end(&mut chunk)?;
        if let Some(at) = chunk.iter().rposition(|byte| *byte == b'\n') {
            end = start + at as u64 + 1;
            break;
        }
        end = start;
    }
    if end < length {
        file.set_len(end)?;
    }
    Ok(end)
}

#[cfg(test)]
mod tests;
