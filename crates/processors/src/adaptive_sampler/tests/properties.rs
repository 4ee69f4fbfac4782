//! What holds for any history of loads: the estimate is unbiased, the rate keeps its bounds, and the reserve is there.

use proptest::prelude::*;

use super::estimate::{deviations, run};
use super::*;

/// Bursts of sessions, second by second: which ones there are, and up to how many of them.
fn sessions(most: i64) -> impl Strategy<Value = Vec<(i64, i64)>> {
    prop::collection::vec((0..most, 0..most), 40..100)
}

proptest! {
    // Each takes tens of thousands of draws, so that a bias of a few percent shows.
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever comes and goes, at whatever rate, with deduplication and without: one over the probability, summed over what is kept,
    /// is as far from what there was to keep as chance allows. Six standard deviations are chance once in some hundred million.
    #[test]
    fn the_estimate_is_unbiased(
        rate in 0.1..1.0_f64,
        window in prop::sample::select(vec!["0", "5s", "20s"]),
        history in sessions(3_000),
        who: u32,
    ) {
        let json = |rate: f64| estimate::fixed(rate, window);
        let pids = |second: u64| -> Vec<i64> {
            let (from, count) = history[second as usize];
            (from..from + count).map(|pid| i64::from(who) * 10_000 + pid).collect()
        };
        let sums = run(&json(rate), &json(1.0), history.len() as u64, pids);
        prop_assert!(deviations(&sums) < 6.0, "{} deviations", deviations(&sums));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// While the rate follows the load it is never below its floor nor above its ceiling, and every record carries it.
    #[test]
    fn the_rate_keeps_its_bounds_for_any_load(
        bounds in (0.01..0.5_f64, 0.5..1.0_f64),
        history in sessions(400),
        budget in 1_u32..300,
    ) {
        let (min, max) = bounds;
        let mut simulation = Simulation::new(&format!(
            r#"{{"max_records_per_second": {budget}, "min_rate": {min}, "max_rate": {max}, "time_bucket": "2s",
                "dedup": {{"window": "0"}}, "rules": []}}"#
        ));
        for (from, count) in history {
            let out = simulation.offer((from..from + count).map(cheap).collect());
            for marked in out.records.iter().map(mark) {
                // A probability is that of whole hashes, and so off by one of them.
                let within = (min - 1e-12..=max + 1e-12).contains(&marked.probability);
                prop_assert!(within, "{} for {min} to {max}", marked.probability);
            }
            simulation.pass(1);
        }
    }

    /// As many critical records a second as are reserved are kept, whatever else comes and wherever in its batch they are; and all
    /// together are never more than the budget and its burst.
    #[test]
    fn the_reserve_is_for_critical_records_whatever_else_comes(
        tens in 1_i64..20,
        history in prop::collection::vec((0_i64..1_500, 0_i64..1_500), 30..90),
    ) {
        // A fifth of the budget is reserved.
        let (budget, reserved) = (tens * 10, tens * 2);
        let json = format!(r#"{{"max_records_per_second": {budget}, "burst": "1s", "dedup": {{"window": "0"}}}}"#);
        let mut simulation = Simulation::new(&json);
        let (mut pid, mut all, seconds) = (0, 0, history.len() as i64);
        for (before, after) in history {
            let mut next = |count: i64, make: fn(i64) -> Record| -> Vec<Record> {
                pid += count;
                (pid - count..pid).map(make).collect()
            };
            // What comes in a batch before has had its turn.
            all += kept(&simulation.offer(next(before, cheap))).count() as i64;
            let out = simulation.offer([next(after, cheap), next(reserved, blocked)].concat());
            prop_assert!(out.records[after as usize..].iter().all(|record| mark(record).keep));
            all += kept(&out).count() as i64;
            simulation.pass(1);
        }
        prop_assert!(all <= budget * (seconds + 1), "{all} in {seconds} s");
    }
}
