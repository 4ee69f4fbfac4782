//! What a change of plan leads to, and what does not lead to anything.

use dbintel_model::finding::{Attribution, Category, FindingKind, FindingNews, FindingState, Source};

use dbintel_model::{FindingEvent, PlanRung, PlanTimes, PlanTimesSource};

use super::world::{World, key, world};

const DROPPED: (&str, &str) =
    ("ddl", "ddl index public.orders_customer dropped on public.orders, noticed at 2026");
const ANALYSED: (&str, &str) = ("analyze", "analyze public.orders, at 2026");

#[test]
fn a_plan_that_makes_a_statement_slower_is_found_with_everything_that_speaks_for_it() {
    let mut world = World::after_a_week("{}");
    world.index("dropped");
    world.flip(7, 5.0, 5.0, &[ANALYSED, DROPPED]);
    world.hours(30);
    let regressions = world.of_kind(FindingKind::PlanRegression);
    let opened: Vec<_> = regressions.iter().filter(|event| event.news == FindingNews::Opened).collect();
    assert_eq!((opened.len(), world.found.len()), (1, regressions.len()), "{:?}", world.told());
    let first = &opened[0].finding;
    assert_eq!(first.subject.query_id, Some(key(7).query_id));
    assert_eq!(first.category, Category::Careful);
    // With half a day behind it, the same finding says more.
    let last = &regressions.last().unwrap().finding;
    assert_eq!((last.id, last.category), (first.id, Category::Manual), "{:#?}", last.locks);
    assert_eq!(last.attribution, Some(Attribution::Attributed));
    let effect = last.effect.unwrap();
    assert!((4.5..5.5).contains(&effect.ratio.unwrap()) && effect.ratio_low.unwrap() > 3.5, "{effect:?}");
    assert!(effect.t.unwrap() > 100.0);
    let lost = last.time_lost.unwrap();
    // 2,700 calls an hour and half as many more in the afternoon, of 12 ms each, that now take 60 ms.
    assert!((2_600.0..4_700.0).contains(&lost.seconds_per_day.unwrap()), "{lost:?}");
    let switch = last.locks.iter().find(|lock| *lock.name == *"switch_back").unwrap();
    assert_eq!((switch.passed, switch.caps_at), (Some(false), Some(Category::Manual)));
    assert!(last.locks.iter().all(|lock| !lock.sentence.is_empty()));
    assert_eq!(&*last.causes[0].kind, "ddl");
    assert_eq!(last.causes[0].object.as_deref(), Some("public.orders_customer"));
    assert!(last.causes.iter().any(|cause| *cause.kind == *"analyze"));
    let script = last.scripts.forward.as_deref().unwrap();
    assert!(
        script.starts_with(r#"CREATE INDEX CONCURRENTLY "orders_customer" ON "public"."orders""#),
        "{script}"
    );
    assert!(last.scripts.rollback.is_some() && last.scripts.check.is_some() && last.questions.is_some());
    let before = last.charts[0].before.last().unwrap();
    let after = last.charts[0].after.first().unwrap();
    assert!(before.mean.unwrap() * 3.0 < after.mean.unwrap() && before.end <= after.start);
    let planner = last.evidence.iter().filter(|number| number.source == Source::Planner).count();
    assert_eq!((planner, last.left_out), (2, 0));
}

fn timed(plan: u128, source: PlanTimesSource, mean_ms: f64) -> PlanTimes {
    let executions = 400;
    PlanTimes { plan, source, executions, mean_ms, squared_deviations_ms2: 100.0 * mean_ms * mean_ms }
}

/// What the log or an extension has of the executions of either plan is told, and lowers what it contradicts.
#[test]
fn executions_that_are_timed_by_plan_are_held_against_the_step() {
    use PlanTimesSource::{Extension, ServerLog};
    for (rung, source, new_ms, category, passed, class) in [
        (PlanRung::Actual, ServerLog, 60.0, Category::Manual, true, 2.0),
        (PlanRung::Actual, ServerLog, 12.0, Category::Careful, false, 2.0),
        (PlanRung::Extension, Extension, 60.0, Category::Manual, true, 3.0),
    ] {
        let mut world = World::after_a_week("{}");
        world.rung = rung;
        world.flip(7, 5.0, 5.0, &[DROPPED]);
        let new = world.statements[7].plan;
        let plans = [timed(new - 1_000, source, 12.0), timed(9, source, 1.0), timed(new, source, new_ms)];
        world.timed.insert(7, plans.into());
        world.hours(30);
        let last = &world.found.last().unwrap().finding;
        let lock = |name: &str| last.locks.iter().find(|lock| *lock.name == *name).unwrap();
        assert_eq!(last.category, category, "{:#?}", last.locks);
        assert_eq!(lock("side_by_side").passed, Some(passed));
        assert_eq!(lock("plan_evidence").value, Some(class));
        let sentence = "Timed plan by plan, executions with the two plans are at most 1.11 times apart";
        let is_said = lock("side_by_side").sentence.starts_with(sentence);
        assert_eq!(is_said, !passed, "{}", lock("side_by_side").sentence);
        let number = |name: &str| last.evidence.iter().find(|of| *of.name == *name).unwrap().value.unwrap();
        assert_eq!((number("old_plan_executions"), number("old_plan_mean")), (400.0, 12.0));
        assert_eq!((number("new_plan_executions"), number("new_plan_mean")), (400.0, new_ms));
        let ratio = new_ms / 12.0;
        assert!(number("new_by_old_plan_low") < ratio && number("new_by_old_plan_high") > ratio);
        assert_eq!(last.left_out, 0);
    }
}

/// They are stored with the trial, since those with the old plan do not come again.
#[test]
fn executions_that_are_timed_by_plan_are_known_after_a_kill() {
    let mut world = World::after_a_week("{}");
    world.rung = PlanRung::Actual;
    world.flip(7, 5.0, 5.0, &[DROPPED]);
    let new = world.statements[7].plan;
    let plans =
        [(new - 1_000, 12.0), (new, 60.0)].map(|(plan, ms)| timed(plan, PlanTimesSource::ServerLog, ms));
    world.timed.insert(7, plans.into());
    world.hours(2);
    world.timed.clear();
    world.kill();
    world.hours(28);
    let last = &world.found.last().unwrap().finding;
    let number = |name: &str| last.evidence.iter().find(|of| *of.name == *name).and_then(|of| of.value);
    assert_eq!((number("old_plan_executions"), number("old_plan_mean")), (Some(400.0), Some(12.0)));
    assert_eq!((number("new_plan_executions"), number("new_plan_mean")), (Some(400.0), Some(60.0)));
    assert!(number("new_by_old_plan_low").is_some_and(|low| low > 1.0));
}

/// A reading of the catalogue notices after the plan what was done before it.
#[test]
fn what_was_noticed_after_the_plan_gives_its_script() {
    let mut world = World::after_a_week("{}");
    world.flip(7, 5.0, 5.0, &[DROPPED]);
    world.hours(1);
    world.index("dropped");
    world.hours(5);
    let last = &world.found.last().unwrap().finding;
    assert_eq!(last.causes[0].object.as_deref(), Some("public.orders_customer"));
    let script = last.scripts.forward.as_deref().unwrap();
    assert!(script.starts_with("CREATE INDEX CONCURRENTLY"), "{script}");
    assert!(
        &*last.causes[0].sentence
            == "DDL: index public.orders_customer dropped on public.orders, noticed at 2026 before the new plan was first seen."
    );
    // A lock that holds is not told in the words of one that failed.
    let effect = last.locks.iter().find(|lock| *lock.name == *"effect").unwrap();
    assert!(effect.passed == Some(true) && effect.sentence.starts_with("The question of effect holds: "));
}

/// Of several settings the one that the plan has taken up comes first, as the server tells of it: who set it says how to undo it.
#[test]
fn a_setting_that_the_plan_has_taken_up_is_the_first_cause() {
    let mut world = World::after_a_week("{}");
    let causes = [
        ("plan_setting", "setting random_page_cost of the plan: default -> 1000"),
        ("setting", "setting log_statement: none -> ddl, at 2026"),
        ("setting", "setting random_page_cost of role app: 4 -> 1000, noticed at 2026"),
    ];
    world.flip(7, 5.0, 5.0, &causes);
    world.hours(6);
    let told = world.found.last().unwrap().finding.causes.iter();
    let told: Vec<_> = told.take(3).map(|cause| (&*cause.kind, &cause.sentence[..27])).collect();
    let expected = [
        ("setting", "Setting random_page_cost of"),
        ("plan_setting", "Setting random_page_cost of"),
        ("setting", "Setting log_statement: none"),
    ];
    assert_eq!(told, expected);
}

#[test]
fn a_large_step_is_told_within_hours() {
    let mut world = World::after_a_week("{}");
    world.flip(7, 5.0, 5.0, &[]);
    world.hours(3);
    assert_eq!(world.told(), ["plan_regression open careful"]);
}

/// What is executed seldom has a smaller t. How far the queue goes does not move with the threshold of `auto`.
#[test]
fn a_finding_is_for_review_where_t_is_at_most_a_hundred() {
    let mut world = World::after_a_week(
        "{lost_time_per_day: 0s, review_lost_time_per_day: 0s, thresholds: {t_auto: 1000000}}",
    );
    world.flip(7, 5.0, 5.0, &[]);
    world.flip(3, 5.0, 5.0, &[]);
    world.statements[3].calls_per_hour = 60.0;
    world.hours(8);
    for (statement, is_for_review) in [(3, true), (7, false)] {
        let of_it = |event: &&FindingEvent| event.finding.subject.query_id == Some(key(statement).query_id);
        let finding = &world.found.iter().rfind(of_it).expect("a finding").finding;
        let t = finding.effect.and_then(|effect| effect.t).expect("it is known");
        assert_eq!((finding.for_review, t > 10.0 && t <= 100.0), (is_for_review, is_for_review), "{t}");
    }
}

#[test]
fn verdicts_are_counted_by_what_they_say_and_bytes_are_those_that_are_held() {
    let mut world = World::after_a_week("{}");
    world.flip(7, 5.0, 5.0, &[]);
    while world.found.is_empty() {
        world.interval();
    }
    let verdicts = |conclusion, category| {
        let labels = [("conclusion", conclusion), ("category", category)];
        world.count("regression_verifier_verdicts_total", &labels)
    };
    // With every block it was too early, until it was enough.
    assert!(verdicts("not_enough_evidence", "insufficient") >= 2.0);
    assert_eq!((verdicts("regressed", "careful"), verdicts("regressed", "insufficient")), (1.0, 0.0));
    let size = |name| world.count(name, &[]);
    assert_eq!(size("regression_verifier_state_bytes"), world.verifier.bytes() as f64);
    assert!(size("regression_verifier_state_bytes") > 40.0 * 3_000.0);
    assert_eq!((size("regression_verifier_statements"), size("regression_verifier_trials")), (40.0, 1.0));
}

#[test]
fn a_plan_that_changes_nothing_is_not_told() {
    let mut world = World::after_a_week("{}");
    world.flip(7, 1.0, 1.0, &[DROPPED]);
    world.hours(80);
    assert_eq!(world.told(), [""; 0]);
    assert_eq!(world.count("regression_verifier_trials_ended_total", &[("reason", "unchanged")]), 1.0);
}

#[test]
fn a_slow_server_is_not_the_fault_of_a_plan() {
    let mut world = World::after_a_week("{}");
    world.flip(7, 1.0, 1.0, &[]);
    world.load = 5.0;
    world.hours(80);
    assert_eq!(world.told(), [""; 0]);
}

#[test]
fn slower_at_the_same_work_is_not_the_plan_unless_only_the_processor_is_left() {
    // Sampled sessions of twenty that wait before, and since if any are sampled. In the last case nearly all waited before, so that
    // the share hardly rises, and yet all of the added time is waiting.
    let cases = [(0, None, 5.0, 0), (0, Some(20), 5.0, 0), (0, Some(0), 5.0, 1), (17, Some(19), 2.5, 0)];
    for (before, waits, factor, expected) in cases {
        let mut world = World::after_a_week("{}");
        let sample = |world: &mut World, waiting: usize| {
            world.sessions(7, waiting, Some("Lock"));
            world.sessions(7, 20 - waiting, None);
            world.hours(1);
        };
        (0..4).for_each(|_| sample(&mut world, before));
        world.flip(7, factor, 1.0, &[]);
        for _ in 0..24 {
            match waits {
                Some(waiting) => sample(&mut world, waiting),
                None => world.hours(1),
            }
        }
        // It is told once more when whole hours say what short blocks said before.
        let opened = world.found.iter().filter(|event| event.news == FindingNews::Opened).count();
        assert_eq!(opened, expected, "{waits:?} {:?}", world.told());
        if expected == 1 {
            assert_eq!(world.found[0].finding.category, Category::Careful);
        }
    }
}

/// More work is a reason of its own; that most of the added time is waiting is named beside it.
#[test]
fn waiting_that_explains_most_of_the_added_time_is_named_as_a_cause() {
    for (since, is_named) in [(18, true), (2, false)] {
        let mut world = World::after_a_week("{}");
        let sample = |world: &mut World, waiting: usize| {
            world.sessions(7, waiting, Some("Lock"));
            world.sessions(7, 20 - waiting, None);
            world.hours(1);
        };
        (0..24).for_each(|_| sample(&mut world, 2));
        world.flip(7, 5.0, 5.0, &[]);
        (0..12).for_each(|_| sample(&mut world, since));
        let finding = &world.found.last().unwrap().finding;
        let said = finding.causes.iter().find(|cause| &*cause.kind == "locks");
        assert_eq!(said.is_some(), is_named, "{:?}", finding.causes);
        let what = "Most of the added time is waiting, mostly for locks: by the sampled sessions, ";
        assert!(said.is_none_or(|cause| cause.sentence.starts_with(what)), "{said:?}");
        let number =
            |name: &str| finding.evidence.iter().find(|one| *one.name == *name).unwrap().value.unwrap();
        let (before, after) = (number("waiting_time_before"), number("waiting_time_after"));
        assert!(before < 2.0 && after > 5.0 * f64::from(u8::from(is_named)) * before, "{before} {after}");
        assert_eq!(number("waiting_part_low") > 0.5, is_named);
        assert_eq!(number("waiting_part_high") > 0.5, is_named);
    }
}

#[test]
fn a_better_plan_is_told_once_and_leaves_nothing_open() {
    let mut world = World::after_a_week("{}");
    world.index("created");
    let created = ("ddl", "ddl index public.orders_customer created on public.orders, noticed at 2026");
    world.flip(7, 0.2, 0.2, &[created]);
    world.hours(80);
    assert_eq!(world.told().len(), 1, "{:?}", world.told());
    assert_eq!(world.count("regression_verifier_trials_ended_total", &[("reason", "improved")]), 1.0);
    assert_eq!(world.verifier.findings.iter().len(), 0);
    let event = &world.found[0];
    let finding = &event.finding;
    assert_eq!((finding.kind, finding.state), (FindingKind::PlanImprovement, FindingState::Resolved));
    // Information, whatever the evidence allows.
    assert_eq!((event.news, event.severity()), (FindingNews::Opened, 9));
    let effect = finding.effect.unwrap();
    let (ratio, low, high) = (effect.ratio.unwrap(), effect.ratio_low.unwrap(), effect.ratio_high.unwrap());
    assert!(low < ratio && ratio < high && high < 0.5 && (0.1..0.3).contains(&ratio), "{effect:?}");
    let gained = finding.time_lost.unwrap();
    assert!(
        gained.low < gained.seconds_per_day
            && gained.seconds_per_day < gained.high
            && gained.high < Some(0.0)
    );
    assert!(finding.causes[0].sentence.starts_with("DDL: index public.orders_customer created"));
    assert_eq!((finding.scripts.forward.is_none(), finding.questions.is_none()), (true, true));
    let key = format!("regression_verifier/finding/{}", finding.id);
    assert!(world.store.contains_key(&key), "{:?}", world.store.keys());
}

#[test]
fn below_a_week_it_is_careful_and_says_what_is_missing() {
    let mut world = world("{}");
    world.hours(5 * 24);
    world.flip(7, 5.0, 5.0, &[]);
    world.hours(40);
    let last = &world.found.last().unwrap().finding;
    assert_eq!(last.category, Category::Careful);
    let missing: Vec<_> = last.evidence.iter().filter(|number| *number.name == *"missing").collect();
    assert!(missing.iter().any(|number| number.detail.contains("baseline_days")), "{missing:?}");
    let lock = last.locks.iter().find(|lock| *lock.name == *"baseline_days").unwrap();
    assert_eq!(lock.passed, Some(false));
}

#[test]
fn without_twenty_steady_statements_there_is_no_control() {
    let mut world = world("{}");
    world.statements.truncate(15);
    world.hours(8 * 24);
    world.flip(7, 5.0, 5.0, &[]);
    world.hours(40);
    let last = &world.found.last().unwrap().finding;
    let lock = last.locks.iter().find(|lock| *lock.name == *"control").unwrap();
    assert_eq!((last.category, lock.passed), (Category::Careful, Some(false)));
}

#[test]
fn many_changes_at_once_are_one_finding_about_the_server() {
    let mut world = World::after_a_week("{}");
    for statement in 0..12 {
        world.flip(statement, 5.0, 5.0, &[("version", "version: 17 -> 18, at 2026")]);
    }
    world.hours(40);
    assert_eq!(world.told(), ["plan_regression open careful"]);
    let finding = &world.found[0].finding;
    assert_eq!((finding.subject.query_id, &*finding.causes[0].kind), (None, "version"));
    assert_eq!(finding.evidence[0].value, Some(12.0));
}

#[test]
fn what_may_mix_two_entries_is_no_evidence() {
    use dbintel_model::Record;
    let mut world = world("{}");
    world.hours(1);
    let used = world.count("regression_verifier_intervals_total", &[]);
    let mut query = super::bounds::query(&world, 3);
    query.moments = None;
    world.see(vec![Record::Query(Box::new(query))]);
    assert_eq!(world.count("regression_verifier_intervals_total", &[]), used);
    let ignored = |reason| world.count("regression_verifier_intervals_ignored_total", &[("reason", reason)]);
    assert_eq!((ignored("incarnation"), ignored("too_long")), (1.0, 0.0));
}
