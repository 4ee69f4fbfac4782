use super::*;

fn block(calls: u64, total_ms: f64, log_ratio: f64) -> Block {
    Block {
        calls,
        total_ms,
        sum_sq: Some(total_ms),
        min_ms: Some(total_ms / 10.0),
        control: Some(Control { log_ratio, statements: 10 * calls as u32 }),
        waits: Some(Waits { sampled: 4, waiting: 1 }),
        ..Block::default()
    }
}

fn history(flip: usize, blocks: Vec<Option<Block>>) -> History {
    History {
        name: "test".to_owned(),
        start_s: 0,
        block_minutes: 20,
        flip,
        flipped: true,
        blocks,
        truth: Truth::neutral("test"),
    }
}

#[test]
fn hours_are_counted_from_the_flip() {
    let blocks = (0..10).map(|number| Some(block(number, number as f64, 0.0))).collect();
    // Four blocks before: the first is no whole hour, the last may hold both plans. Six after: two hours.
    let hours = history(4, blocks).hours();
    let calls =
        |hours: &[Option<Block>]| -> Vec<u64> { hours.iter().flatten().map(|hour| hour.calls).collect() };
    assert_eq!(calls(&hours.before), [1 + 2]);
    assert_eq!(calls(&hours.after), [4 + 5 + 6, 7 + 8 + 9]);
}

#[test]
fn an_hour_is_the_sum_of_what_is_known() {
    let blocks = vec![Some(block(2, 20.0, 0.1)), None, Some(block(3, 10.0, 0.3)), None, None, None];
    let hours = History { flipped: false, ..history(3, blocks) }.hours();
    let hour = hours.before[0].unwrap();
    assert_eq!((hour.calls, hour.total_ms, hour.sum_sq, hour.min_ms), (5, 30.0, Some(30.0), Some(1.0)));
    assert_eq!(hour.touched, None);
    let control = hour.control.unwrap();
    assert!((control.log_ratio - 0.2).abs() < 1e-12, "{control:?}");
    assert_eq!(control.statements, 20);
    assert_eq!(hour.waits, Some(Waits { sampled: 8, waiting: 2 }));
    assert_eq!(hours.after, [None]);
}

#[test]
fn unknown_blocks_do_not_dilute_the_rate() {
    let history = history(3, vec![Some(block(2, 1.0, 0.0)), None, Some(block(4, 1.0, 0.0))]);
    assert_eq!(history.calls_per_hour(), 9.0);
}

#[test]
fn a_shift_is_at_the_flip_within_an_hour_of_it() {
    let mut truth = Truth::neutral("test");
    assert!(!truth.shifts_at_flip());
    for (hours, at_flip) in [(-1.0, true), (0.5, true), (1.2, false), (-30.0, false)] {
        truth.mixture_shift_hours = Some(hours);
        assert_eq!(truth.shifts_at_flip(), at_flip, "{hours}");
    }
}
