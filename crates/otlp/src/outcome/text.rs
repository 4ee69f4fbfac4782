//! Foreign text, made fit for a log line and a status page.

use std::fmt::Write as _;

/// Characters of a server's text that are kept.
pub const TEXT_CHARS_MAX: usize = 256;
/// A secret shorter than this is not looked for: it would be found in ordinary words.
const SECRET_CHARS_MIN: usize = 6;
/// Bytes of a text that are looked at. What follows would be cut off anyway.
const TEXT_BYTES_READ: usize = 16 << 10;

/// One line of at most [`TEXT_CHARS_MAX`] characters, without control characters, with `***` for each of `secrets`.
pub(crate) fn clean(text: &str, secrets: &[String]) -> String {
    let end = text.floor_char_boundary(TEXT_BYTES_READ);
    let mut text = text.get(..end).unwrap_or_default().to_owned();
    for secret in secrets.iter().filter(|secret| secret.len() >= SECRET_CHARS_MIN) {
        text = text.replace(secret.as_str(), "***");
    }
    let mut line = String::new();
    for character in text.trim().chars().take(TEXT_CHARS_MAX) {
        line.push(if character.is_control() { ' ' } else { character });
    }
    line
}

/// `HTTP status 400 Bad Request: the server's text`.
pub(super) fn with_text(what: impl std::fmt::Display, text: &str, secrets: &[String]) -> String {
    let mut line = what.to_string();
    let text = clean(text, secrets);
    if !text.is_empty() {
        // Writing to a string cannot fail.
        let _ = write!(line, ": {text}");
    }
    line
}
