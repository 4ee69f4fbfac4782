//! Bytes as text.

use std::{borrow::Cow, str};

use crate::{MAX_PLAN_BYTES, PlanProblems, ProblemKind};

/// The bytes as text, unless there are too many of them. The byte-order mark decides, not what the XML declaration says:
/// drivers hand out text that they have converted already.
pub(super) fn text<'a>(bytes: &'a [u8], problems: &mut PlanProblems) -> Cow<'a, str> {
    if bytes.len() > MAX_PLAN_BYTES {
        problems.add(ProblemKind::TooLong, MAX_PLAN_BYTES);
        return Cow::Borrowed("");
    }
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => utf8(rest, problems),
        [0xff, 0xfe, rest @ ..] => Cow::Owned(utf16(rest, u16::from_le_bytes, problems)),
        [0xfe, 0xff, rest @ ..] => Cow::Owned(utf16(rest, u16::from_be_bytes, problems)),
        [b'<', 0, ..] => Cow::Owned(utf16(bytes, u16::from_le_bytes, problems)),
        [0, b'<', ..] => Cow::Owned(utf16(bytes, u16::from_be_bytes, problems)),
        _ => utf8(bytes, problems),
    }
}

fn utf8<'a>(bytes: &'a [u8], problems: &mut PlanProblems) -> Cow<'a, str> {
    match str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(error) => {
            problems.add(ProblemKind::InvalidUtf8, error.valid_up_to());
            String::from_utf8_lossy(bytes)
        }
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16, problems: &mut PlanProblems) -> String {
    let (pairs, odd) = bytes.as_chunks::<2>();
    let mut text = String::with_capacity(pairs.len());
    let mut valid = odd.is_empty();
    for char in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        valid &= char.is_ok();
        text.push(char.unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    if !valid {
        problems.add(ProblemKind::InvalidUtf8, 0);
    }
    text
}
