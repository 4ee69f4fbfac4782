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
