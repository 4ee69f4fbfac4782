//! What a statement costs, as the server measures it.
//!
//! Each statement carries one more column, `clock_timestamp() - statement_timestamp()`: the time since the server
//! received the order to execute it. That of the last row is the time of the execution; planning comes before, and is not
//! in it. A statement that may have no rows is joined onto one row that is always there, so that the server speaks also
//! then. That costs it some 20 µs of planning (`docs/cost.md`), so that statements that always have a row do without. One
//! that failed says nothing: then our own clock is all there is.

use std::time::Duration;

use parking_lot::Mutex;
use sqlx::postgres::PgRow;
use sqlx::{Row as _, ValueRef as _};

/// Adds up what the server says of the statements since it was last asked.
#[derive(Debug, Default)]
pub struct Meter {
    sum: Mutex<Sum>,
}

/// Whether a statement has rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// At least one, whatever the server holds.
    Always,
    /// There may be none.
    Perhaps,
}

/// A statement, and whether it has rows.
#[derive(Clone, Copy, Debug)]
pub struct Select<'a> {
    /// The text: one `SELECT`.
    pub text: &'a str,
    /// Whether it has rows.
    pub rows: Rows,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    measured: Duration,
    statements: u32,
    silent: u32,
}

impl Meter {
    /// One statement; `None` if the server did not say.
    pub(super) fn add(&self, took: Option<Duration>) {
        let mut sum = self.sum.lock();
        sum.statements += 1;
        match took {
            Some(took) => sum.measured += took,
            None => sum.silent += 1,
        }
    }

    /// The time of all statements since the last call; `None` if there was none, or one of which the server said nothing.
    #[must_use]
    pub fn take(&self) -> Option<Duration> {
        let sum = std::mem::take(&mut *self.sum.lock());
        (sum.statements > 0 && sum.silent == 0).then_some(sum.measured)
    }
}

impl<'a> Select<'a> {
    /// A statement that has at least one row, whatever the server holds.
    #[must_use]
    pub const fn always(text: &'a str) -> Self {
        Self { text, rows: Rows::Always }
    }

    /// A statement that may have none.
    #[must_use]
    pub const fn perhaps(text: &'a str) -> Self {
        Self { text, rows: Rows::Perhaps }
    }
}

/// The statement with the time as its last column; where there may be no rows, before it a column that is NULL in the row
/// that says so.
pub(super) fn metered(text: &str, rows: Rows) -> String {
    match rows {
        Rows::Always => format!("SELECT q.*, clock_timestamp() - statement_timestamp() FROM ({text}) q"),
        Rows::Perhaps => format!(
            "SELECT q.*, clock_timestamp() - statement_timestamp() FROM (SELECT) one \
             LEFT JOIN (SELECT q.*, true FROM ({text}) q) q ON true"
        ),
    }
}

/// Whether it is a row of the statement itself, and not the one that says that there is none.
pub(super) fn is_row(row: &PgRow, rows: Rows) -> bool {
    let there = || row.try_get_raw(row.len().checked_sub(2)?).ok().map(|value| !value.is_null());
    rows == Rows::Always || there().unwrap_or(true)
}

/// The last column: an `interval`, of which the first eight bytes are microseconds. Days and months cannot be.
pub(super) fn elapsed(row: &PgRow) -> Option<Duration> {
    let value = row.try_get_raw(row.len().checked_sub(1)?).ok()?;
    if value.is_null() {
        return None;
    }
    let bytes = value.as_bytes().ok()?.get(..8)?;
    let micros = i64::from_be_bytes(bytes.try_into().ok()?);
    u64::try_from(micros).ok().map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_silent_statement_makes_the_sum_unknown() {
        let meter = Meter::default();
        assert_eq!(meter.take(), None);
        meter.add(Some(Duration::from_millis(2)));
        meter.add(Some(Duration::from_millis(3)));
        assert_eq!(meter.take(), Some(Duration::from_millis(5)));
        meter.add(Some(Duration::from_millis(2)));
        meter.add(None);
        assert_eq!(meter.take(), None);
        assert_eq!(meter.take(), None);
    }
}
