//! `csvlog`: columns in a fixed order, of which later versions have more.

use std::borrow::Cow;

use super::{LogRecord, query_id, time};

/// Columns of the oldest version.
const MIN_COLUMNS: usize = 23;
/// The most columns that are read. Version 18 has 26.
const MAX_COLUMNS: usize = 64;

const TIME: usize = 0;
const USER: usize = 1;
const DATABASE: usize = 2;
const SEVERITY: usize = 11;
const SQLSTATE: usize = 12;
const MESSAGE: usize = 13;
const CONTEXT: usize = 18;
const QUERY_ID: usize = 25;

/// The record in this text.
pub(super) fn record(text: &str) -> Option<LogRecord<'_>> {
    let mut columns = columns(text.strip_suffix('\n').unwrap_or(text))?;
    if columns.len() < MIN_COLUMNS {
        return None;
    }
    let mut take = |column: usize| {
        let value = columns.get_mut(column).map(std::mem::take);
        value.filter(|value| !value.is_empty())
    };
    let time = take(TIME)?;
    Some(LogRecord {
        // Also where the zone is not known a record begins with a time.
        time_micros: time::micros(&time),
        user: take(USER),
        database: take(DATABASE),
        query_id: take(QUERY_ID).and_then(|id| query_id(&id)),
        severity: take(SEVERITY),
        sqlstate: take(SQLSTATE),
        message: take(MESSAGE).unwrap_or_default(),
        has_context: take(CONTEXT).is_some(),
    })
}

/// The columns; `None` if a quote stands where the server writes none, or there are too many.
fn columns(text: &str) -> Option<Vec<Cow<'_, str>>> {
    let (mut columns, mut rest) = (Vec::with_capacity(MIN_COLUMNS + 3), text);
    loop {
        if columns.len() == MAX_COLUMNS {
            return None;
        }
        let (column, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_column(quoted)?,
            None => {
                let (column, after) = rest.split_at_checked(rest.find(',').unwrap_or(rest.len()))?;
                (Cow::Borrowed(column), after)
            }
        };
        columns.push(column);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None => return after.is_empty().then_some(columns),
        }
    }
}

/// The content of a column whose first quote was read, and what follows its last one.
fn quoted_column(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut from = 0;
    loop {
        let end = from + text.get(from..)?.find('"')?;
        let after = text.get(end + 1..)?;
        if !after.starts_with('"') {
            let column = text.get(..end)?;
            let has_quotes = from > 0;
            let column =
                if has_quotes { Cow::Owned(column.replace("\"\"", "\"")) } else { Cow::Borrowed(column) };
            return Some((column, after));
        }
        from = end + 2;
    }
}
