//! The sum of one over the probability, over what is kept, estimates what would be kept at a rate of 1.
//!
//! The reference is a second sampler with the same rules and every rate at 1, given the same records: it says how much
//! there was to keep, deduplication included. Each test sums over thousands of draws; hashes are fixed, so the outcome
//! is too, and the bound of five standard deviations is not a matter of luck from run to run.

use std::collections::HashMap;

use super::*;

/// What the sampler said and what there was.
#[derive(Default)]
pub(super) struct Sums {
    estimated: f64,
    there: f64,
    /// Sum of the squares of how much each draw decides about, times `(1 - p) / p`.
    variance: f64,
}

/// Runs both samplers over the same sessions. `pids` says which sessions are sampled in a second, some of them twice.
pub(super) fn run(json: &str, reference: &str, seconds: u64, mut pids: impl FnMut(u64) -> Vec<i64>) -> Sums {
    let length = config(json).time_bucket.as_secs();
    let (mut sampler, mut whole) = (Simulation::new(json), Simulation::new(reference));
    let mut sums = Sums::default();
    let mut draws: HashMap<(i64, u64), (u32, f64)> = HashMap::new();
    for second in 0..seconds {
        let pids = pids(second);
        let records = |pids: &[i64]| pids.iter().map(|pid| cheap(*pid)).collect();
        let out = sampler.offer(records(&pids));
        sums.estimated += kept(&out).map(|mark| mark.probability.recip()).sum::<f64>();
        let all = whole.offer(records(&pids));
        for ((pid, record), marked) in pids.iter().zip(&all.records).zip(&out.records) {
            if mark(record).keep {
                sums.there += 1.0;
                let draw = draws.entry((*pid, second / length)).or_default();
                *draw = (draw.0 + 1, mark(marked).probability);
            }
        }
        sampler.pass(1);
        whole.pass(1);
    }
    for (records, probability) in draws.into_values() {
        sums.variance += f64::from(records).powi(2) * (1.0 - probability) / probability;
    }
    assert_eq!(sampler.dropped("rate_limited", "all") + sampler.dropped("rate_limited", "default"), 0);
    assert_eq!(sampler.sum("adaptive_sampler_records_dropped_total") > 0, sums.variance > 0.0);
    sums
}

/// How many standard deviations the estimate is off. Where nothing is left to chance, it is not off at all.
pub(super) fn deviations(sums: &Sums) -> f64 {
    let error = (sums.estimated - sums.there).abs();
    // Sums of doubles are off by less.
    if error < 1e-6 * sums.there.max(1.0) { 0.0 } else { error / sums.variance.sqrt() }
}

/// `resolution`: a bias of one over this would show.
fn check(sums: &Sums, resolution: f64) {
    let (error, deviation) = (sums.estimated - sums.there, sums.variance.sqrt());
    assert!(error.abs() < 5.0 * deviation, "{} for {}: {error} of {deviation}", sums.estimated, sums.there);
    assert!(deviation * 5.0 < sums.there / resolution, "not enough draws: {deviation} for {}", sums.there);
}

pub(super) fn fixed(rate: f64, window: &str) -> String {
    format!(
        r#"{{{WIDE}, "time_bucket": "20s", "dedup": {{"window": "{window}", "max_entries": 1000000}},
            "rules": [{{"name": "all", "sample_rate": {rate}, "conditions": []}}]}}"#
    )
}

/// Sessions that come again and again, some more often than others.
fn returning(seed: u64, sessions: i64) -> impl FnMut(u64) -> Vec<i64> {
    let mut random = fastrand::Rng::with_seed(seed);
    move |_| (0..sessions).filter(|pid| random.i64(0..10) <= pid % 10).flat_map(|pid| [pid, pid]).collect()
}

#[test]
fn at_a_fixed_rate() {
    for (seed, rate) in [0.2, 0.5, 0.8].into_iter().enumerate() {
        for window in ["0", "5s", "20s"] {
            let sums = run(&fixed(rate, window), &fixed(1.0, window), 300, returning(seed as u64, 2_000));
            check(&sums, 12.0);
        }
    }
}

#[test]
fn while_the_rate_adapts() {
    let adaptive = r#"{"max_records_per_second": 200, "burst": "60s", "time_bucket": "5s", "rules": [],
        "dedup": {"window": "5s", "max_entries": 1000000}}"#;
    let whole = format!(
        r#"{{{WIDE}, "burst": "60s", "time_bucket": "5s", "rules": [],
            "dedup": {{"window": "5s", "max_entries": 1000000}}}}"#
    );
    let mut random = fastrand::Rng::with_seed(3);
    let pids = |second: u64| -> Vec<i64> {
        // The load rises slowly, so that no hard limit cuts, and falls again.
        let sessions = 400 + (second % 400).min(400 - second % 400) as i64 * 8;
        let from = random.i64(0..1_000);
        (from..from + sessions).collect()
    };
    let sums = run(adaptive, &whole, 1_600, pids);
    check(&sums, 50.0);
}

#[test]
fn a_rule_that_takes_over_makes_a_draw_of_its_own() {
    // Sessions that begin to wait within a time bucket go to a rule with another rate.
    let json = |rate: f64, waiting: f64| {
        format!(
            r#"{{{WIDE}, "time_bucket": "20s", "dedup": {{"window": "20s", "max_entries": 1000000}}, "rules": [
                {{"name": "slow", "sample_rate": {waiting}, "conditions":
                    [{{"attribute": "postgresql.total_exec_time", "operator": "gt", "value": 5}}]}},
                {{"name": "rest", "priority": -1, "sample_rate": {rate}, "conditions": []}}]}}"#
        )
    };
    let (mut sampler, mut whole) = (Simulation::new(&json(0.2, 0.6)), Simulation::new(&json(1.0, 1.0)));
    let (mut estimated, mut there) = (0.0, 0.0);
    for second in 0..200_u64 {
        let record = |pid: i64| {
            let running_ms = Some((second % 10) as f64);
            Record::Session(Box::new(Session { pid, running_ms, ..Session::default() }))
        };
        let records = || (0..2_000).map(record).collect();
        estimated += kept(&sampler.offer(records())).map(|mark| mark.probability.recip()).sum::<f64>();
        there += kept(&whole.offer(records())).count() as f64;
        sampler.pass(1);
        whole.pass(1);
    }
    // 20,000 pairs of draws that go together: at most the sum of the two deviations.
    let deviation = (20_000.0_f64 * 4.0).sqrt() + (20_000.0_f64 * 0.4 / 0.6).sqrt();
    assert_eq!(there, 40_000.0);
    assert!((estimated - there).abs() < 5.0 * deviation, "{estimated} for {there}");
}
