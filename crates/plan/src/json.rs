//! A strict pull reader of JSON over text that is already in memory.
//!
//! The caller asks for what comes next and keeps its own place, so that nothing here recurses. Strings without escapes
//! are borrowed from the text. Every token takes its step from the [`Budget`].

use std::borrow::Cow;

use crate::{Budget, ProblemKind};

/// The deepest nesting inside a value that nobody asked for. One bit of a word remembers each level.
const MAX_SKIPPED_DEPTH: u32 = 64;

/// Why reading stopped before the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Malformed,
    CutShort,
    TooDeep,
    TooManyNodes,
    BudgetExhausted,
}

impl Stop {
    pub(crate) const fn problem(self) -> ProblemKind {
        match self {
            Self::Malformed => ProblemKind::Malformed,
            Self::CutShort => ProblemKind::CutShort,
            Self::TooDeep => ProblemKind::TooDeep,
            Self::TooManyNodes => ProblemKind::TooManyNodes,
            Self::BudgetExhausted => ProblemKind::BudgetExhausted,
        }
    }
}

/// A scalar, or the opening bracket of a container whose content is to be read next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Object,
    Array,
    String(Cow<'a, str>),
    /// As written; it follows the grammar of JSON.
    Number(&'a str),
    Bool(bool),
    Null,
}

pub(crate) struct Reader<'a, 'b> {
    text: &'a str,
    at: usize,
    /// Whether a container was opened and nothing read from it yet, so that no comma comes next.
    opened: bool,
    budget: &'b mut Budget,
}

impl<'a, 'b> Reader<'a, 'b> {
    pub(crate) fn new(text: &'a str, budget: &'b mut Budget) -> Self {
        Self { text, at: 0, opened: false, budget }
    }

    /// The offset of what is read next.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// Whether only white space is left.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.skip_white_space();
        self.at >= self.text.len()
    }

    /// The value that starts here.
    #[inline]
    pub(crate) fn value(&mut self) -> Result<Value<'a>, Stop> {
        self.skip_white_space();
        let value = match self.byte(self.at).ok_or(Stop::CutShort)? {
            b'"' => Value::String(self.string()?),
            b'{' => self.open(Value::Object)?,
            b'[' => self.open(Value::Array)?,
            b'-' | b'0'..=b'9' => Value::Number(self.number()?),
            b't' => self.word("true", Value::Bool(true))?,
            b'f' => self.word("false", Value::Bool(false))?,
            b'n' => self.word("null", Value::Null)?,
            _ => return Err(Stop::Malformed),
        };
        Ok(value)
    }

    /// The key of the next member of the object that is being read, or `None` past its end.
    #[inline]
    pub(crate) fn member(&mut self) -> Result<Option<Cow<'a, str>>, Stop> {
        if !self.more(b'}')? {
            return Ok(None);
        }
        if self.byte(self.at).ok_or(Stop::CutShort)? != b'"' {
            return Err(Stop::Malformed);
        }
        let key = self.string()?;
        self.skip_white_space();
        match self.byte(self.at).ok_or(Stop::CutShort)? {
            b':' => self.at += 1,
            _ => return Err(Stop::Malformed),
        }
        Ok(Some(key))
    }

    /// Whether the array that is being read has another element; if not, it is read past its end.
    #[inline]
    pub(crate) fn element(&mut self) -> Result<bool, Stop> {
        self.more(b']')
    }

    /// Reads past the rest of `value`.
    pub(crate) fn skip(&mut self, value: &Value<'a>) -> Result<(), Stop> {
        // The innermost level is the lowest bit: 1 for an object, 0 for an array.
        let mut kinds = match value {
            Value::Object => 1_u64,
            Value::Array => 0,
            _ => return Ok(()),
        };
        let mut depth = 1_u32;
        while depth > 0 {
            let more = if kinds & 1 == 1 { self.member()?.is_some() } else { self.element()? };
            if !more {
                depth -= 1;
                kinds >>= 1;
                continue;
            }
            let inner = match self.value()? {
                Value::Object => 1,
                Value::Array => 0,
                _ => continue,
            };
            if depth == MAX_SKIPPED_DEPTH {
                return Err(Stop::TooDeep);
            }
            depth += 1;
            kinds = kinds << 1 | inner;
        }
        Ok(())
    }

    // --- structure --------------------------------------------------------------------------------------

    fn open(&mut self, value: Value<'a>) -> Result<Value<'a>, Stop> {
        self.spend(1)?;
        self.at += 1;
        self.opened = true;
        Ok(value)
    }

    /// Whether another member or element follows; the comma before it, or the closing bracket, is read.
    #[inline]
    fn more(&mut self, close: u8) -> Result<bool, Stop> {
        self.skip_white_space();
        let first = std::mem::take(&mut self.opened);
        let byte = self.byte(self.at).ok_or(Stop::CutShort)?;
        if byte == close {
            self.spend(1)?;
            self.at += 1;
            return Ok(false);
        }
        if first {
            return Ok(true);
        }
        if byte != b',' {
            return Err(Stop::Malformed);
        }
        self.at += 1;
        self.skip_white_space();
        match self.byte(self.at).ok_or(Stop::CutShort)? {
            b'}' | b']' => Err(Stop::Malformed),
            _ => Ok(true),
        }
    }

    #[inline]
    fn skip_white_space(&mut self) {
        // Indentation is most of the bytes of a plan as the server prints it.
        while self.eight(self.at) == Some(EIGHT_SPACES) {
            self.at += 8;
        }
        while matches!(self.byte(self.at), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    #[inline]
    fn spend(&mut self, bytes: usize) -> Result<(), Stop> {
        if self.budget.spend(bytes) { Ok(()) } else { Err(Stop::BudgetExhausted) }
    }

    #[inline]
    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    // --- scalars ----------------------------------------------------------------------------------------

    fn word(&mut self, word: &str, value: Value<'a>) -> Result<Value<'a>, Stop> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if rest.starts_with(word.as_bytes()) {
            self.spend(1)?;
            self.at += word.len();
            Ok(value)
        } else if word.as_bytes().starts_with(rest) {
            Err(Stop::CutShort)
        } else {
            Err(Stop::Malformed)
        }
    }

    #[inline]
    fn number(&mut self) -> Result<&'a str, Stop> {
        let start = self.at;
        let mut at = start + usize::from(self.byte(start) == Some(b'-'));
        let whole = at;
        at = self.digits(at)?;
        if self.byte(whole) == Some(b'0') && at > whole + 1 {
            return Err(Stop::Malformed);
        }
        if self.byte(at) == Some(b'.') {
            at = self.digits(at + 1)?;
        }
        if matches!(self.byte(at), Some(b'e' | b'E')) {
            let signed = matches!(self.byte(at + 1), Some(b'+' | b'-'));
            at = self.digits(at + 1 + usize::from(signed))?;
        }
        self.spend(at - start)?;
        self.at = at;
        self.text.get(start..at).ok_or(Stop::Malformed)
    }

    /// The index after the digits at `from`, of which there is at least one.
    #[inline]
    fn digits(&self, from: usize) -> Result<usize, Stop> {
        let mut at = from;
        while self.byte(at).is_some_and(|byte| byte.is_ascii_digit()) {
            at += 1;
        }
        match self.byte(at) {
            _ if at > from => Ok(at),
            None => Err(Stop::CutShort),
            Some(_) => Err(Stop::Malformed),
        }
    }

    /// The string whose opening quote is here.
    #[inline]
    fn string(&mut self) -> Result<Cow<'a, str>, Stop> {
        let start = self.at + 1;
        let end = self.plain_until(start)?;
        if self.byte(end) == Some(b'"') {
            self.spend(end - start)?;
            self.at = end + 1;
            return self.text.get(start..end).map(Cow::Borrowed).ok_or(Stop::Malformed);
        }
        self.escaped_string(start, end).map(Cow::Owned)
    }

    /// The index of the first quote or backslash from `start` on.
    #[inline]
    fn plain_until(&self, start: usize) -> Result<usize, Stop> {
        let mut at = start;
        while let Some(eight) = self.eight(at) {
            let marks = marks(eight);
            if marks != 0 {
                at += marks.trailing_zeros() as usize / 8;
                break;
            }
            at += 8;
        }
        loop {
            match self.byte(at).ok_or(Stop::CutShort)? {
                b'"' | b'\\' => return Ok(at),
                0..0x20 => return Err(Stop::Malformed),
                _ => at += 1,
            }
        }
    }

    /// Eight bytes from `at` on, the first of them lowest.
    #[inline]
    fn eight(&self, at: usize) -> Option<u64> {
        self.text.as_bytes().get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
    }

    /// The string from `start`, of which the first backslash is at `end`.
    fn escaped_string(&mut self, start: usize, mut end: usize) -> Result<String, Stop> {
        let mut string = String::new();
        let mut from = start;
        loop {
            string.push_str(self.text.get(from..end).ok_or(Stop::Malformed)?);
            if self.byte(end) == Some(b'"') {
                self.spend(end - start)?;
                self.at = end + 1;
                return Ok(string);
            }
            from = self.escape(end + 1, &mut string)?;
            end = self.plain_until(from)?;
        }
    }

    /// Appends the character whose escape begins after a backslash at `at`; returns the index after it.
    fn escape(&self, at: usize, string: &mut String) -> Result<usize, Stop> {
        let char = match self.byte(at).ok_or(Stop::CutShort)? {
            byte @ (b'"' | b'\\' | b'/') => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(at + 1, string),
            _ => return Err(Stop::Malformed),
        };
        string.push(char);
        Ok(at + 1)
    }

    /// A surrogate without its other half becomes the replacement character.
    fn unicode_escape(&self, at: usize, string: &mut String) -> Result<usize, Stop> {
        let first = self.four_digits(at)?;
        let after = at + 4;
        if (0xd800..0xdc00).contains(&first)
            && self.byte(after) == Some(b'\\')
            && self.byte(after + 1) == Some(b'u')
            && let Ok(second @ 0xdc00..0xe000) = self.four_digits(after + 2)
        {
            let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            string.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            return Ok(after + 6);
        }
        string.push(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER));
        Ok(after)
    }

    fn four_digits(&self, at: usize) -> Result<u32, Stop> {
        let mut code = 0;
        for offset in 0..4 {
            let byte = self.byte(at + offset).ok_or(Stop::CutShort)?;
            code = code << 4 | char::from(byte).to_digit(16).ok_or(Stop::Malformed)?;
        }
        Ok(code)
    }
}

const EIGHT_SPACES: u64 = LOWEST_BITS * b' ' as u64;

/// The lowest bit of each byte.
const LOWEST_BITS: u64 = 0x0101_0101_0101_0101;

/// Has the highest bit of each of eight bytes set that ends a run of plain characters: a quote, a backslash or a control
/// character. Bytes above the first of these may be marked without reason.
#[inline]
const fn marks(eight: u64) -> u64 {
    let quotes = eight ^ (LOWEST_BITS * b'"' as u64);
    let backslashes = eight ^ (LOWEST_BITS * b'\\' as u64);
    let found = (quotes.wrapping_sub(LOWEST_BITS) & !quotes)
        | (backslashes.wrapping_sub(LOWEST_BITS) & !backslashes)
        | (eight.wrapping_sub(EIGHT_SPACES) & !eight);
    found & (LOWEST_BITS << 7)
}

/// Appends `text` as a JSON string.
pub(crate) fn write_string(text: &str, out: &mut String) {
    out.push('"');
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.push_str(text.get(from..at).unwrap_or_default());
        from = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => push_control(byte, out),
        }
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out.push('"');
}

/// Appends the escape of a control character.
fn push_control(byte: u8, out: &mut String) {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    out.push_str("\\u00");
    out.push(digit(byte >> 4));
    out.push(digit(byte & 15));
}

#[cfg(test)]
mod tests;
