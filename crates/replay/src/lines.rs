//! The lines of a file: plain, in gzip, in zstd, or as the frames of OpenTelemetry contrib's `file` exporter, which with
//! `compression: zstd` writes of each request its length in four bytes and its compressed bytes.
//!
//! What it is the first bytes say, never the name.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// A line, or a frame once it is decompressed, of more bytes is passed over, counted. Our exporter's are at most 3 MiB long.
pub const LINE_BYTES_MAX: usize = 64 << 20;

/// Bytes that are read at once.
const BUFFER_BYTES: usize = 256 << 10;
/// What a pipe may hold, the most that Linux gives everybody. It holds 64 KiB by itself, and waking up who writes and who reads for each
/// of them takes a quarter of the time of a long replay.
const PIPE_BYTES: usize = 1 << 20;
/// Under this name standard input is read.
const STANDARD_INPUT: &str = "-";

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Bytes of the length before a frame.
const FRAME_LENGTH_BYTES: usize = 4;

/// The lines of a file.
pub(crate) enum Lines {
    /// Ended by line feeds.
    Fed(Box<dyn BufRead>),
    /// Each with its length, and compressed by itself.
    Framed(Box<dyn BufRead>),
}

/// What came next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Line,
    TooLong,
    /// A frame that cannot be decompressed, by what was said of it; the next one is where it should be.
    Damaged(String),
}

impl Lines {
    /// The lines of a file, or of standard input for `-`.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        if path.as_os_str() == STANDARD_INPUT {
            let input = io::stdin();
            // No pipe, or more pipes of this user than the kernel wants to widen: it is read as it is.
            let _ = rustix::pipe::fcntl_setpipe_size(&input, PIPE_BYTES);
            return Self::of(Box::new(input));
        }
        Self::of(Box::new(File::open(path)?))
    }

    /// The lines of what these bytes are.
    pub(crate) fn of(mut input: Box<dyn Read>) -> io::Result<Self> {
        let mut first = Vec::new();
        input.by_ref().take((FRAME_LENGTH_BYTES + ZSTD.len()) as u64).read_to_end(&mut first)?;
        let is_gzip = first.starts_with(&GZIP);
        let is_zstd = first.starts_with(&ZSTD);
        let is_framed = first.get(FRAME_LENGTH_BYTES..).is_some_and(|rest| rest.starts_with(&ZSTD));
        let whole = buffered(io::Cursor::new(first).chain(input));
        Ok(if is_gzip {
            Self::Fed(buffered(flate2::bufread::MultiGzDecoder::new(whole)))
        } else if is_zstd {
            Self::Fed(buffered(zstd::stream::read::Decoder::with_buffer(whole)?))
        } else if is_framed {
            Self::Framed(whole)
        } else {
            Self::Fed(whole)
        })
    }

    /// Puts the next line into `line`, without its end; `None` after the last one.
    pub(crate) fn next(&mut self, line: &mut Vec<u8>) -> io::Result<Option<Next>> {
        line.clear();
        match self {
            Self::Fed(input) => next_line(input, line),
            Self::Framed(input) => next_frame(input, line),
        }
    }
}

fn buffered(input: impl Read + 'static) -> Box<dyn BufRead> {
    Box::new(BufReader::with_capacity(BUFFER_BYTES, input))
}

fn next_line(input: &mut Box<dyn BufRead>, line: &mut Vec<u8>) -> io::Result<Option<Next>> {
    let limit = LINE_BYTES_MAX as u64 + 1;
    if input.by_ref().take(limit).read_until(b'\n', line)? == 0 {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() > LINE_BYTES_MAX {
        pass_over_line(input)?;
        return Ok(Some(Next::TooLong));
    }
    Ok(Some(Next::Line))
}

fn pass_over_line(input: &mut Box<dyn BufRead>) -> io::Result<()> {
    loop {
        let held = input.fill_buf()?;
        if held.is_empty() {
            return Ok(());
        }
        let end = held.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(held.len(), |at| at + 1);
        input.consume(used);
        if end.is_some() {
            return Ok(());
        }
    }
}

fn next_frame(input: &mut Box<dyn BufRead>, line: &mut Vec<u8>) -> io::Result<Option<Next>> {
    if input.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut length = [0; FRAME_LENGTH_BYTES];
    input.read_exact(&mut length)?;
    let length = u64::from(u32::from_be_bytes(length));
    let mut frame = input.by_ref().take(length);
    let read = zstd::stream::read::Decoder::with_buffer(&mut frame)?
        .take(LINE_BYTES_MAX as u64 + 1)
        .read_to_end(line);
    // The next frame begins where this one ends, whatever was in it.
    io::copy(&mut frame, &mut io::sink())?;
    let is_cut = frame.limit() > 0;
    Ok(Some(match read {
        // What it lacks is not in the file: nothing follows.
        Err(error) if is_cut => return Err(error),
        Err(error) => Next::Damaged(error.to_string()),
        Ok(_) if line.len() > LINE_BYTES_MAX => Next::TooLong,
        Ok(_) => Next::Line,
    }))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn all(bytes: Vec<u8>) -> io::Result<Vec<String>> {
        let mut lines = Lines::of(Box::new(io::Cursor::new(bytes)))?;
        let (mut line, mut out) = (Vec::new(), Vec::new());
        while let Some(next) = lines.next(&mut line)? {
            out.push(match next {
                Next::Line => String::from_utf8(line.clone()).unwrap(),
                Next::TooLong => "…".to_owned(),
                Next::Damaged(_) => "?".to_owned(),
            });
        }
        Ok(out)
    }

    fn zstd(text: &str) -> Vec<u8> {
        zstd::encode_all(text.as_bytes(), 1).unwrap()
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writer.write_all(text.as_bytes()).unwrap();
        writer.finish().unwrap()
    }

    fn frame(text: &str) -> Vec<u8> {
        with_length(&zstd(text))
    }

    fn with_length(body: &[u8]) -> Vec<u8> {
        [&u32::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
    }

    #[test]
    fn lines_are_the_same_in_every_form() {
        let text = "one\ntwo\n\nfour";
        let expected = ["one", "two", "", "four"];
        assert_eq!(all(text.into()).unwrap(), expected);
        assert_eq!(all(gzip(text)).unwrap(), expected);
        assert_eq!(all(zstd(text)).unwrap(), expected);
        // Files that were put one behind the other.
        assert_eq!(all([gzip("one\ntwo\n"), gzip("\nfour")].concat()).unwrap(), expected);
        assert_eq!(all([zstd("one\ntwo\n"), zstd("\nfour")].concat()).unwrap(), expected);
        assert_eq!(all(expected.map(frame).concat()).unwrap(), expected);
        assert_eq!(all(Vec::new()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_was_cut_is_an_error_and_what_is_before_it_is_read() {
        let whole = zstd(&"a line\n".repeat(100_000));
        assert!(all(whole[..whole.len() / 2].to_vec()).is_err());
        let frames = [frame("one"), frame("two")].concat();
        let mut lines = Lines::of(Box::new(io::Cursor::new(frames[..frames.len() - 3].to_vec()))).unwrap();
        let mut line = Vec::new();
        assert_eq!(lines.next(&mut line).unwrap(), Some(Next::Line));
        assert!(lines.next(&mut line).is_err());
    }

    #[test]
    fn a_frame_that_is_damaged_is_passed_over() {
        let damaged = with_length(&{
            // As contrib writes them, with a checksum.
            let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
            encoder.include_checksum(true).unwrap();
            encoder.write_all("a line, ".repeat(100).as_bytes()).unwrap();
            let mut body = encoder.finish().unwrap();
            let at = body.len() / 2;
            body[at] ^= 0x55;
            body
        });
        assert_eq!(all([frame("one"), damaged, frame("three")].concat()).unwrap(), ["one", "?", "three"]);
        // So is one whose bytes are no frame at all.
        let mut other = frame("two");
        other[FRAME_LENGTH_BYTES] ^= 0xff;
        assert_eq!(all([frame("one"), other, frame("three")].concat()).unwrap(), ["one", "?", "three"]);
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over() {
        let long = "x".repeat(LINE_BYTES_MAX + 1);
        assert_eq!(all(format!("one\n{long}\ntwo\n").into()).unwrap(), ["one", "…", "two"]);
        assert_eq!(all([frame("one"), frame(&long), frame("two")].concat()).unwrap(), ["one", "…", "two"]);
        let longest = "x".repeat(LINE_BYTES_MAX);
        assert_eq!(all(format!("{longest}\ntwo").into()).unwrap()[1], "two");
    }
}
