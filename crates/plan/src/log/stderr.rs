//! `stderr`: lines for people, with a prefix that the administrator chooses.

use std::borrow::Cow;

use super::prefix::Line;
use super::{LinePrefix, LogRecord};

/// What lines begin with, after their prefix, that belong to the message before them. In other languages than English
/// they are other words; then each is a record of its own.
const ADDITIONS: [&str; 7] = ["DETAIL", "HINT", "QUERY", "CONTEXT", "LOCATION", "BACKTRACE", "STATEMENT"];
const CONTEXT: &str = "CONTEXT";
/// Follows every message where the verbosity is such that its code stands before it, and no other one. A client cannot forge it: further
/// lines of what it says begin with a tab.
const LOCATION: &str = "LOCATION";

/// The record in these lines.
pub(super) fn record<'a>(prefix: &LinePrefix, text: &'a str) -> Option<LogRecord<'a>> {
    let text = text.strip_suffix('\n').unwrap_or(text);
    let (first, further) = text.split_once('\n').map_or((text, None), |(first, more)| (first, Some(more)));
    let Line { mut record, label, message } = prefix.line(first)?;
    let mut further_lines = further.into_iter().flat_map(|further| further.split('\n'));
    let is_verbose = further_lines.any(|line| !line.starts_with('\t') && has_label(prefix, line, LOCATION));
    // Otherwise what looks like a code is the beginning of what somebody says.
    let (code, message) = if is_verbose { sqlstate(message) } else { (None, message) };
    record.severity = Some(Cow::Borrowed(label));
    record.sqlstate = record.sqlstate.or(code.map(Cow::Borrowed));
    record.message = Cow::Borrowed(message);
    let Some(further) = further else { return Some(record) };
    let (mut whole, mut in_message) = (String::from(message), true);
    for line in further.split('\n') {
        match line.strip_prefix('\t') {
            Some(line) if in_message => {
                whole.push('\n');
                whole.push_str(line);
            }
            Some(_) => {}
            None => {
                in_message = false;
                record.has_context |= has_label(prefix, line, CONTEXT);
            }
        }
    }
    record.message = Cow::Owned(whole);
    Some(record)
}

fn has_label(prefix: &LinePrefix, line: &str, label: &str) -> bool {
    prefix.line(line).is_some_and(|line| line.label == label)
}

/// Whether the line adds something to the message before it.
pub(super) fn is_addition(prefix: &LinePrefix, line: &[u8]) -> bool {
    let line = String::from_utf8_lossy(line);
    let may_be = ADDITIONS.iter().any(|label| line.contains(label));
    may_be && prefix.line(&line).is_some_and(|line| ADDITIONS.contains(&line.label))
}

/// With `log_error_verbosity = verbose` the code stands before the message.
fn sqlstate(message: &str) -> (Option<&str>, &str) {
    let divided = message.split_once(": ").filter(|(code, _)| {
        code.len() == 5 && code.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
    });
    divided.map_or((None, message), |(code, message)| (Some(code), message))
}
