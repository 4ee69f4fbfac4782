//! How the rate follows the load.

use super::super::config::AdaptiveSamplerSettings;
use super::super::tests::batch;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn rate(json: &str) -> AdaptiveRate {
    let settings: AdaptiveSamplerSettings = serde_json::from_str(json).unwrap();
    AdaptiveRate::new(&settings.validate().unwrap().config)
}

fn bucket(second: u64) -> TimeBucket {
    let mut batch = batch(Vec::new());
    batch.server_clock = Some(dbintel_model::Timestamp::from_nanos(second * 1_000_000_000));
    TimeBucket::of(&batch, SECOND)
}

/// A second in which so many records would be kept at a rate of 1, and as many as the rate says are.
fn second(rate: &mut AdaptiveRate, now: u64, offered: f64, budget: f64) -> f64 {
    let in_force = rate.in_bucket(bucket(now));
    rate.offered_now += offered;
    rate.adapt(SECOND, budget);
    in_force
}

#[test]
fn the_rate_follows_the_budget_down_and_up_again() {
    let mut rate = rate("{}");
    let mut run =
        |from: u64, offered: f64| (from..from + 300).map(|now| second(&mut rate, now, offered, 100.0)).last();
    assert_eq!(run(0, 50.0), Some(1.0));
    let high = run(300, 1_000.0).unwrap();
    assert!((high - 0.09).abs() < 0.001, "{high}");
    assert_eq!(run(600, 50.0), Some(1.0));
}

#[test]
fn the_rate_stays_between_its_bounds_whatever_the_load() {
    let mut rate = rate(r#"{"min_rate": 0.05, "max_rate": 0.5}"#);
    for (now, offered) in [0.0, 1.0, 1e3, 1e9, 1e15, 1e12, 0.0, 5.0].into_iter().cycle().take(500).enumerate()
    {
        let in_force = second(&mut rate, now as u64, offered, if now % 3 == 0 { 0.0 } else { 100.0 });
        assert!((0.05..=0.5).contains(&in_force), "{in_force} at {now}");
    }
}

#[test]
fn the_rate_changes_between_time_buckets_only() {
    let mut rate = rate("{}");
    let before = rate.in_bucket(bucket(5));
    for _ in 0..100 {
        rate.offered_now += 1e6;
        rate.adapt(SECOND, 100.0);
        assert_eq!(rate.in_bucket(bucket(5)), before);
    }
    assert_eq!(rate.in_bucket(bucket(6)), 0.01);
}

#[test]
fn what_others_take_is_not_there_to_be_given() {
    let mut rate = rate("{}");
    for _ in 0..300 {
        rate.offered_now += 1_000.0;
        rate.taken_now += 60.0;
        rate.adapt(SECOND, 100.0);
    }
    let next = rate.in_bucket(bucket(1));
    assert!((next - 0.03).abs() < 0.001, "{next}");
}

#[test]
fn a_state_goes_over_and_a_foreign_one_is_refused() {
    let mut old = rate("{}");
    (0..100).for_each(|now| {
        second(&mut old, now, 1_000.0, 100.0);
    });
    let state = old.snapshot();
    let mut new = rate("{}");
    assert_eq!(new.restore(&state), Ok(()));
    assert_eq!(new.in_bucket(bucket(200)), old.in_bucket(bucket(200)));
    assert_eq!(new.snapshot(), state);
    let mut bounded = rate(r#"{"min_rate": 0.5}"#);
    assert_eq!(bounded.restore(&state), Ok(()));
    assert_eq!(bounded.in_bucket(bucket(200)), 0.5);

    let mut numbers = state.clone();
    let place = numbers.len() - 8;
    numbers[place..].copy_from_slice(&f64::NAN.to_le_bytes());
    let longer: Vec<u8> = state.iter().chain(&[0]).copied().collect();
    let much_longer: Vec<u8> = state.iter().chain(&[0; 8]).copied().collect();
    let shorter = &state[..state.len() - 1];
    for foreign in [&b""[..], b"circuit_breaker/1\n", shorter, &longer, &much_longer, &numbers] {
        assert!(new.restore(foreign).is_err(), "{foreign:?}");
    }
    assert_eq!(new.snapshot(), state, "what is refused changes nothing");
}
