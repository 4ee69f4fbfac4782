use crate::history::{self, History, Truth};
use crate::rule::Rule;
use crate::rules::ours::Ours;

const HOUR: usize = 6;
const DAY: usize = 24 * HOUR;

/// A week before the looks begin and a week of looks, at 10 ms and 100 blocks a call; `change` gives the factors of time and
/// work of a block, counted from the first look.
fn history(mean_ms: f64, change: impl Fn(i64) -> (f64, f64)) -> History {
    let block = |number: usize| {
        let (time, work) = change(number as i64 - 7 * DAY as i64);
        let wobble = 1.0 + 0.03 * [-1.0, 1.0, -0.4, 0.3, 0.8, -0.6, 0.1][number % 7];
        let mean = mean_ms * time * wobble;
        Some(history::Block {
            calls: 100,
            total_ms: 100.0 * mean,
            sum_sq: Some(100.0 * mean * mean * 1.25),
            touched: Some(100.0 * 100.0 * work * wobble),
            rows: Some(300.0),
            min_ms: None,
            control: Some(history::Control { log_ratio: 0.0, statements: 100 }),
            waits: None,
        })
    };
    History {
        name: "test".to_owned(),
        start_s: 0,
        block_minutes: 10,
        flip: 7 * DAY,
        flipped: false,
        blocks: (0..14 * DAY).map(block).collect(),
        truth: Truth::neutral("test"),
    }
}

/// The hours at which the open findings are others than before, and which they are.
fn changes(history: &History) -> Vec<(usize, Vec<&'static str>)> {
    let mut rule = Ours::default();
    rule.start(history);
    let mut changes = Vec::new();
    let mut last = Vec::new();
    for hour in 1..=history.hours_after() {
        let now = rule.judge_without_flip(history, hour).unwrap();
        if now != last {
            changes.push((hour, now.clone()));
        }
        last = now;
    }
    changes
}

fn stepped(from_hour: i64, until_hour: i64, time: f64, work: f64) -> impl Fn(i64) -> (f64, f64) {
    let hour = HOUR as i64;
    move |block| {
        let within = (from_hour * hour..until_hour * hour).contains(&block);
        if within { (time, work) } else { (1.0, 1.0) }
    }
}

#[test]
fn a_steady_statement_has_no_findings() {
    assert_eq!(changes(&history(10.0, |_| (1.0, 1.0))), []);
}

#[test]
fn a_step_is_told_once_and_as_long_as_it_lasts() {
    assert_eq!(changes(&history(10.0, stepped(30, 1_000, 3.0, 3.0))), [(36, vec![super::STEP])]);
    // More time at the same work is none.
    assert_eq!(changes(&history(10.0, stepped(30, 1_000, 3.0, 1.0))), []);
}

#[test]
fn what_has_gone_is_not_told_again_within_a_day() {
    // For twelve hours, then again from the sixth hour after that on: what is known of the last twelve hours ends the first.
    let twice = |block: i64| {
        let hour = block.div_euclid(HOUR as i64);
        if (30..42).contains(&hour) || hour >= 54 { (3.0, 3.0) } else { (1.0, 1.0) }
    };
    let found = changes(&history(10.0, twice));
    let [(first, _), (gone, none), (again, _)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((*first, none.as_slice()), (36, &[][..]));
    assert!(*gone > 42 && *gone <= 54, "{found:?}");
    assert_eq!(*again, *gone + 24);
}

#[test]
fn a_slow_statement_is_told_until_it_is_slow_no_longer() {
    assert_eq!(changes(&history(1_500.0, |_| (1.0, 1.0))), [(1, vec![super::SLOW])]);
    let better = |block: i64| if block < 3 * DAY as i64 { (1.0, 1.0) } else { (0.1, 0.1) };
    let found = changes(&history(1_500.0, better));
    let [(1, open), (ended, none)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((open.as_slice(), none.as_slice()), (&[super::SLOW][..], &[][..]));
    assert!(*ended > 72 && *ended <= 96, "{found:?}");
}

#[test]
fn a_look_sees_nothing_of_what_comes_later() {
    let full = history(10.0, stepped(30, 60, 3.0, 3.0));
    let short = History { blocks: full.blocks[..full.flip + 50 * HOUR].to_vec(), ..full.clone() };
    let early = |history: &History| -> Vec<_> {
        changes(history).into_iter().filter(|(hour, _)| *hour <= 50).collect()
    };
    assert_eq!(early(&full), early(&short));
    assert!(!early(&full).is_empty());
}
