//! The rest after a reading whose cost depends on the server and not on what is asked of it.

use std::time::Duration;

use dbintel_model::Monotonic;

/// After a reading, the next one waits this many times as long as it took: all of them together take at most 1 % of one core of the server.
pub const REST_PER_READ_DURATION: u32 = 100;

/// When such a reading may be made again. A cheap one may be at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rest {
    until: Option<Monotonic>,
}

impl Rest {
    /// Whether the rest after the last reading is over.
    #[must_use]
    pub fn is_over(self, now: Monotonic) -> bool {
        self.until.is_none_or(|until| now >= until)
    }

    /// A reading has just ended, well or not, that took so long.
    pub fn begin(&mut self, now: Monotonic, took: Duration) {
        self.until = Some(now.plus(took.saturating_mul(REST_PER_READ_DURATION)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_of_a_second_is_followed_by_a_hundred_without_one() {
        let mut rest = Rest::default();
        let now = Monotonic::default().plus(Duration::from_secs(7));
        assert!(rest.is_over(now));
        rest.begin(now, Duration::from_secs(1));
        assert!(!rest.is_over(now.plus(Duration::from_millis(99_999))));
        assert!(rest.is_over(now.plus(Duration::from_secs(100))));
        rest.begin(now, Duration::from_micros(10));
        assert!(rest.is_over(now.plus(Duration::from_millis(1))), "the last reading counts");
    }
}
