use super::*;
use crate::history::Truth;
use crate::rule::Repaired;

/// A week of 10 ms and 100 blocks a call, from the flip on `time` and `work` times as much; a tenth of the sessions wait, after
/// the flip `waiting` of 100.
fn history(time: f64, work: f64, waiting: u32) -> History {
    let before = 7 * 24 * 6;
    let block = |number: usize| {
        let after = number >= before;
        let factor = |factor: f64| if after { factor } else { 1.0 };
        let wobble = 1.0 + 0.03 * [-1.0, 1.0, -0.4, 0.3, 0.8, -0.6, 0.1][number % 7];
        let mean = 10.0 * factor(time) * wobble;
        Some(history::Block {
            calls: 1_000,
            total_ms: 1_000.0 * mean,
            sum_sq: Some(1_000.0 * mean * mean * 1.25),
            touched: Some(1_000.0 * 100.0 * factor(work) * wobble),
            rows: Some(3_000.0),
            min_ms: Some(1.0),
            control: Some(history::Control { log_ratio: 0.0, statements: 100 }),
            waits: Some(history::Waits { sampled: 100, waiting: if after { waiting } else { 10 } }),
        })
    };
    History {
        name: "test".to_owned(),
        start_s: 0,
        block_minutes: 10,
        flip: before,
        flipped: true,
        blocks: (0..before + 24 * 6).map(block).collect(),
        truth: Truth::neutral("test"),
    }
}

fn level_at(history: &History, hour: usize) -> Level {
    let mut rule = Ours::default();
    rule.start(history);
    rule.judge(history, hour)
}

#[test]
fn the_rule_is_asked_about_what_happened() {
    // Old and new plan were never seen side by side: nothing is more than manual.
    assert_eq!(level_at(&history(4.0, 4.0, 10), 24), Level::Manual);
    assert_eq!(level_at(&history(1.0, 1.0, 10), 24), Level::Insufficient);
    assert_eq!(level_at(&history(0.2, 0.2, 10), 24), Level::Insufficient);
}

#[test]
fn a_large_step_is_seen_within_hours_in_the_short_blocks() {
    assert!(level_at(&history(8.0, 8.0, 10), 3) >= Level::Careful);
}

/// The hour in which the plan was seen first, and the blocks beyond those the processor keeps, are on neither side.
#[test]
fn the_rule_knows_no_more_than_the_processor_does() {
    let mut rule = Ours::default();
    let mut story = history(4.0, 4.0, 10);
    rule.start(&story);
    let first = |arms: &Arms| (arms.before.first().unwrap().start, arms.after.first().unwrap().start);
    assert_eq!((first(&rule.short), first(&rule.hours)), ((-79, 1), (-168, 1)));
    // Of a statement that runs every half hour they reach further back, and a day at most.
    let before = story.flip;
    story.blocks.iter_mut().take(before).enumerate().filter(|(at, _)| at % 3 > 0).for_each(|(_, block)| {
        *block = block.map(|block| history::Block { calls: 0, ..block });
    });
    rule.start(&story);
    assert_eq!((first(&rule.short), rule.short.before.len()), ((-144, 1), 48));
    story.flipped = false;
    rule.start(&story);
    assert_eq!(rule.hours.after.first().unwrap().start, 0);
}

#[test]
fn waiting_tells_the_processor_from_locks() {
    assert_eq!(level_at(&history(4.0, 1.0, 4), 24), Level::Careful);
    assert_eq!(level_at(&history(4.0, 1.0, 80), 24), Level::Insufficient);
    // Of a share that was high before, hardly any is added, and all of the added time is waiting.
    let high = |waiting: u32| {
        let mut high = history(2.5, 1.0, waiting);
        let waits = Some(history::Waits { sampled: 100, waiting: 85 });
        let before = high.flip;
        high.blocks.iter_mut().take(before).flatten().for_each(|block| block.waits = waits);
        high
    };
    assert_eq!(level_at(&high(94), 24), Level::Insufficient);
    assert_eq!(level_at(&high(34), 24), Level::Careful);
}

#[test]
fn more_samples_than_the_rule_counts_keep_their_share() {
    let counted = counted(history::Waits { sampled: 1_000_000, waiting: 250_000 });
    assert!(counted.samples > 50_000, "{counted:?}");
    assert_eq!(counted.samples / counted.io, 4);
}

#[test]
fn a_look_sees_nothing_of_what_comes_later() {
    let full = history(4.0, 4.0, 10);
    let short = History { blocks: full.blocks[..full.flip + 12 * 6].to_vec(), ..full.clone() };
    for hour in 1..=12 {
        assert_eq!(level_at(&full, hour), level_at(&short, hour), "{hour}");
    }
}

/// The same until an hour after the flip, from which on it is `time` and `work` times as much as in the week before.
fn repaired(hour: usize, time: f64, work: f64) -> History {
    let (slow, other) = (history(4.0, 4.0, 10), history(time, work, 10));
    let long = |history: &History| -> Vec<_> {
        history
            .blocks
            .iter()
            .chain(&history.blocks[history.flip..])
            .chain(&history.blocks[history.flip..])
            .copied()
            .collect()
    };
    let at = slow.flip + hour * 6;
    let blocks = long(&slow)[..at].iter().chain(&long(&other)[at..]).copied().collect();
    History { blocks, ..slow }
}

#[test]
fn a_repair_is_measured_from_the_finding_on() {
    let outcome = |history: &History, delay: usize| {
        let mut rule = Ours::default();
        rule.start(history);
        rule.judge_repair(history, delay)
    };
    let opened =
        (1..=24).find(|hour| level_at(&repaired(72, 4.0, 4.0), *hour) > Level::Insufficient).unwrap();
    // What stays as it was, what is as before the regression, what is worse than it.
    assert_eq!(outcome(&repaired(72, 4.0, 4.0), 12), Some(Repaired::NoEffect));
    assert_eq!(outcome(&repaired(opened + 12, 1.0, 1.0), 12), Some(Repaired::Confirmed));
    assert_eq!(outcome(&repaired(opened + 12, 12.0, 12.0), 12), Some(Repaired::Harmful));
    // Nothing was found, or it had gone before anything was done about it.
    assert_eq!(outcome(&history(1.0, 1.0, 10), 12), None);
    assert_eq!(outcome(&repaired(opened + 1, 1.0, 1.0), 24), None);
}
