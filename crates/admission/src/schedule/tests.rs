use super::*;

fn time(text: &str) -> TimeOfDay {
    TimeOfDay::try_parse(text).unwrap()
}

fn window(days: Days, from: &str, to: &str) -> Window {
    Window { days, from: time(from), to: time(to) }
}

fn day(number: u8) -> Days {
    Days::default().with(number)
}

fn at_minute(minute: u64) -> Timestamp {
    Timestamp::from_nanos(minute * 60_000_000_000)
}

/// 2026-01-01T00:00:00Z in minutes since the epoch, and the minutes of that year.
const YEAR_2026: u64 = 1_767_225_600 / 60;
const YEAR_MINUTES: u64 = 365 * 1_440;

/// Days since the epoch of the last Sunday of a month that ends on the given day.
fn sunday_before(last_day: u64) -> u64 {
    // 1970-01-01 was a Thursday: with Monday as 0, day 3.
    last_day - (last_day + 3 + 1) % 7
}

/// Berlin's offset in minutes, by the rule of the European Union: last Sundays of March and October, 01:00 UTC.
fn berlin(minute: u64) -> i64 {
    let first = YEAR_2026 / 1_440;
    let (march, october) = (sunday_before(first + 31 + 28 + 30), sunday_before(first + 303));
    let summer = minute >= march * 1_440 + 60 && minute < october * 1_440 + 60;
    if summer { 120 } else { 60 }
}

/// New York's, by the Energy Policy Act of 2005: second Sunday of March and first of November, 02:00 local.
fn new_york(minute: u64) -> i64 {
    let first = YEAR_2026 / 1_440;
    let (march, november) = (sunday_before(first + 31 + 28 + 13), sunday_before(first + 304 + 6));
    let summer = minute >= march * 1_440 + 7 * 60 && minute < november * 1_440 + 6 * 60;
    if summer { -240 } else { -300 }
}

fn kathmandu(_: u64) -> i64 {
    345
}

/// The minutes of the week a window has, painted one by one.
fn paint(window: Window) -> Vec<bool> {
    let mut week = vec![false; 7 * 1_440];
    for day in 0..7u8 {
        if window.days.has(day) {
            let (from, to) = (usize::from(window.from.0), usize::from(window.to.0));
            let length = if to > from { to - from } else { 1_440 - from + to };
            for ahead in 0..length {
                week[(usize::from(day) * 1_440 + from + ahead) % (7 * 1_440)] = true;
            }
        }
    }
    week
}

/// Every minute of 2026 against the painted week under an offset from the law, and every change against the next one.
fn check(zone: &str, offset: fn(u64) -> i64, windows: Vec<Window>) {
    let schedule = Schedule::try_new(zone, windows.clone()).unwrap();
    let weeks: Vec<_> = windows.into_iter().map(paint).collect();
    let expected = |minute: u64| {
        let local = minute.checked_add_signed(offset(minute)).unwrap();
        let of_week = ((local + 3 * 1_440) % (7 * 1_440)) as usize;
        weeks.iter().position(|week| week[of_week])
    };
    let mut change = None;
    for minute in YEAR_2026..YEAR_2026 + YEAR_MINUTES {
        let at = at_minute(minute);
        assert_eq!(schedule.active(at), expected(minute), "{zone} {at}");
        assert_eq!(
            schedule.active(at.plus(Duration::from_nanos(59_999_999_999))),
            expected(minute),
            "{zone} {at}"
        );
        if minute > YEAR_2026 && expected(minute) != expected(minute - 1) {
            assert!(change.is_none_or(|change| change == Some(at)), "{zone}: {change:?}, really {at}");
            change = None;
        }
        // Asked at odd instants, so that the answer must be rounded to the minute by the schedule itself.
        if change.is_none() {
            change = Some(schedule.next_change(at.plus(Duration::from_millis(17_003))));
        }
    }
}

#[test]
fn every_minute_of_a_year_is_as_the_law_says() {
    let windows = vec![
        window(day(6), "02:30", "03:15"),
        window(Days::WORKDAYS, "09:00", "17:30"),
        window(day(4).with(5), "22:00", "06:00"),
        window(day(6), "23:59", "00:00"),
        window(day(2), "18:00", "24:00"),
    ];
    check("Europe/Berlin", berlin, windows.clone());
    check("America/New_York", new_york, windows.clone());
    check("Asia/Kathmandu", kathmandu, windows);
}

#[test]
fn a_whole_day_is_the_whole_day_and_no_more() {
    check("Europe/Berlin", berlin, vec![window(day(6), "00:00", "00:00")]);
    check("Europe/Berlin", berlin, vec![window(day(6), "00:00", "24:00")]);
    let always = Schedule::try_new("UTC", vec![window(Days::ALL, "00:00", "00:00")]).unwrap();
    assert_eq!((always.active(at_minute(0)), always.next_change(at_minute(YEAR_2026))), (Some(0), None));
    let never = Schedule::try_new("UTC", Vec::new()).unwrap();
    assert_eq!((never.active(at_minute(0)), never.next_change(at_minute(YEAR_2026))), (None, None));
}

#[test]
fn a_window_in_the_skipped_hour_is_skipped_and_one_in_the_doubled_hour_is_doubled() {
    let schedule = Schedule::try_new("Europe/Berlin", vec![window(Days::ALL, "02:10", "02:20")]).unwrap();
    let minutes = |first_day: u64| {
        let from = YEAR_2026 + first_day * 1_440;
        (from..from + 1_440).filter(|minute| schedule.active(at_minute(*minute)).is_some()).count()
    };
    // 28, 29 and 30 March; 24, 25 and 26 October.
    assert_eq!([minutes(86), minutes(87), minutes(88)], [10, 0, 10]);
    assert_eq!([minutes(296), minutes(297), minutes(298)], [10, 20, 10]);
}

#[test]
fn what_cannot_be_is_said() {
    let fails = |zone, windows| Schedule::try_new(zone, windows).unwrap_err();
    assert_eq!(fails("Mars/Olympus", Vec::new()), ScheduleError::UnknownZone("Mars/Olympus".into()));
    for (days, from, to) in
        [(Days::ALL, "08:00", "08:00"), (Days::ALL, "24:00", "08:00"), (Days::default(), "08:00", "09:00")]
    {
        assert_eq!(fails("UTC", vec![window(days, from, to)]), ScheduleError::EmptyWindow(0));
    }
    let many = vec![window(Days::ALL, "08:00", "09:00"); MAX_WINDOWS + 1];
    assert_eq!(fails("UTC", many), ScheduleError::TooMany(MAX_WINDOWS + 1));
    for text in ["", "8:00", "08:60", "24:01", "25:00", "+8:00", "08:00:00", "ab:cd", "０８:00"] {
        assert_eq!(TimeOfDay::try_parse(text), Err(ScheduleError::NotATime(text.into())), "{text}");
    }
}
