use super::*;

#[test]
fn hours_are_kept_for_a_day() {
    let mut counted = TimedOut::new(100);
    for (hour, executions) in [(100, 1), (101, 2), (101, 3), (110, 4), (99, 7)] {
        counted.note(hour, executions);
    }
    assert_eq!((counted.between(100, 101), counted.between(102, 200)), (6, 4));
    assert_eq!(counted.between(i64::MIN + 1, i64::MAX), 17);
    counted.note(125, 5);
    assert_eq!((counted.between(i64::MIN + 1, 100), counted.between(101, 125)), (0, 14));
    // Too old to be kept.
    counted.note(100, 50);
    assert_eq!(counted.between(i64::MIN + 1, i64::MAX), 14);
    counted.note(i64::MAX - 1, u64::MAX);
    assert_eq!(counted.between(i64::MIN + 1, i64::MAX), u32::MAX);
}

const PER_DAY: i64 = 24;
/// The looks begin with this hour: a Monday.
const START: i64 = 7 * PER_DAY;

/// 100 calls an hour for a week, then those and the time-outs that `change` has of each hour; looked at when `closed` is not over, in
/// which many have been timed out already.
fn look(known_since: i64, closed: i64, change: impl Fn(i64) -> (f64, u64)) -> (Option<Vanished>, bool) {
    let calls = (0..closed).map(|hour| (hour, if hour < START { 100.0 } else { change(hour).0 }));
    let mut timed_out = TimedOut::new(0);
    (closed - KEPT_HOURS as i64..closed).for_each(|hour| timed_out.note(hour, change(hour).1));
    timed_out.note(closed, 1_000);
    let calls = calls.filter(|(_, calls)| *calls > 0.0);
    let watched = Watched { timed_out: &timed_out, calls, per_day: PER_DAY, closed, known_since };
    (watched.vanished(), watched.is_back())
}

/// The hours at which it is told, counted from `START`.
fn told(known_since: i64, change: impl Fn(i64) -> (f64, u64)) -> Vec<i64> {
    let is_told = |hour: &i64| look(known_since, START + hour, &change).0.is_some();
    (1..60).filter(is_told).collect()
}

/// What happens from the 30th hour on, before which there is one time-out an hour.
fn from_30(calls: f64, timed_out: u64) -> impl Fn(i64) -> (f64, u64) {
    move |hour| if hour >= START + 30 { (calls, timed_out) } else { (100.0, 1) }
}

#[test]
fn executions_that_are_timed_out_instead_of_ending_are_told_within_hours() {
    let found = told(0, from_30(5.0, 60));
    assert_eq!(found.first(), Some(&35), "{found:?}");
    let numbers = Vanished { calls: 0.0, usual: 600.0, timed_out: 360, before: 18 };
    assert_eq!(look(0, START + 36, from_30(0.0, 60)), (Some(numbers), false));
}

#[test]
fn it_takes_both() {
    assert_eq!(told(0, from_30(100.0, 60)), [0; 0]);
    assert_eq!(told(0, from_30(5.0, 1)), [0; 0]);
    assert_eq!(told(0, from_30(50.0, 60)), [0; 0]);
}

#[test]
fn five_times_a_few_is_chance() {
    let a_few = |each: u64, thirds: u64| {
        move |hour: i64| {
            let is_third = u64::from(hour % 3 == 0);
            if hour >= START + 30 { (5.0, each - thirds * is_third) } else { (100.0, is_third) }
        }
    };
    // Ten and twelve in six hours, after two.
    assert_eq!(told(0, a_few(2, 1)), [0; 0]);
    assert_eq!(told(0, a_few(2, 0)), [36]);
}

#[test]
fn calls_that_fell_before_the_time_outs_rose_have_another_reason() {
    // A weekend from the tenth hour on, and its time-outs.
    let weekend = |calls: f64| {
        move |hour: i64| match hour - START {
            ..10 => (100.0, 1),
            10..30 => (20.0, 1),
            _ => (calls, 60),
        }
    };
    assert_eq!(told(0, weekend(20.0)), [0; 0]);
    // And one that vanishes on a weekend.
    assert!(!told(0, weekend(1.0)).is_empty());
}

#[test]
fn time_outs_that_nobody_counted_before_are_no_rise() {
    let known_since = |hours: i64| told(START + 30 - hours, from_30(5.0, 60));
    assert_eq!((known_since(0), known_since(4)), (vec![], vec![]));
    assert_eq!(known_since(9).first(), Some(&35));
}

/// What was counted before all of it is known is in no rate: two an hour for days, fifteen since.
#[test]
fn a_rise_is_told_from_hours_of_which_all_is_known() {
    let rises = |hour: i64| if hour >= START + 30 { (5.0, 15) } else { (100.0, 2) };
    assert_eq!(told(START + 20, rises).first(), told(0, rises).first());
}

/// A collector that was away knows of no time-outs of that time.
#[test]
fn nothing_is_back_because_nobody_counted() {
    let away = |hour: i64| if hour >= START + 40 { (5.0, 0) } else { from_30(5.0, 60)(hour) };
    let is_back = |hour: i64| look(START + 45, START + hour, away).1;
    assert!((44..51).all(|hour| !is_back(hour)) && is_back(51));
}

#[test]
fn a_clock_that_was_far_ahead_is_forgotten() {
    let mut counted = TimedOut::new(100);
    counted.note(100, 1);
    counted.note(900, 5);
    counted.note(101, 2);
    assert_eq!((counted.of(101), counted.of(900)), (2, 0));
}

#[test]
fn it_is_back_when_calls_are_or_when_nothing_is_timed_out_any_more() {
    let is_back = |change: &dyn Fn(i64) -> (f64, u64), hour: i64| look(0, START + hour, change).1;
    // However long it lasts, and whether it rises any more or not.
    assert!((34..60).all(|hour| !is_back(&from_30(5.0, 60), hour)));
    let ends = |calls: f64, timed_out: u64| {
        move |hour: i64| if hour >= START + 40 { (calls, timed_out) } else { from_30(5.0, 60)(hour) }
    };
    assert!(is_back(&ends(100.0, 60), 46) && is_back(&ends(5.0, 0), 46));
}

#[test]
fn what_is_usual_has_to_be_known_from_three_days() {
    let (change, closed) = (from_30(5.0, 60), START + 36);
    let mut timed_out = TimedOut::new(0);
    (START..closed).for_each(|hour| timed_out.note(hour, change(hour).1));
    let since = |days: i64| {
        let calls = (START - days * PER_DAY..closed).map(|hour| (hour, change(hour).0));
        Watched { timed_out: &timed_out, calls, per_day: PER_DAY, closed, known_since: 0 }.vanished()
    };
    assert!(since(2).is_some());
    assert_eq!(since(1), None);
}
