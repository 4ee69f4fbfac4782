use proptest::prelude::*;

use super::*;

fn at_ms(ms: u64) -> Monotonic {
    Monotonic::default().plus(Duration::from_millis(ms))
}

fn ledger() -> Ledger {
    Ledger::new(LedgerConfig::default(), Budget::default(), at_ms(0))
}

fn book(ledger: &mut Ledger, at: u64, cost_ms: u64) {
    ledger.book(at_ms(at), Purpose::Statements, Duration::from_millis(cost_ms), CostSource::Statement);
}

fn admitted(ledger: &Ledger, at: u64, purpose: Purpose) -> bool {
    ledger.check(at_ms(at), purpose, false).is_ok()
}

#[test]
fn the_default_is_half_a_percent_of_a_core() {
    assert_eq!(Budget::default().per_minute, Duration::from_millis(300));
    assert_eq!(Budget::of_core(f64::NAN).per_minute, Duration::ZERO);
}

#[test]
fn costs_are_kept_by_purpose_and_leave_the_minute_but_not_the_total() {
    let mut ledger = ledger();
    book(&mut ledger, 500, 10);
    ledger.book(at_ms(20_000), Purpose::Sizes, Duration::from_millis(5), CostSource::Wall);
    let (statements, sizes) = (Duration::from_millis(10), Duration::from_millis(5));
    let both = vec![(Purpose::Statements, statements), (Purpose::Sizes, sizes)];
    assert_eq!(ledger.spent_by_purpose(at_ms(60_500)), both, "not a millisecond early");
    assert_eq!(ledger.spent_by_purpose(at_ms(61_000)), [(Purpose::Sizes, sizes)]);
    assert_eq!(ledger.spent_last_minute(at_ms(500_000)), Duration::ZERO);
    let totals =
        [(Purpose::Statements, CostSource::Statement, statements), (Purpose::Sizes, CostSource::Wall, sizes)];
    assert_eq!(ledger.totals(), totals);
}

#[test]
fn work_is_given_up_in_order_and_comes_back_late() {
    let mut ledger = ledger();
    let kinds = [Purpose::Plans, Purpose::Sessions, Purpose::Sizes, Purpose::Statements, Purpose::Connect];
    let all = |ledger: &Ledger, at| kinds.map(|purpose| ledger.check(at_ms(at), purpose, false).is_ok());
    // A millisecond each is what is known of them; the rest is spent by something else.
    for purpose in kinds {
        ledger.book(at_ms(0), purpose, Duration::from_millis(1), CostSource::Statement);
    }
    let spend = |ledger: &mut Ledger, at, ms| {
        ledger.book(at_ms(at), Purpose::Catalogue, Duration::from_millis(ms), CostSource::Statement);
    };
    spend(&mut ledger, 0, 230);
    assert_eq!(all(&ledger, 0), [true; 5]);
    spend(&mut ledger, 10_000, 10);
    assert_eq!(all(&ledger, 10_000), [false, true, true, true, true]);
    spend(&mut ledger, 20_000, 55);
    assert_eq!(all(&ledger, 20_000), [false; 5]);
    assert_eq!(ledger.check(at_ms(20_000), Purpose::Statements, false).unwrap_err().ratio, 1.0);
    // The first 235 ms leave the window: 65 ms remain.
    ledger.update(at_ms(61_000));
    assert_eq!(all(&ledger, 61_000), [true; 5]);
    spend(&mut ledger, 61_000, 200);
    assert_eq!(all(&ledger, 61_000), [false, true, true, true, true], "265 of 300 ms");
    ledger.update(at_ms(81_000));
    assert!((ledger.pressure(at_ms(81_000)).ratio - 2.0 / 3.0).abs() < 1e-9);
    assert_eq!(all(&ledger, 81_000), [false, true, true, true, true], "0.67 is above three quarters of 0.8");
}

#[test]
fn there_has_to_be_room_for_twice_what_a_statement_took_and_nothing_is_given_up_for_good() {
    let mut ledger = ledger();
    book(&mut ledger, 0, 120);
    assert!(!admitted(&ledger, 0, Purpose::Statements), "120 and twice 120 of 300 ms");
    assert!(admitted(&ledger, 0, Purpose::Catalogue), "of which nothing is known: a quarter");
    ledger.note_denial(Purpose::Sizes);
    assert!(!ledger.pressure(at_ms(0)).gate_closed, "what is optional says nothing of the demand");
    ledger.note_denial(Purpose::Statements);
    assert!(ledger.pressure(at_ms(0)).gate_closed);
    // Others keep spending 100 ms a minute: it is expected to cost half as much each minute, until there is room.
    let spend = |ledger: &mut Ledger, at| {
        ledger.book(at_ms(at), Purpose::Catalogue, Duration::from_millis(100), CostSource::Statement);
    };
    spend(&mut ledger, 30_000);
    assert!(!admitted(&ledger, 59_000, Purpose::Statements));
    assert!(admitted(&ledger, 62_000, Purpose::Statements), "100 and twice 59 of 300 ms");
    ledger.reserve(at_ms(62_000), Purpose::Statements);
    assert!(!ledger.pressure(at_ms(62_000)).gate_closed);
}

#[test]
fn an_empty_minute_has_room_for_anything() {
    let mut ledger = ledger();
    book(&mut ledger, 0, 5_000);
    assert!(!admitted(&ledger, 60_000, Purpose::Statements));
    assert!(admitted(&ledger, 61_000, Purpose::Statements));
}

#[test]
fn above_the_budget_one_probe_a_minute_passes() {
    let mut ledger = ledger();
    book(&mut ledger, 0, 400);
    let probe = |ledger: &Ledger, at| ledger.check(at_ms(at), Purpose::Connect, true).is_ok();
    assert!(probe(&ledger, 1_000));
    let reserved = ledger.reserve(at_ms(1_000), Purpose::Connect);
    ledger.release(reserved);
    book(&mut ledger, 1_000, 400);
    assert!(!probe(&ledger, 2_000) && !probe(&ledger, 61_000));
    assert!(probe(&ledger, 62_000));
}

#[test]
fn a_budget_of_nothing_admits_nothing() {
    let ledger = Ledger::new(LedgerConfig::default(), Budget::of_core(0.0), at_ms(0));
    assert!(Purpose::ALL.iter().all(|purpose| !admitted(&ledger, 0, *purpose)));
}

#[test]
fn what_is_under_way_counts() {
    let mut ledger = ledger();
    let first = ledger.reserve(at_ms(0), Purpose::Statements);
    assert_eq!(first, Duration::from_millis(75), "a quarter of the budget as long as nothing is known");
    for _ in 0..3 {
        assert!(admitted(&ledger, 0, Purpose::Statements));
        ledger.reserve(at_ms(0), Purpose::Statements);
    }
    assert!(!admitted(&ledger, 0, Purpose::Statements));
    ledger.release(first);
    assert!(admitted(&ledger, 0, Purpose::Statements));
}

/// A receiver that polls every second stretched, each poll costing `cost_ms`, for some minutes; cost of the last one.
fn poll(ledger: &mut Ledger, from_s: u64, minutes: u64, cost_ms: f64) -> (f64, Vec<f64>) {
    let (mut next, mut last, mut stretches) = (from_s as f64, 0.0, Vec::new());
    for second in from_s..from_s + minutes * 60 {
        let now = at_ms(second * 1_000);
        ledger.update(now);
        if (second - from_s).is_multiple_of(60) {
            stretches.push(ledger.pressure(now).stretch);
            last = 0.0;
        }
        if (second as f64) < next {
            continue;
        }
        if ledger.check(now, Purpose::Statements, false).is_err() {
            ledger.note_denial(Purpose::Statements);
        } else {
            let cost = Duration::from_secs_f64(cost_ms / 1e3);
            ledger.book(now, Purpose::Statements, cost, CostSource::Statement);
            next = second as f64 + ledger.pressure(now).stretch;
            last += cost_ms;
        }
    }
    (last, stretches)
}

#[test]
fn the_cadence_stretches_until_the_work_fits_and_does_not_flap() {
    let mut ledger = ledger();
    // Four times the budget.
    let (last, stretches) = poll(&mut ledger, 0, 30, 20.0);
    assert!(last <= 300.0, "{last}");
    let settled = &stretches[10..];
    assert!(settled.iter().all(|stretch| (4.0..=10.0).contains(stretch)), "{stretches:?}");
    assert!(settled.windows(2).all(|pair| pair[0] == pair[1]), "{stretches:?}");
    let (_, stretches) = poll(&mut ledger, 1_800, 10, 0.5);
    assert_eq!(stretches.last(), Some(&1.0), "{stretches:?}");
}

proptest! {
    /// Whatever is asked for, in whatever order: over any minute the cost is within the budget, but for what the last
    /// statement took beyond the room that was made for it; probes above the budget apart, of which a minute has at most
    /// one.
    #[test]
    fn the_budget_is_held_but_for_what_was_not_expected(
        requests in prop::collection::vec((0u64..4_000, 0usize..Purpose::COUNT, any::<bool>(), 0u64..200, 0u64..900), 1..300),
    ) {
        let (mut ledger, mut now_ms) = (ledger(), 0u64);
        let (mut booked, mut probes) = (Vec::<(u64, Duration, Duration)>::new(), Vec::<u64>::new());
        for (wait, purpose, cheapest, cost, takes) in requests {
            now_ms += wait;
            let purpose = Purpose::ALL[purpose];
            if ledger.check(at_ms(now_ms), purpose, cheapest).is_err() {
                ledger.note_denial(purpose);
                continue;
            }
            let above = !ledger.has_room(at_ms(now_ms), purpose);
            let is_empty = ledger.spent_last_minute(at_ms(now_ms)).is_zero();
            let reserved = ledger.reserve(at_ms(now_ms), purpose);
            now_ms += takes;
            ledger.release(reserved);
            let cost = Duration::from_millis(cost);
            ledger.book(at_ms(now_ms), purpose, cost, CostSource::Statement);
            if above {
                prop_assert!(cheapest && purpose.class() == CostClass::Connection);
                prop_assert!(probes.last().is_none_or(|last| now_ms - takes - last >= 60_000));
                probes.push(now_ms - takes);
            } else {
                let room = if is_empty { Budget::default().per_minute } else { reserved };
                booked.push((now_ms, cost, cost.saturating_sub(room)));
            }
        }
        for (end, _, beyond) in &booked {
            let minute = booked.iter().filter(|(at, ..)| at <= end && end - at < 60_000);
            let spent: Duration = minute.map(|(_, cost, _)| *cost).sum();
            let bound = Budget::default().per_minute + *beyond;
            prop_assert!(spent <= bound + Duration::from_micros(1), "{spent:?} up to {end}, {beyond:?} unexpected");
        }
    }
}
