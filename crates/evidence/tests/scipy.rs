//! The formulas against SciPy and NumPy (`data/make_fixture.py` writes `data/scipy.json`), to nine digits.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, which clippy sees only in functions marked as such"
)]

use dbintel_evidence::moments::{Moments, Reading, interval};
use dbintel_evidence::ratio::{self, Mean};
use dbintel_evidence::series::{self, Sums};
use dbintel_evidence::student::{self, MeanError};
use dbintel_evidence::{Block, Case, ControlPoint, Pairing, Thresholds, judge};
use serde_json::Value;

/// Relative distance at which two numbers are the same.
const TOLERANCE: f64 = 1e-9;

fn cases(name: &str) -> Vec<Value> {
    let all: Value = serde_json::from_str(include_str!("data/scipy.json")).unwrap();
    let cases = all[name].as_array().unwrap().clone();
    assert!(cases.len() >= 10, "{name}");
    cases
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(number).collect()
}

#[track_caller]
fn same(ours: f64, theirs: &Value) {
    let theirs = number(theirs);
    let distance = (ours - theirs).abs();
    assert!(distance <= TOLERANCE * ours.abs().max(theirs.abs()).max(1e-6), "{ours} is not {theirs}");
}

fn moments(values: &[f64]) -> Moments {
    values.iter().fold(Moments::default(), |all, value| {
        all.merge(Moments { count: 1.0, mean: *value, squared_deviations: Some(0.0) })
    })
}

#[test]
fn welch() {
    for case in cases("welch") {
        let arm = |name: &str| MeanError::of_executions(&moments(&numbers(&case[name]))).unwrap();
        let found = student::welch(&arm("before"), &arm("after")).unwrap();
        same(found.t, &case["t"]);
        same(found.freedom, &case["freedom"]);
    }
}

#[test]
fn merged_moments() {
    for case in cases("merge") {
        let part = |part: &Value| {
            Moments::from_average(number(&part["count"]), number(&part["mean"]), number(&part["stddev"]))
        };
        let parts = case["parts"].as_array().unwrap();
        let merged = parts.iter().map(part).fold(Moments::default(), Moments::merge);
        same(merged.count, &case["merged"]["count"]);
        same(merged.mean, &case["merged"]["mean"]);
        same(merged.squared_deviations.unwrap(), &case["merged"]["squares"]);
    }
}

#[test]
fn interval_moments() {
    let reading = |row: &Value| Reading {
        calls: number(&row["calls"]),
        total_ms: number(&row["total"]),
        mean_ms: number(&row["mean"]),
        stddev_ms: number(&row["stddev"]),
        min_ms: number(&row["min"]),
        max_ms: number(&row["max"]),
        counters: &[],
    };
    for case in cases("interval") {
        let (first, second) = (reading(&case["first"]), reading(&case["second"]));
        let found = interval(&first, &second).unwrap();
        same(found.total_ms, &case["total"]);
        same(found.moments.mean, &case["mean"]);
        same(found.moments.variance().unwrap(), &case["variance"]);
    }
}

#[test]
fn series_of_blocks() {
    let mut scratch = Vec::new();
    for case in cases("series") {
        let values = numbers(&case["values"]);
        let mut sorted = values.clone();
        series::sort(&mut sorted);
        let median = series::median(&sorted).unwrap();
        same(median, &case["median"]);
        same(series::median_absolute_deviation(&values, median, &mut scratch).unwrap(), &case["mad"]);
        for (share, name) in [(0.1, "tenth"), (0.9, "nine_tenths"), (0.37, "other")] {
            same(series::quantile(&sorted, share).unwrap(), &case[name]);
        }
        same(series::standard_deviation(&values).unwrap(), &case["deviation"]);
        same(series::spread(&values, median, &mut scratch), &case["spread"]);
        let at = |places: Vec<i64>| places.into_iter().zip(values.iter().copied()).collect::<Vec<_>>();
        let plain = at((0..).take(values.len()).collect());
        same(series::autocorrelation(&plain).unwrap(), &case["autocorrelation"]);
        let places = case["places"].as_array().unwrap().iter().map(|place| place.as_i64().unwrap());
        let with_gaps = at(places.collect());
        same(series::autocorrelation(&with_gaps).unwrap(), &case["autocorrelation_with_gaps"]);
    }
}

#[test]
fn mean_over_blocks() {
    for case in cases("block_mean") {
        let sums = numbers(&case["calls"]).into_iter().zip(numbers(&case["totals"]));
        let blocks: Vec<_> = (0..).zip(sums.map(|(calls, total)| Sums { calls, total })).collect();
        let found = series::block_mean(&blocks).unwrap();
        same(found.mean, &case["mean"]);
        same(found.variance, &case["variance"]);
        same(found.autocorrelation, &case["autocorrelation"]);
        same(found.effective, &case["effective"]);
    }
}

#[test]
fn bounds_of_a_ratio() {
    for case in cases("ratio") {
        let of = |name: &str| number(&case[name]);
        let before = Mean { mean: of("m1"), variance: of("v1") };
        let after = Mean { mean: of("m2"), variance: of("v2") };
        let robust = ratio::robust(of("step"), of("step_error"), of("z")).unwrap();
        let found = [
            ("delta", ratio::delta(before, after, of("z")).unwrap()),
            ("fieller", ratio::fieller(before, after, of("z")).unwrap()),
            ("robust", robust),
        ];
        for (name, bounds) in found {
            same(bounds.low, &case[name][0]);
            same(bounds.high, &case[name][1]);
        }
        same(ratio::lost_per_day(&robust, of("m2"), of("calls")).low, &case["lost_low"]);
    }
}

/// A week and some hours after it, from blocks to bounds.
#[test]
fn the_whole_comparison() {
    for case in cases("comparison") {
        let hours: Vec<i64> =
            case["hours"].as_array().unwrap().iter().map(|hour| hour.as_i64().unwrap()).collect();
        let block = |(hour, block): (&i64, &Value)| Block {
            start: *hour,
            calls: number(&block["count"]),
            total_ms: number(&block["count"]) * number(&block["mean"]),
            squared_deviations: Some(number(&block["squares"])),
            work: number(&block["count"]),
            rows: number(&block["count"]),
            min_ms: None,
        };
        let blocks: Vec<Block> = hours.iter().zip(case["blocks"].as_array().unwrap()).map(block).collect();
        let control: Vec<ControlPoint> = hours
            .iter()
            .zip(numbers(&case["control"]))
            .map(|(hour, log_ratio)| ControlPoint { block: *hour, log_ratio, statements: 100 })
            .collect();
        let (before, after) = blocks.split_at(168);
        let verdict =
            judge(&Case { control: &control, ..Case::new(before, after, 0) }, &Thresholds::default());
        let found = verdict.numbers;
        assert_eq!((found.pairing, found.merged, found.controlled), (Pairing::EachHour, 1, true));
        same(found.log_step.unwrap(), &case["log_step"]);
        same(found.log_step_error.unwrap(), &case["error"]);
        same(found.block_t.unwrap(), &case["block_t"]);
        same(found.ratio.unwrap().low, &case["low"]);
        same(found.ratio.unwrap().high, &case["high"]);
        let pairs = [
            (found.autocorrelation, "autocorrelation"),
            (found.effective_blocks, "effective"),
            (found.time_tenths, "tenths"),
        ];
        for (ours, name) in pairs {
            same(ours.unwrap().0, &case[name][0]);
            same(ours.unwrap().1, &case[name][1]);
        }
        same(found.t.unwrap(), &case["t"]);
        same(found.freedom.unwrap(), &case["freedom"]);
    }
}
