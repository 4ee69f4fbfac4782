//! What becomes of a finding.

use dbintel_model::finding::{FindingKind, FindingNews, FindingState, Verdict};

use super::world::World;

const DROPPED: (&str, &str) =
    ("ddl", "ddl index public.orders_customer dropped on public.orders, noticed at 2026");

fn regressed(yaml: &str) -> World {
    let mut world = World::after_a_week(yaml);
    world.index("dropped");
    world.flip(7, 5.0, 5.0, &[DROPPED]);
    world.hours(20);
    assert_eq!(world.told()[0], "plan_regression open careful");
    world
}

#[test]
fn what_goes_away_by_itself_is_resolved() {
    let mut world = regressed("{}");
    world.statements[7].ms /= 5.0;
    world.statements[7].blocks /= 5.0;
    world.hours(20);
    assert_eq!(world.told().last().unwrap(), "plan_regression resolved manual");
    assert_eq!(world.verifier.trials.len(), 0);
}

#[test]
fn what_is_done_about_it_is_noticed_and_measured() {
    for (factor, expected, verdict) in [
        (5.0, "confirmed", Verdict::Confirmed),
        (1.0, "no_effect", Verdict::NoEffect),
        (0.2, "harmful", Verdict::Harmful),
    ] {
        let mut world = regressed("{}");
        // That nothing happened can only be told from a long time.
        world.hours(if factor == 1.0 { 60 } else { 0 });
        world.index("created");
        assert!(world.told().last().unwrap().contains("applied"), "{:?}", world.told());
        world.statements[7].ms /= factor;
        world.statements[7].blocks /= factor;
        world.hours(80);
        let last = &world.found.last().unwrap().finding;
        assert_eq!(last.state.as_str(), expected, "{:?}", last.outcome);
        assert_eq!(last.outcome.as_ref().map(|outcome| outcome.verdict), Some(verdict));
        assert!(last.applied.as_ref().unwrap().how.contains("index public.orders_customer created"));
    }
}

/// The trial is lost, as where its value is damaged: nothing can measure what was done, and the finding does not stay for good.
#[test]
fn what_nothing_follows_any_more_is_inconclusive_and_can_be_told_again() {
    let mut world = regressed("{}");
    world.index("created");
    world.statements[7].ms /= 5.0;
    world.statements[7].blocks /= 5.0;
    world.interval();
    assert!(world.told().last().unwrap().contains("applied"), "{:?}", world.told());
    world.finish();
    world.store.retain(|key, _| !key.contains("/trial/") && !key.contains("/watch/"));
    world.kill();
    world.hours(80);
    let last = &world.found.last().unwrap().finding;
    let outcome = last.outcome.as_ref().unwrap();
    assert_eq!((last.state.as_str(), outcome.verdict), ("inconclusive", Verdict::Inconclusive));
    assert!(outcome.sentence.starts_with("What followed the statement was lost"), "{}", outcome.sentence);
    assert!(outcome.measured_from < outcome.measured_to && outcome.ratio.is_none());
    world.index("dropped");
    world.flip(7, 25.0, 25.0, &[DROPPED]);
    world.hours(20);
    assert_eq!(world.opened(), ["plan_regression careful"; 2], "{:?}", world.told());
}

/// Nothing is known of the time before, as where what was kept is damaged: it is faster, and nobody knows whether it is as fast as it was.
#[test]
fn a_repair_of_what_has_no_known_past_is_not_confirmed() {
    let mut world = regressed("{}");
    let statement = world.verifier.trials.statements()[0];
    world.verifier.trials.get_mut(statement).unwrap().before = Default::default();
    world.index("created");
    world.statements[7].ms /= 5.0;
    world.statements[7].blocks /= 5.0;
    world.hours(80);
    let last = &world.found.last().unwrap().finding;
    let outcome = last.outcome.as_ref().unwrap();
    assert_eq!((last.state.as_str(), outcome.verdict), ("inconclusive", Verdict::Inconclusive));
    let why = "It is faster, but nothing is known of the time before the regression: whether it is back there cannot be said.";
    assert!(outcome.sentence.ends_with(why) && outcome.ratio.unwrap() < 0.3, "{outcome:?}");
}

/// The index is dropped by a migration, created by hand, and dropped again by the same migration two days later.
#[test]
fn a_regression_that_was_repaired_and_comes_back_is_told_again() {
    for is_killed in [false, true] {
        let mut world = regressed("{}");
        world.index("created");
        let old = world.statements[7].plan - 1_000;
        world.flip_to(7, old, &[("ddl", "ddl index public.orders_customer created on public.orders")]);
        world.statements[7].ms /= 5.0;
        world.statements[7].blocks /= 5.0;
        world.hours(50);
        assert!(world.told().last().unwrap().starts_with("plan_regression confirmed"), "{:?}", world.told());
        if is_killed {
            world.kill();
        }
        world.index("dropped");
        world.flip(7, 5.0, 5.0, &[DROPPED]);
        world.hours(20);
        let opened = world.opened();
        assert_eq!(opened, ["plan_regression careful", "plan_regression careful"], "{:?}", world.told());
        let ids: Vec<_> = world.of_kind(FindingKind::PlanRegression).iter().map(|it| it.finding.id).collect();
        assert_ne!(ids.first(), ids.last());
    }
}

/// Gone, and back within half a day with the same plan: it is told again after the cool-down. What began is in the same span of its identity for
/// some of the statements, and the finding is another one all the same.
#[test]
fn what_comes_back_within_a_day_is_another_finding() {
    let replaces: [Option<fn(&mut World)>; 3] = [None, Some(World::kill), Some(World::hand_over)];
    for replace in replaces {
        let mut world = World::after_a_week("{caps: {per_run: 100, per_object: 100, per_hour: 100}}");
        let statements = 3..12_usize;
        let change = |world: &mut World, factor: f64| {
            for statement in statements.clone() {
                let usual = 100 + statement as u128;
                world.flip_to(statement, if factor > 1.0 { usual + 1_000 } else { usual }, &[]);
                world.statements[statement].ms *= factor;
                world.statements[statement].blocks *= factor;
            }
        };
        change(&mut world, 5.0);
        world.hours(4);
        change(&mut world, 0.2);
        world.hours(9);
        let ended = world.found.iter().filter(|event| event.finding.state.is_final());
        assert_eq!(ended.count(), statements.len(), "{:?}", world.told());
        // A step as large as the one before would be nothing new.
        change(&mut world, 25.0);
        if let Some(replace) = replace {
            world.interval();
            replace(&mut world);
        }
        world.hours(40);
        let opened = world.found.iter().filter(|event| event.news == FindingNews::Opened);
        let ids: Vec<_> = opened.map(|event| event.finding.id).collect();
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!((ids.len(), distinct.len()), (18, 18), "{:?}", world.told());
    }
}

/// An index is noticed an hour after the plan that uses it, which says when it was there.
#[test]
fn what_was_done_is_dated_by_the_plan_that_it_brought() {
    let mut world = regressed("{}");
    let old = world.statements[7].plan - 1_000;
    world.flip_to(7, old, &[]);
    let brought = world.now();
    world.statements[7].ms /= 5.0;
    world.statements[7].blocks /= 5.0;
    world.hours(1);
    world.index("created");
    assert!(world.told().last().unwrap().contains("applied"), "{:?}", world.told());
    world.hours(10);
    let outcome = world.found.last().unwrap().finding.outcome.clone().unwrap();
    assert_eq!((outcome.verdict, outcome.measured_from), (Verdict::Confirmed, brought));
}

/// An index is there for five hours before it is noticed, as where somebody's lock kept its definition from being read: these hours belong
/// neither to the time before it nor to the time after it, and that is stored.
#[test]
fn what_was_noticed_late_is_measured_without_the_hours_of_which_nothing_is_known() {
    for is_killed in [false, true] {
        let mut world = regressed("{}");
        let last_known = world.now();
        world.statements[7].ms *= 20.0;
        world.statements[7].blocks *= 20.0;
        world.hours(5);
        world.index_since("created", last_known);
        let noticed = world.now();
        if is_killed {
            world.hours(1);
            world.kill();
        }
        world.hours(80);
        let last = &world.found.last().unwrap().finding;
        let outcome = last.outcome.clone().unwrap();
        assert_eq!((outcome.verdict, outcome.measured_from), (Verdict::Harmful, noticed), "{outcome:?}");
        // Hours with and without it would make the time before it slower, and different from hour to hour.
        assert!(outcome.ratio_low.unwrap() > 15.0, "{outcome:?}");
    }
}

/// A plan that came before the last reading without the index is not of it; one that came after that reading says when the index was there.
#[test]
fn a_plan_dates_only_what_can_have_brought_it() {
    for (plan_after_hours, known_after_hours, is_of_it) in [(1, 3, false), (5, 3, true)] {
        let mut world = regressed("{}");
        let old = world.statements[7].plan - 1_000;
        let (mut brought, mut last_known) = (world.now(), world.now());
        for hour in 1..=6 {
            world.hours(1);
            if hour == known_after_hours {
                last_known = world.now();
            }
            if hour == plan_after_hours {
                world.flip_to(7, old, &[]);
                brought = world.now();
            }
            if hour == 5 {
                world.statements[7].ms /= 5.0;
                world.statements[7].blocks /= 5.0;
            }
        }
        world.index_since("created", last_known);
        let noticed = world.now();
        world.hours(12);
        let outcome = world.found.last().unwrap().finding.outcome.clone().unwrap();
        let from = if is_of_it { brought } else { noticed };
        assert_eq!((outcome.verdict, outcome.measured_from), (Verdict::Confirmed, from), "{outcome:?}");
    }
}

#[test]
fn another_plan_after_somebody_did_something_counts_as_applied() {
    let mut world = regressed("{}");
    let old = world.statements[7].plan - 1_000;
    world.flip_to(7, old, &[("setting", "setting random_page_cost: 4 -> 1.1, at 2026")]);
    world.statements[7].ms /= 5.0;
    world.statements[7].blocks /= 5.0;
    world.hours(40);
    let states: Vec<_> = world.found.iter().map(|event| event.finding.state.as_str()).collect();
    assert_eq!(&states[states.len() - 2..], ["applied", "confirmed"]);
}

/// A setting of a role is noticed after the plan that it made; what it was is known then, and so is its way back.
#[test]
fn a_setting_of_a_role_is_answered_by_another_value() {
    let mut world = World::after_a_week("{}");
    let cause = "setting random_page_cost of role app: 4 -> 1000, noticed at 2026";
    world.flip(7, 5.0, 5.0, &[("setting", cause)]);
    world.hours(1);
    world.setting("app", "random_page_cost", ("4", "1000"));
    world.hours(6);
    let script = world.found.last().unwrap().finding.scripts.forward.clone().unwrap();
    assert_eq!(&*script, r#"ALTER ROLE "app" IN DATABASE "shop" SET random_page_cost = '4';"#);
    // Not that of another role.
    world.setting("web", "random_page_cost", ("1000", "4"));
    assert_eq!(world.found.last().unwrap().finding.applied, None);
    world.setting("app", "random_page_cost", ("1000", "4"));
    let applied = world.found.last().unwrap().finding.applied.clone().unwrap();
    assert_eq!(&*applied.how, "setting random_page_cost of role app: 1000 -> 4");
}

/// A statement is explained seldom: its plan can be seen to have changed long after the step that it made.
#[test]
fn a_plan_that_was_seen_late_is_no_repair() {
    let mut world = World::after_a_week("{}");
    let before = world.now();
    world.statements[7].ms *= 5.0;
    world.statements[7].blocks *= 5.0;
    world.hours(10);
    assert_eq!(world.told(), ["regression_without_plan_change open careful"]);
    let new = world.statements[7].plan + 1_000;
    world.flip_since(7, new, before, &[DROPPED]);
    world.hours(20);
    assert_eq!(world.told(), ["regression_without_plan_change open careful"]);
    // A plan that comes after it is one.
    world.flip_to(
        7,
        new - 1_000,
        &[("ddl", "ddl index public.orders_customer created on public.orders, noticed at 2026")],
    );
    assert!(world.told().last().unwrap().contains("applied"), "{:?}", world.told());
}

#[test]
fn without_a_decision_it_expires() {
    let mut world = regressed("{expire_after: 30h}");
    world.hours(12);
    assert_eq!(world.told().last().unwrap(), "plan_regression expired manual");
}

#[test]
fn the_same_is_not_told_again_within_its_period() {
    let mut world = regressed("{}");
    world.statements[7].ms /= 5.0;
    world.statements[7].blocks /= 5.0;
    world.hours(20);
    let old = world.statements[7].plan - 1_000;
    world.flip_to(7, old, &[]);
    world.hours(1);
    let told = world.of_kind(FindingKind::PlanRegression).len();
    // The same again, within a day, and more of it: a step as large as the one of this week is nothing new for the statement.
    world.flip(7, 25.0, 25.0, &[]);
    world.hours(10);
    assert_eq!(world.of_kind(FindingKind::PlanRegression).len(), told);
    assert!(world.count("regression_verifier_findings_suppressed_total", &[("reason", "cool_down")]) > 0.0);
    // It is still there when the period is over.
    world.hours(24);
    assert!(world.of_kind(FindingKind::PlanRegression).len() > told);
}

#[test]
fn caps_hold_back_what_was_judged() {
    let mut world = World::after_a_week("{caps: {per_run: 1, per_object: 1, per_hour: 1}}");
    for statement in [3, 4, 5] {
        world.flip(statement, 5.0, 5.0, &[]);
    }
    world.hours(2);
    let opened = |world: &World| {
        world.count(
            "regression_verifier_findings_total",
            &[("kind", "plan_regression"), ("category", "careful")],
        )
    };
    assert_eq!(opened(&world), 1.0);
    assert!(world.count("regression_verifier_findings_suppressed_total", &[("reason", "per_run")]) > 0.0);
    // What was held back comes later, one an hour.
    world.hours(4);
    assert_eq!(opened(&world), 3.0);
}

/// One dropped index is one object, however many statements it made slower.
#[test]
fn statements_with_one_table_as_their_cause_are_one_object() {
    let mut world = World::after_a_week("{caps: {per_run: 10, per_object: 2, per_hour: 100}}");
    world.index("dropped");
    for statement in 3..8 {
        world.flip(statement, 5.0, 5.0, &[DROPPED]);
    }
    // Another statement, about the same time, for a reason of its own.
    world.flip(9, 5.0, 5.0, &[]);
    world.hours(10);
    let opened = world.found.iter().filter(|event| event.news == FindingNews::Opened);
    let opened: Vec<_> = opened.map(|event| event.finding.subject.query_id.unwrap()).collect();
    assert_eq!((opened.len(), opened.contains(&9)), (3, true), "{opened:?}");
    let held_back = |why| world.count("regression_verifier_findings_suppressed_total", &[("reason", why)]);
    assert!(held_back("per_object") >= 3.0 && held_back("per_run") == 0.0);
}

/// The index is created and dropped again within an hour: what was measured in between says nothing about it.
#[test]
fn a_repair_that_is_taken_back_while_it_is_measured_is_told_so() {
    let mut world = regressed("{}");
    world.index("created");
    world.hours(1);
    // Another index of the same table.
    world.index_named("public.orders_cust", "dropped");
    assert!(world.told().last().unwrap().contains("applied"), "{:?}", world.told());
    world.hours(1);
    world.index("dropped");
    let undone_at = world.now();
    let told = world.told();
    let ends = ["plan_regression applied manual", "plan_regression inconclusive manual"];
    assert_eq!(told[told.len() - 2..], ends, "{told:?}");
    let [.., undone, ended] = world.found.as_slice() else { panic!("{told:?}") };
    assert_eq!(undone.finding.rolled_back_at, Some(undone_at));
    assert_eq!(undone.news, FindingNews::Changed { from: FindingState::Applied });
    let outcome = ended.finding.outcome.as_ref().unwrap();
    assert_eq!((outcome.verdict, outcome.measured_to), (Verdict::Inconclusive, undone_at));
    assert!(outcome.sentence.starts_with("It was undone at "), "{}", outcome.sentence);
}

/// What the script of a finding does is seen as something done about it, wherever it sets or takes back the setting; and its rollback as that
/// being undone.
#[test]
fn the_script_of_a_setting_is_noticed_and_so_is_its_rollback() {
    let (app, shop) = (Some("app"), Some("shop"));
    let name = "random_page_cost";
    for (scope, before, cause, target, how) in [
        ((app, None), Some("4"), " of role app: 4 -> 1000", (app, shop), " of role app: now 4"),
        ((app, None), None, " of role app: now 1000", (app, None), " of role app: was 1000"),
        ((None, shop), Some("4"), ": 4 -> 1000", (None, shop), ": 1000 -> 4"),
        ((None, shop), None, ": now 1000", (None, shop), ": was 1000"),
        ((None, None), Some("4"), ": 4 -> 1000", (app, shop), " of role app: now 4"),
    ] {
        let mut world = World::after_a_week("{}");
        world.setting_of(scope, name, (before, Some("1000")));
        world.flip(7, 5.0, 5.0, &[("setting", &format!("setting {name}{cause}, noticed at 2026"))]);
        world.hours(20);
        let was = (target == scope).then_some("1000");
        world.setting_of(target, name, (was, before));
        let applied = world.found.last().unwrap().finding.applied.clone();
        assert_eq!(applied.map(|applied| applied.how.to_string()), Some(format!("setting {name}{how}")));
        world.hours(1);
        // Another value of it, and back, is no rollback.
        world.setting_of(target, name, (before, Some("2")));
        world.hours(1);
        world.setting_of(target, name, (Some("2"), before));
        assert!(world.told().last().unwrap().contains("applied"), "{how}: {:?}", world.told());
        world.hours(1);
        world.setting_of(target, name, (before, was));
        let last = &world.found.last().unwrap().finding;
        assert_eq!(
            (last.state, last.rolled_back_at),
            (FindingState::Inconclusive, Some(world.now())),
            "{how}"
        );
    }
}

#[test]
fn only_the_same_value_again_takes_back_a_setting() {
    for (after, is_undone) in [("off", true), ("auto", false)] {
        let mut world = World::after_a_week("{}");
        world.setting("app", "enable_indexscan", ("on", "off"));
        world.flip(7, 5.0, 5.0, &[("setting", "setting enable_indexscan of role app: on -> off")]);
        world.hours(20);
        world.setting("app", "enable_indexscan", ("off", "on"));
        world.hours(1);
        assert!(world.told().last().unwrap().contains("applied"), "{:?}", world.told());
        world.setting("app", "enable_indexscan", ("on", after));
        let last = &world.found.last().unwrap().finding;
        assert_eq!(
            (last.rolled_back_at.is_some(), last.state.is_final()),
            (is_undone, is_undone),
            "{last:?}"
        );
    }
}
