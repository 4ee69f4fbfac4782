use super::*;

fn statements(kind: TimeOuts) -> Vec<Statement> {
    (0..200).map(|number| kind.make(1, number)).collect()
}

#[test]
fn what_hangs_ends_less_and_is_timed_out_more() {
    for (number, hangs) in (0..).zip(statements(TimeOuts::Hangs)) {
        // The same statement as usual.
        let usual = TimeOuts::Usual.make(1, number);
        let from = hangs.hangs_from.unwrap();
        let sum =
            |of: &Statement, what: fn(&Hour) -> u64| of.hours[from..from + 8].iter().map(what).sum::<u64>();
        let (ended, was) = (sum(&hangs, |hour| hour.calls), sum(&usual, |hour| hour.calls));
        assert!(was < 100 || ended * 2 < was, "{ended} of {was}");
        let more = sum(&hangs, |hour| hour.timed_out) - sum(&usual, |hour| hour.timed_out);
        assert!(more <= was - ended && (was == ended || more > 0), "{more}");
        assert_eq!(hangs.hours[..from], usual.hours[..from]);
    }
}

#[test]
fn an_office_is_empty_at_night_and_on_weekends() {
    let day = |statement: &Statement| {
        let days = statement.hours.chunks(24).map(|day| day.iter().map(|hour| hour.calls).sum::<u64>());
        let days: Vec<u64> = days.collect();
        (days.iter().min().copied().unwrap(), days.iter().max().copied().unwrap())
    };
    let empty = |kind| {
        let is_empty = |of: &Statement| {
            let (least, most) = day(of);
            least * 3 < most
        };
        statements(kind).iter().filter(|of| is_empty(of)).count()
    };
    assert!(empty(TimeOuts::Office) > 190);
    assert!(empty(TimeOuts::Usual) < 190);
}

#[test]
fn a_deployment_retires_some_for_good() {
    let is_retired = |of: &Statement| of.hours[HOURS - 20..].iter().all(|hour| *hour == Hour::default());
    let retired = statements(TimeOuts::Deploys).iter().filter(|of| is_retired(of)).count();
    assert!((30..90).contains(&retired), "{retired}");
}

#[test]
fn losses_are_of_counters_and_not_of_the_log() {
    let is_lost = |hour: &&Hour| hour.calls == 0 && hour.timed_out > 0;
    let lost = |kind| statements(kind).iter().flat_map(|of| &of.hours).filter(is_lost).count();
    assert!(lost(TimeOuts::Losses) > 3 * lost(TimeOuts::Usual), "{}", lost(TimeOuts::Losses));
}

#[test]
fn a_collector_that_is_restarted_says_when() {
    assert!(
        statements(TimeOuts::Restarts).iter().all(|of| of.restart.is_some_and(|hour| hour >= HOURS_BEFORE))
    );
    let some = statements(TimeOuts::Usual).iter().filter(|of| of.restart.is_some()).count();
    assert!((20..65).contains(&some), "{some}");
}
