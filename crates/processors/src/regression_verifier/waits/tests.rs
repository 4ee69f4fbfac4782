use super::*;

fn session(waits_for: Option<&'static str>) -> Session {
    Session { wait_event_type: waits_for.map(Into::into), ..Session::default() }
}

/// Adds an hour of so many samples, of which so many wait for a lock and for input or output.
fn add(hours: &mut WaitHours, hour: i64, samples: usize, locks: usize, io: usize) {
    for sample in 0..samples {
        let waits_for = match sample {
            sample if sample < locks => Some("Lock"),
            sample if sample < locks + io => Some("IO"),
            _ => None,
        };
        hours.note(&session(waits_for), hour);
    }
}

fn of(hours: impl IntoIterator<Item = (usize, usize, usize)>) -> WaitHours {
    let mut it = WaitHours::default();
    for (hour, (samples, locks, io)) in hours.into_iter().enumerate() {
        add(&mut it, hour as i64 + 1, samples, locks, io);
    }
    it
}

fn compared(before: &WaitHours, since: &WaitHours) -> Waits {
    waits(before.typical(), since.typical())
}

#[test]
fn a_storm_in_the_time_before_hides_nothing() {
    // In sums, more than half of the samples before waited.
    let storm = [(10, 0, 0), (10, 1, 0), (10, 0, 0), (200, 190, 0), (10, 1, 0), (10, 0, 0)];
    let usual = [(10, 0, 0); 6];
    for before in [storm, usual] {
        assert_eq!(compared(&of(before), &of([(10, 0, 5); 6])), Waits::Rose);
        assert_eq!(compared(&of(before), &of([(10, 0, 0); 6])), Waits::NoRise);
    }
    // One since is none of the plan's either.
    assert_eq!(compared(&of(usual), &of(storm)), Waits::NoRise);
}

#[test]
fn without_enough_hours_nothing_is_said() {
    let usual = of([(10, 0, 0); 4]);
    assert_eq!(compared(&usual, &of([(10, 9, 0); 4])), Waits::Rose);
    assert_eq!(compared(&usual, &of([(10, 9, 0); 3])), Waits::NotSampled);
    assert_eq!(compared(&WaitHours::default(), &usual), Waits::NotSampled);
}

#[test]
fn an_hour_with_few_samples_goes_on_until_it_has_enough() {
    // Two in each of ten hours are three hours of five or six, and four left.
    assert_eq!(of([(2, 1, 0); 10]).typical(), None);
    let typical = of([(2, 1, 0); 12]).typical().expect("four of six");
    assert_eq!((typical.locks * 100.0).round(), 50.0);
}

#[test]
fn what_is_usual_is_what_was_usual_lately() {
    let mut hours = of([(10, 10, 0); 30]);
    for hour in 31..31 + WAIT_HOURS_MAX as i64 {
        add(&mut hours, hour, 10, 0, 2);
    }
    let typical = hours.typical().expect("many hours");
    assert_eq!(((typical.waiting * 10.0).round(), typical.locks), (2.0, 0.0));
}

#[test]
fn an_hour_with_more_samples_than_can_be_counted_keeps_its_shares() {
    let mut hours = of([(10, 0, 0); 3]);
    add(&mut hours, 4, 70_000, 70_000, 0);
    assert_eq!(hours.open, Counts { samples: u16::MAX, locks: u16::MAX, io: 0 });
}

#[test]
fn what_was_written_is_read_and_what_is_damaged_is_not() {
    for hours in [0, 3, 24, 40] {
        let written = of(vec![(7, 2, 1); hours]);
        let mut out = Writer::default();
        written.write(&mut out);
        assert_eq!(WaitHours::read(&mut Reader(&out.0)), Ok(written));
        for end in 0..out.0.len() {
            assert_eq!(WaitHours::read(&mut Reader(&out.0[..end])), Err(Damaged), "{end}");
        }
        // More waiting than there are samples; more hours than there is room for.
        for (place, value) in [(11, 200), (14, 25)] {
            let mut bytes = out.0.clone();
            bytes[place] = value;
            assert_eq!(WaitHours::read(&mut Reader(&bytes)), Err(Damaged), "{place}");
        }
    }
}
