//! What a statement costs, as the server measures it.
//!
//! Each statement carries one more column, `clock_timestamp() - statement_timestamp()`: the time since the server
//! received the order to execute it. That of the last row is the time of the execution; planning comes before, and is not
//! in it. A statement without rows, or one that failed, says nothing: then our own clock is all there is.

use std::time::Duration;

use parking_lot::Mutex;
use sqlx::postgres::PgRow;
use sqlx::{Row as _, ValueRef as _};

/// Adds up what the server says of the statements since it was last asked.
#[derive(Debug, Default)]
pub struct Meter {
    sum: Mutex<Sum>,
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

/// The statement with the time as its last column.
pub(super) fn metered(text: &str) -> String {
    format!("SELECT q.*, clock_timestamp() - statement_timestamp() FROM ({text}) q")
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
