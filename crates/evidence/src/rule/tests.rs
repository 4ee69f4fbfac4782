use super::*;
use crate::case::{Block, ControlPoint, EvidenceClass, Overlap, PlanEvidence, ShortBlocks, Waits};
use crate::locks::Outcome;
use crate::scale::{Acceleration, TimeScale};
use crate::side_by_side::SideBySide;
use crate::verdict::{Conclusion, Direction};
use crate::waits::{TypicalWaits, Waited, WaitingCall};

mod near;
mod properties;
mod table;

const FLIP: i64 = 480_000;

/// A statement with a week behind it and a day after a change of plan that makes it three times slower at five times the
/// work, about which everything is known.
#[derive(Clone, Debug)]
struct World {
    scale: TimeScale,
    days_before: i64,
    blocks_after: i64,
    calls: f64,
    mean_ms: f64,
    variation: f64,
    jitter: f64,
    time_ratio: f64,
    work_ratio: f64,
    rows_ratio: f64,
    /// Blocks from the change to the step of work; negative: before it.
    work_begins: i64,
    control_statements: u32,
    plan: PlanEvidence,
    overlap: Overlap,
    waits: Waits,
    /// By how much the whole server is slower since the change.
    server_ratio: f64,
    side_by_side: Option<SideBySide>,
    minimum: bool,
    unresolved: bool,
}

impl World {
    fn clear() -> Self {
        Self {
            scale: TimeScale::HOURLY,
            days_before: 7,
            blocks_after: 24,
            calls: 1_000.0,
            mean_ms: 40.0,
            variation: 0.5,
            jitter: 0.02,
            time_ratio: 3.0,
            work_ratio: 5.0,
            rows_ratio: 1.0,
            work_begins: 0,
            control_statements: 50,
            plan: PlanEvidence { expected_ratio: Some(4.0), ..PlanEvidence::clear(EvidenceClass::Actual) },
            overlap: Overlap { interleaved_blocks: 4, ..Overlap::default() },
            waits: Waits::Unclear,
            server_ratio: 1.0,
            side_by_side: None,
            minimum: false,
            unresolved: false,
        }
    }

    /// Numbers without a pattern between −1 and 1.
    fn noise(&self, block: i64, channel: u64) -> f64 {
        let mut bits =
            (block as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ channel.wrapping_mul(0xD1B5_4A32_D192_ED03);
        bits = (bits ^ (bits >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits ^= bits >> 32;
        (bits % 2_001) as f64 / 1_000.0 - 1.0
    }

    fn block(&self, place: i64) -> Block {
        let block = FLIP + place;
        let after = place >= 0;
        let ratio = |ratio: f64, from: i64| if place >= from { ratio } else { 1.0 };
        let wobble = |channel: u64| (self.jitter * self.noise(block, channel)).exp();
        // The day has a load, which the control knows.
        let mean = self.mean_ms * ratio(self.time_ratio, 0) * wobble(1) * self.load(block).exp();
        let mean = mean * ratio(self.server_ratio, 0);
        let deviation = mean * self.variation;
        let min_ms = mean * 0.2;
        Block {
            start: block,
            calls: self.calls,
            total_ms: mean * self.calls,
            squared_deviations: (!(self.unresolved && after)).then_some(deviation * deviation * self.calls),
            work: 60.0 * self.calls * ratio(self.work_ratio, self.work_begins) * wobble(2),
            rows: 3.0 * self.calls * ratio(self.rows_ratio, 0) * wobble(3),
            min_ms: self.minimum.then_some(min_ms),
        }
    }

    fn load(&self, block: i64) -> f64 {
        0.3 * (block as f64 / self.scale.blocks_per_day() as f64 * std::f64::consts::TAU).sin()
    }

    fn before(&self) -> Vec<Block> {
        (-self.days_before * self.scale.blocks_per_day()..0).map(|place| self.block(place)).collect()
    }

    fn after(&self) -> Vec<Block> {
        (0..self.blocks_after).map(|place| self.block(place)).collect()
    }

    fn control(&self) -> Vec<ControlPoint> {
        let first = -self.days_before * self.scale.blocks_per_day();
        (first..self.blocks_after)
            .map(|place| ControlPoint {
                block: FLIP + place,
                log_ratio: self.load(FLIP + place) + if place >= 0 { self.server_ratio.ln() } else { 0.0 },
                statements: self.control_statements,
            })
            .collect()
    }

    fn judge_with(&self, thresholds: &Thresholds) -> Verdict {
        let (before, after, control) = (self.before(), self.after(), self.control());
        judge(
            &Case {
                control: &control,
                scale: self.scale,
                plan: self.plan,
                overlap: self.overlap,
                waited: waited(self.waits, self.time_ratio),
                side_by_side: self.side_by_side,
                ..Case::new(&before, &after, FLIP)
            },
            thresholds,
        )
    }

    fn judge(&self) -> Verdict {
        self.judge_with(&Thresholds::default())
    }
}

/// Calls that go the way of the statement, of which nothing waits, or all that was added.
fn waited(waits: Waits, time_ratio: f64) -> Option<Waited> {
    let call = |call_ms: f64, share: f64| WaitingCall {
        call_ms,
        waits: TypicalWaits { share, error: 0.0, locks: share, io: 0.0 },
    };
    let share = match waits {
        Waits::Unclear => return None,
        Waits::NoRise => 0.0,
        Waits::Rose => 1.0,
    };
    Some(Waited { before: call(1.0, 0.0), since: call(time_ratio, share) })
}

fn minutes(length: f64) -> TimeScale {
    TimeScale::try_new(length * 60.0, Acceleration::NONE).unwrap()
}

/// The same world in blocks of ten minutes, a day before and so many hours since, beside its hours.
fn judge_early(world: &World, hours: i64) -> Verdict {
    let hourly = World { blocks_after: hours, ..world.clone() };
    let short = World {
        scale: minutes(10.0),
        days_before: 1,
        blocks_after: hours * 6,
        calls: world.calls / 6.0,
        ..world.clone()
    };
    let (before, after, control) = (hourly.before(), hourly.after(), hourly.control());
    let (short_before, short_after, short_control) = (short.before(), short.after(), short.control());
    let trial = ShortBlocks {
        before: &short_before,
        after: &short_after,
        flip: FLIP,
        control: &short_control,
        scale: short.scale,
    };
    judge(
        &Case {
            control: &control,
            plan: world.plan,
            waited: waited(world.waits, world.time_ratio),
            trial: Some(trial),
            ..Case::new(&before, &after, FLIP)
        },
        &Thresholds::default(),
    )
}

#[test]
fn everything_known_is_auto() {
    let verdict = World::clear().judge();
    assert_eq!(verdict.sentences(), Vec::<String>::new());
    assert_eq!((verdict.category, verdict.ceiling), (Category::Auto, Category::Auto));
    assert_eq!((verdict.conclusion, verdict.direction), (Conclusion::Regressed, Direction::Slower));
    assert_eq!(verdict.attribution, Attribution::Attributed);
    let numbers = &verdict.numbers;
    let ratio = numbers.ratio.unwrap();
    assert!((ratio.estimate - 3.0).abs() < 0.1 && ratio.low > 2.5, "{ratio:?}");
    assert!((numbers.work_ratio.unwrap() - 5.0).abs() < 0.2);
    // 24,000 calls a day lose two thirds of 120 ms each.
    let lost = numbers.lost_ms_per_day.unwrap();
    assert!((lost.estimate / (24_000.0 * 80.0) - 1.0).abs() < 0.1, "{lost:?}");
}

#[test]
fn four_of_six_hours_is_a_verdict_that_says_when() {
    let verdict = World { blocks_after: 4, ..World::clear() }.judge();
    assert_eq!(verdict.category, Category::Insufficient);
    assert_eq!(verdict.headline(), "Not enough evidence: 4 of 6 hours seen.");
    let missing = verdict.missing.first().unwrap();
    assert_eq!((missing.lock, missing.have, missing.need), (LockName::BlocksAfter, 4.0, 6.0));
    assert_eq!((missing.earliest, missing.for_this_change), (Some(FLIP + 6), true));
    assert_eq!(verdict.lock(LockName::Rows).unwrap().outcome, Outcome::NotAsked);
}

#[test]
fn a_short_past_says_how_many_same_hour_blocks_and_when() {
    let verdict = World { days_before: 1, blocks_after: 9, ..World::clear() }.judge();
    assert!(
        verdict.headline().ends_with("9 of 20 same-hour blocks before the change."),
        "{}",
        verdict.headline()
    );
    let missing = verdict.missing.first().unwrap();
    // One block of the past for each hour of day: with the twentieth hour there are twenty.
    assert_eq!((missing.lock, missing.earliest), (LockName::SameHourBlocks, Some(FLIP + 20)));
    let there = World { days_before: 1, blocks_after: 20, ..World::clear() }.judge();
    assert!(!there.lock(LockName::SameHourBlocks).unwrap().failed());
}

#[test]
fn a_past_that_is_too_short_for_ever_says_so() {
    let world = World { days_before: 1, blocks_after: 9, ..World::clear() };
    let (before, after) = (world.before(), world.after());
    let half = &before[12..];
    let verdict = judge(&Case::new(half, &after, FLIP), &Thresholds::default());
    let missing = verdict.missing.iter().find(|missing| missing.lock == LockName::SameHourBlocks).unwrap();
    assert_eq!(missing.earliest, None);
}

#[test]
fn five_days_are_careful_and_a_later_change_can_have_seven() {
    let verdict = World { days_before: 5, ..World::clear() }.judge();
    assert_eq!(verdict.category, Category::Careful);
    assert_eq!(verdict.sentences(), ["5 of 7 days before the change seen."]);
    let missing = verdict.missing.first().unwrap();
    assert_eq!((missing.earliest, missing.for_this_change), (Some(FLIP + 48), false));
}

#[test]
fn faster_is_judged_by_the_same_locks() {
    let verdict = World {
        time_ratio: 1.0 / 3.0,
        work_ratio: 0.2,
        plan: PlanEvidence { expected_ratio: Some(0.2), ..World::clear().plan },
        ..World::clear()
    }
    .judge();
    assert_eq!(verdict.sentences(), Vec::<String>::new());
    assert_eq!((verdict.conclusion, verdict.direction), (Conclusion::Improved, Direction::Faster));
    assert_eq!(verdict.category, Category::Auto);
    assert!((verdict.numbers.ratio.unwrap().estimate - 3.0).abs() < 0.1);
    assert!((verdict.numbers.lost_ms_per_day.unwrap().estimate / (24_000.0 * 26.67) - 1.0).abs() < 0.1);
}

#[test]
fn few_calls_make_longer_blocks() {
    let world = World { calls: 3.0, variation: 0.1, blocks_after: 48, ..World::clear() };
    let verdict = world.judge_with(&Thresholds { lost_ms_per_day_min: 0.0, ..Thresholds::default() });
    assert_eq!((verdict.numbers.merged, verdict.numbers.block_hours), (4, 4.0));
    assert_eq!(verdict.numbers.blocks_after, 12);
    assert!(verdict.category >= Category::Careful, "{:?}", verdict.sentences());
    let early = World { blocks_after: 11, ..world }.judge();
    assert_eq!(early.headline(), "Not enough evidence: 2 of 6 blocks of 240 minutes seen.");
}

#[test]
fn a_variance_that_is_not_known_leaves_the_differences_between_blocks() {
    let verdict = World { unresolved: true, ..World::clear() }.judge();
    assert!(verdict.numbers.t_of_blocks);
    assert_eq!(verdict.numbers.deviation_after_ms, None);
    assert_eq!(verdict.conclusion, Conclusion::Regressed);
}

#[test]
fn acceleration_is_marked_and_never_above_careful() {
    let fast = Acceleration::try_new(60.0).unwrap();
    let world = World { scale: TimeScale::try_new(60.0, fast).unwrap(), ..World::clear() };
    let verdict = world.judge();
    assert_eq!(verdict.category, Category::Careful);
    assert!(verdict.is_accelerated());
    assert_eq!(verdict.sentences(), ["Time ran 60 times as fast as life."]);
    assert_eq!(verdict.numbers.block_t, World::clear().judge().numbers.block_t);
}

#[test]
fn a_large_step_is_seen_within_three_hours() {
    let world = World { time_ratio: 10.0, ..World::clear() };
    let verdict = judge_early(&world, 3);
    assert_eq!(
        (verdict.category, verdict.path),
        (Category::Careful, Path::ShortBlocks),
        "{:?}",
        verdict.sentences()
    );
    assert_eq!(verdict.conclusion, Conclusion::Regressed);
    assert!(verdict.other_path.iter().any(|lock| lock.name == LockName::BlocksAfter && lock.failed()));
}

#[test]
fn what_an_early_verdict_asks() {
    let large = || World { time_ratio: 10.0, ..World::clear() };
    let check = |world: World, hours: i64, lock: LockName| {
        let verdict = judge_early(&world, hours);
        assert_eq!(verdict.category, Category::Insufficient, "{lock:?}");
        let found = verdict.other_path.iter().find(|other| other.name == lock);
        assert!(found.is_some_and(Lock::failed), "{lock:?}: {:?}", verdict.other_path);
    };
    check(World { time_ratio: 2.0, ..large() }, 3, LockName::TrialTime);
    check(World { work_ratio: 1.3, ..large() }, 3, LockName::TrialWork);
    check(World { jitter: 1.5, ..large() }, 3, LockName::TrialGap);
    check(World { rows_ratio: 2.0, ..large() }, 3, LockName::Rows);
    check(World { plan: PlanEvidence::default(), ..large() }, 3, LockName::PlanEvidence);
    check(World { variation: 2.0, work_ratio: 2.0, ..large() }, 3, LockName::TrialWork);
    check(World { calls: 90.0, ..large() }, 1, LockName::Executions);
    check(World { work_begins: 12, ..large() }, 3, LockName::OnsetAfter);
    check(World { days_before: 1, ..large() }, 3, LockName::TrialHistory);
}

/// Short blocks of another acceleration are a mistake, and no evidence.
#[test]
fn short_blocks_of_another_time_are_not_looked_at() {
    let world = World { time_ratio: 10.0, blocks_after: 3, ..World::clear() };
    let (before, after) = (world.before(), world.after());
    let scale = TimeScale::try_new(60.0, Acceleration::try_new(10.0).unwrap()).unwrap();
    let trial = ShortBlocks { before: &before, after: &after, flip: FLIP, control: &[], scale };
    let case = Case { plan: world.plan, trial: Some(trial), ..Case::new(&before, &after, FLIP) };
    let verdict = judge(&case, &Thresholds::default());
    assert_eq!((verdict.path, verdict.other_path), (Path::Blocks, Vec::new()));
}

/// What happens at the same hour every day is no news, however large.
#[test]
fn a_daily_batch_is_no_early_verdict() {
    let world = World { time_ratio: 10.0, ..World::clear() };
    let hourly = World { blocks_after: 3, ..world.clone() };
    let short = World { scale: minutes(10.0), days_before: 1, blocks_after: 18, ..world };
    // In the week, the hours after the change were as slow every day; the short blocks of the last night do not show it.
    let batch = |block: Block| {
        let at = (block.start - FLIP).rem_euclid(24);
        let factor = if block.start < FLIP && at < 3 { 10.0 } else { 1.0 };
        Block { total_ms: block.total_ms * factor, work: block.work * factor, ..block }
    };
    let before: Vec<Block> = hourly.before().into_iter().map(batch).collect();
    let (after, short_before, short_after) = (hourly.after(), short.before(), short.after());
    let trial = ShortBlocks {
        before: &short_before,
        after: &short_after,
        flip: FLIP,
        control: &[],
        scale: short.scale,
    };
    let case = Case { plan: short.plan, trial: Some(trial), ..Case::new(&before, &after, FLIP) };
    let verdict = judge(&case, &Thresholds::default());
    assert_eq!(verdict.category, Category::Insufficient);
    assert!(verdict.other_path.iter().any(|lock| lock.name == LockName::TrialHistory && lock.failed()));
}

/// An evening that is slower every day is no step: each hour is compared with itself.
#[test]
fn hours_of_day_are_compared_with_themselves() {
    let world = World { time_ratio: 1.0, work_ratio: 1.0, blocks_after: 8, ..World::clear() };
    let evening = |block: Block| {
        let at = (block.start - FLIP).rem_euclid(24);
        let factor = if at < 8 { 4.0 } else { 1.0 };
        Block { total_ms: block.total_ms * factor, work: block.work * factor, ..block }
    };
    let before: Vec<Block> = world.before().into_iter().map(evening).collect();
    let after: Vec<Block> = world.after().into_iter().map(evening).collect();
    let control = world.control();
    let case = Case { control: &control, ..Case::new(&before, &after, FLIP) };
    assert_eq!(judge(&case, &Thresholds::default()).conclusion, Conclusion::Unchanged);
}

/// A server that is three times slower for all is divided out.
#[test]
fn what_happens_to_all_statements_is_no_step() {
    let world = World { work_ratio: 1.0, ..World::clear() };
    let (before, after, mut control) = (world.before(), world.after(), world.control());
    for point in control.iter_mut().filter(|point| point.block >= FLIP) {
        point.log_ratio += 3.0_f64.ln();
    }
    let case = Case { control: &control, plan: world.plan, ..Case::new(&before, &after, FLIP) };
    let verdict = judge(&case, &Thresholds::default());
    assert_eq!(verdict.conclusion, Conclusion::Unchanged);
    assert!((verdict.numbers.control_ratio.unwrap() / 3.0 - 1.0).abs() < 0.5);
}
