//! Values of attributes.

use std::borrow::Cow;

/// The value with its character references replaced; `None` if it names an entity that XML does not have.
pub(super) fn unescaped(value: Cow<'_, str>) -> Option<Cow<'_, str>> {
    if !value.as_bytes().contains(&b'&') {
        return Some(value);
    }
    match value {
        Cow::Borrowed(text) => quick_xml::escape::unescape(text).ok(),
        Cow::Owned(text) => Some(Cow::Owned(quick_xml::escape::unescape(&text).ok()?.into_owned())),
    }
}

/// A finite number.
pub(super) fn number(text: &str) -> Option<f64> {
    // Most numbers are small and whole, and parsing those as integers is several times faster.
    if (1..=15).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse::<u64>().ok().map(|whole| whole as f64);
    }
    // Nothing like `nan`: a number begins with a digit, a sign or a point.
    let begins = text.bytes().next().is_some_and(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+'));
    begins.then(|| text.parse::<f64>().ok().filter(|number| number.is_finite())).flatten()
}

/// A boolean as the schema allows it.
pub(super) fn flag(text: &str) -> Option<bool> {
    match text {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

/// A hash of eight bytes.
pub(super) fn hash(text: &str) -> Option<u64> {
    is_hash(text).then(|| u64::from_str_radix(text.get(2..)?, 16).ok()).flatten()
}

/// Digits, a point and an exponent, and so nothing like `nan`.
pub(super) fn is_number(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=32).contains(&bytes.len())
        && (bytes.iter().all(u8::is_ascii_digit)
            || bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
                && text.parse::<f64>().is_ok())
}

pub(super) fn is_hash(text: &str) -> bool {
    /// The longest handle is 64 bytes.
    const MAX_DIGITS: usize = 128;
    text.strip_prefix("0x").is_some_and(|digits| {
        (1..=MAX_DIGITS).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// `2026-05-01T10:00:00.12`, with or without a zone.
pub(super) fn is_time(text: &str) -> bool {
    (10..=35).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b':' | b'.' | b'+' | b'T' | b'Z'))
}

pub(super) fn is_version(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
}

/// Whether the text has the form of the server's words: letters first, then also digits, spaces and a few signs.
pub(super) fn is_word(text: &str) -> bool {
    const MAX_WORD_BYTES: usize = 64;
    text.len() <= MAX_WORD_BYTES
        && text.starts_with(|char: char| char.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'_' | b'-' | b':'))
}

/// Whether the text has the form of a type: a name and a length.
pub(super) fn is_type(text: &str) -> bool {
    const MAX_TYPE_BYTES: usize = 300;
    text.len() <= MAX_TYPE_BYTES
        && text.starts_with(|char: char| char.is_ascii_alphabetic() || char == '[')
        && text.bytes().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'_' | b' ' | b'(' | b')' | b',' | b'[' | b']' | b'.')
        })
}

/// A name as it can be written: it may hold any character, and redaction must not make it another one.
pub(super) fn name(text: Cow<'_, str>) -> Cow<'_, str> {
    let writable = |char: char| !char.is_ascii_control() && !matches!(char, '\u{fffe}' | '\u{ffff}');
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || text.chars().all(writable) {
        return text;
    }
    let written = |char: char| match char {
        '\u{fffe}' | '\u{ffff}' => char::REPLACEMENT_CHARACTER,
        _ if char < ' ' => ' ',
        _ => char,
    };
    text.chars().map(written).collect::<String>().into()
}

/// Appends `text` as the value of an attribute.
pub(super) fn write(text: &str, out: &mut String) {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'&' | b'<' | b'>' | b'"')) {
        return out.push_str(text);
    }
    let mut from = 0;
    for (at, char) in text.char_indices() {
        let escape = match char {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '"' => "&quot;",
            '\t' | '\n' | '\r' => " ",
            '\0'..' ' => " ",
            // No characters of XML, and no gaps to the lexer.
            '\u{fffe}' | '\u{ffff}' => "\u{fffd}",
            _ => continue,
        };
        out.push_str(text.get(from..at).unwrap_or_default());
        out.push_str(escape);
        from = at + char.len_utf8();
    }
    out.push_str(text.get(from..).unwrap_or_default());
}
