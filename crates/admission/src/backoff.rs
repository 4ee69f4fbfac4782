//! How long to wait before the next probe.
//!
//! The wait of step `n` lies between half and the whole of `base * 2^n`, where the whole is capped at `max` ("equal
//! jitter": Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015). Half is kept so that a wait is never
//! near zero; the other half is random so that the collectors of a fleet do not return together.

use std::time::Duration;

/// The shortest and the longest wait of step `step`, which counts from 0.
#[must_use]
pub fn bounds(base: Duration, max: Duration, step: u32) -> (Duration, Duration) {
    let whole = 2_u32.checked_pow(step).map_or(max, |factor| base.saturating_mul(factor)).min(max);
    (whole / 2, whole)
}

/// A wait within [`bounds`], both ends included.
#[must_use]
pub fn wait(base: Duration, max: Duration, step: u32, random: &mut fastrand::Rng) -> Duration {
    let (shortest, longest) = bounds(base, max, step);
    let spread = u64::try_from(longest.saturating_sub(shortest).as_nanos()).unwrap_or(u64::MAX);
    shortest.saturating_add(Duration::from_nanos(random.u64(0..=spread)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Half to whole of the doubled base, never above the cap, for any step.
        #[test]
        fn waits_stay_within_their_bounds(base_ms in 1u64..100_000, max_ms in 1u64..10_000_000, step: u32, seed: u64) {
            let (base, max) = (Duration::from_millis(base_ms), Duration::from_millis(max_ms));
            let wait = wait(base, max, step, &mut fastrand::Rng::with_seed(seed));
            let whole = (base.as_secs_f64() * 2f64.powf(f64::from(step))).min(max.as_secs_f64());
            prop_assert!(wait <= max);
            prop_assert!(wait.as_secs_f64() <= whole * 1.000_001);
            prop_assert!(wait.as_secs_f64() >= whole * 0.499_999);
        }
    }

    #[test]
    fn the_whole_range_is_used() {
        let mut random = fastrand::Rng::with_seed(7);
        let draw = |random: &mut fastrand::Rng| {
            wait(Duration::from_secs(4), Duration::from_secs(60), 1, random).as_secs_f64()
        };
        let waits: Vec<f64> = (0..1_000).map(|_| draw(&mut random)).collect();
        assert!(waits.iter().any(|wait| *wait < 4.1) && waits.iter().any(|wait| *wait > 7.9));
    }
}
