use proptest::prelude::*;

use super::*;

fn error(mean: f64, variance: f64, freedom: f64) -> MeanError {
    MeanError { mean, variance, freedom }
}

/// Equal numbers and coefficients of variation: `t = (r−1)/CV · √(n/(1+r²))`; 500 executions at CV 0.1 reach 100 at r = 2.
#[test]
fn t_of_a_doubling_at_500_executions_is_100() {
    let arm = |mean: f64| {
        let deviation: f64 = 0.1 * mean;
        let moments = Moments { count: 500.0, mean, squared_deviations: Some(deviation * deviation * 499.0) };
        MeanError::of_executions(&moments).unwrap()
    };
    let found = welch(&arm(1.0), &arm(2.0)).unwrap();
    assert!((found.t - 100.0).abs() < 1e-9);
    assert!(found.freedom > 500.0 && found.freedom < 998.0);
}

#[test]
fn without_any_deviation_t_is_large_and_finite() {
    assert_eq!(welch(&error(1.0, 0.0, 9.0), &error(2.0, 0.0, 9.0)).unwrap().t, T_MAX);
    assert_eq!(welch(&error(1.0, 0.0, 9.0), &error(1.0, 0.0, 9.0)).unwrap().t, 0.0);
    assert_eq!(welch(&error(1.0, f64::NAN, 9.0), &error(1.0, 0.0, 9.0)), None);
}

proptest! {
    /// Milliseconds or seconds: t does not know.
    #[test]
    fn t_has_no_unit(m1 in 0.1_f64..1e3, m2 in 0.1_f64..1e3, v1 in 1e-3_f64..1e3, v2 in 1e-3_f64..1e3, k in 1e-3_f64..1e3) {
        let plain = welch(&error(m1, v1, 20.0), &error(m2, v2, 30.0)).unwrap();
        let scaled = welch(&error(m1 * k, v1 * k * k, 20.0), &error(m2 * k, v2 * k * k, 30.0)).unwrap();
        prop_assert!((plain.t - scaled.t).abs() <= 1e-9 * plain.t.abs().max(1.0));
        prop_assert!((plain.freedom - scaled.freedom).abs() <= 1e-9 * plain.freedom);
        prop_assert!(plain.freedom >= 19.999 && plain.freedom <= 50.001);
    }
}
