//! Accelerated time: what is divided, and that every finding says so.

use std::collections::BTreeSet;

use dbintel_model::finding::{Category, FindingKind, FindingNews, FindingState};
use dbintel_model::{ChangeKind, Finding, FindingEvent, PlanRung};

use super::world::{Behaviour, World, world};

const LIMITS: &str = "lost_time_per_day: 0s, review_lost_time_per_day: 0s, caps: {per_run: 100, per_object: 10, per_hour: 100}";

/// Everything there is to find, at statements of their own.
fn of_every_kind(acceleration: u32) -> World {
    let mut world = world(&format!("{{acceleration: {acceleration}, {LIMITS}}}"));
    // Changes of plans of which a statement has several at a time count as nothing by themselves.
    world.rung = PlanRung::Generic;
    world.ticks = 1;
    world.statements[20].ms = 3_000.0;
    world.hours(8 * 24);
    // A load brings a worse plan; another plan is a better one; one is slower with the plan it had; one hangs.
    world.maintenance(ChangeKind::StatisticsStale, 900_000, 100_000.0);
    world.flip(
        21,
        5.0,
        5.0,
        &[("statistics_stale", "statistics stale public.orders: now 900000 rows modified")],
    );
    world.flip(22, 0.2, 0.2, &[]);
    // Ten times as slow is told within an hour or two, and again when whole hours say so.
    world.flip(26, 12.0, 12.0, &[]);
    let slower = world.statements[23];
    world.statements[23] = Behaviour { ms: slower.ms * 5.0, blocks: slower.blocks * 5.0, ..slower };
    let hanging = world.statements[24];
    world.statements[24] =
        Behaviour { calls_per_hour: hanging.calls_per_hour / 10.0, timed_out: 5, ..hanging };
    let plan = world.statements[25].plan;
    for n in 0..9 {
        world.statements[25].plan = plan + n % 2;
        world.hours(1);
    }
    world.hours(30);
    // Many at once are one about the server.
    for statement in 0..12 {
        world.flip(statement, 5.0, 5.0, &[("version", "version: 17 -> 18, at 2026")]);
    }
    world.hours(40);
    world
}

/// Whether it says everywhere that time was accelerated; it does so everywhere or nowhere.
fn is_marked(finding: &Finding) -> bool {
    let says = [
        finding.summary.starts_with("[accelerated 60 times] "),
        finding.failure_modes.iter().any(|mode| mode.starts_with("Time was accelerated")),
        finding.evidence.iter().any(|number| &*number.name == "acceleration" && number.value == Some(60.0)),
    ];
    assert!(says.iter().all(|one| *one == says[0]), "{finding:?}");
    says[0]
}

#[test]
fn a_finding_of_whatever_kind_says_whether_time_was_accelerated() {
    for (acceleration, is_accelerated) in [(60, true), (1, false)] {
        let world = of_every_kind(acceleration);
        let opened = world.found.iter().filter(|event| event.news == FindingNews::Opened);
        let kinds: BTreeSet<FindingKind> = opened.map(|event| event.finding.kind).collect();
        assert_eq!(kinds, FindingKind::ALL.iter().copied().collect(), "{:?}", world.told());
        let is_of_server = |finding: &Finding| finding.summary.contains("12 statements got slower");
        assert!(world.found.iter().any(|event| is_of_server(&event.finding)), "{:?}", world.told());
        let renewed = FindingNews::Changed { from: FindingState::Open };
        let is_renewed =
            |event: &FindingEvent| event.news == renewed && event.finding.state == FindingState::Open;
        assert!(world.found.iter().any(is_renewed), "{:?}", world.told());
        for event in &world.found {
            assert_eq!(is_marked(&event.finding), is_accelerated, "{:?}", event.finding);
            assert!(!is_accelerated || event.finding.category <= Category::Careful);
        }
    }
}
