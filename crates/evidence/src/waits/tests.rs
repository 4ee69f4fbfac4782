use super::*;

/// Hours of so many samples, of which so many wait for a lock and for input or output.
fn of(hours: impl IntoIterator<Item = (u16, u16, u16)>) -> WaitHours {
    let mut it = WaitHours::default();
    for (hour, (samples, locks, io)) in (1..).zip(hours) {
        it.note(hour, WaitCounts { samples, locks, io });
    }
    it
}

/// The same hours, in which a call takes so long.
fn calls(ms: impl IntoIterator<Item = f64>) -> Vec<Block> {
    let block = |(start, ms)| Block { start, calls: 100.0, total_ms: 100.0 * ms, ..Block::default() };
    (1..).zip(ms).map(block).collect()
}

fn typical(sampled: &WaitHours) -> Option<TypicalWaits> {
    sampled.typical(HoursOfDay([true; WAIT_HOURS]))
}

/// Whether a statement that takes 10 ms before, and so many times as long since, waits more.
fn compared(before: &WaitHours, since: &WaitHours, ratio: f64) -> Waits {
    let [of_before, of_since] = [10.0, 10.0 * ratio].map(|ms| calls([ms; 12]));
    let waited = Waited::between((before, &of_before), (since, &of_since));
    waited.map_or(Waits::Unclear, |waited| waited.waits(Direction::Slower))
}

#[test]
fn waiting_is_told_by_the_time_that_it_adds() {
    let waiting = |of_100: u16| of([(100, of_100, 0); 12]);
    let check = |before: u16, since: u16, ratio: f64, expected: Waits| {
        assert_eq!(compared(&waiting(before), &waiting(since), ratio), expected, "{before} {since} {ratio}");
    };
    // 9 points more, and yet 15 of the 15 ms that were added are waiting.
    check(85, 94, 2.5, Waits::Rose);
    check(85, 85, 2.5, Waits::Rose);
    // The same 8.5 ms of waiting before and since, as 34 % of the samples.
    check(85, 34, 2.5, Waits::NoRise);
    check(0, 0, 2.5, Waits::NoRise);
    check(10, 10, 4.0, Waits::NoRise);
    // 15 points more, which is a fifth of what was added.
    check(5, 20, 10.0, Waits::NoRise);
    check(10, 90, 4.0, Waits::Rose);
    // About half of it.
    check(10, 40, 4.0, Waits::Unclear);
    // It is as long as before, or shorter, while the verdict says that it is longer.
    check(10, 90, 1.0, Waits::Unclear);
    check(10, 10, 0.9, Waits::Unclear);
}

#[test]
fn the_part_and_its_bounds_are_those_computed_by_hand() {
    let call = |call_ms: f64, share: f64, error: f64| WaitingCall {
        call_ms,
        waits: TypicalWaits { share, error, locks: share, io: 0.0 },
    };
    let waited = Waited { before: call(10.0, 0.2, 0.03), since: call(30.0, 0.3, 0.04) };
    let part = waited.part().unwrap();
    // (9 - 2) / 20, and 2 * sqrt(0.3^2 + 1.2^2) / 20.
    let error = (0.09_f64 + 1.44).sqrt() / 10.0;
    assert!((part.estimate - 0.35).abs() < 1e-12);
    assert!((part.low - 0.35 + error).abs() < 1e-12 && (part.high - 0.35 - error).abs() < 1e-12, "{part:?}");
    // The other way round it is the same part of what is gone.
    let back = Waited { before: waited.since, since: waited.before };
    assert_eq!(back.part().map(|part| part.estimate), Some(part.estimate));
    assert_eq!([&waited, &back].map(|it| it.waits(Direction::Slower)), [Waits::NoRise, Waits::Unclear]);
    assert_eq!([&waited, &back].map(|it| it.waits(Direction::Faster)), [Waits::Unclear, Waits::NoRise]);
    // What got faster because it waits less does not wait more.
    let less = Waited { before: call(30.0, 0.9, 0.01), since: call(10.0, 0.7, 0.01) };
    assert_eq!(less.waits(Direction::Faster), Waits::Unclear);
}

#[test]
fn a_storm_in_the_time_before_hides_nothing() {
    // In sums, more than half of the samples before waited.
    let storm = [(10, 0, 0), (10, 1, 0), (10, 0, 0), (200, 190, 0), (10, 1, 0), (10, 0, 0)];
    let usual = [(10, 0, 0); 6];
    let busy = |sampled: [(u16, u16, u16); 6], ms: [f64; 6]| (of(sampled), calls(ms));
    let stormy_ms = |ms: f64| [ms, ms, ms, 100.0 * ms, ms, ms];
    let waits = |before: &(WaitHours, Vec<Block>), since: (WaitHours, Vec<Block>)| {
        let waited = Waited::between((&before.0, &before.1), (&since.0, &since.1)).unwrap();
        waited.waits(Direction::Slower)
    };
    for before in [busy(storm, stormy_ms(10.0)), busy(usual, [10.0; 6])] {
        assert_eq!(waits(&before, busy([(10, 0, 9); 6], [40.0; 6])), Waits::Rose);
        assert_eq!(waits(&before, busy(usual, [40.0; 6])), Waits::NoRise);
        // One since is none of the plan's either.
        assert_eq!(waits(&before, busy(storm, stormy_ms(40.0))), Waits::NoRise);
    }
}

/// A statement that waits for backups every night, whatever its plan.
#[test]
fn nights_are_compared_with_nights() {
    let is_night = |hour: i64| hour.rem_euclid(24) < 8;
    // 27 ms of waiting at night, and so much more that takes the processor since the change.
    let ms = |hour: i64, more: f64| if is_night(hour) { 30.0 + more } else { 10.0 + more };
    let sampled = |hours: std::ops::Range<i64>, more: f64| {
        let (mut sampled, mut blocks) = (WaitHours::default(), Vec::new());
        for start in hours {
            let ms = ms(start, more);
            let waiting = if is_night(start) { (27.0 / ms * 100.0).round() as u16 } else { 0 };
            sampled.note(start, WaitCounts { samples: 100, locks: 0, io: waiting });
            blocks.push(Block { start, calls: 100.0, total_ms: 100.0 * ms, ..Block::default() });
        }
        (sampled, blocks)
    };
    let before = sampled(-168..0, 0.0);
    let waits = |since: std::ops::Range<i64>| {
        let since = sampled(since, 12.0);
        let waited = Waited::between((&before.0, &before.1), (&since.0, &since.1));
        waited
            .map(|waited| (waited.waits(Direction::Slower), (waited.part().unwrap().estimate * 10.0).round()))
    };
    for since in [0..4, 2..8, 8..14, 18..26, 0..24, 0..60] {
        assert_eq!(waits(since.clone()), Some((Waits::NoRise, 0.0)), "{since:?}");
    }
    // Without the same hours of day before, there is nothing to compare with.
    let by_day = sampled(-16..-3, 0.0);
    let night = sampled(0..6, 12.0);
    assert_eq!(Waited::between((&by_day.0, &by_day.1), (&night.0, &night.1)), None);
}

#[test]
fn without_enough_samples_nothing_is_said() {
    let usual = of([(10, 0, 0); 4]);
    assert_eq!(compared(&usual, &of([(10, 9, 0); 4]), 4.0), Waits::Rose);
    assert_eq!(compared(&usual, &of([(10, 9, 0); 3]), 4.0), Waits::Unclear);
    assert_eq!(compared(&WaitHours::default(), &usual, 4.0), Waits::Unclear);
    assert_eq!(Waited::between((&usual, &[Block::default()]), (&usual, &calls([10.0; 6]))), None);
    // Four hours that are all alike are known to one sample of twenty: enough for four times the time, and not for a tenth more.
    assert_eq!(compared(&usual, &usual, 4.0), Waits::NoRise);
    assert_eq!(compared(&usual, &usual, 1.1), Waits::Unclear);
}

#[test]
fn a_share_is_known_as_well_as_its_hours_agree() {
    let error = |hours: [u16; 8]| typical(&of(hours.map(|waiting| (10, waiting, 0)))).unwrap().error;
    assert_eq!(error([5; 8]), 1.0 / 42.0);
    let apart = error([1, 9, 2, 8, 1, 9, 2, 8]);
    // Half of the hours are 0.3 and half 0.4 from the median: 1.2533 * 1.4826 * 0.35 / sqrt(8), in 255ths.
    assert!((apart - 0.23).abs() < 0.002, "{apart}");
}

#[test]
fn an_hour_with_few_samples_goes_on_until_it_has_enough() {
    // Two in each of ten hours are three hours of five or six, and four left.
    assert_eq!(typical(&of([(2, 1, 0); 10])), None);
    let typical = typical(&of([(2, 1, 0); 12])).expect("four of six");
    assert_eq!((typical.locks * 100.0).round(), 50.0);
}

#[test]
fn what_is_usual_is_what_was_usual_lately() {
    let mut hours = of([(10, 10, 0); 30]);
    for hour in 31..31 + WAIT_HOURS as i64 {
        hours.note(hour, WaitCounts { samples: 10, locks: 0, io: 2 });
    }
    let typical = typical(&hours).expect("many hours");
    assert_eq!(((typical.share * 10.0).round(), typical.locks), (2.0, 0.0));
}

#[test]
fn an_hour_with_more_samples_than_can_be_counted_keeps_its_shares() {
    let mut hours = of([(10, 0, 0); 3]);
    (0..70_000).for_each(|_| hours.note(4, WaitCounts { samples: 1, locks: 1, io: 0 }));
    assert_eq!(hours.open, WaitCounts { samples: u16::MAX, locks: u16::MAX, io: 0 });
}

#[test]
fn what_was_kept_is_the_same_again_and_what_cannot_be_is_none() {
    for hours in [0, 3, 24, 40] {
        let it = of(vec![(7, 2, 1); hours]);
        let (hour, open, kept) = it.kept();
        assert_eq!(WaitHours::from_kept(hour, open, *kept), Some(it));
        let more = WaitCounts { locks: open.samples + 1, ..open };
        assert_eq!(WaitHours::from_kept(hour, more, *kept), None);
    }
}
