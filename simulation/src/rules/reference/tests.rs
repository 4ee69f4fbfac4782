//! One history that is called `auto` after a day, and what each lock makes of it when one thing about it is different.

use super::*;
use crate::history::{Control, Truth};

/// What is different.
#[derive(Clone, Copy)]
struct Made {
    calls: u64,
    time: f64,
    work: f64,
    rows: f64,
    /// Coefficient of variation of an execution.
    variation: f64,
    /// Hours from the flip to the step in work.
    step_at: i64,
    /// What the other statements do after the flip.
    control: f64,
    others: u32,
    /// Deviation of the hours from each other.
    wobble: f64,
    days: usize,
}

const AUTO: Made = Made {
    calls: 10_000,
    time: 3.0,
    work: 3.0,
    rows: 1.0,
    variation: 0.5,
    step_at: 0,
    control: 1.0,
    others: 50,
    wobble: 0.02,
    days: 7,
};

fn history(made: &Made) -> History {
    let before = made.days * 24;
    let block = |number: usize| {
        let hour = number as i64 - before as i64;
        let factor = |factor: f64, from: i64| if hour >= from { factor } else { 1.0 };
        // Alternates, so that neighbours are not alike; the same hours of two days are not either.
        let wobble = 1.0 + made.wobble * [-1.0, 1.0, -0.4, 0.3, 0.8][number % 5];
        let mean = 10.0 * factor(made.time, 0) * factor(made.control, 0) * wobble;
        let calls = made.calls as f64;
        Block {
            calls: made.calls,
            total_ms: calls * mean,
            sum_sq: Some(calls * mean * mean * (1.0 + made.variation * made.variation)),
            touched: Some(calls * 100.0 * factor(made.work, made.step_at) * wobble),
            rows: Some(calls * 7.0 * factor(made.rows, 0)),
            control: Some(Control { log_ratio: factor(made.control, 0).ln(), statements: made.others }),
            ..Block::default()
        }
    };
    History {
        name: "test".to_owned(),
        start_s: 0,
        block_minutes: 60,
        flip: before,
        // Blocks of an hour: the last one before the flip is not mixed.
        flipped: false,
        blocks: (0..before + 24).map(|number| Some(block(number))).collect(),
        truth: Truth::neutral("test"),
    }
}

fn check(made: &Made, hour: usize, expected: Level) {
    let (mut rule, history) = (Reference::default(), history(made));
    rule.start(&history);
    assert_eq!(rule.judge(&history, hour), expected);
}

#[test]
fn a_clear_regression_rises_with_patience() {
    for (hour, level) in
        [(5, Level::Insufficient), (6, Level::Careful), (12, Level::Manual), (24, Level::Auto)]
    {
        check(&AUTO, hour, level);
    }
}

#[test]
fn few_executions_are_no_evidence() {
    check(&Made { calls: 4, ..AUTO }, 24, Level::Insufficient);
}

#[test]
fn a_short_baseline_has_too_few_equal_hours() {
    // Six hours, three days: 18 equal hours. A day of hours has 72.
    check(&Made { days: 3, ..AUTO }, 6, Level::Insufficient);
    check(&Made { days: 3, ..AUTO }, 24, Level::Auto);
}

#[test]
fn what_the_whole_server_does_is_divided_out() {
    check(&Made { time: 1.0, control: 3.0, ..AUTO }, 24, Level::Insufficient);
    // Without a control it is not seen, but then nothing is above careful.
    check(&Made { time: 1.0, control: 3.0, others: 19, ..AUTO }, 24, Level::Careful);
}

#[test]
fn wobbling_hours_overlap() {
    check(&Made { wobble: 0.7, ..AUTO }, 24, Level::Insufficient);
}

#[test]
fn a_small_effect_has_a_low_level() {
    check(&Made { time: 1.15, ..AUTO }, 24, Level::Insufficient);
    check(&Made { time: 1.27, ..AUTO }, 24, Level::Careful);
    check(&Made { time: 1.45, ..AUTO }, 24, Level::Manual);
}

#[test]
fn slower_without_more_work_is_no_evidence() {
    check(&Made { work: 1.0, ..AUTO }, 24, Level::Insufficient);
    check(&Made { work: 1.19, ..AUTO }, 24, Level::Insufficient);
}

#[test]
fn other_rows_are_another_question() {
    for (rows, level) in [(1.26, Level::Insufficient), (0.74, Level::Insufficient), (1.2, Level::Auto)] {
        check(&Made { rows, ..AUTO }, 24, level);
    }
}

#[test]
fn a_statement_whose_executions_vary_is_capped() {
    check(&Made { variation: 1.6, calls: 1_000_000, ..AUTO }, 24, Level::Careful);
}

#[test]
fn work_must_rise_at_the_flip() {
    check(&Made { step_at: -8, ..AUTO }, 24, Level::Insufficient);
    check(&Made { step_at: -2, ..AUTO }, 24, Level::Auto);
}

#[test]
fn quantiles_are_interpolated() {
    assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.5), 2.0);
    assert!((quantile(&[1.0, 2.0, 4.0], 0.9) - 3.6).abs() < 1e-12);
    assert!(quantile(&[], 0.5).is_nan());
}

#[test]
fn the_deviation_is_robust_but_not_blind() {
    // One wild value leaves the median alone; the half of the ordinary deviation sees it.
    let calm: Vec<f64> = (0..21).map(f64::from).collect();
    assert!((robust_sd(&calm) - MAD_TO_SD * 5.0).abs() < 1e-12);
    let mut wild = calm;
    wild[20] = 1_000.0;
    assert!(robust_sd(&wild) > 100.0);
    assert_eq!(robust_sd(&[1.0; 9]), SD_MIN);
}

#[test]
fn correlation_is_that_of_neighbours_that_are_there() {
    let point = |time: f64| Some(Point { time, work: 0.0, rows: 0.0 });
    let swing: Vec<_> = (0..200).map(|hour| point((f64::from(hour) / 20.0).sin())).collect();
    assert_eq!(correlation(&swing), CORRELATION_MAX);
    let alternating: Vec<_> = (0..200).map(|hour| point(f64::from(hour % 2))).collect();
    assert_eq!(correlation(&alternating), 0.0);
    let holes: Vec<_> =
        swing.iter().enumerate().map(|(hour, point)| point.filter(|_| hour % 2 == 0)).collect();
    assert_eq!(correlation(&holes), 0.0);
}
