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
    let (mut read, is_cut) = (text.get(..end).unwrap_or_default().to_owned(), end < text.len());
    for secret in secrets.iter().filter(|secret| secret.len() >= SECRET_CHARS_MIN) {
        read = read.replace(secret.as_str(), "***");
        if is_cut {
            read.truncate(read.len() - begun_at_the_end(&read, secret));
        }
    }
    let mut line = String::new();
    for character in read.trim().chars().take(TEXT_CHARS_MAX) {
        line.push(if character.is_control() { ' ' } else { character });
    }
    line
}

/// Bytes at the end of the text with which the secret begins. A text and a beginning that it ends with end at the same
/// character.
fn begun_at_the_end(text: &str, secret: &str) -> usize {
    let is_beginning = |length: &usize| {
        secret.as_bytes().get(..*length).is_some_and(|beginning| text.as_bytes().ends_with(beginning))
    };
    (1..secret.len()).rev().find(is_beginning).unwrap_or(0)
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
