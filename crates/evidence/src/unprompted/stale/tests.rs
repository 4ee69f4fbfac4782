use super::*;

#[test]
fn statistics_are_stale_where_half_of_a_table_had_changed() {
    assert_eq!(stale_share(5e5, 1e6), Some(0.5));
    assert_eq!(stale_share(4.99e5, 1e6), None);
    assert_eq!(stale_share(3e6, 1e6), Some(3.0));
}

#[test]
fn a_few_rows_are_never_much() {
    assert_eq!(stale_share(999.0, 100.0), None);
    assert_eq!(stale_share(1_000.0, 100.0), Some(10.0));
}

#[test]
fn what_is_no_number_says_nothing() {
    for (modified, rows) in [(5e5, 0.0), (5e5, -1.0), (f64::NAN, 1e6), (5e5, f64::NAN), (f64::INFINITY, 1.0)]
    {
        assert_eq!(stale_share(modified, rows), None);
    }
}
