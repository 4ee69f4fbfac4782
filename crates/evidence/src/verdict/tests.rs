use super::*;
use crate::{Case, Thresholds, judge};

fn verdict(conclusion: Conclusion, category: Category) -> Verdict {
    Verdict { conclusion, category, ..judge(&Case::new(&[], &[], 0), &Thresholds::default()) }
}

#[test]
fn a_regression_is_one_worth_a_finding() {
    for conclusion in [Conclusion::Regressed, Conclusion::CpuBound, Conclusion::RegressedWithoutPlanChange] {
        assert!(verdict(conclusion, Category::Careful).is_regression(), "{conclusion:?}");
        assert!(!verdict(conclusion, Category::Insufficient).is_regression(), "{conclusion:?}");
    }
    for conclusion in [Conclusion::Improved, Conclusion::WaitingMore, Conclusion::NotAtTheChange] {
        assert!(!verdict(conclusion, Category::Auto).is_regression(), "{conclusion:?}");
    }
}

#[test]
fn a_trial_ends_when_nothing_more_is_to_be_expected_of_it() {
    let end = |conclusion, category, hours| verdict(conclusion, category).end_of_trial(hours, 24);
    let (unchanged, improved) = (Conclusion::Unchanged, Conclusion::ImprovedWithoutPlanChange);
    assert_eq!(end(unchanged, Category::Insufficient, 23), None);
    assert_eq!(end(unchanged, Category::Insufficient, 24), Some("unchanged"));
    assert_eq!(end(improved, Category::Careful, 24), Some("improved"));
    assert_eq!(end(improved, Category::Insufficient, 24), None);
    assert_eq!(end(Conclusion::CauseNotSeparable, Category::Insufficient, 71), None);
    assert_eq!(end(Conclusion::CauseNotSeparable, Category::Insufficient, 72), Some("expired"));
}

/// Whatever the thresholds of t are.
#[test]
fn for_review_is_what_costs_enough_at_a_t_above_ten_and_up_to_a_hundred() {
    let hour = 3_600_000.0;
    for (t, low, is_for_review) in [
        (Some(9.0), hour, false),
        (Some(10.0), hour, false),
        (Some(90.0), hour, true),
        (Some(90.0), hour - 1.0, false),
        (Some(100.0), hour, true),
        (Some(110.0), hour, false),
        (None, hour, false),
    ] {
        let mut verdict = verdict(Conclusion::Regressed, Category::Careful);
        verdict.numbers.t = t;
        verdict.numbers.lost_ms_per_day = Some(Bounds { low, estimate: 2.0 * hour, high: 3.0 * hour });
        let moved = Thresholds { t_careful: 5.0, t_manual: 500.0, t_auto: 1_000.0, ..Thresholds::default() };
        for thresholds in [Thresholds::default(), moved] {
            assert_eq!(verdict.is_for_review(&thresholds), is_for_review, "{t:?} {low}");
        }
        let insufficient = Verdict { category: Category::Insufficient, ..verdict };
        assert!(!insufficient.is_for_review(&Thresholds::default()));
    }
}
