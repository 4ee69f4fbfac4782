//! `log_line_prefix`: what stands before each message on standard error, and reading it back.
//!
//! A value that is free text (a name) ends where what the prefix has next begins; where that is at several places, the
//! first at which the rest of the line fits is taken. So a client that chooses its `application_name` can mislead about
//! what stands after it: `%a` belongs at the end.

use std::borrow::Cow;

use super::{LogRecord, query_id, time};

/// Bytes at the beginning of a line within which the prefix must end.
pub const MAX_PREFIX_BYTES: usize = 2_048;
/// Bytes of a setting that is read, and of the padding in it.
const MAX_SETTING_BYTES: usize = 1_024;
/// Attempts to divide one line.
const MAX_STEPS: usize = 4_096;
/// Bytes of the word before the message, such as `LOG`. In other languages it is another one.
const MAX_LABEL_BYTES: usize = 64;
/// What stands between that word and the message.
const AFTER_LABEL: &str = ":  ";

/// A `log_line_prefix`, ready to read lines with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinePrefix {
    parts: Vec<Part>,
}

/// Why lines with this prefix cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixError {
    /// A name has nothing after it that tells where it ends.
    #[error(
        "a name in log_line_prefix has nothing after it that tells where it ends; put a space or a sign there"
    )]
    Undivided,
    /// The setting is longer than is read.
    #[error("log_line_prefix is longer than {MAX_SETTING_BYTES} bytes")]
    TooLong,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// What follows is only written by sessions.
    Sessions,
    Value(Value),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Value {
    what: What,
    /// Bytes at least, filled up with spaces: after the value if negative.
    width: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    User,
    Database,
    QueryId,
    Time,
    Epoch,
    Sqlstate,
    /// Numbers of processes, lines and transactions, these with a slash within.
    OtherDigits,
    /// Two hexadecimal numbers.
    SessionId,
    OtherTime,
    OtherText,
}

/// A line of the log.
#[derive(Debug)]
pub(super) struct Line<'a> {
    pub(super) record: LogRecord<'a>,
    /// The word before the message.
    pub(super) label: &'a str,
    pub(super) message: &'a str,
}

// === impl LinePrefix ===

impl LinePrefix {
    /// Reads a setting as the server has it.
    ///
    /// # Errors
    /// [`PrefixError`]
    pub fn parse(setting: &str) -> Result<Self, PrefixError> {
        if setting.len() > MAX_SETTING_BYTES {
            return Err(PrefixError::TooLong);
        }
        let (mut parts, mut rest) = (Vec::new(), setting);
        let literal = |parts: &mut Vec<Part>, text: &str| match parts.last_mut() {
            Some(Part::Literal(before)) => before.push_str(text),
            _ => parts.push(Part::Literal(text.to_owned())),
        };
        while let Some((before, after)) = rest.split_once('%') {
            if !before.is_empty() {
                literal(&mut parts, before);
            }
            if let Some(next) = after.strip_prefix('%') {
                literal(&mut parts, "%");
                rest = next;
                continue;
            }
            let (width, escape) = width(after);
            rest = escape.get(escape.chars().next().map_or(0, char::len_utf8)..).unwrap_or_default();
            match escape.chars().next() {
                Some('q') => parts.push(Part::Sessions),
                Some(letter) => parts.extend(What::of(letter).map(|what| Part::Value(Value { what, width }))),
                None => {}
            }
        }
        if !rest.is_empty() {
            literal(&mut parts, rest);
        }
        let prefix = Self { parts };
        if prefix.is_divided() { Ok(prefix) } else { Err(PrefixError::Undivided) }
    }

    /// Whether lines say of which role, database and statement they are.
    #[must_use]
    pub fn names_statements(&self) -> bool {
        [What::User, What::Database, What::QueryId].into_iter().all(|what| self.has(what))
    }

    /// Whether lines say the SQLSTATE of an error.
    #[must_use]
    pub fn names_errors(&self) -> bool {
        self.has(What::Sqlstate)
    }

    fn has(&self, wanted: What) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Value(value) if value.what == wanted))
    }

    /// The line of a session; `None` if it is not one.
    pub(super) fn line<'a>(&self, line: &'a str) -> Option<Line<'a>> {
        let mut steps = MAX_STEPS;
        let mut values = Vec::with_capacity(self.parts.len());
        let (label, message) = divide(&self.parts, line, line, &mut values, &mut steps)?;
        let mut record = LogRecord::default();
        for (what, value) in values {
            let known = || (!value.is_empty() && value != "[unknown]").then_some(Cow::Borrowed(value));
            match what {
                What::User => record.user = known(),
                What::Database => record.database = known(),
                What::QueryId => record.query_id = query_id(value),
                What::Time => record.time_micros = time::micros(value),
                What::Epoch => record.time_micros = time::epoch_micros(value),
                What::Sqlstate => record.sqlstate = known(),
                What::OtherDigits | What::SessionId | What::OtherTime | What::OtherText => {}
            }
        }
        Some(Line { record, label, message })
    }

    /// Whether something that is no part of it follows every name.
    fn is_divided(&self) -> bool {
        let mut parts = self.parts.iter().filter(|part| **part != Part::Sessions).peekable();
        while let Some(part) = parts.next() {
            let is_text = matches!(part, Part::Value(value) if value.what.is_text());
            if is_text && !matches!(parts.peek(), Some(Part::Literal(_))) {
                return false;
            }
        }
        true
    }
}

/// The width of a value, and what follows it.
fn width(text: &str) -> (i32, &str) {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (number, after) = digits.split_at_checked(end).unwrap_or((digits, ""));
    let number = number.parse::<u16>().unwrap_or(0);
    (sign * i32::from(number), after)
}

/// Divides what is left of `line` among the parts, and gives the word before the message, and the message.
fn divide<'a>(
    parts: &[Part],
    line: &'a str,
    left: &'a str,
    values: &mut Vec<(What, &'a str)>,
    steps: &mut usize,
) -> Option<(&'a str, &'a str)> {
    *steps = steps.checked_sub(1)?;
    if line.len() - left.len() > MAX_PREFIX_BYTES {
        return None;
    }
    let Some((part, parts)) = parts.split_first() else { return label(left) };
    match part {
        Part::Sessions => divide(parts, line, left, values, steps),
        Part::Literal(text) => divide(parts, line, left.strip_prefix(text.as_str())?, values, steps),
        Part::Value(value) if !value.what.is_text() => {
            let (found, after) = value.take(left)?;
            values.push((value.what, found));
            divide(parts, line, after, values, steps)
        }
        Part::Value(value) => {
            let next = parts.iter().find_map(|part| match part {
                Part::Literal(text) => Some(text.as_str()),
                Part::Sessions | Part::Value(_) => None,
            })?;
            let held = values.len();
            for (end, _) in left.match_indices(next) {
                if end > MAX_PREFIX_BYTES || *steps == 0 {
                    return None;
                }
                let (Some(found), Some(after)) = (value.unpadded(left.get(..end)?), left.get(end..)) else {
                    continue;
                };
                values.push((value.what, found));
                if let Some(divided) = divide(parts, line, after, values, steps) {
                    return Some(divided);
                }
                values.truncate(held);
            }
            None
        }
    }
}

/// The word before the message, and the message.
fn label(text: &str) -> Option<(&str, &str)> {
    let (label, message) = text.split_once(AFTER_LABEL)?;
    let is_word =
        !label.is_empty() && !label.contains(|c: char| c.is_whitespace() || c.is_control() || c == ':');
    (is_word && label.len() <= MAX_LABEL_BYTES).then_some((label, message))
}

// === impl Value ===

impl Value {
    /// The value, which is no text, at the beginning of `text`, and what follows it.
    fn take<'a>(&self, text: &'a str) -> Option<(&'a str, &'a str)> {
        let width = usize::try_from(self.width.unsigned_abs()).unwrap_or(usize::MAX);
        if let Some((column, after)) = text.split_at_checked(width)
            && width > 0
            && let Some(value) = self.unpadded(column)
            && self.what.length(value) == Some(value.len())
            && value.len() < width
        {
            return Some((value, after));
        }
        let (value, after) = text.split_at_checked(self.what.length(text)?)?;
        (value.len() >= width).then_some((value, after))
    }

    /// Without the spaces that fill it up; `None` if it is shorter than it can be.
    fn unpadded<'a>(&self, column: &'a str) -> Option<&'a str> {
        let width = usize::try_from(self.width.unsigned_abs()).unwrap_or(usize::MAX);
        if column.len() < width {
            return None;
        }
        Some(match (column.len() > width, self.width) {
            (true, _) | (_, 0) => column,
            (_, ..0) => column.trim_end_matches(' '),
            (_, 1..) => column.trim_start_matches(' '),
        })
    }
}

// === impl What ===

impl What {
    /// What this letter stands for. A letter that the server does not know writes nothing.
    const fn of(letter: char) -> Option<Self> {
        Some(match letter {
            'u' => Self::User,
            'd' => Self::Database,
            'Q' => Self::QueryId,
            'm' | 't' => Self::Time,
            'n' => Self::Epoch,
            'e' => Self::Sqlstate,
            'c' => Self::SessionId,
            'l' | 'p' | 'P' | 'v' | 'x' => Self::OtherDigits,
            's' => Self::OtherTime,
            'a' | 'b' | 'h' | 'i' | 'L' | 'r' => Self::OtherText,
            _ => return None,
        })
    }

    const fn is_text(self) -> bool {
        matches!(self, Self::User | Self::Database | Self::OtherText)
    }

    /// How many bytes at the beginning of `text` are a value of this kind. Identifiers may have none.
    fn length(self, text: &str) -> Option<usize> {
        let run = |text: &str, is_part: fn(char) -> bool| text.find(|c| !is_part(c)).unwrap_or(text.len());
        match self {
            Self::User | Self::Database | Self::OtherText => None,
            Self::QueryId => Some(run(text, |c| c == '-' || c.is_ascii_digit())),
            Self::Epoch => Some(run(text, |c| c == '.' || c.is_ascii_digit())),
            Self::OtherDigits => Some(run(text, |c| c == '/' || c.is_ascii_digit())),
            Self::SessionId => Some(run(text, |c| c == '.' || c.is_ascii_hexdigit())),
            Self::Sqlstate => Some(run(text, |c| c.is_ascii_uppercase() || c.is_ascii_digit())),
            Self::Time | Self::OtherTime => {
                // Date, time and zone. The zone has letters, or a sign and digits.
                let clock = text.match_indices(' ').nth(1)?.0 + 1;
                let well_formed =
                    text.get(..clock)?.chars().all(|c| c.is_ascii_digit() || "-:. ".contains(c));
                let zone = text.get(clock..)?;
                let sign = usize::from(zone.starts_with(['+', '-']));
                let is_part: fn(char) -> bool =
                    if sign == 1 { |c| c.is_ascii_digit() } else { |c| c.is_ascii_alphabetic() };
                let end = sign + run(zone.get(sign..)?, is_part);
                (well_formed && end > sign).then_some(clock + end)
            }
        }
    }
}
