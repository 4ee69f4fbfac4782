//! Statistics of a table that were stale before they were refreshed.

/// Share of a table that had changed before it was analysed at last, from which on its statistics were stale.
const SHARE_MIN: f64 = 0.5;
/// Rows that had changed, at least. Of a small table a handful is much, and autovacuum does not come sooner whatever it is told.
const MODIFIED_MIN: f64 = 1_000.0;

/// The share of a table that had changed before an analysis, where that is so much that its statistics were stale: `modified` rows of
/// the `rows` that it has.
#[must_use]
pub fn stale_share(modified: f64, rows: f64) -> Option<f64> {
    let share = modified / rows;
    (rows > 0.0 && share.is_finite() && share >= SHARE_MIN && modified >= MODIFIED_MIN).then_some(share)
}

#[cfg(test)]
mod tests;
