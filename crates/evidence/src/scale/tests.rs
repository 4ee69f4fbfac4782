use super::*;

#[test]
fn an_hour_is_an_hour() {
    assert_eq!(TimeScale::HOURLY.blocks_per_day(), 24);
    assert_eq!(TimeScale::HOURLY.hours(12), 12.0);
    assert_eq!(TimeScale::HOURLY.blocks_in(12.0), 12);
    let short = TimeScale::try_new(600.0, Acceleration::NONE).unwrap();
    assert_eq!((short.blocks_per_day(), short.blocks_in(12.0), short.hours(6)), (144, 72, 1.0));
}

/// Sixty times as fast, an hour is a minute: a day still has 24 blocks, and 12 of them are 12 hours of patience.
#[test]
fn acceleration_divides_blocks_days_and_patience_alike() {
    let fast = TimeScale::try_new(60.0, Acceleration::try_new(60.0).unwrap()).unwrap();
    assert_eq!((fast.blocks_per_day(), fast.blocks_in(12.0), fast.hours(24)), (24, 12, 24.0));
    assert_eq!(fast.blocks_per_real_day(), 1_440.0);
}

#[test]
fn nothing_slower_than_life_and_no_length_that_is_none() {
    for factor in [0.999, 0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(Acceleration::try_new(factor), None);
    }
    for seconds in [0.0, -1.0, f64::NAN, f64::INFINITY, 90_000.0, 59.0] {
        assert_eq!(TimeScale::try_new(seconds, Acceleration::NONE), None);
    }
}
