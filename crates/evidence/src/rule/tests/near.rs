//! What the short blocks beside the change add to the hours.

use super::*;

/// Adds to the logarithm of time and work what `wander` says for a place in hours from the change.
fn wandering(blocks: Vec<Block>, per_hour: f64, wander: impl Fn(f64) -> f64) -> Vec<Block> {
    let change = |block: Block| {
        let factor = wander((block.start - FLIP) as f64 / per_hour).exp();
        Block { total_ms: block.total_ms * factor, work: block.work * factor, ..block }
    };
    blocks.into_iter().map(change).collect()
}

/// Judges ten hours after the change, hourly and in ten-minute blocks, of a statement that wanders.
fn judge_wandering(world: &World, wander: impl Fn(f64) -> f64 + Copy, with_short: bool) -> Verdict {
    let hourly = World { blocks_after: 10, ..world.clone() };
    let short = World {
        scale: minutes(10.0),
        days_before: 1,
        blocks_after: 60,
        calls: world.calls / 6.0,
        ..world.clone()
    };
    let before = wandering(hourly.before(), 1.0, wander);
    let after = wandering(hourly.after(), 1.0, wander);
    let short_before = wandering(short.before(), 6.0, wander);
    let short_after = wandering(short.after(), 6.0, wander);
    let (control, short_control) = (hourly.control(), short.control());
    let trial = ShortBlocks {
        before: &short_before,
        after: &short_after,
        flip: FLIP,
        control: &short_control,
        scale: short.scale,
    };
    let case = Case {
        control: &control,
        plan: world.plan,
        waited: waited(world.waits, world.time_ratio),
        trial: with_short.then_some(trial),
        ..Case::new(&before, &after, FLIP)
    };
    judge(&case, &Thresholds { lost_ms_per_day_min: 0.0, ..Thresholds::default() })
}

/// Up and down by a third within some days, which no hour of day explains.
fn slow_swing(hours: f64) -> f64 {
    0.3 * (hours / 37.0 * std::f64::consts::TAU).sin()
}

#[test]
fn a_step_in_a_slow_swing_stands_out_between_short_blocks() {
    let world = World { time_ratio: 2.2, work_ratio: 2.2, ..World::clear() };
    let hours_alone = judge_wandering(&world, slow_swing, false);
    assert_eq!(hours_alone.category, Category::Insufficient);
    assert!(hours_alone.lock(LockName::ErrorBar).unwrap().failed());
    let with_short = judge_wandering(&world, slow_swing, true);
    let sentences = with_short.sentences();
    assert_eq!((with_short.category, with_short.path), (Category::Careful, Path::Blocks), "{sentences:?}");
    let error_bar = with_short.lock(LockName::ErrorBar).unwrap();
    assert_eq!(error_bar.outcome, Outcome::Capped(Category::Careful));
    let (time, work) = with_short.numbers.near_jumps.unwrap();
    assert!(time > 1.0 && work > 1.0, "{time} {work}");
}

/// A jump that the hours do not show at all is not enough.
#[test]
fn what_stands_out_must_be_seen_in_the_hours_too() {
    let world = World { time_ratio: 1.1, work_ratio: 1.1, ..World::clear() };
    let verdict = judge_wandering(&world, slow_swing, true);
    let (time, _) = verdict.numbers.near_jumps.unwrap();
    let error_bar = verdict.lock(LockName::ErrorBar).unwrap();
    assert!(time > 1.0 && error_bar.value.unwrap() < 1.5, "{time} {error_bar:?}");
    assert_eq!(error_bar.outcome, Outcome::Capped(Category::Insufficient));
}

#[test]
fn the_same_swing_without_a_step_is_nothing() {
    let world = World { time_ratio: 1.0, work_ratio: 1.0, ..World::clear() };
    assert_eq!(judge_wandering(&world, slow_swing, true).category, Category::Insufficient);
}

/// An hour hides that it began forty minutes after the change; the short blocks do not.
#[test]
fn what_begins_minutes_later_is_not_at_the_change() {
    let world = World { time_ratio: 1.0, work_ratio: 1.0, ..World::clear() };
    let late = |hours: f64| if hours >= 4.0 / 6.0 { 1.2 } else { 0.0 };
    // The first hour has its share of both.
    let hours_alone = judge_wandering(&world, |hours| if hours == 0.0 { 0.6 } else { late(hours) }, false);
    assert_eq!(hours_alone.category, Category::Careful, "{:?}", hours_alone.sentences());
    let with_short = judge_wandering(&world, late, true);
    assert_eq!(with_short.category, Category::Insufficient);
    assert_eq!(with_short.conclusion, Conclusion::NotAtTheChange);
    assert!(with_short.lock(LockName::OnsetNear).unwrap().failed());
}

#[test]
fn an_early_verdict_on_the_processor_needs_waits_and_a_control() {
    let flat = World { time_ratio: 10.0, work_ratio: 1.0, waits: Waits::NoRise, ..World::clear() };
    let found = judge_early(&flat, 3);
    assert_eq!(
        (found.category, found.conclusion, found.path),
        (Category::Careful, Conclusion::CpuBound, Path::ShortBlocks),
        "{:?}",
        found.sentences()
    );
    for without in [
        World { waits: Waits::Unclear, ..flat.clone() },
        World { waits: Waits::Rose, ..flat.clone() },
        World { control_statements: 3, ..flat },
    ] {
        assert_eq!(judge_early(&without, 3).category, Category::Insufficient);
    }
}
