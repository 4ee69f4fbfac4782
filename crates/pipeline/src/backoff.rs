//! Exponential back-off with jitter and a cap.

use std::time::Duration;

/// How waits grow from failure to failure. Randomness is handed in, so that a seed replays a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Backoff {
    initial: Duration,
    max: Duration,
    multiplier: f64,
    jitter: f64,
    failures: u32,
}

/// Why a back-off cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BackoffError {
    /// The first wait is zero.
    #[error("the initial interval must be longer than zero")]
    ZeroInitial,
    /// The cap is below the first wait.
    #[error("the maximum interval must not be below the initial interval")]
    MaxBelowInitial,
    /// Waits would shrink.
    #[error("the multiplier must be a number from 1 to 100")]
    Multiplier,
    /// The jitter is no share.
    #[error("the randomization factor must be a number from 0 to 1")]
    Jitter,
}

impl Backoff {
    /// Waits from `initial`, times `multiplier` after each failure, up to `max`, each spread evenly over
    /// `± jitter` of itself.
    ///
    /// # Errors
    /// [`BackoffError`] for a combination that makes no sense.
    pub fn try_new(
        initial: Duration,
        max: Duration,
        multiplier: f64,
        jitter: f64,
    ) -> Result<Self, BackoffError> {
        if initial.is_zero() {
            Err(BackoffError::ZeroInitial)
        } else if max < initial {
            Err(BackoffError::MaxBelowInitial)
        } else if !(1.0..=100.0).contains(&multiplier) {
            Err(BackoffError::Multiplier)
        } else if !(0.0..=1.0).contains(&jitter) {
            Err(BackoffError::Jitter)
        } else {
            Ok(Self { initial, max, multiplier, jitter, failures: 0 })
        }
    }

    /// For components that failed: from one second to one minute, doubling, half of it jitter.
    #[must_use]
    pub const fn for_restarts() -> Self {
        Self {
            initial: Duration::from_secs(1),
            max: Duration::from_secs(60),
            multiplier: 2.0,
            jitter: 0.5,
            failures: 0,
        }
    }

    /// How long to wait after one more failure. Never longer than the cap.
    pub fn next_wait(&mut self, random: &mut fastrand::Rng) -> Duration {
        let exponent = i32::try_from(self.failures.min(1_000)).unwrap_or(1_000);
        self.failures = self.failures.saturating_add(1);
        let grown = self.initial.as_secs_f64() * self.multiplier.powi(exponent);
        let capped = grown.min(self.max.as_secs_f64());
        let spread = 1.0 + self.jitter * (2.0 * random.f64() - 1.0);
        Duration::from_secs_f64((capped * spread).clamp(0.0, self.max.as_secs_f64()))
    }

    /// Starts anew after a success.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    /// Failures in a row.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn waits_stay_within_jitter_and_cap(
            initial in 1u64..10_000, more in 0u64..100_000, multiplier in 1.0f64..10.0, jitter in 0.0f64..=1.0, seed: u64,
        ) {
            let (initial, max) = (Duration::from_millis(initial), Duration::from_millis(initial + more));
            let mut backoff = Backoff::try_new(initial, max, multiplier, jitter).unwrap();
            let mut random = fastrand::Rng::with_seed(seed);
            let first = backoff.next_wait(&mut random).as_secs_f64();
            prop_assert!(first >= initial.as_secs_f64() * (1.0 - jitter) - 1e-6);
            for _ in 0..200 {
                prop_assert!(backoff.next_wait(&mut random) <= max);
            }
            backoff.reset();
            prop_assert!(backoff.next_wait(&mut random).as_secs_f64() <= initial.as_secs_f64() * (1.0 + jitter) + 1e-6);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let second = Duration::from_secs(1);
        assert_eq!(Backoff::try_new(Duration::ZERO, second, 2.0, 0.0), Err(BackoffError::ZeroInitial));
        assert_eq!(Backoff::try_new(second, Duration::ZERO, 2.0, 0.0), Err(BackoffError::MaxBelowInitial));
        assert_eq!(Backoff::try_new(second, second, 0.5, 0.0), Err(BackoffError::Multiplier));
        assert_eq!(Backoff::try_new(second, second, 2.0, f64::NAN), Err(BackoffError::Jitter));
    }
}
