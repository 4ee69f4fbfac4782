use super::*;
use crate::history::{Block, Truth};

/// A mean of 10 ms before and of `after_ms` after, every execution with a coefficient of variation of 1.
fn history(after_ms: f64, calls: u64) -> History {
    let block = |mean: f64| {
        let count = calls as f64;
        Some(Block {
            calls,
            total_ms: count * mean,
            sum_sq: Some(2.0 * count * mean * mean),
            ..Block::default()
        })
    };
    History {
        name: "test".to_owned(),
        start_s: 0,
        block_minutes: 60,
        flip: 24,
        flipped: false,
        blocks: (0..48).map(|hour| block(if hour < 24 { 10.0 } else { after_ms })).collect(),
        truth: Truth::neutral("test"),
    }
}

fn level(rule: &mut dyn Rule, history: &History) -> Level {
    rule.start(history);
    rule.judge(history, 24)
}

/// The text's formula for equal arms and equal variation: t = (r - 1) / CV * sqrt(n / (1 + r²)).
#[test]
fn t_is_that_of_the_closed_form() {
    let history = history(20.0, 1_000);
    let t = Arms::new(&history.hours()).t(24).unwrap();
    let expected = (24_000.0_f64 / 5.0).sqrt();
    assert!((t / expected - 1.0).abs() < 1e-3, "{t}, not {expected}");
}

#[test]
fn limits_of_t_give_the_levels() {
    // 24 times as many executions; t is 0.447 sqrt(n).
    for (calls, expected) in
        [(10, Level::Insufficient), (30, Level::Careful), (600, Level::Manual), (2_500, Level::Auto)]
    {
        assert_eq!(level(&mut RawT::default(), &history(20.0, calls)), expected, "{calls}");
    }
}

#[test]
fn faster_is_nothing() {
    assert_eq!(level(&mut RawT::default(), &history(1.0, 100_000)), Level::Insufficient);
    assert_eq!(level(&mut MeanWorse::default(), &history(1.0, 10)), Level::Insufficient);
}

#[test]
fn a_mean_is_worse_from_a_quarter_on() {
    assert_eq!(level(&mut MeanWorse::default(), &history(12.4, 10)), Level::Insufficient);
    assert_eq!(level(&mut MeanWorse::default(), &history(12.6, 10)), Level::Auto);
    assert_eq!(level(&mut MeanWorse::default(), &history(12.6, 0)), Level::Insufficient);
}
