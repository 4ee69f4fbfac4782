//! Hard limits over every span of time.

use proptest::prelude::*;

use super::*;

fn at(millis: u64) -> Monotonic {
    Monotonic::default().plus(Duration::from_millis(millis))
}

/// Offers a record at each of these times and returns the times of those that passed, in milliseconds.
fn passed(waits: &[u64], mut pass: impl FnMut(Monotonic) -> bool) -> Vec<u64> {
    let mut now = 0;
    let times = waits.iter().map(|wait| {
        now += wait;
        now
    });
    times.filter(|now| pass(at(*now))).collect()
}

/// Waits that are often nothing.
fn waits() -> impl Strategy<Value = Vec<u64>> {
    let wait = prop_oneof![4 => Just(0_u64), 2 => 1..50_u64, 1 => 50..5_000_u64, 1 => Just(60_000_u64)];
    prop::collection::vec(wait, 1..400)
}

proptest! {
    #[test]
    fn a_bucket_never_exceeds_burst_plus_rate_times_span(
        waits in waits(), rate in 1..50_u32, burst in 1..10_u64, share in 0.01..0.99,
    ) {
        let mut budget = Budget::new(rate, share, Duration::from_secs(burst));
        let mut critical = false;
        let passed = passed(&waits, |now| {
            critical = !critical;
            let part = budget.room(critical, now);
            part.is_some_and(|part| {
                budget.take(part);
                true
            })
        });
        // Two buckets, each with room for one record at least.
        let capacity = f64::from(rate) * burst as f64 + 2.0;
        for (first, from) in passed.iter().enumerate() {
            for (last, to) in passed.iter().enumerate().skip(first) {
                let records = (last - first + 1) as f64;
                prop_assert!(records <= capacity + f64::from(rate) * (to - from) as f64 / 1e3 + 1e-9);
            }
        }
    }

    #[test]
    fn no_minute_has_more_than_its_limit(waits in waits(), max in 1..40_u32) {
        let mut limit = MinuteLimit::new(max);
        let passed = passed(&waits, |now| {
            let room = limit.has_room(now);
            if room {
                limit.take(now);
            }
            room
        });
        for (first, from) in passed.iter().enumerate() {
            let in_minute = passed[first..].iter().take_while(|to| *to - from <= 60_000).count();
            prop_assert!(in_minute <= max as usize, "{in_minute} from {from}");
        }
        prop_assert!(limit.passed.len() <= SLOTS as usize);
    }
}

#[test]
fn the_reserve_is_for_critical_records_alone_and_they_may_use_the_rest_too() {
    let mut budget = Budget::new(10, 0.2, Duration::from_secs(10));
    let mut use_up = |critical: bool, now: Monotonic| {
        let mut records = 0;
        while let Some(part) = budget.room(critical, now) {
            budget.take(part);
            records += 1;
        }
        records
    };
    assert_eq!(use_up(false, at(0)), 80);
    assert_eq!(use_up(true, at(0)), 20);
    assert_eq!(use_up(false, at(1_000)), 8);
    assert_eq!(use_up(true, at(1_000)), 2);
    assert_eq!(use_up(true, at(2_000)), 10);
    // Time that passes after the bucket is full is not saved.
    assert_eq!(use_up(true, at(1_000_000)), 100);
}

#[test]
fn a_minute_frees_what_it_took() {
    let mut limit = MinuteLimit::new(1);
    assert!(limit.has_room(at(500)));
    limit.take(at(500));
    assert!(!limit.has_room(at(60_500)));
    assert!(limit.has_room(at(61_000)));
}
