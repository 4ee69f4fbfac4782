use super::*;

fn plan(class: EvidenceClass, expected: Option<f64>) -> PlanEvidence {
    PlanEvidence { expected_ratio: expected, ..PlanEvidence::clear(class) }
}

#[test]
fn a_plan_that_ran_and_says_so_is_the_cause() {
    let seen = plan(EvidenceClass::Actual, Some(5.0));
    assert_eq!(attribute(&seen, true, 12.0), Attribution::Attributed);
    assert_eq!(attribute(&plan(EvidenceClass::PerPlan, Some(5.0)), true, 12.0), Attribution::Attributed);
}

#[test]
fn each_thing_that_is_missing_weakens_it() {
    use EvidenceClass::{Actual, Generic, None as Unknown};
    let check = |plan: PlanEvidence, at_the_change: bool, ratio: f64, expected: Attribution| {
        assert_eq!(attribute(&plan, at_the_change, ratio), expected, "{plan:?} {at_the_change} {ratio}");
    };
    check(plan(Actual, None), true, 12.0, Attribution::Coincident);
    check(plan(Generic, Some(5.0)), true, 12.0, Attribution::Coincident);
    check(plan(Actual, Some(0.5)), true, 12.0, Attribution::Coincident);
    check(plan(Actual, Some(1_000.0)), true, 12.0, Attribution::Coincident);
    check(plan(Actual, Some(f64::NAN)), true, 12.0, Attribution::Coincident);
    check(plan(Actual, Some(5.0)), false, 12.0, Attribution::Unattributed);
    check(plan(Unknown, Some(5.0)), true, 12.0, Attribution::Unattributed);
    let mixed = PlanEvidence { new_share_after: Some(0.79), ..plan(Actual, Some(5.0)) };
    check(mixed, true, 12.0, Attribution::Unattributed);
    let early = PlanEvidence { new_share_before: Some(0.21), ..plan(Actual, Some(5.0)) };
    check(early, true, 12.0, Attribution::Unattributed);
    let unknown = PlanEvidence { new_share_before: None, ..plan(Actual, Some(5.0)) };
    check(unknown, true, 12.0, Attribution::Unattributed);
}
