//! What is found without a change of plan.

use dbintel_model::finding::{Category, FindingKind, FindingNews};
use dbintel_model::{ChangeKind, PlanRung};

use super::world::{Behaviour, World};

#[test]
fn a_step_without_a_change_of_plan_is_told_apart() {
    let mut world = World::after_a_week("{}");
    world.statements[7].ms *= 5.0;
    world.statements[7].blocks *= 5.0;
    world.hours(30);
    assert_eq!(world.told(), ["regression_without_plan_change open careful"]);
    let finding = &world.found[0].finding;
    assert_eq!((finding.flip, finding.attribution), (None, None));
    assert!((4.0..6.0).contains(&finding.effect.unwrap().ratio.unwrap()));
}

/// That the plan did not change is known only where plans that ran were seen. Elsewhere the finding says that it is not.
#[test]
fn a_step_says_where_the_plans_of_its_executions_were_not_seen() {
    let said_of = |rung: Option<PlanRung>| {
        let mut world = World::after_a_week("{}");
        world.rung = rung.unwrap_or(PlanRung::Actual);
        if rung.is_none() {
            world.statements[7].plan = 0;
        }
        // Another plan within the day before would have a trial of its own.
        world.hours(if rung.is_none() { 30 } else { 1 });
        world.statements[7].ms *= 5.0;
        world.statements[7].blocks *= 5.0;
        world.hours(10);
        let found = world.of_kind(FindingKind::RegressionWithoutPlanChange);
        let mut evidence = found[0].finding.evidence.iter();
        evidence.find(|one| *one.name == *"plan_of_executions").map(|one| (one.value, one.detail.to_string()))
    };
    for rung in [PlanRung::Generic, PlanRung::GenericNulls] {
        let (value, said) = said_of(Some(rung)).unwrap();
        let how = format!("its plans were seen by EXPLAIN ({}): ", rung.as_str());
        assert!(value.is_none() && said.starts_with(&how) && said.contains("auto_explain"), "{said}");
    }
    assert_eq!(said_of(None).unwrap().1, "no plan of it was seen: a change of its plan is not observable");
    for rung in [PlanRung::Actual, PlanRung::Extension] {
        assert_eq!(said_of(Some(rung)), None);
    }
}

#[test]
fn causes_of_a_step_are_those_that_reach_the_statement_at_that_time() {
    let mut world = World::after_a_week("{}");
    world.setting("app", "long_before", ("on", "off"));
    world.hours(5);
    // Half an hour before the step, in the hour before the first that shows it.
    for _ in 0..6 {
        world.interval();
    }
    world.index("dropped");
    world.setting("app", "enable_indexscan", ("on", "off"));
    world.setting("web", "enable_hashjoin", ("on", "off"));
    for _ in 0..6 {
        world.interval();
    }
    world.statements[7].ms *= 5.0;
    world.statements[7].blocks *= 5.0;
    world.hours(5);
    world.setting("app", "long_after", ("on", "off"));
    world.hours(3);
    assert_eq!(world.told(), ["regression_without_plan_change open careful"]);
    let causes = world.found[0].finding.causes.iter();
    let causes: Vec<_> = causes.filter_map(|cause| cause.object.as_deref()).collect();
    // The statement does not name the table of the index, though it may read it through a view.
    assert_eq!(causes, ["public.orders_customer", "enable_indexscan"]);
}

/// Steps of many statements in one hour have one cause until the contrary is known.
fn of_many(step: impl Fn(&mut World, usize), kind: FindingKind) {
    let mut world = World::after_a_week("{}");
    for statement in 0..12 {
        step(&mut world, statement);
    }
    world.hours(30);
    assert_eq!(world.told(), [format!("{} open careful", kind.as_str())]);
    let finding = &world.found[0].finding;
    assert_eq!((finding.subject.query_id, finding.subject.database.as_ref()), (None, None));
    assert!(finding.summary.starts_with("12 statements got slower "), "{}", finding.summary);
    assert_eq!(finding.evidence.iter().filter(|number| *number.name == *"ratio").count(), 12);
    // Steps without a change of plan are looked at again each hour.
    let merged = world.count("regression_verifier_findings_suppressed_total", &[("reason", "merged")]);
    assert!(merged >= 12.0 && merged % 12.0 == 0.0, "{merged}");
}

#[test]
fn many_steps_at_once_are_one_finding_about_the_server() {
    let slower = |world: &mut World, statement: usize| {
        world.statements[statement].ms *= 5.0;
        world.statements[statement].blocks *= 5.0;
    };
    of_many(slower, FindingKind::RegressionWithoutPlanChange);
    of_many(|world, statement| world.flip(statement, 5.0, 5.0, &[]), FindingKind::PlanRegression);
}

/// A cap holds back the finding about the server, and nothing of what it is made of is lost.
#[test]
fn a_finding_about_the_server_that_is_held_back_stays_a_candidate() {
    let mut world = World::after_a_week("{caps: {per_run: 1, per_hour: 1}}");
    // So seldom that it is found half an hour after it could be: in the hour of its cap are the others.
    world.statements[20].calls_per_hour = 80.0;
    world.flip(20, 20.0, 20.0, &[]);
    (0..6).for_each(|_| world.interval());
    for statement in 0..12 {
        world.flip(statement, 5.0, 5.0, &[]);
    }
    let held_back = |world: &World| {
        world.count("regression_verifier_findings_suppressed_total", &[("reason", "per_hour")]) > 0.0
    };
    for _ in 0..36 {
        if !held_back(&world) {
            world.interval();
        }
    }
    assert!(held_back(&world), "{:?}", world.told());
    assert_eq!(world.opened(), ["plan_regression careful"]);
    assert_eq!((world.found[0].finding.subject.query_id, world.verifier.trials.len()), (Some(20), 13));
    world.hours(3);
    assert_eq!(world.opened(), ["plan_regression careful"; 2], "{:?}", world.told());
    let of_server = &world.of_kind(FindingKind::PlanRegression).last().unwrap().finding;
    assert!(of_server.summary.contains(" statements got slower "), "{}", of_server.summary);
    let merged = world.count("regression_verifier_findings_suppressed_total", &[("reason", "merged")]);
    assert_eq!((merged, world.verifier.trials.len()), (12.0, 1));
}

/// Who begins anew knows of the finding about the server, and does not tell its latest parts again.
#[test]
fn parts_that_are_found_after_a_restart_belong_to_the_finding_about_the_server() {
    let mut world = World::after_a_week("{}");
    for statement in 0..12 {
        let factor = if statement < 6 { 5.0 } else { 1.9 };
        world.flip(statement, factor, factor, &[]);
    }
    for _ in 0..36 {
        if world.found.is_empty() {
            world.interval();
        }
    }
    let left = world.verifier.trials.len();
    assert!(left >= 3, "{left}");
    world.interval();
    world.kill();
    world.hours(60);
    assert_eq!(world.opened(), ["plan_regression careful"], "{:?}", world.told());
    assert_eq!(world.verifier.trials.len(), 0);
}

/// Two migrations of one day: the second finding about the server is not the first one again.
#[test]
fn two_hours_of_a_day_are_two_findings_about_the_server() {
    let mut world = World::after_a_week("{}");
    for first in [0, 12] {
        (first..first + 12).for_each(|statement| world.flip(statement, 5.0, 5.0, &[]));
        world.hours(4);
    }
    assert_eq!(world.opened(), ["plan_regression careful"; 2], "{:?}", world.told());
    let opened = world.found.iter().filter(|event| event.news == FindingNews::Opened);
    let ids: Vec<_> = opened.map(|event| event.finding.id).collect();
    assert_eq!(world.verifier.findings.iter().len(), 2);
    // Nor the first one told again: a collector that saw only the second gives it the same id.
    assert_ne!(ids[1], ids[0].again());
}

#[test]
fn a_step_of_time_alone_is_none() {
    let mut world = World::after_a_week("{}");
    world.statements[7].ms *= 5.0;
    world.hours(30);
    assert_eq!(world.told(), [""; 0]);
}

#[test]
fn a_statement_that_is_slow_with_its_only_plan_is_told_until_it_is_not() {
    let mut world = super::world::world("{}");
    world.statements[7].ms = 3_000.0;
    world.hours(8 * 24);
    assert_eq!(world.told(), ["slow_single_plan open careful"]);
    assert!(world.found[0].finding.effect.is_none());
    world.statements[7].ms = 30.0;
    world.hours(30);
    assert_eq!(world.told()[1], "slow_single_plan resolved careful");
}

/// Its slow hours are kept for a week, and are no news.
#[test]
fn a_slow_statement_that_stops_is_resolved_and_not_told_again() {
    let mut world = super::world::world("{}");
    world.statements.truncate(8);
    world.statements[7].ms = 3_000.0;
    world.hours(8 * 24);
    world.statements.truncate(7);
    world.hours(30);
    let told = ["slow_single_plan open careful", "slow_single_plan resolved careful"];
    assert_eq!(world.told(), told);
    world.hours(400);
    assert_eq!(world.told(), told);
}

/// Nobody was there to see whether it ran.
#[test]
fn a_slow_statement_is_not_resolved_because_the_collector_was_away() {
    let mut world = super::world::world("{}");
    world.statements.truncate(8);
    world.statements[7].ms = 3_000.0;
    world.hours(8 * 24);
    world.interval();
    world.kill();
    world.away(40);
    world.hours(30);
    assert_eq!(world.told(), ["slow_single_plan open careful"]);
}

/// What is told of a statement whose plan is another in each of eight hours, and steady for three days then.
fn told_of_alternating(rung: PlanRung) -> Vec<String> {
    let mut world = World::after_a_week("{}");
    world.rung = rung;
    let plan = world.statements[7].plan;
    for n in 0..9 {
        world.statements[7].plan = plan + n % 2;
        world.hours(1);
    }
    world.hours(72);
    world.told()
}

#[test]
fn a_statement_that_alternates_is_unstable() {
    let told = told_of_alternating(PlanRung::Generic);
    assert_eq!(told, ["plan_flapping open careful", "plan_flapping resolved careful"]);
}

/// Two tenants with a schema each: the same text under two of the server's identifiers, with a plan each. Nothing changes.
#[test]
fn one_text_with_the_tables_of_two_schemas_is_not_unstable() {
    let mut world = World::after_a_week("{}");
    world.rung = PlanRung::Generic;
    for _ in 0..30 {
        let plan = world.statements[7].plan;
        world.hours(1);
        world.tenant(7, 9_007, plan + 1);
    }
    assert_eq!(world.told(), [""; 0]);
}

/// Which of its plans is seen is a matter of the parameters.
#[test]
fn a_statement_with_several_plans_by_values_is_not() {
    for rung in PlanRung::ALL.into_iter().filter(|rung| rung.depends_on_values()) {
        assert_eq!(told_of_alternating(rung), [""; 0]);
    }
}

#[test]
fn statistics_were_stale_where_an_analysis_after_many_changes_brought_the_plan() {
    for (modified, expected) in [(900_000_i64, 1), (10_000, 0)] {
        let mut world = World::after_a_week("{}");
        world.maintenance(ChangeKind::Analyze, modified, 1_000_000.0);
        world.flip(7, 5.0, 5.0, &[("analyze", "analyze public.orders, at 2026")]);
        world.hours(10);
        let stale = world.of_kind(FindingKind::StatisticsStale);
        assert_eq!((stale.len(), world.opened().len()), (expected, 1 + expected), "{:?}", world.told());
        if let Some(stale) = stale.first().map(|event| &event.finding) {
            assert_eq!(
                (stale.subject.object.as_deref(), stale.category),
                (Some("public.orders"), Category::Careful)
            );
            let script = stale.scripts.forward.as_deref().unwrap();
            assert!(script.starts_with(r#"ALTER TABLE "public"."orders" SET"#));
        }
    }
}

/// A bulk load makes the statistics of a table stale and a plan slower. The analysis afterwards is what was advised: it ends
/// the finding about the table, and what it did for the statement is measured.
#[test]
fn stale_statistics_are_the_cause_until_the_table_is_analysed() {
    let mut world = World::after_a_week("{}");
    world.maintenance(ChangeKind::StatisticsStale, 900_000, 100_000.0);
    world.flip(
        7,
        5.0,
        5.0,
        &[("statistics_stale", "statistics stale public.orders: now 900000 rows modified")],
    );
    world.hours(10);
    let opened = ["plan_regression careful", "statistics_stale careful"];
    assert_eq!(world.opened(), opened);
    let regression = &world.of_kind(FindingKind::PlanRegression)[0].finding;
    assert_eq!(&*regression.causes[0].kind, "statistics_stale");
    assert!(regression.scripts.forward.as_deref().unwrap().starts_with("ANALYZE "));
    let stale = &world.of_kind(FindingKind::StatisticsStale)[0].finding;
    assert!(stale.summary.starts_with("900000 rows of public.orders have changed"), "{}", stale.summary);
    assert!(stale.scripts.forward.as_deref().unwrap().starts_with("ANALYZE "));
    // That of another table answers nothing.
    world.maintenance_of("public.customers", ChangeKind::Analyze, 900_000, 1_000_000.0);
    world.hours(10);
    assert!(world.told().iter().all(|told| told.contains(" open ")), "{:?}", world.told());
    let before = world.told().len();
    world.maintenance(ChangeKind::Analyze, 900_000, 1_000_000.0);
    world.flip(7, 0.2, 0.2, &[("analyze", "analyze public.orders, at 2026")]);
    world.hours(30);
    let mut ends: Vec<String> = world.told().split_off(before);
    ends.sort_unstable();
    let expected = ["plan_regression applied", "plan_regression confirmed", "statistics_stale resolved"];
    assert!(ends.iter().zip(expected).all(|(end, expected)| end.starts_with(expected)), "{ends:?}");
    assert_eq!(ends.len(), expected.len(), "{ends:?}");
}

/// A table grows while it is loaded, which the planner sees at once, and what was modified is counted when it is committed. Or the plan changes
/// hours after the load, when sessions connect anew.
#[test]
fn statistics_that_were_stale_when_the_plan_changed_are_its_cause() {
    // Intervals of five minutes from the load to the new plan.
    for (table, intervals, is_analysed, expected, findings) in [
        ("public.orders", -6, false, "statistics_stale", 2),
        ("public.orders", -60, false, "plan_change", 1),
        ("public.customers", -6, false, "plan_change", 1),
        ("public.orders", 60, false, "statistics_stale", 1),
        ("public.orders", 60, true, "plan_change", 1),
        ("public.customers", 60, false, "plan_change", 1),
    ] {
        let mut world = World::after_a_week("{}");
        if intervals < 0 {
            world.flip(7, 5.0, 5.0, &[]);
            (0..-intervals).for_each(|_| world.interval());
        }
        world.maintenance_of(table, ChangeKind::StatisticsStale, 900_000, 100_000.0);
        if intervals > 0 {
            (0..intervals).for_each(|_| world.interval());
            if is_analysed {
                world.maintenance_of(table, ChangeKind::Analyze, 900_000, 1_000_000.0);
                world.hours(1);
            }
            world.flip(7, 5.0, 5.0, &[]);
        }
        world.hours(10);
        let finding = &world.of_kind(FindingKind::PlanRegression)[0].finding;
        let what = format!("{table} {intervals} {is_analysed}: {:?}", finding.causes);
        assert_eq!((&*finding.causes[0].kind, world.opened().len()), (expected, findings), "{what}");
    }
}

/// Autovacuum comes a quarter of an hour after the load, and the plan stays as bad: nothing is stale any more, and an analysis no advice.
#[test]
fn what_was_analysed_before_the_finding_is_neither_advised_nor_waited_for() {
    let mut world = World::after_a_week("{}");
    world.maintenance(ChangeKind::StatisticsStale, 900_000, 100_000.0);
    world.flip(
        7,
        5.0,
        5.0,
        &[("statistics_stale", "statistics stale public.orders: now 900000 rows modified")],
    );
    (0..3).for_each(|_| world.interval());
    world.maintenance(ChangeKind::Analyze, 900_000, 1_000_000.0);
    world.hours(10);
    assert_eq!(world.opened(), ["plan_regression careful"]);
    let finding = &world.found[0].finding;
    let said = &finding.causes[0].sentence;
    assert!(
        said.starts_with("Statistics stale") && said.ends_with("The table was analysed since."),
        "{said}"
    );
    assert_eq!(finding.scripts.forward, None);
    world.maintenance(ChangeKind::Analyze, 10, 1_000_000.0);
    world.hours(1);
    assert!(world.told().iter().all(|told| told.contains(" open ")), "{:?}", world.told());
}

#[test]
fn a_statement_whose_executions_are_timed_out_vanishes_from_the_statistics() {
    let mut world = World::after_a_week("{}");
    let usual = world.statements[7].calls_per_hour;
    // Fewer calls alone are fewer users, and time-outs alone are no loss.
    world.statements[7].calls_per_hour /= 4.0;
    world.hours(10);
    world.statements[7] = Behaviour { calls_per_hour: usual, timed_out: 5, ..world.statements[7] };
    world.hours(2);
    assert_eq!(world.told(), [""; 0]);
    world.statements[7].timed_out = 0;
    world.hours(30);
    world.statements[7] = Behaviour { calls_per_hour: usual / 4.0, timed_out: 5, ..world.statements[7] };
    world.hours(8);
    assert_eq!(world.told(), ["statement_vanished open careful"]);
    let finding = &world.found[0].finding;
    let number = |name: &str| finding.evidence.iter().find(|one| *one.name == *name).unwrap().value.unwrap();
    assert!(number("calls") < number("calls_usual") / 2.0 && number("timed_out") > 100.0);
    world.statements[7] = Behaviour { calls_per_hour: usual, timed_out: 0, ..world.statements[7] };
    world.hours(10);
    assert_eq!(world.told()[1], "statement_vanished resolved careful");
}

/// A statement hangs for longer than the hours that time-outs are kept, and is told of as long as it does.
#[test]
fn a_statement_that_hangs_for_two_days_is_told_once() {
    let mut world = World::after_a_week("{}");
    world.hours(12);
    let usual = world.statements[7].calls_per_hour;
    world.statements[7] = Behaviour { calls_per_hour: usual / 10.0, timed_out: 5, ..world.statements[7] };
    world.hours(48);
    assert_eq!(world.told(), ["statement_vanished open careful"]);
}

/// What was known of time-outs is stored: a collector that begins anew does not take the statement for one that is back.
#[test]
fn a_statement_that_hangs_is_not_back_because_the_collector_is() {
    let mut world = World::after_a_week("{}");
    world.hours(12);
    let usual = world.statements[7].calls_per_hour;
    world.statements[7] = Behaviour { calls_per_hour: usual / 10.0, timed_out: 5, ..world.statements[7] };
    world.hours(8);
    world.kill();
    world.hours(8);
    assert_eq!(world.told(), ["statement_vanished open careful"]);
    // The same where it was away for hours, of which nobody knows the time-outs.
    world.kill();
    world.away(5);
    world.hours(8);
    assert_eq!(world.told(), ["statement_vanished open careful"]);
    world.statements[7] = Behaviour { calls_per_hour: usual, timed_out: 0, ..world.statements[7] };
    world.hours(10);
    assert_eq!(world.told()[1..], ["statement_vanished resolved careful"]);
}

/// A collector that has begun an hour ago does not know whether it is told of more time-outs than before.
#[test]
fn time_outs_have_to_be_known_from_hours_before() {
    let mut world = World::after_a_week("{}");
    world.hours(4);
    let usual = world.statements[7].calls_per_hour;
    world.statements[7] = Behaviour { calls_per_hour: usual / 10.0, timed_out: 5, ..world.statements[7] };
    world.hours(30);
    assert_eq!(world.told(), [""; 0]);
}
