//! Times as the database holds them.

use dbintel_model::Timestamp;

/// Nanoseconds since the epoch; they fit until the year 2262.
pub(crate) fn nanos(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanos()).unwrap_or(i64::MAX)
}

/// The time of so many nanoseconds; before the epoch there is none.
pub(crate) fn timestamp(nanos: i64) -> Timestamp {
    Timestamp::from_nanos(u64::try_from(nanos).unwrap_or(0))
}
