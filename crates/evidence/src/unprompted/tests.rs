use super::*;

const PER_DAY: i64 = 24;

/// Eight days of 100 calls an hour, at 10 ms and 50 blocks; `change` has the last word on each hour.
fn hours(change: impl Fn(i64, &mut Hour)) -> Vec<Hour> {
    (0..8 * PER_DAY)
        .map(|place| {
            let mut hour = Hour { place, calls: 100.0, total_ms: 1_000.0, work: 5_000.0 };
            change(place, &mut hour);
            hour
        })
        .collect()
}

fn stepped(from: i64, time: f64, work: f64) -> Vec<Hour> {
    hours(|place, hour| {
        if place >= from {
            hour.total_ms *= time;
            hour.work *= work;
        }
    })
}

const END: i64 = 8 * PER_DAY;

#[test]
fn a_step_in_time_and_work_is_seen_after_six_hours() {
    assert_eq!(step(&stepped(END - 6, 1.4, 1.3), PER_DAY, END), Some(END - 6));
    assert_eq!(step(&stepped(END - 5, 1.4, 1.3), PER_DAY, END), None);
    // Slower at the same work, or more work in the same time.
    assert_eq!(step(&stepped(END - 6, 1.4, 1.1), PER_DAY, END), None);
    assert_eq!(step(&stepped(END - 6, 1.2, 1.3), PER_DAY, END), None);
}

#[test]
fn what_happens_at_this_hour_every_day_is_no_step() {
    let daily = hours(|place, hour| {
        if place % PER_DAY >= 18 {
            (hour.total_ms, hour.work) = (hour.total_ms * 3.0, hour.work * 3.0);
        }
    });
    assert_eq!(step(&daily, PER_DAY, END), None);
}

#[test]
fn a_step_ends_with_the_hours_that_nothing_is_known_of() {
    let found = stepped(END - 8, 2.0, 2.0);
    assert_eq!(step(&found, PER_DAY, END), Some(END - 8));
    assert_eq!(step(&found, PER_DAY, END + 1), Some(END - 8));
    assert_eq!(step(&found, PER_DAY, END + 2), None);
    // An hour with few calls says nothing, and the step begins after it.
    let quiet = hours(|place, hour| {
        if place >= END - 8 {
            (hour.total_ms, hour.work) = (hour.total_ms * 2.0, hour.work * 2.0);
        }
        if place == END - 7 {
            *hour = Hour { place, calls: 4.0, total_ms: 80.0, work: 400.0 };
        }
    });
    assert_eq!(step(&quiet, PER_DAY, END), Some(END - 6));
    assert_eq!(step(&[], PER_DAY, END), None);
}

#[test]
fn what_is_usual_has_to_be_known_from_three_days() {
    let found = stepped(END - 6, 2.0, 2.0);
    let since = |days: usize| step(&found[found.len() - days * 24..], PER_DAY, END);
    assert_eq!((since(3), since(4)), (None, Some(END - 6)));
}

#[test]
fn the_beginning_of_a_step_is_looked_for_within_three_days() {
    assert_eq!(step(&stepped(END - 80, 2.0, 2.0), PER_DAY, END), Some(END - 72));
}

#[test]
fn slow_is_above_the_limit_beyond_doubt() {
    let known = hours(|place, hour| hour.total_ms = 100.0 * (2_000.0 + (place * 7 % 11) as f64));
    let found = slow(&known, PER_DAY, END, 1_000.0, 0.0).unwrap();
    assert!((found.mean_ms - 2_005.0).abs() < 1.0 && found.mean_low_ms < found.mean_ms, "{found:?}");
    assert_eq!((found.calls, found.ms_per_day), (19_200.0, found.mean_ms * 2_400.0));
    assert!(found.t > SLOW_T_MIN);
    // As slow as the limit, too little time per day, known for too short.
    assert_eq!(slow(&known, PER_DAY, END, 2_004.9, 0.0), None);
    assert_eq!(slow(&known, PER_DAY, END, 1_000.0, 1e7), None);
    assert_eq!(slow(&known[..167], PER_DAY, END, 1_000.0, 0.0), None);
    assert_eq!(slow(&[], PER_DAY, END, 1_000.0, 0.0), None);
}

/// Its hours are kept for a week, and for so long it would be told again and again.
#[test]
fn what_does_not_run_any_more_is_not_slow() {
    let known = hours(|place, hour| hour.total_ms = 100.0 * (2_000.0 + (place * 7 % 11) as f64));
    let is_slow = |later: i64| slow(&known, PER_DAY, END + later, 1_000.0, 0.0).is_some();
    // A job of every night that begins an hour later than usual.
    assert_eq!([0, 25, 26, 48].map(is_slow), [true, true, false, false]);
}

#[test]
fn slow_no_longer_needs_enough_executions() {
    let recent = |calls: f64, mean: f64| {
        is_slow_no_longer([Hour { place: 0, calls, total_ms: calls * mean, work: 0.0 }].into_iter(), 1_000.0)
    };
    assert!(recent(30.0, 999.0));
    assert!(!recent(30.0, 1_000.0));
    assert!(!recent(29.0, 1.0));
}
