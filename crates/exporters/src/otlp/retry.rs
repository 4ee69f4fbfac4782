//! How long to wait before a request is tried again, and when to give it up.

use std::time::Duration;

use dbintel_model::Monotonic;
use dbintel_pipeline::Backoff;

/// How requests are tried again.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// The waits.
    pub backoff: Backoff,
    /// Time after the first attempt after which there is no further one; `None` for never.
    pub give_up_after: Option<Duration>,
}

/// The attempts of one request.
#[derive(Clone, Debug)]
pub struct Retry {
    policy: RetryPolicy,
    started: Monotonic,
    /// Whether the last attempt, after a hint that is longer than the time that is left, was granted.
    was_last: bool,
}

// === impl Retry ===

impl Retry {
    /// The first attempt begins now.
    #[must_use]
    pub const fn new(policy: RetryPolicy, now: Monotonic) -> Self {
        Self { policy, started: now, was_last: false }
    }

    /// How long to wait before the next attempt: the back-off, but never less than the backend's hint. `None` if the
    /// next attempt would come too late. A backend that names a time beyond that is asked once more, when it is over: it is there and has
    /// said when it can take the request.
    pub fn next_wait(
        &mut self,
        now: Monotonic,
        hint: Option<Duration>,
        random: &mut fastrand::Rng,
    ) -> Option<Duration> {
        let (backoff, hint) = (self.policy.backoff.next_wait(random), hint.unwrap_or_default());
        let Some(limit) = self.policy.give_up_after else { return Some(backoff.max(hint)) };
        let elapsed = now.since(self.started);
        let fits = |wait| elapsed.saturating_add(wait) <= limit;
        if self.was_last {
            None
        } else if fits(backoff.max(hint)) {
            Some(backoff.max(hint))
        } else if hint > backoff && elapsed < limit {
            self.was_last = true;
            Some(hint)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn policy(give_up_after: Option<Duration>) -> RetryPolicy {
        let (initial, max) = (Duration::from_secs(5), Duration::from_secs(30));
        RetryPolicy { backoff: Backoff::try_new(initial, max, 1.5, 0.5).unwrap(), give_up_after }
    }

    proptest! {
        /// Simulated time: each attempt takes `attempt_ms`, then the wait passes.
        #[test]
        fn waits_obey_the_hint_and_end_in_time(
            seed: u64, hints in prop::collection::vec(prop::option::of(0u64..400_000), 1..50), attempt_ms in 0u64..5_000,
        ) {
            let limit = Duration::from_secs(300);
            let (mut retry, mut now) = (Retry::new(policy(Some(limit)), Monotonic::default()), Monotonic::default());
            let mut random = fastrand::Rng::with_seed(seed);
            for hint in hints {
                now = now.plus(Duration::from_millis(attempt_ms));
                let hint = hint.map(Duration::from_millis);
                let Some(wait) = retry.next_wait(now, hint, &mut random) else {
                    let longest = hint.unwrap_or_default().max(Duration::from_secs(30));
                    prop_assert!(now.since(Monotonic::default()) + longest > limit);
                    break;
                };
                prop_assert!(wait >= hint.unwrap_or_default());
                prop_assert!(wait >= Duration::from_millis(2_500));
                prop_assert!(wait <= hint.unwrap_or_default().max(Duration::from_secs(30)));
                let asked_at = now.since(Monotonic::default());
                now = now.plus(wait);
                if now.since(Monotonic::default()) > limit {
                    // Only a hint may lead beyond the limit, and only once.
                    prop_assert!(hint == Some(wait) && asked_at < limit);
                    prop_assert!(retry.next_wait(now, hint, &mut random).is_none());
                    break;
                }
            }
        }
    }

    #[test]
    fn zero_elapsed_time_means_for_ever() {
        let mut retry = Retry::new(policy(None), Monotonic::default());
        let late = Monotonic::default().plus(Duration::from_secs(1 << 30));
        assert!(retry.next_wait(late, None, &mut fastrand::Rng::with_seed(1)).is_some());
    }
}
