use super::*;

const BEFORE: Mean = Mean { mean: 10.0, variance: 0.25 };
const AFTER: Mean = Mean { mean: 20.0, variance: 1.0 };

fn brackets(bounds: Bounds) {
    assert!(bounds.low < bounds.estimate && bounds.estimate < bounds.high, "{bounds:?}");
}

#[test]
fn all_bounds_bracket_the_ratio() {
    brackets(delta(BEFORE, AFTER, 3.0).unwrap());
    brackets(fieller(BEFORE, AFTER, 3.0).unwrap());
    brackets(robust(0.7, 0.1, 3.0).unwrap());
}

#[test]
fn without_error_the_bounds_are_the_ratio() {
    let exact = |mean: f64| Mean { mean, variance: 0.0 };
    for bounds in [delta(exact(1.0), exact(2.0), 3.0), fieller(exact(1.0), exact(2.0), 3.0)] {
        assert_eq!(bounds, Some(Bounds { low: 2.0, estimate: 2.0, high: 2.0 }));
    }
}

#[test]
fn fieller_has_no_bound_where_the_mean_before_may_be_zero() {
    assert_eq!(fieller(Mean { mean: 1.0, variance: 1.0 / 9.0 }, AFTER, 3.0), None);
    assert!(fieller(Mean { mean: 1.0, variance: 0.99 / 9.0 }, AFTER, 3.0).is_some());
}

#[test]
fn what_is_no_mean_has_no_bound() {
    for mean in [0.0, f64::NAN, f64::INFINITY] {
        assert_eq!(delta(Mean { mean, variance: 1.0 }, AFTER, 3.0), None);
        assert_eq!(fieller(Mean { mean, variance: 1.0 }, AFTER, 3.0), None);
    }
    assert_eq!(robust(f64::NAN, 0.1, 3.0), None);
}

/// Twice as slow at 20 ms and a million calls a day: half of their time is lost.
#[test]
fn half_of_the_time_is_lost_at_a_doubling() {
    let lost = lost_per_day(&Bounds { low: 1.0, estimate: 2.0, high: f64::INFINITY }, 20.0, 1e6);
    assert_eq!(lost, Bounds { low: 0.0, estimate: 1e7, high: 2e7 });
}
