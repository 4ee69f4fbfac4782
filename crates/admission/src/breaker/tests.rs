use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn at(secs: u64) -> Monotonic {
    Monotonic::default().plus(Duration::from_secs(secs))
}

fn rule() -> ClassRule {
    FailureClass::LockTimeout.rule()
}

fn ticket(breaker: &mut Breaker, now: Monotonic, probe: Probe) -> Ticket {
    match breaker.admit(now, probe).0 {
        Admit::Yes(ticket) | Admit::Probe(ticket) => ticket,
        no @ Admit::No { .. } => panic!("{no:?}"),
    }
}

fn fail(breaker: &mut Breaker, now: Monotonic, rule: ClassRule) -> Option<Transition> {
    let ticket = ticket(breaker, now, Probe::Cheapest);
    breaker.report(now, ticket, Verdict::Failure(rule), &mut fastrand::Rng::with_seed(1))
}

fn succeed(breaker: &mut Breaker, now: Monotonic) -> Option<Transition> {
    let ticket = ticket(breaker, now, Probe::Cheapest);
    breaker.report(now, ticket, Verdict::Success, &mut fastrand::Rng::with_seed(1))
}

fn opened(now: Monotonic) -> Breaker {
    let mut breaker = Breaker::new(BreakerConfig::default(), now);
    for _ in 1..rule().threshold {
        assert_eq!(fail(&mut breaker, now, rule()), None);
    }
    assert_eq!(fail(&mut breaker, now, rule()).unwrap().to, State::Open);
    breaker
}

#[test]
fn only_consecutive_failures_of_one_class_open_it() {
    let mut breaker = Breaker::new(BreakerConfig::default(), at(0));
    let other = FailureClass::StatementTimeout.rule();
    assert_eq!([fail(&mut breaker, at(1), rule()), fail(&mut breaker, at(1), rule())], [None, None]);
    assert_eq!(succeed(&mut breaker, at(2)), None);
    assert_eq!([fail(&mut breaker, at(3), rule()), fail(&mut breaker, at(3), other)], [None, None]);
    assert_eq!([fail(&mut breaker, at(3), rule()), fail(&mut breaker, at(3), other)], [None, None]);
    let transition = fail(&mut breaker, at(4), other).unwrap();
    assert_eq!(
        (transition.from, transition.to, transition.class),
        (State::Closed, State::Open, Some(other.class))
    );
}

#[test]
fn it_recovers_by_two_probes_and_says_how_long_it_took() {
    let mut breaker = opened(at(0));
    let later = at(15);
    assert_eq!(breaker.check(later, Probe::Other), Err((Refusal::AwaitingProbe, SECOND)));
    let (admit, transition) = breaker.admit(later, Probe::Cheapest);
    assert_eq!(transition.unwrap().to, State::HalfOpen);
    assert_eq!(breaker.check(later, Probe::Cheapest), Err((Refusal::ProbeOutstanding, SECOND)));
    let Admit::Probe(first) = admit else { panic!("{admit:?}") };
    let mut random = fastrand::Rng::with_seed(1);
    assert_eq!(breaker.report(later, first, Verdict::Success, &mut random), None);
    assert_eq!(breaker.report(later, first, Verdict::Success, &mut random), None, "counted once");
    let transition = succeed(&mut breaker, at(20)).unwrap();
    assert_eq!((transition.to, transition.open_for), (State::Closed, Some(20 * SECOND)));
    assert_eq!(transition.class, Some(FailureClass::LockTimeout));
}

#[test]
fn failed_probes_wait_longer_and_longer_up_to_the_cap() {
    let mut breaker = opened(at(0));
    let mut now = at(0);
    for step in 1..12 {
        now = breaker.view(now).next_probe.unwrap();
        let wait = fail(&mut breaker, now, rule()).unwrap().wait.unwrap();
        let early = Duration::from_nanos(1);
        let refused = Err((Refusal::Open(FailureClass::LockTimeout), early));
        assert_eq!(breaker.check(now.plus(wait.saturating_sub(early)), Probe::Cheapest), refused);
        let (shortest, longest) = backoff::bounds(rule().base, rule().max, step);
        assert!(shortest <= wait && wait <= longest && wait <= rule().max, "step {step}: {wait:?}");
    }
}

#[test]
fn a_lost_probe_frees_its_place_and_its_late_report_changes_nothing() {
    let mut breaker = opened(at(0));
    let lost = ticket(&mut breaker, at(20), Probe::Cheapest);
    assert!(breaker.check(at(139), Probe::Cheapest).is_err());
    let second = ticket(&mut breaker, at(140), Probe::Cheapest);
    let mut random = fastrand::Rng::with_seed(1);
    assert_eq!(breaker.report(at(141), lost, Verdict::Failure(rule()), &mut random), None);
    assert!(breaker.check(at(141), Probe::Cheapest).is_err(), "the second is still out");
    assert_eq!(breaker.report(at(141), second, Verdict::Nothing, &mut random), None);
    assert_eq!(breaker.check(at(141), Probe::Cheapest), Ok(true));
}

#[test]
fn a_report_from_before_a_transition_neither_closes_nor_opens() {
    let mut breaker = Breaker::new(BreakerConfig::default(), at(0));
    let early = ticket(&mut breaker, at(0), Probe::Other);
    breaker.trip(at(1), rule(), &mut fastrand::Rng::with_seed(1)).unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    assert_eq!(breaker.report(at(2), early, Verdict::Success, &mut random), None);
    succeed(&mut breaker, at(20));
    succeed(&mut breaker, at(20)).unwrap();
    for _ in 0..10 {
        assert_eq!(breaker.report(at(21), early, Verdict::Failure(rule()), &mut random), None);
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn a_relapse_keeps_its_wait_and_a_long_health_forgets_it() {
    let mut breaker = opened(at(0));
    assert_eq!(fail(&mut breaker, at(15), rule()).unwrap().from, State::HalfOpen);
    succeed(&mut breaker, at(50));
    succeed(&mut breaker, at(50)).unwrap();
    let mut relapsed = breaker.clone();
    let mut random = fastrand::Rng::with_seed(1);
    let wait = |transition: Option<Transition>| transition.unwrap().wait.unwrap();
    let soon = wait(relapsed.trip(at(60), rule(), &mut random));
    assert!(soon >= rule().base && soon <= rule().base * 2);
    assert!(wait(breaker.trip(at(1_000), rule(), &mut random)) <= rule().base);
}

/// The steps of one class are not those of another, whose waits begin where the others had come to.
#[test]
fn the_wait_goes_on_where_another_class_had_come_to() {
    let (lost, full) = (FailureClass::ConnectionLost.rule(), FailureClass::TooManyConnections.rule());
    let mut breaker = Breaker::new(BreakerConfig::default(), at(0));
    let mut now = at(0);
    fail(&mut breaker, now, lost);
    for _ in 0..7 {
        let transition = fail(&mut breaker, now, lost).unwrap();
        now = now.plus(transition.wait.unwrap());
    }
    let wait = fail(&mut breaker, now, full).unwrap().wait.unwrap();
    assert!((120 * SECOND..=240 * SECOND).contains(&wait), "after up to 120 s: {wait:?}");
    now = now.plus(wait);
    let wait = fail(&mut breaker, now, full).unwrap().wait.unwrap();
    assert!((240 * SECOND..=480 * SECOND).contains(&wait), "{wait:?}");
    // Closed for a moment, and opened by the first one again.
    now = now.plus(wait);
    succeed(&mut breaker, now);
    succeed(&mut breaker, now);
    fail(&mut breaker, now, lost);
    let wait = fail(&mut breaker, now, lost).unwrap().wait.unwrap();
    assert!((60 * SECOND..=120 * SECOND).contains(&wait), "its longest: {wait:?}");
}

/// A person may end sooner what he began.
#[test]
fn an_order_that_is_shortened_ends_at_its_new_end() {
    let mut breaker = opened(at(0));
    for until in [10_000, 300] {
        breaker.force_open(at(10), "work".into(), at(until));
    }
    assert!(breaker.check(at(299), Probe::Cheapest).is_err());
    assert_eq!(breaker.check(at(300), Probe::Cheapest), Ok(true));
}

#[test]
fn orders_end_by_themselves() {
    let mut breaker = Breaker::new(BreakerConfig::default(), at(0));
    assert_eq!(breaker.force_open(at(0), "deploy".into(), at(60)).unwrap().class, None);
    assert_eq!(breaker.check(at(10), Probe::Cheapest), Err((Refusal::Forced("deploy".into()), 50 * SECOND)));
    assert_eq!(breaker.check(at(60), Probe::Cheapest), Ok(true));
    let mut released = breaker.clone();
    released.release(at(10));
    assert_eq!(released.check(at(10), Probe::Cheapest), Ok(true));

    assert_eq!(breaker.force_closed(at(20), "we know".into(), at(80)).unwrap().to, State::Closed);
    for second in 20..80 {
        assert_eq!(fail(&mut breaker, at(second), rule()), None);
        assert_eq!(breaker.trip(at(second), rule(), &mut fastrand::Rng::with_seed(1)), None);
    }
    assert_eq!([fail(&mut breaker, at(80), rule()), fail(&mut breaker, at(80), rule())], [None, None]);
    assert!(fail(&mut breaker, at(80), rule()).is_some());
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Ask(bool),
    /// Report one of the tickets that are out: which, and how it ended.
    Report(usize, u8),
    Lose(usize),
    Trip,
    ForceOpen(u64),
    ForceClosed(u64),
    Release,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0u64..400).prop_map(Step::Wait),
        6 => any::<bool>().prop_map(Step::Ask),
        6 => (any::<usize>(), 0u8..6).prop_map(|(which, how)| Step::Report(which, how)),
        1 => any::<usize>().prop_map(Step::Lose),
        1 => Just(Step::Trip),
        1 => (0u64..2_000).prop_map(Step::ForceOpen),
        1 => (0u64..2_000).prop_map(Step::ForceClosed),
        1 => Just(Step::Release),
    ]
}

fn verdict(how: u8) -> Verdict {
    match how {
        0 => Verdict::Nothing,
        1 => Verdict::Failure(FailureClass::ConnectionLost.rule()),
        2 => Verdict::Failure(FailureClass::InsufficientPrivilege.rule()),
        3 => Verdict::Failure(rule()),
        _ => Verdict::Success,
    }
}

proptest! {
    /// Whatever happens: never two probes at once, waits within their bounds, nothing passes while it waits, and from
    /// every state it reaches time and successes alone close it.
    #[test]
    fn any_history_keeps_the_promises(steps in prop::collection::vec(step(), 0..200), seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let config = BreakerConfig::default();
        let mut breaker = Breaker::new(config.clone(), at(0));
        let (mut now, mut out) = (at(0), Vec::<(Ticket, bool, Monotonic, u64)>::new());
        let mut reopenings = 0;
        for step in steps {
            let mut seen = None;
            match step {
                Step::Wait(secs) => now = now.plus(Duration::from_secs(secs)),
                Step::Ask(cheapest) => {
                    let before = breaker.view(now);
                    let (admit, transition) =
                        breaker.admit(now, if cheapest { Probe::Cheapest } else { Probe::Other });
                    seen = transition;
                    match admit {
                        Admit::Yes(ticket) => {
                            prop_assert_eq!(before.state, State::Closed);
                            out.push((ticket, false, now, breaker.generation));
                        }
                        Admit::Probe(ticket) => {
                            prop_assert!(cheapest && before.next_probe.is_none_or(|due| now >= due));
                            let live = out.iter().filter(|(_, probe, started, generation)| {
                                *probe && *generation == breaker.generation
                                    && now.since(*started) < config.probe_lifetime
                            });
                            prop_assert_eq!(live.count(), 0, "a second probe");
                            out.push((ticket, true, now, breaker.generation));
                        }
                        Admit::No { retry_after, .. } => prop_assert!(retry_after <= Duration::from_secs(3_600)),
                    }
                }
                Step::Report(which, how) if !out.is_empty() => {
                    let (ticket, _, _, generation) = out.swap_remove(which % out.len());
                    let before = (breaker.state, breaker.generation);
                    seen = breaker.report(now, ticket, verdict(how), &mut random);
                    if before.1 != generation {
                        prop_assert_eq!((breaker.state, breaker.generation), before);
                    }
                }
                Step::Lose(which) if !out.is_empty() => {
                    // A lost ticket stays in the list of probes until its lifetime is over: it is only never reported.
                    let at = which % out.len();
                    if !out[at].1 { out.swap_remove(at); }
                }
                Step::Report(..) | Step::Lose(_) => {}
                Step::Trip => seen = breaker.trip(now, rule(), &mut random),
                Step::ForceOpen(secs) => {
                    seen = breaker.force_open(now, "test".into(), now.plus(Duration::from_secs(secs)));
                }
                Step::ForceClosed(secs) => {
                    seen = breaker.force_closed(now, "test".into(), now.plus(Duration::from_secs(secs)));
                }
                Step::Release => breaker.release(now),
            }
            if let Some(transition) = seen {
                prop_assert_eq!(transition.to, breaker.state());
                prop_assert_ne!(transition.from, transition.to);
                prop_assert_eq!(transition.to == State::Closed, transition.open_for.is_some());
                if let (State::Open, Some(class)) = (transition.to, transition.class) {
                    reopenings = if transition.from == State::HalfOpen { reopenings + 1 } else { reopenings };
                    let (longest, shortest) = (class.rule().max, class.rule().base / 2);
                    let wait = transition.wait.unwrap();
                    prop_assert!(wait <= longest && wait >= shortest.min(longest / 2));
                }
            }
        }
        // The longest order, the longest wait, and the lifetime of a lost probe.
        now = now.plus(Duration::from_secs(2_000 + 3_600));
        for _ in 0..config.success_threshold {
            succeed(&mut breaker, now);
        }
        prop_assert_eq!(breaker.state(), State::Closed);
        prop_assert!(reopenings < 200);
    }
}
