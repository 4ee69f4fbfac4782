use proptest::prelude::*;

use super::*;

#[test]
fn quantiles_lie_between_neighbours_in_proportion() {
    let sorted = [1.0, 2.0, 4.0, 8.0];
    assert_eq!(median(&sorted), Some(3.0));
    assert_eq!(quantile(&sorted, 0.0), Some(1.0));
    assert_eq!(quantile(&sorted, 1.0), Some(8.0));
    assert_eq!(quantile(&sorted, 0.1), Some(1.3));
    assert_eq!(quantile(&[], 0.5), None);
}

#[test]
fn one_wild_value_does_not_move_the_spread_by_much() {
    let mut scratch = Vec::new();
    let calm: Vec<f64> = (0..40).map(|i| f64::from(i % 5) * 0.01).collect();
    let mut wild = calm.clone();
    wild[7] = 0.5;
    let (calm, wild) = (spread(&calm, 0.02, &mut scratch), spread(&wild, 0.02, &mut scratch));
    assert!(wild < 3.0 * calm, "{calm} {wild}");
}

/// Mostly constant with a few steps: the median deviation is zero, the plain deviation is not.
#[test]
fn a_constant_series_with_steps_has_a_spread() {
    let mut values = vec![0.0; 20];
    values[18..].fill(1.0);
    assert!(spread(&values, 0.0, &mut Vec::new()) > 0.1);
    assert_eq!(spread(&[0.0; 20], 0.0, &mut Vec::new()), 0.001);
}

#[test]
fn places_that_are_no_neighbours_make_no_pair() {
    let rising = |gap: i64| (0..10).map(|i| (i * gap, i as f64)).collect::<Vec<_>>();
    assert!(autocorrelation(&rising(1)).unwrap() > 0.5);
    assert_eq!(autocorrelation(&rising(2)), None);
    assert_eq!(autocorrelation(&rising(1)[..2]), None);
}

#[test]
fn correlated_blocks_count_for_fewer() {
    assert_eq!(effective(40.0, 0.0), 40.0);
    assert_eq!(effective(40.0, -0.5), 40.0);
    assert!((effective(40.0, 0.6) - 10.0).abs() < 1e-9);
    assert_eq!(effective(40.0, 1.0), 2.0);
}

#[test]
fn a_mean_over_equal_blocks_has_no_error() {
    let blocks: Vec<_> = (0..10).map(|i| (i, Sums { calls: 5.0, total: 50.0 })).collect();
    let found = block_mean(&blocks).unwrap();
    assert_eq!((found.mean, found.variance, found.autocorrelation), (10.0, 0.0, 0.0));
    assert_eq!(block_mean(&blocks[..1]), None);
}

proptest! {
    #[test]
    fn any_finite_series_has_a_spread_and_a_bounded_autocorrelation(values in prop::collection::vec(-1e3_f64..1e3, 0..60)) {
        let width = spread(&values, 0.0, &mut Vec::new());
        prop_assert!(width >= SPREAD_MIN && width.is_finite());
        let series: Vec<_> = values.iter().enumerate().map(|(i, value)| (i as i64, *value)).collect();
        if let Some(rho) = autocorrelation(&series) {
            prop_assert!((-1.001..=1.001).contains(&rho));
        }
    }
}
