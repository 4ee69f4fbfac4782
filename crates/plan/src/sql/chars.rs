//! Byte classes of PostgreSQL's lexer (`src/backend/parser/scan.l`).
//!
//! Every byte of a multi-byte UTF-8 character is at or above 0x80 and belongs to a word, as in `scan.l`. A
//! token therefore starts and ends at a character boundary, because all other classes are ASCII.

/// What a byte can begin, outside quotes and comments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// A letter, an underscore or a byte of a non-ASCII character.
    Letter,
    Digit,
    Dollar,
    /// White space, and every other ASCII control character: none has a meaning in SQL.
    Gap,
    Operator,
    SingleQuote,
    DoubleQuote,
    Open,
    Close,
    Comma,
    Semicolon,
    Colon,
    Dot,
    /// Printable ASCII without a meaning: braces and the backslash.
    Stray,
}

/// The class of `byte`.
#[inline]
pub(super) fn class(byte: u8) -> Class {
    CLASSES.get(usize::from(byte)).copied().unwrap_or(Class::Stray)
}

/// Whether `byte` continues a word that a [`Class::Letter`] began.
#[inline]
pub(super) fn continues_word(byte: u8) -> bool {
    matches!(class(byte), Class::Letter | Class::Digit | Class::Dollar)
}

/// Whether `byte` is white space or may begin a comment.
#[inline]
pub(super) fn may_begin_gap(byte: u8) -> bool {
    class(byte) == Class::Gap || byte == b'-' || byte == b'/'
}

/// Whether `byte` can be part of an operator.
#[inline]
pub(super) fn is_operator(byte: u8) -> bool {
    class(byte) == Class::Operator
}

/// Whether an operator with `byte` in it may end in `+` or `-`: it cannot then be a run of SQL's own operators.
#[inline]
pub(super) const fn allows_trailing_sign(byte: u8) -> bool {
    matches!(byte, b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'%')
}

static CLASSES: [Class; 256] = classes();

#[allow(clippy::indexing_slicing, reason = "runs at compile time, where a wrong index is a build error")]
const fn classes() -> [Class; 256] {
    let mut classes = [Class::Stray; 256];
    let mut byte = 0;
    while byte < classes.len() {
        classes[byte] = class_of(byte as u8);
        byte += 1;
    }
    classes
}

const fn class_of(byte: u8) -> Class {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'_' | 0x80..=0xff => Class::Letter,
        b'0'..=b'9' => Class::Digit,
        b'$' => Class::Dollar,
        0x00..=0x20 | 0x7f => Class::Gap,
        b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' => Class::Operator,
        b'+' | b'-' | b'*' | b'/' | b'%' | b'<' | b'>' | b'=' => Class::Operator,
        b'\'' => Class::SingleQuote,
        b'"' => Class::DoubleQuote,
        b'(' | b'[' => Class::Open,
        b')' | b']' => Class::Close,
        b',' => Class::Comma,
        b';' => Class::Semicolon,
        b':' => Class::Colon,
        b'.' => Class::Dot,
        b'{' | b'}' | b'\\' => Class::Stray,
    }
}
