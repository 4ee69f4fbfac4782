//! Where records begin and end.

use super::{LogFormat, stderr};

/// The place in a log is lost: where the next record begins is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// Anywhere, also within a line.
    Anywhere,
    /// At the beginning of a line.
    AtLine,
    /// Within a record of CSV whose beginning was seen.
    InCsv {
        /// Whether within a quoted column.
        quoted: bool,
    },
}

/// The bytes that the record at the beginning of `bytes` takes. `None` if it is not known yet where it ends.
///
/// `complete` says that nothing is to follow, so that what ends with a line may be taken as it is: lines of `stderr` say
/// only by the next one that they were the last.
#[must_use]
pub fn record_end(format: &LogFormat, bytes: &[u8], complete: bool) -> Option<usize> {
    match format {
        LogFormat::Json => line_end(bytes, 0),
        LogFormat::Csv => {
            let mut quoted = false;
            end_of_csv(&mut quoted, bytes)
        }
        LogFormat::Stderr(prefix) => {
            let mut end = line_end(bytes, 0)?;
            loop {
                let Some(first) = bytes.get(end) else { return complete.then_some(end) };
                let Some(next) = line_end(bytes, end) else {
                    // A line that has only begun ends what is before it, unless it adds to it.
                    let apart = *first != b'\t' && complete;
                    return apart.then_some(end);
                };
                let line = bytes.get(end..next - 1).unwrap_or_default();
                if *first != b'\t' && !stderr::is_addition(prefix, line) {
                    return Some(end);
                }
                end = next;
            }
        }
    }
}

impl Lost {
    /// After the beginning of a record that was too long to be held.
    #[must_use]
    pub fn within(format: &LogFormat, beginning: &[u8]) -> Self {
        match format {
            LogFormat::Csv => {
                let quotes = beginning.iter().filter(|byte| **byte == b'"').count();
                Self::InCsv { quoted: quotes % 2 == 1 }
            }
            LogFormat::Json | LogFormat::Stderr(_) => Self::Anywhere,
        }
    }

    /// Looks for the beginning of a record. Gives how many bytes are before it and that it was found, or how many bytes
    /// can be given up; then it goes on with those after them.
    pub fn seek(&mut self, format: &LogFormat, bytes: &[u8]) -> (usize, bool) {
        if let Self::InCsv { quoted } = self {
            return end_of_csv(quoted, bytes).map_or((bytes.len(), false), |end| (end, true));
        }
        let mut at = if *self == Self::AtLine { Some(0) } else { line_end(bytes, 0) };
        while let Some(start) = at {
            match begins(format, bytes.get(start..).unwrap_or_default()) {
                Some(true) => return (start, true),
                Some(false) => at = line_end(bytes, start),
                None => {
                    *self = Self::AtLine;
                    return (start, false);
                }
            }
        }
        *self = Self::Anywhere;
        (bytes.len(), false)
    }
}

/// Whether a record begins with this line. `None` if there are too few bytes to tell.
fn begins(format: &LogFormat, line: &[u8]) -> Option<bool> {
    /// A time, digits as zeros.
    const TIME: &[u8; 19] = b"0000-00-00 00:00:00";
    let first = line.first()?;
    match format {
        LogFormat::Json => Some(*first == b'{'),
        LogFormat::Stderr(_) => Some(*first != b'\t'),
        LogFormat::Csv => {
            let shape = |byte: &u8| if byte.is_ascii_digit() { b'0' } else { *byte };
            if line.iter().zip(TIME).any(|(byte, wanted)| shape(byte) != *wanted) {
                return Some(false);
            }
            (line.len() >= TIME.len()).then_some(true)
        }
    }
}

/// The index after the end of the line that begins at `from`.
fn line_end(bytes: &[u8], from: usize) -> Option<usize> {
    let length = bytes.get(from..)?.iter().position(|byte| *byte == b'\n')?;
    Some(from + length + 1)
}

/// The index after the first line break outside of quotes; `quoted` is kept for what follows.
fn end_of_csv(quoted: &mut bool, bytes: &[u8]) -> Option<usize> {
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'"' => *quoted = !*quoted,
            b'\n' if !*quoted => return Some(at + 1),
            _ => {}
        }
    }
    None
}
