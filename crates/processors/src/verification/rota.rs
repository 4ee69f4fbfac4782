//! Sweeping a table a little at a time, so that no tick takes as long as the table is full.

use std::collections::VecDeque;
use std::time::Duration;

use dbintel_model::Monotonic;

/// In which every key of a table is looked at once. A sweep of a full table at once would take milliseconds, in which a
/// batch waits.
pub(super) const SWEEP_EVERY: Duration = Duration::from_secs(30);

/// The keys of a table, the one that was looked at longest ago first.
#[derive(Debug)]
pub(super) struct Rota<K> {
    keys: VecDeque<K>,
}

/// A tick of the lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticked {
    /// When.
    pub(super) now: Monotonic,
    /// Since the one before.
    pub(super) passed: Duration,
}

// === impl Rota ===

impl<K: Copy> Rota<K> {
    /// Notes a key that is new in the table.
    pub(super) fn add(&mut self, key: K) {
        self.keys.push_back(key);
    }

    /// Looks at as many keys as are due after this time. Those that are not kept are forgotten here; `keep` has removed
    /// them from the table.
    pub(super) fn turn(&mut self, after: Duration, mut keep: impl FnMut(K) -> bool) {
        let all = self.keys.len();
        let due = (all as u128 * after.as_millis()).div_ceil(SWEEP_EVERY.as_millis());
        for _ in 0..usize::try_from(due).unwrap_or(all).min(all) {
            if let Some(key) = self.keys.pop_front()
                && keep(key)
            {
                self.keys.push_back(key);
            }
        }
    }
}

impl<K> Default for Rota<K> {
    fn default() -> Self {
        Self { keys: VecDeque::new() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_key_is_looked_at_within_the_time(
            keys in 0_u32..500,
            steps in prop::collection::vec(1_u64..10_000, 1..60),
        ) {
            let mut rota = Rota::default();
            (0..keys).for_each(|key| rota.add(key));
            let (mut seen, mut passed) = (std::collections::HashSet::new(), Duration::ZERO);
            for step in steps.into_iter().map(Duration::from_millis) {
                let mut looked = 0;
                rota.turn(step, |key| {
                    seen.insert(key);
                    looked += 1;
                    true
                });
                passed += step;
                // No more than the share of the time, rounded up.
                prop_assert!(looked <= u128::from(keys) * step.as_millis() / 30_000 + 1);
            }
            prop_assert!(passed < SWEEP_EVERY || seen.len() == keys as usize);
        }

        #[test]
        fn what_is_not_kept_is_never_looked_at_again(keys in 1_u32..200, divisor in 1_u32..10) {
            let mut rota = Rota::default();
            (0..keys).for_each(|key| rota.add(key));
            rota.turn(SWEEP_EVERY, |key| key % divisor == 0);
            let mut again = Vec::new();
            rota.turn(SWEEP_EVERY, |key| {
                again.push(key);
                true
            });
            prop_assert_eq!(again, (0..keys).filter(|key| key % divisor == 0).collect::<Vec<_>>());
        }
    }
}
