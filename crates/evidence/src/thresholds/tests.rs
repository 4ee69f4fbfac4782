use super::*;

#[test]
fn the_measured_rule_stands() {
    assert_eq!(Thresholds::default().enforced(), Thresholds::default());
    assert_eq!(Thresholds::default().laxer_than_measured(), None);
}

#[test]
fn stricter_is_kept_and_laxer_put_back() {
    let asked = Thresholds {
        t_careful: 20.0,
        t_manual: 40.0,
        rows_change_max: 0.5,
        variation_max: 1.0,
        block_t_min: f64::NAN,
        lost_ms_per_day_min: 0.0,
        review_ms_per_day_min: -1.0,
        ..Thresholds::default()
    };
    let measured = Thresholds::default();
    let kept = asked.enforced();
    assert_eq!((kept.t_careful, kept.t_manual), (20.0, measured.t_manual));
    assert_eq!((kept.rows_change_max, kept.variation_max), (measured.rows_change_max, 1.0));
    assert_eq!(kept.block_t_min, measured.block_t_min);
    assert_eq!((kept.lost_ms_per_day_min, kept.review_ms_per_day_min), (0.0, measured.review_ms_per_day_min));
    assert_eq!(asked.laxer_than_measured(), Some(("t_manual", measured.t_manual)));
}

/// Every field can be made laxer in one way only, and is put back from it.
#[test]
fn each_threshold_is_put_back() {
    let count = Thresholds::default().fields().len();
    for at in 0..count {
        let mut asked = Thresholds::default();
        let (name, value, least, stricter) = asked.fields().into_iter().nth(at).unwrap();
        *value = if stricter == Stricter::Higher { least * 0.5 } else { least * 2.0 };
        assert_eq!(asked.laxer_than_measured(), Some((name, least)));
        assert_eq!(asked.enforced(), Thresholds::default(), "{name}");
    }
}
