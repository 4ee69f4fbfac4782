//! A pull reader of JSON over the bytes of one line.
//!
//! The caller knows what may come and asks for it; what it does not want is skipped without being looked at. So a week of
//! statements, tens of gigabytes of text, is read at the speed of finding the ends of strings. It is lenient where that costs
//! nothing: in skipped values brackets are counted and not matched. It does not recurse.

use std::borrow::Cow;

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{expected} expected")]
pub(crate) struct Malformed {
    pub(crate) expected: &'static str,
}

/// What is left of a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Json<'a> {
    rest: &'a [u8],
}

/// A string as it stands in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raw<'a> {
    /// What is between the quotes.
    pub(crate) bytes: &'a [u8],
    /// Whether there is a backslash in it.
    is_escaped: bool,
}

/// The low and the high bit of every byte of a word.
const LOW: u64 = u64::from_le_bytes([0x01; 8]);
const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
const QUOTES: u64 = u64::from_le_bytes([b'"'; 8]);
const BACKSLASHES: u64 = u64::from_le_bytes([b'\\'; 8]);

const fn expected<T>(expected: &'static str) -> Result<T, Malformed> {
    Err(Malformed { expected })
}

// === impl Json ===

impl<'a> Json<'a> {
    pub(crate) const fn new(line: &'a [u8]) -> Self {
        Self { rest: line }
    }

    /// Bytes that were not read.
    pub(crate) const fn left(&self) -> usize {
        self.rest.len()
    }

    /// Whether nothing but white space is left.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.space();
        self.rest.is_empty()
    }

    /// Takes exactly these bytes, if they are next. Their number is known to the compiler, which compares words then.
    pub(crate) fn literal<const N: usize>(&mut self, bytes: &[u8; N]) -> bool {
        match self.rest.split_first_chunk() {
            Some((first, rest)) if first == bytes => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// The first byte of the next value.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        self.space();
        self.rest.first().copied()
    }

    /// A string.
    pub(crate) fn string(&mut self) -> Result<Raw<'a>, Malformed> {
        if !self.take(b'"') {
            return expected("a string");
        }
        self.string_rest()
    }

    /// The rest of a string whose opening quote was taken.
    pub(crate) fn string_rest(&mut self) -> Result<Raw<'a>, Malformed> {
        let all = self.rest;
        let (mut from, mut is_escaped) = (0, false);
        loop {
            let Some(at) = all.get(from..).and_then(string_end).map(|at| from + at) else {
                return expected("the end of a string");
            };
            match all.get(at..) {
                Some([b'"', rest @ ..]) => {
                    self.rest = rest;
                    let bytes = all.get(..at).unwrap_or_default();
                    return Ok(Raw { bytes, is_escaped });
                }
                // Whatever follows a backslash is no end of the string.
                _ => (from, is_escaped) = (at + 2, true),
            }
        }
    }

    /// A number, as it is or in quotes, or one of the words in quotes that stand for numbers JSON does not have.
    pub(crate) fn number(&mut self) -> Result<&'a [u8], Malformed> {
        if self.peek() == Some(b'"') {
            return self.string().map(|text| text.bytes);
        }
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let length = self.rest.iter().position(|byte| !is_part(byte)).unwrap_or(self.rest.len());
        match self.rest.split_at_checked(length) {
            Some((number, rest)) if length > 0 => {
                self.rest = rest;
                Ok(number)
            }
            _ => expected("a number"),
        }
    }

    /// `true` or `false`.
    pub(crate) fn truth(&mut self) -> Result<bool, Malformed> {
        self.space();
        if self.literal(b"true") {
            return Ok(true);
        }
        if self.literal(b"false") { Ok(false) } else { expected("true or false") }
    }

    /// An object; `each` must read or skip the value of every key it is given. `null` is an empty one.
    pub(crate) fn object(
        &mut self,
        mut each: impl FnMut(&mut Self, &'a [u8]) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        if self.is_null() {
            return Ok(());
        }
        if !self.take(b'{') {
            return expected("an object");
        }
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            let key = self.string()?;
            if !self.take(b':') {
                return expected("a colon");
            }
            each(self, key.bytes)?;
            if self.take(b'}') {
                return Ok(());
            }
            if !self.take(b',') {
                return expected("a comma or the end of an object");
            }
        }
    }

    /// An array; `each` must read or skip every element. `null` is an empty one.
    pub(crate) fn array(
        &mut self,
        mut each: impl FnMut(&mut Self) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        if self.is_null() {
            return Ok(());
        }
        if !self.take(b'[') {
            return expected("an array");
        }
        if self.take(b']') {
            return Ok(());
        }
        loop {
            each(self)?;
            if self.take(b']') {
                return Ok(());
            }
            if !self.take(b',') {
                return expected("a comma or the end of an array");
            }
        }
    }

    /// Any value, unread.
    pub(crate) fn skip(&mut self) -> Result<(), Malformed> {
        match self.peek() {
            Some(b'"') => self.string().map(|_| ()),
            Some(b'{' | b'[') => self.skip_nested(),
            Some(b'-' | b'0'..=b'9') => self.number().map(|_| ()),
            Some(b't' | b'f') => self.truth().map(|_| ()),
            Some(b'n') if self.is_null() => Ok(()),
            _ => expected("a value"),
        }
    }

    /// The bytes of any value, unread.
    pub(crate) fn value_bytes(&mut self) -> Result<&'a [u8], Malformed> {
        self.space();
        let from = self.rest;
        self.skip()?;
        Ok(from.get(..from.len() - self.rest.len()).unwrap_or_default())
    }

    /// Everything to the bracket that closes the one that is next.
    fn skip_nested(&mut self) -> Result<(), Malformed> {
        let mut depth = 0_usize;
        loop {
            let is_bracket = |byte: &u8| matches!(byte, b'"' | b'{' | b'[' | b'}' | b']');
            let at = self.rest.iter().position(is_bracket);
            let Some((bracket, rest)) = at.and_then(|at| self.rest.get(at..)).and_then(<[u8]>::split_first)
            else {
                return expected("a closing bracket");
            };
            self.rest = rest;
            match bracket {
                b'"' => {
                    self.string_rest()?;
                }
                b'{' | b'[' => depth += 1,
                _ => depth -= 1,
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn is_null(&mut self) -> bool {
        self.space();
        self.literal(b"null")
    }

    /// Takes this byte, and white space before it.
    fn take(&mut self, byte: u8) -> bool {
        self.space();
        match self.rest.split_first() {
            Some((first, rest)) if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn space(&mut self) {
        while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] = self.rest {
            self.rest = rest;
        }
    }
}

// === impl Raw ===

impl<'a> Raw<'a> {
    /// The text it stands for; what is no UTF-8 and no pair of surrogates is replaced.
    pub(crate) fn text(self) -> Cow<'a, str> {
        let text = String::from_utf8_lossy(self.bytes);
        if self.is_escaped { Cow::Owned(unescaped(&text)) } else { text }
    }
}

/// The place of the first quote or backslash, eight bytes at a time.
fn string_end(bytes: &[u8]) -> Option<usize> {
    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = zero_bytes(word ^ QUOTES) | zero_bytes(word ^ BACKSLASHES);
        if found != 0 {
            return Some(index * 8 + (found.trailing_zeros() / 8) as usize);
        }
    }
    let at = tail.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    Some(words.len() * 8 + at)
}

/// The high bit of the lowest byte that is zero, and of some above it.
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(LOW) & !word & HIGH
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((run, escape)) = rest.split_once('\\') {
        out.push_str(run);
        let mut chars = escape.chars();
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('u') => {
                let (char, after) = unicode(chars.as_str());
                out.push(char);
                rest = after;
                continue;
            }
            Some(other) => out.push(other),
            None => {}
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out
}

/// The character of four hexadecimal digits, or of two surrogates, and what follows it.
fn unicode(digits: &str) -> (char, &str) {
    let Some((first, rest)) = four_digits(digits) else { return (char::REPLACEMENT_CHARACTER, digits) };
    if !(0xd800..0xdc00).contains(&first) {
        return (char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER), rest);
    }
    match rest.strip_prefix("\\u").and_then(four_digits) {
        Some((second, after)) if (0xdc00..0xe000).contains(&second) => {
            let code = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), after)
        }
        _ => (char::REPLACEMENT_CHARACTER, rest),
    }
}

fn four_digits(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    Some((u32::from_str_radix(digits, 16).ok().filter(|_| is_hexadecimal)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> String {
        Json::new(json.as_bytes()).string().unwrap().text().into_owned()
    }

    #[test]
    fn strings_are_what_they_stand_for() {
        assert_eq!(text(r#""""#), "");
        assert_eq!(text(r#""a longer one without escapes""#), "a longer one without escapes");
        assert_eq!(text(r#""a\"b\\c\/d\n\r\t\b\fe""#), "a\"b\\c/d\n\r\t\u{8}\u{c}e");
        assert_eq!(text(r#""\u00e4\u20AC\ud83d\ude00""#), "ä€😀");
        assert_eq!(text(r#""\ud83d \ude00 \u12""#), "\u{fffd} \u{fffd} \u{fffd}12");
        // Quotes at every place of a word of eight bytes.
        for length in 0..20 {
            let inner = "x".repeat(length);
            assert_eq!(text(&format!("\"{inner}\" \"and more\"")), inner);
            assert_eq!(text(&format!("\"{inner}\\\"\"")), format!("{inner}\""));
        }
    }

    #[test]
    fn values_are_skipped_whole() {
        for value in
            ["null", "true", "-1.5e+3", r#""}""#, r#"{"a":[1,{"b":"]\"}"}],"c":{}}"#, "[]", " [ 1 ] "]
        {
            let line = format!("{value},");
            let mut json = Json::new(line.as_bytes());
            json.skip().unwrap();
            assert!(json.take(b','), "{value}");
        }
        for value in ["", "x", "{", "[1", r#"{"a"#, r#""\"#, "}", "nul"] {
            assert!(Json::new(value.as_bytes()).skip().is_err(), "{value}");
        }
    }

    #[test]
    fn numbers_come_bare_and_quoted() {
        let number = |json: &'static str| Json::new(json.as_bytes()).number();
        assert_eq!(number("-12.5e3,").unwrap(), b"-12.5e3");
        assert_eq!(number(" \"-9223372036854775808\"").unwrap(), b"-9223372036854775808");
        assert_eq!(number("\"NaN\"").unwrap(), b"NaN");
        assert!(number("x").is_err());
    }
}
