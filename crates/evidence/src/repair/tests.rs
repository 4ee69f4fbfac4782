use super::*;

const REPAIR: i64 = 1_000;

/// Blocks of one level, a little uneven.
fn blocks(places: std::ops::Range<i64>, time: f64, work: f64) -> Vec<Block> {
    places
        .map(|start| {
            let uneven = 1.0 + 0.01 * ((start * 7).rem_euclid(11) as f64 - 5.0);
            let calls = 500.0;
            let mean = 10.0 * time * uneven;
            Block {
                start,
                calls,
                total_ms: calls * mean,
                squared_deviations: Some(calls * mean * mean * 0.25),
                work: calls * 40.0 * work * uneven,
                rows: calls,
                min_ms: None,
            }
        })
        .collect()
}

/// A week at 1, ten hours slower by four at six times the work, then ten hours at `time` and `work`.
fn repaired(time: f64, work: f64) -> Confirmation {
    repaired_after(&blocks(REPAIR - 178..REPAIR - 10, 1.0, 1.0), time, work)
}

/// The same after another time before.
fn repaired_after(baseline: &[Block], time: f64, work: f64) -> Confirmation {
    let regressed = blocks(REPAIR - 10..REPAIR, 4.0, 6.0);
    let after = blocks(REPAIR..REPAIR + 10, time, work);
    confirm(
        &Repair {
            baseline,
            regressed: &regressed,
            repaired: &after,
            repair_at: REPAIR,
            control: &[],
            scale: TimeScale::HOURLY,
        },
        &Thresholds { lost_ms_per_day_min: 0.0, ..Thresholds::default() },
    )
}

#[test]
fn outcomes() {
    let check = |time: f64, work: f64, expected: RepairOutcome| {
        let found = repaired(time, work);
        assert_eq!(
            found.outcome,
            expected,
            "{time} {work}: {:?} {:?}",
            found.ratio,
            found.against_regressed.sentences()
        );
    };
    check(1.0, 1.0, RepairOutcome::Confirmed);
    check(1.2, 1.1, RepairOutcome::Confirmed);
    check(4.0, 6.0, RepairOutcome::NoEffect);
    check(12.0, 20.0, RepairOutcome::Harmful);
    // Better, but not half of the way back.
    check(2.6, 3.5, RepairOutcome::Inconclusive);
    // Faster at the same work: something else made it so.
    check(1.0, 6.0, RepairOutcome::Inconclusive);
}

/// Faster and doing less work beyond doubt, after a regression of which more or less is known.
#[test]
fn without_a_known_return_nothing_is_confirmed() {
    let check = |baseline: &[Block], expected: RepairOutcome, why: Option<&str>| {
        let found = repaired_after(baseline, 1.0, 1.0);
        assert_eq!(found.against_regressed.direction, Direction::Faster);
        assert!(found.against_regressed.category >= Category::Careful);
        assert_eq!(found.outcome, expected, "{:?}", found.step_left);
        assert_eq!(found.why_not_confirmed().as_deref(), why);
    };
    let week = blocks(REPAIR - 178..REPAIR - 10, 1.0, 1.0);
    check(&week, RepairOutcome::Confirmed, None);
    let none = "It is faster, but nothing is known of the time before the regression: whether it is back there cannot be said.";
    check(&[], RepairOutcome::Inconclusive, Some(none));
    // Five of the ten hours of day since the repair, then six.
    let few = "It is faster, but of the time before the regression only 5 of 6 blocks at the same hours of day are known: \
               whether it is back there cannot be said.";
    check(&blocks(REPAIR - 24..REPAIR - 19, 1.0, 1.0), RepairOutcome::Inconclusive, Some(few));
    check(&blocks(REPAIR - 24..REPAIR - 18, 1.0, 1.0), RepairOutcome::Confirmed, None);
    // The time before was slower than the regression.
    let slower = blocks(REPAIR - 178..REPAIR - 10, 8.0, 9.0);
    let nowhere = "It is faster, but the regression was no slower than what is known of the time before it: \
                   whether it is back there cannot be said.";
    check(&slower, RepairOutcome::Inconclusive, Some(nowhere));
    // A fifth of the time before: there is a way back, and it is not gone.
    let far = blocks(REPAIR - 178..REPAIR - 10, 0.2, 0.2);
    let left = "It is faster, but 53 % of the way back to the time before the regression is left, at most 50 % may be.";
    check(&far, RepairOutcome::Inconclusive, Some(left));
}

#[test]
fn the_share_of_the_step_that_is_left_is_told() {
    assert!(repaired(1.0, 1.0).step_left.unwrap() < 0.05);
    assert!((repaired(2.0, 2.0).step_left.unwrap() - 0.5).abs() < 0.05);
    assert!((repaired(4.0, 6.0).step_left.unwrap() - 1.0).abs() < 0.05);
}

#[test]
fn without_time_nothing_is_confirmed() {
    let regressed = blocks(REPAIR - 10..REPAIR, 4.0, 6.0);
    let after = blocks(REPAIR..REPAIR + 5, 1.0, 1.0);
    let found = confirm(
        &Repair {
            baseline: &[],
            regressed: &regressed,
            repaired: &after,
            repair_at: REPAIR,
            control: &[],
            scale: TimeScale::HOURLY,
        },
        &Thresholds::default(),
    );
    assert_eq!(found.outcome, RepairOutcome::Inconclusive);
    assert!(found.lacks_evidence());
    assert_eq!(found.against_regressed.headline(), "Not enough evidence: 5 of 6 hours seen.");
}

#[test]
fn a_regression_that_goes_away_is_recognised() {
    let thresholds = Thresholds { lost_ms_per_day_min: 0.0, ..Thresholds::default() };
    let before = blocks(REPAIR - 168..REPAIR, 1.0, 1.0);
    let slow = blocks(REPAIR..REPAIR + 10, 4.0, 6.0);
    let regression = crate::judge(&Case::new(&before, &slow, REPAIR), &thresholds);
    assert_eq!(regression.conclusion, Conclusion::RegressedWithoutPlanChange);
    let check = |time: f64, work: f64, hours: i64, expected: Gone| {
        let recent = blocks(REPAIR + 10..REPAIR + 10 + hours, time, work);
        let case = Case::new(&before, &recent, REPAIR);
        assert_eq!(gone(&case, &regression, &thresholds), expected, "{time} {work} {hours}");
    };
    check(1.0, 1.0, 8, Gone::Yes);
    check(4.0, 6.0, 8, Gone::No);
    check(2.0, 2.0, 8, Gone::Unclear);
    check(1.0, 6.0, 8, Gone::Unclear);
    check(1.0, 1.0, 5, Gone::Unclear);
}

#[test]
fn an_outcome_is_told_when_it_is_clear_or_time_is_over() {
    let (clear, unclear) = (repaired(1.0, 1.0), repaired(2.6, 3.5));
    assert_eq!(unclear.outcome, RepairOutcome::Inconclusive);
    assert_eq!([5, 6, 72].map(|hours| clear.is_final(hours)), [false, true, true]);
    assert_eq!([5, 6, 71, 72].map(|hours| unclear.is_final(hours)), [false, false, false, true]);
}
