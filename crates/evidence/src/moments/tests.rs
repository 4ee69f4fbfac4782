use proptest::prelude::*;

use super::*;

fn reading(executions: &[f64]) -> Reading<'static> {
    let count = executions.len() as f64;
    let total: f64 = executions.iter().sum();
    let mean = if count > 0.0 { total / count } else { 0.0 };
    let squares: f64 = executions.iter().map(|ms| (ms - mean) * (ms - mean)).sum();
    Reading {
        calls: count,
        total_ms: total,
        mean_ms: mean,
        stddev_ms: if count > 0.0 { (squares / count).sqrt() } else { 0.0 },
        min_ms: executions.iter().copied().reduce(f64::min).unwrap_or(0.0),
        max_ms: executions.iter().copied().reduce(f64::max).unwrap_or(0.0),
        counters: &[],
    }
}

#[test]
fn two_sleeps_after_a_history_are_found_again() {
    let first = reading(&[10.0, 12.0, 11.0]);
    let second = reading(&[10.0, 12.0, 11.0, 100.0, 300.0]);
    let found = interval(&first, &second).unwrap();
    assert_eq!(found.moments.count, 2.0);
    assert!((found.moments.mean - 200.0).abs() < 1e-9);
    assert!((found.moments.variance().unwrap() - 20_000.0).abs() < 1e-6);
}

#[test]
fn a_first_interval_is_the_entry_itself() {
    let found = interval(&reading(&[]), &reading(&[1.0, 3.0])).unwrap();
    assert_eq!(found.moments.mean, 2.0);
    assert_eq!(found.moments.squared_deviations, Some(2.0));
}

#[test]
fn no_calls_are_an_empty_interval() {
    let same = reading(&[1.0, 2.0]);
    assert_eq!(interval(&same, &same).unwrap().moments.count, 0.0);
}

#[test]
fn one_execution_has_a_mean_and_no_variance() {
    let found = interval(&reading(&[5.0, 6.0]), &reading(&[5.0, 6.0, 9.0])).unwrap();
    assert_eq!(found.moments.squared_deviations, Some(0.0));
    assert_eq!(found.moments.variance(), None);
}

/// One execution of four hours in the history: the mean of ten light ones stays good, their variance is noise and is not given.
#[test]
fn a_wild_execution_in_the_history_leaves_the_variance_unresolved() {
    let calls = 100_000_000.0;
    let outlier = 14_400_000.0;
    let mean = (calls - 1.0 + outlier) / calls;
    let squares = outlier * outlier * (1.0 - 1.0 / calls);
    let first = Reading {
        calls,
        total_ms: mean * calls,
        mean_ms: mean,
        stddev_ms: (squares / calls).sqrt(),
        min_ms: 0.5,
        max_ms: outlier,
        counters: &[],
    };
    let calls_2 = calls + 10.0;
    let total_2 = first.total_ms + 10.0;
    let mean_2 = total_2 / calls_2;
    let drift = (1.0 - mean).powi(2) * calls * 10.0 / calls_2;
    let squares_2 = squares + 0.1 + drift;
    let second = Reading {
        calls: calls_2,
        total_ms: total_2,
        mean_ms: mean_2,
        stddev_ms: (squares_2 / calls_2).sqrt(),
        ..first
    };
    let found = interval(&first, &second).unwrap();
    assert!((found.moments.mean - 1.0).abs() < 1e-6);
    assert_eq!(found.moments.squared_deviations, None);
    assert!(found.rounding_bound > 0.1 * found.squared_deviations_raw);
}

#[test]
fn each_sign_of_another_entry_is_told() {
    use Discontinuity as D;
    let first = Reading { counters: &[5.0, 7.0], ..reading(&[1.0, 2.0, 3.0]) };
    let second = Reading { counters: &[5.0, 8.0], ..reading(&[1.0, 2.0, 3.0, 2.0]) };
    assert!(interval(&first, &second).is_ok());
    let check = |changed: Reading<'_>, expected: D| {
        assert_eq!(interval(&first, &changed), Err(expected));
    };
    check(Reading { calls: 2.0, ..second }, D::CallsFell);
    check(Reading { total_ms: 5.0, ..second }, D::TotalFell);
    check(Reading { counters: &[5.0, 6.0], ..second }, D::CounterFell(1));
    check(Reading { counters: &[5.0], ..second }, D::OtherCounters);
    check(Reading { min_ms: 1.5, ..second }, D::MinimumRose);
    check(Reading { max_ms: 2.5, ..second }, D::MaximumFell);
    check(Reading { total_ms: 100.0, ..second }, D::MeanOutsideExtremes);
    check(Reading { stddev_ms: 0.0, ..second }, D::NegativeVariance);
    check(Reading { total_ms: f64::NAN, ..second }, D::NotANumber);
}

/// Where the server dates entries, extremes are not read; a column that an update brings has no value before.
#[test]
fn what_is_not_known_is_not_asked() {
    let unknown = |of: Reading<'static>| Reading { min_ms: f64::NAN, max_ms: f64::NAN, ..of };
    let (first, second) = (unknown(reading(&[1.0, 2.0])), unknown(reading(&[1.0, 2.0, 9.0])));
    assert_eq!(interval(&first, &second).unwrap().moments.mean, 9.0);
    let counters = |before: &'static [f64], now: &'static [f64]| {
        interval(&Reading { counters: before, ..first }, &Reading { counters: now, ..second }).map(|_| ())
    };
    assert_eq!(counters(&[f64::NAN], &[3.0]), Ok(()));
    assert_eq!(counters(&[3.0], &[f64::NAN]), Err(Discontinuity::CounterFell(0)));
}

/// A mean of a short interval after a long history is off by what the sums are off.
#[test]
fn the_rounding_of_a_large_sum_is_no_other_entry() {
    let total_ms = 1e12;
    let calls = 1e9;
    let first = Reading {
        calls,
        total_ms,
        mean_ms: 1_000.0,
        stddev_ms: 0.0,
        min_ms: 1e3,
        max_ms: 1e3,
        counters: &[],
    };
    let second = Reading { calls: calls + 1.0, total_ms: total_ms + 1_000.000_1, ..first };
    assert!(interval(&first, &second).is_ok());
    let beyond = Reading { total_ms: total_ms + 3_000.0, ..second };
    assert_eq!(interval(&first, &beyond), Err(Discontinuity::MeanOutsideExtremes));
}

fn moments() -> impl Strategy<Value = Moments> {
    prop::collection::vec(0.001_f64..1e6, 1..20).prop_map(|values| {
        values.iter().fold(Moments::default(), |all, value| {
            all.merge(Moments { count: 1.0, mean: *value, squared_deviations: Some(0.0) })
        })
    })
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}

fn same(a: Moments, b: Moments) -> bool {
    let squares = a.squared_deviations.zip(b.squared_deviations);
    close(a.count, b.count) && close(a.mean, b.mean) && squares.is_some_and(|(a, b)| close(a, b))
}

proptest! {
    #[test]
    fn merging_is_associative(a in moments(), b in moments(), c in moments()) {
        prop_assert!(same(a.merge(b).merge(c), a.merge(b.merge(c))));
        prop_assert!(same(a.merge(b), b.merge(a)));
        prop_assert_eq!(a.merge(Moments::default()), a);
    }

    /// The difference of two readings is what was run between them.
    #[test]
    fn the_interval_is_what_was_run(
        history in prop::collection::vec(0.1_f64..1e3, 0..50),
        run in prop::collection::vec(0.1_f64..1e3, 1..50),
    ) {
        let all: Vec<f64> = history.iter().chain(&run).copied().collect();
        let found = interval(&reading(&history), &reading(&all)).unwrap();
        let truth = run.iter().fold(Moments::default(), |all, value| {
            all.merge(Moments { count: 1.0, mean: *value, squared_deviations: Some(0.0) })
        });
        prop_assert!((found.moments.mean - truth.mean).abs() <= 1e-9 * 1e3);
        let squares = truth.squared_deviations.unwrap();
        prop_assert!((found.squared_deviations_raw - squares).abs() <= found.rounding_bound.max(1e-7 * squares).max(1e-5));
    }

    #[test]
    fn any_numbers_are_answered(
        a in any::<(f64, f64, f64, f64, f64, f64)>(),
        b in any::<(f64, f64, f64, f64, f64, f64)>(),
    ) {
        let make = |(calls, total_ms, mean_ms, stddev_ms, min_ms, max_ms)| Reading {
            calls, total_ms, mean_ms, stddev_ms, min_ms, max_ms, counters: &[],
        };
        if let Ok(found) = interval(&make(a), &make(b)) {
            prop_assert!(found.moments.squared_deviations.is_none_or(|squares| squares >= 0.0));
        }
    }
}
