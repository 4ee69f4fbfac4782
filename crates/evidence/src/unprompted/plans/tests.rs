use super::*;

/// Sees plans on days, all of one rung.
fn seen(depends_on_values: bool, plans: impl IntoIterator<Item = (u128, i64)>) -> PlansSeen {
    let mut seen = PlansSeen::default();
    for (plan, day) in plans {
        seen.see(PlanSeen { plan, rung: 3, depends_on_values }, day);
    }
    seen
}

#[test]
fn going_back_and_forth_is_told_from_the_limit_on_and_until_a_day_without() {
    let mut plans = seen(false, [(1, 5), (2, 5), (1, 5), (1, 6), (2, 6), (1, 6)]);
    assert_eq!((plans.flapping(6, 5), plans.flapping(6, 4)), (None, Some(4)));
    // The day before counts, the one before that does not.
    assert_eq!((plans.flapping(7, 2), plans.is_steady(7)), (Some(2), false));
    assert!(plans.is_steady(8));
}

#[test]
fn plans_by_values_count_for_nothing_and_are_others_all_the_same() {
    let mut plans = seen(true, (0..20).map(|n| (1 + n % 2, 5)));
    assert_eq!((plans.flapping(5, 1), plans.is_steady(5)), (None, true));
    assert!(plans.see(PlanSeen { plan: 9, rung: 3, depends_on_values: true }, 5));
}

#[test]
fn plans_obtained_otherwise_are_not_compared() {
    let mut plans = seen(false, [(1, 5)]);
    assert!(!plans.see(PlanSeen { plan: 2, rung: 4, depends_on_values: false }, 5));
    assert!(!plans.see(PlanSeen { plan: 1, rung: 3, depends_on_values: false }, 5));
    assert_eq!(plans.recent_changes(5), 0);
}

#[test]
fn days_and_counts_have_no_end() {
    let mut plans = PlansSeen { day: i64::MIN, changes: [u32::MAX, 1], last: 1, rung: 3 };
    plans.see(PlanSeen { plan: 2, rung: 3, depends_on_values: false }, i64::MIN);
    assert_eq!(plans.recent_changes(i64::MIN), u32::MAX);
    assert_eq!(plans.recent_changes(i64::MAX), 0);
}
