//! One file of a log.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use dbintel_plan::log::{LogFormat, Lost, record_end};

use super::listing::{modified, open};
use super::tail::{Reading, TailLimits};

/// Bytes that are read at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes at the beginning of a file by which it is seen that it is another one: a record begins with its time.
const HEAD_BYTES: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Followed {
    pub(super) path: PathBuf,
    pub(super) modified: (i64, i64),
    /// Whether the directory has it.
    pub(super) is_listed: bool,
    pub(super) open: Option<File>,
    /// Rounds in a row without a new byte.
    pub(super) quiet_rounds: u32,
    length: u64,
    /// Where what was not taken yet begins.
    offset: u64,
    lost: Option<Lost>,
    head: Vec<u8>,
    /// How long it was when it was last read.
    read_length: u64,
    /// Whether what is left was looked at once more after nothing had followed.
    is_settled: bool,
}

/// What a file is read with.
pub(super) struct Round<'a> {
    pub(super) format: &'a LogFormat,
    pub(super) limits: TailLimits,
    pub(super) reading: &'a mut Reading,
    pub(super) take: &'a mut (dyn FnMut(&LogFormat, &[u8]) + 'a),
}

impl Followed {
    /// A file that is read from its beginning.
    pub(super) fn new() -> Self {
        Self { is_settled: true, ..Self::default() }
    }

    /// A file of which only what comes from now on is read. Its last byte says whether a line begins after it.
    pub(super) fn from_end(metadata: &Metadata) -> Self {
        let length = metadata.len();
        let lost = (length > 0).then_some(Lost::Anywhere);
        Self { offset: length.saturating_sub(1), read_length: length, lost, ..Self::new() }
    }

    /// The directory has it, under this name.
    pub(super) fn list(&mut self, path: &Path, metadata: &Metadata) {
        if self.path != path {
            path.clone_into(&mut self.path);
        }
        (self.is_listed, self.length, self.modified) = (true, metadata.len(), modified(metadata));
    }

    /// The directory has it no longer, unless it is listed again. What is held open can grow all the same.
    pub(super) fn unlist(&mut self) {
        self.is_listed = false;
        if let Some(metadata) = self.open.as_ref().and_then(|open| open.metadata().ok()) {
            (self.length, self.modified) = (metadata.len(), modified(&metadata));
        }
    }

    /// Whether there is something to read. Counts the rounds in which there is not.
    pub(super) fn is_waiting(&mut self) -> bool {
        let has_grown = self.length != self.read_length;
        self.quiet_rounds = if has_grown { 0 } else { self.quiet_rounds.saturating_add(1) };
        has_grown || !self.is_settled
    }

    /// Whether nobody can write to it any more, and all of it was read.
    pub(super) fn is_removed_and_read(&self) -> bool {
        let links = self.open.as_ref().and_then(|open| open.metadata().ok()).map(|metadata| metadata.nlink());
        links == Some(0) && self.is_settled && self.length == self.read_length
    }

    /// Reads what has come, and says how many bytes it read.
    pub(super) fn read(&mut self, round: &mut Round<'_>) -> io::Result<usize> {
        let file = match self.open.take() {
            Some(file) => file,
            None => open(&self.path)?,
        };
        self.look_whether_it_is_the_same(&file)?;
        self.skip_what_is_too_much(round);
        // Nothing has come since the last round: what is there is complete.
        let is_complete = self.length == self.read_length;
        let (mut held, mut bytes) = (Vec::new(), 0);
        loop {
            let wanted = self.length.saturating_sub(self.offset + held.len() as u64);
            let wanted = usize::try_from(wanted).unwrap_or(usize::MAX).min(CHUNK_BYTES);
            let got = append(&file, &mut held, self.offset, wanted)?;
            bytes += got;
            let used = self.take(round, &held, is_complete && got == 0);
            held.drain(..used);
            self.offset += used as u64;
            if got == 0 {
                break;
            }
        }
        (self.read_length, self.is_settled) = (self.length, is_complete);
        self.open = Some(file);
        Ok(bytes)
    }

    /// Takes all records that are complete, and says how many bytes are done with.
    fn take(&mut self, round: &mut Round<'_>, bytes: &[u8], is_last: bool) -> usize {
        let mut used = 0;
        loop {
            let rest = bytes.get(used..).unwrap_or_default();
            if rest.is_empty() {
                return used;
            }
            if let Some(lost) = &mut self.lost {
                let (gone, found) = lost.seek(round.format, rest);
                used += gone;
                if !found {
                    return used;
                }
                self.lost = None;
                continue;
            }
            if let Some(end) = record_end(round.format, rest, is_last) {
                (round.take)(round.format, rest.get(..end).unwrap_or_default());
                used += end;
                continue;
            }
            if rest.len() > round.limits.record_bytes {
                round.reading.long_records += 1;
                self.lost = Some(Lost::within(round.format, rest));
                used += rest.len();
            }
            return used;
        }
    }

    /// Begins anew where it was cut, or where the number of a file that is gone was given to another one.
    fn look_whether_it_is_the_same(&mut self, file: &File) -> io::Result<()> {
        let mut head = Vec::new();
        append(file, &mut head, 0, HEAD_BYTES)?;
        if self.length < self.offset || !head.starts_with(&self.head) {
            (self.offset, self.read_length, self.lost) = (0, 0, None);
        }
        self.head = head;
        Ok(())
    }

    fn skip_what_is_too_much(&mut self, round: &mut Round<'_>) {
        let from = self.length.saturating_sub(round.limits.bytes as u64);
        if from > self.offset {
            round.reading.skipped_bytes += from - self.offset;
            (self.offset, self.lost) = (from, Some(Lost::Anywhere));
        }
    }
}

/// Appends up to `wanted` bytes of the file to those that are held, which begin at `offset`.
fn append(file: &File, held: &mut Vec<u8>, offset: u64, wanted: usize) -> io::Result<usize> {
    let (start, mut got) = (held.len(), 0);
    held.resize(start + wanted, 0);
    while got < wanted {
        let at = offset + (start + got) as u64;
        match file.read_at(held.get_mut(start + got..).unwrap_or_default(), at) {
            Ok(0) => break,
            Ok(more) => got += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                held.truncate(start);
                return Err(error);
            }
        }
    }
    held.truncate(start + got);
    Ok(got)
}
