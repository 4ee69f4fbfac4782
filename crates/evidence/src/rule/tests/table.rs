//! One thing wrong at a time: what the verdict becomes, what it says, and in which sentence.

use super::*;
use crate::moments::Moments;

struct Expected {
    category: Category,
    conclusion: Conclusion,
    sentence: &'static str,
}

fn check(world: &World, category: Category, conclusion: Conclusion, sentence: &'static str) {
    let expected = Expected { category, conclusion, sentence };
    let verdict = world.judge();
    let sentences = verdict.sentences();
    assert!(
        sentences.iter().any(|said| said.contains(expected.sentence)),
        "{sentence}: not said in {sentences:?}"
    );
    assert_eq!(verdict.category, expected.category, "{sentences:?}");
    assert_eq!(verdict.conclusion, expected.conclusion, "{sentences:?}");
}

#[test]
fn what_leaves_nothing() {
    use Category::Insufficient;
    use Conclusion as C;
    let clear = World::clear;
    check(&World { time_ratio: 1.02, ..clear() }, Insufficient, C::Unchanged, "careful needs");
    check(&World { work_ratio: 1.0, ..clear() }, Insufficient, C::CauseNotSeparable, "not doing more work");
    check(
        &World { work_ratio: 1.0, waits: Waits::Rose, ..clear() },
        Insufficient,
        C::WaitingMore,
        "look at locks",
    );
    check(
        &World { rows_ratio: 1.4, ..clear() },
        Insufficient,
        C::QuestionChanged,
        "the question changed".trim_start_matches("the "),
    );
    check(
        &World { rows_ratio: 0.6, ..clear() },
        Insufficient,
        C::QuestionChanged,
        "rows per call moved by 4",
    );
    check(&World { work_begins: -12, ..clear() }, Insufficient, C::NotAtTheChange, "began before the change");
    check(&World { work_begins: -3, ..clear() }, Insufficient, C::NotAtTheChange, "began before the change");
    check(
        &World { work_begins: 5, ..clear() },
        Insufficient,
        C::NotAtTheChange,
        "did not begin at the change",
    );
    check(&World { calls: 2.0, ..clear() }, Insufficient, C::NotEnoughEvidence, "blocks of");
    check(
        &World { mean_ms: 0.1, ..clear() },
        Insufficient,
        C::NotEnoughEvidence,
        "minutes per day are at stake",
    );
    check(
        &World { variation: 90.0, ..clear() },
        Insufficient,
        C::NotEnoughEvidence,
        "T is".trim_start_matches("T "),
    );
    check(
        &World { jitter: 2.0, ..clear() },
        Insufficient,
        C::NotEnoughEvidence,
        "times its error between blocks",
    );
}

#[test]
fn what_leaves_careful() {
    use Category::Careful;
    use Conclusion as C;
    let clear = World::clear;
    check(
        &World { control_statements: 19, ..clear() },
        Careful,
        C::Regressed,
        "19 of 20 statements without a change of plan",
    );
    check(&World { control_statements: 0, ..clear() }, Careful, C::Regressed, "0 of 20 statements");
    check(&World { days_before: 6, ..clear() }, Careful, C::Regressed, "6 of 7 days");
    check(&World { variation: 1.6, ..clear() }, Careful, C::Regressed, "other parameters may be the cause");
    check(
        &World { blocks_after: 11, ..clear() },
        Careful,
        C::Regressed,
        "Watched for 11 hours, manual needs 12",
    );
    check(
        &World { plan: PlanEvidence { class: EvidenceClass::Generic, ..clear().plan }, ..clear() },
        Careful,
        C::Regressed,
        "what ran was not seen",
    );
    check(
        &World { plan: PlanEvidence::default(), ..clear() },
        Careful,
        C::RegressedWithoutPlanChange,
        "No change of plan is known",
    );
    check(
        &World { plan: PlanEvidence { new_share_after: Some(0.5), ..clear().plan }, ..clear() },
        Careful,
        C::Regressed,
        "not tied to the step",
    );
    check(
        &World { work_ratio: 1.0, waits: Waits::NoRise, ..clear() },
        Careful,
        C::CpuBound,
        "the processor is the probable cause",
    );
}

#[test]
fn what_leaves_manual() {
    use Category::Manual;
    let clear = World::clear;
    let never = Overlap::default();
    let sentence = "not seen side by side";
    check(&World { overlap: never, ..clear() }, Manual, Conclusion::Regressed, sentence);
    let deployed = Overlap { other_change_in_the_block: true, ..clear().overlap };
    check(&World { overlap: deployed, ..clear() }, Manual, Conclusion::Regressed, sentence);
    check(
        &World { blocks_after: 23, ..clear() },
        Manual,
        Conclusion::Regressed,
        "Watched for 23 hours, auto needs 24",
    );
    check(
        &World { time_ratio: 1.4, mean_ms: 400.0, ..clear() },
        Manual,
        Conclusion::Regressed,
        "auto needs 1.5 times",
    );
}

#[test]
fn each_way_of_having_seen_both_plans_is_enough() {
    for overlap in [
        Overlap { interleaved_blocks: 3, ..Overlap::default() },
        Overlap { episodes: 2, ..Overlap::default() },
        Overlap { verified_trial: true, ..Overlap::default() },
    ] {
        assert_eq!(World { overlap, ..World::clear() }.judge().category, Category::Auto);
    }
}

/// Executions timed plan by plan lower a verdict that they contradict, and nothing else.
#[test]
fn plans_side_by_side_lower_only_what_they_contradict() {
    let of = |count: f64, mean: f64| Moments::from_average(count, mean, mean);
    let compared = |count, new_ms| SideBySide::of(of(1_000.0, 40.0), of(count, new_ms), 3.0);
    let judge = |side_by_side| World { side_by_side, ..World::clear() }.judge();
    let outcome = |verdict: &Verdict| verdict.lock(LockName::SideBySide).map(|lock| lock.outcome);
    let agrees = judge(compared(1_000.0, 120.0));
    assert_eq!((agrees.category, outcome(&agrees)), (Category::Auto, Some(Outcome::Passed)));
    // Thirty executions that vary so much say neither.
    let unclear = judge(compared(31.0, 40.0));
    assert_eq!((unclear.category, outcome(&unclear)), (Category::Auto, Some(Outcome::Noted(false))));
    let never = judge(None);
    assert_eq!((never.category, outcome(&never)), (Category::Auto, None));
    check(
        &World { side_by_side: compared(1_000.0, 36.0), ..World::clear() },
        Category::Careful,
        Conclusion::Regressed,
        "executions with the two plans are at most 1.",
    );
    assert!(judge(compared(1_000.0, 36.0)).numbers.side_by_side.is_some());
    // The new plan ran when the whole server was twice as slow: that is no difference between the plans.
    let slowed = |new_ms| {
        let world = World { server_ratio: 2.0, side_by_side: compared(1_000.0, new_ms), ..World::clear() };
        outcome(&world.judge())
    };
    assert_eq!(slowed(240.0), Some(Outcome::Passed));
    assert_eq!(slowed(72.0), Some(Outcome::Capped(Category::Careful)));
    // The other way up: what got faster has a plan that is faster, or one of which thirty executions cannot tell, or it has not.
    let faster = |count, new_ms| {
        let of_plans = compared(count, new_ms);
        let world = World { time_ratio: 1.0 / 3.0, work_ratio: 0.2, mean_ms: 120.0, ..World::clear() };
        outcome(&World { side_by_side: of_plans, ..world }.judge())
    };
    assert_eq!(faster(1_000.0, 13.0), Some(Outcome::Passed));
    assert_eq!(faster(31.0, 30.0), Some(Outcome::Noted(false)));
    assert_eq!(faster(1_000.0, 44.0), Some(Outcome::Capped(Category::Careful)));
}

#[test]
fn the_fastest_execution_lifts_the_parameters() {
    let sensitive = World { variation: 1.6, calls: 4_000.0, ..World::clear() };
    assert_eq!(sensitive.judge().category, Category::Careful);
    assert!(World { minimum: true, ..sensitive }.judge().category > Category::Careful);
}

#[test]
fn the_processor_is_not_blamed_without_evidence() {
    let flat = World { work_ratio: 1.0, waits: Waits::NoRise, ..World::clear() };
    let check = |world: World, conclusion: Conclusion| {
        let verdict = world.judge();
        assert_eq!((verdict.category, verdict.conclusion), (Category::Insufficient, conclusion));
    };
    check(World { waits: Waits::Unclear, ..flat.clone() }, Conclusion::CauseNotSeparable);
    check(World { control_statements: 0, ..flat.clone() }, Conclusion::CauseNotSeparable);
    check(World { plan: PlanEvidence::default(), ..flat.clone() }, Conclusion::CauseNotSeparable);
    check(World { variation: 5.5, ..flat.clone() }, Conclusion::CauseNotSeparable);
    check(World { blocks_after: 11, ..flat }, Conclusion::NotEnoughEvidence);
}

/// A statement that went as far by itself in the week before has not shown that it was the plan.
#[test]
fn what_went_as_far_by_itself_is_not_believed() {
    let world = World::clear();
    let mut before = world.before();
    for block in before.iter_mut().skip(60).take(24) {
        block.work *= 4.0;
    }
    let (after, control) = (world.after(), world.control());
    let case = Case { control: &control, plan: world.plan, ..Case::new(&before, &after, FLIP) };
    let verdict = judge(&case, &Thresholds::default());
    assert_eq!(verdict.category, Category::Insufficient);
    assert!(verdict.lock(LockName::NeverBefore).unwrap().failed());
}

/// One block in seven did three times the work all week; doing twice the work is nothing new then.
#[test]
fn work_that_was_often_as_high_is_no_step() {
    let world = World { work_ratio: 2.0, ..World::clear() };
    let mut before = world.before();
    for block in before.iter_mut().step_by(7) {
        block.work *= 3.0;
    }
    let (after, control) = (world.after(), world.control());
    let case = Case { control: &control, plan: world.plan, ..Case::new(&before, &after, FLIP) };
    let verdict = judge(&case, &Thresholds::default());
    assert_eq!(verdict.category, Category::Insufficient);
    let failed = |name: LockName| verdict.lock(name).unwrap().failed();
    assert!(failed(LockName::WorkNoOverlap) && !failed(LockName::Work), "{:?}", verdict.sentences());
}
