//! Regressions on real servers, in shortened time: each is found once with its first cause, what harms nobody is not told, and what was
//! done about a finding is measured.
//!
//! One run of the program on each server watches all statements at once. First time passes as usual, then what is neutral happens, then one
//! regression after the other, each on a table of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking; what it prints is its result"
)]

mod schema;
mod workload;
mod world;

use std::collections::BTreeMap;
use std::time::Duration;

use dbintel_model::Finding;
use dbintel_model::finding::{FindingKind, FindingState, Verdict};
use dbintel_testkit::postgres::Major;
use tokio::time::sleep;
use world::{Rung, World, describe, hours, is_about};

/// Usual hours before anything happens. Together with the neutral ones more than three days, below which there is no control.
const USUAL_HOURS: u32 = 50;
/// Hours after the last neutral event, of which six would be enough for a finding.
const QUIET_HOURS: u32 = 13;
/// Hours of a regression after it was found and before something is done, and before something is done that changes nothing. Six blocks
/// have to be wholly before it, where two hours can be one for want of calls; and it is known to half a dozen hours only when it was: the
/// catalogue is read so seldom that it costs the server a thousandth of a core, and what was written there is counted within ten seconds.
const SOME_HOURS: u32 = 18;
const LONG_HOURS: u32 = 30;
/// What the evidence says where a plan that runs was not seen, whether EXPLAIN has shown others or nothing has.
const NOT_OBSERVABLE: &str = "not observable";
/// No effect is a ratio whose bounds lie within these.
const NO_EFFECT: (f64, f64) = (0.9, 1.1);

/// What has to be told about a table.
#[derive(Clone, Copy, Debug)]
struct Told {
    table: &'static str,
    kind: FindingKind,
    /// The kind of the first cause, and how its sentence begins.
    cause: (&'static str, &'static str),
}

const fn of_plan(table: &'static str, cause: (&'static str, &'static str)) -> Told {
    Told { table, kind: FindingKind::PlanRegression, cause }
}

/// What is done about these.
const DROPPED: Told = of_plan("dropped", ("ddl", "DDL: index public.dropped_kind dropped on public.dropped"));
const USELESS: Told = of_plan("useless", ("ddl", "DDL: index public.useless_kind dropped on public.useless"));
const HARMFUL: Told = of_plan("harmful", ("ddl", "DDL: index public.harmful_kind dropped on public.harmful"));
const STALE: Told = of_plan("stale", ("analyze", "Analyze public.stale"));
const TUNED: Told = of_plan("tuned", ("setting", "Setting random_page_cost of role tuned: 4 -> 1000"));
const LOADED: Told = of_plan(
    "loaded",
    (
        "statistics_stale",
        "Statistics stale public.loaded: now 180000 rows modified since its last analysis, 20000 known",
    ),
);
/// What else every server shows.
const OTHERS: [Told; 2] = [STALE, of_plan("ordered", ("analyze", "Analyze public.ordered"))];
/// What takes longer without more work is told only where sessions say which statement they run.
const AT_THE_SAME_WORK: [Told; 2] = [
    of_plan("outer_side", ("setting", "Setting enable_hashjoin of role nested: now off")),
    of_plan("pages", ("ddl", "DDL: table public.pages altered: ")),
];

/// What nothing is done about.
fn others(major: Major, rung: Rung) -> Vec<Told> {
    let mut all = OTHERS.to_vec();
    all.push(match rung {
        Rung::Logged => GENERIC,
        Rung::Explained => Told { kind: FindingKind::RegressionWithoutPlanChange, ..GENERIC },
    });
    if major >= Major::V14 {
        all.extend(AT_THE_SAME_WORK);
    }
    all
}

/// A statement goes from plans for its values to a generic one. Only plans that ran show that: `EXPLAIN` without values shows a generic plan
/// before and after, so that the change of plan is not observable there: what is told is a step without one, and that it is not.
const GENERIC: Told = of_plan(
    "skewed",
    ("setting", "Setting plan_cache_mode of role skewed: force_custom_plan -> force_generic_plan"),
);

impl Told {
    fn check(&self, world: &World, finding: &Finding) {
        let first = finding.causes.first().unwrap_or_else(|| panic!("no cause\n{}", describe(finding)));
        let (kind, says) = self.cause;
        let what = format!("PostgreSQL {}\n{}", world.cluster.major(), describe(finding));
        assert!(&*first.kind == kind && first.sentence.starts_with(says), "{what}");
        assert_eq!(finding.flip.is_some(), self.kind == FindingKind::PlanRegression, "{what}");
        // One execution in five is in the log with its duration.
        let timed = finding.evidence.iter().find(|of| *of.name == *"old_plan_executions");
        let is_timed = timed.and_then(|of| of.value).is_some_and(|executions| executions >= 10.0);
        assert_eq!(is_timed, world.rung == Rung::Logged && finding.flip.is_some(), "{what}\n{timed:?}");
        let unseen = finding.evidence.iter().find(|of| *of.name == *"plan_of_executions");
        let is_said = unseen.is_some_and(|of| of.value.is_none() && of.detail.contains(NOT_OBSERVABLE));
        assert_eq!(is_said, finding.flip.is_none(), "{what}\n{unseen:?}");
    }
}

/// What happens to servers every day, and makes no plan worse.
async fn neutral(world: &mut World) {
    // First, since admission asks a server that was restarted for plans a minute later.
    world.say("usual time has passed");
    world.cluster.restart().await;
    world.say("the server was restarted");
    for _ in 0..10 {
        world.run(schema::GROW).await;
        world.run("ANALYZE grown").await;
        hours(1).await;
    }
    world.say("a table has grown");
    world.workload.set_load(5);
    hours(4).await;
    world.workload.set_load(1);
    hours(1).await;
    world.say("load has gone up and down");
    world.run("VACUUM FULL rewritten").await;
    for _ in 0..5 {
        world.run("BEGIN; LOCK TABLE stormed IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(0.6); COMMIT").await;
        sleep(Duration::from_millis(300)).await;
    }
    world.say("a table was rewritten, and another one locked time and again");
    hours(QUIET_HOURS).await;
    world.say("neutral time has passed");
    let told: Vec<String> = world.findings().await.iter().map(describe).collect();
    assert_eq!(told, [""; 0], "PostgreSQL {}\n{}", world.cluster.major(), world.state().await);
}

/// One after the other, an hour apart.
async fn regress(world: &World) {
    let all = [
        ["DROP INDEX dropped_kind", schema::BULK_LOAD],
        ["DROP INDEX useless_kind", "SELECT 1"],
        ["DROP INDEX harmful_kind", "SELECT 1"],
        [schema::LOAD, "SELECT 1"],
        ["ALTER TABLE pages SET (parallel_workers = 0)", "SELECT 1"],
        schema::SHUFFLE,
        ["ANALYZE stale", "SELECT 1"],
    ];
    for statements in all {
        for sql in statements {
            world.run(sql).await;
        }
        if statements[0] == schema::LOAD {
            // A session keeps the plan that it has prepared, however a table grows.
            world.workload.reconnect();
        }
        hours(1).await;
    }
    let settings = [
        "ALTER ROLE tuned SET random_page_cost = 1000",
        "ALTER ROLE nested SET enable_hashjoin = off",
        "ALTER ROLE skewed SET plan_cache_mode = force_generic_plan",
    ];
    for sql in settings {
        world.run(sql).await;
        world.workload.reconnect();
        hours(1).await;
    }
}

/// Waits for what has to be told, and looks at its first cause.
async fn found(world: &World, told: Told) -> Finding {
    let finding = world.until_found(told.table, told.kind).await;
    told.check(world, &finding);
    world.say(&describe(&finding));
    finding
}

/// A person accepts the finding, runs its script, and sees by its check and its end what comes of it.
async fn repaired_by_its_script(world: &World, told: Told, how: &str) -> Finding {
    let finding = found(world, told).await;
    hours(SOME_HOURS).await;
    let (forward, check) = (finding.scripts.forward.as_deref(), finding.scripts.check.as_deref());
    let (forward, check) = forward.zip(check).unwrap_or_else(|| panic!("no script\n{}", describe(&finding)));
    let before = world.blocks_per_call(check).await;
    let ended = repaired(world, &finding, (forward, how), FindingState::Confirmed).await;
    let since = world.blocks_per_call(check).await;
    world.say(&format!("{forward} From {before:.1} to {since:.1} blocks per call of all times."));
    assert!(since < before, "{forward} {before} {since}");
    ended
}

/// The same with a repair that is none.
async fn repaired_with(world: &World, told: Told, sql: &str, end: FindingState) {
    let finding = found(world, told).await;
    // What was before it needs its hours too; that nothing happened can only be told from many.
    hours(if end == FindingState::NoEffect { LONG_HOURS } else { SOME_HOURS }).await;
    repaired(world, &finding, (sql, " created on public."), end).await;
}

/// A person accepts the finding, does this, and waits for what comes of it.
async fn repaired(world: &World, finding: &Finding, (sql, how): (&str, &str), end: FindingState) -> Finding {
    world.accept(finding).await;
    world.run(sql).await;
    if sql.starts_with("ALTER ROLE") {
        world.workload.reconnect();
    }
    let ended = world.until_state(finding, end).await;
    let what = format!("PostgreSQL {}: {}", world.cluster.major(), describe(&ended));
    world.say(&describe(&ended));
    let (applied, outcome) = (ended.applied.as_ref().expect(&what), ended.outcome.as_ref().expect(&what));
    assert!(applied.how.contains(how), "{what}");
    assert_eq!(ended.decisions.len(), 1, "{what}");
    let (ratio, low, high) =
        (outcome.ratio.unwrap(), outcome.ratio_low.unwrap(), outcome.ratio_high.unwrap());
    let is_within = low >= NO_EFFECT.0 && high <= NO_EFFECT.1;
    let gained = outcome.time_lost.as_ref().and_then(|lost| lost.seconds_per_day);
    match outcome.verdict {
        Verdict::Confirmed => {
            let effect = ended.effect.unwrap();
            let step = effect.after_ms.unwrap() / effect.before_ms.unwrap();
            // At least half of the way back to what it was before.
            assert!(high < 1.0 && ratio * step.sqrt() < 1.0 && gained.unwrap() < 0.0, "{what}");
        }
        Verdict::Harmful => assert!(low > 1.0 && gained.unwrap() > 0.0, "{what}"),
        Verdict::NoEffect => assert!(is_within && low < ratio, "{what}"),
        Verdict::Inconclusive => panic!("{what}"),
    }
    ended
}

/// What was repaired by a script is taken back by the other one.
async fn rolled_back(world: &World, finding: &Finding, is_back: &str) {
    let rollback = finding.scripts.rollback.as_deref().unwrap();
    world.run(rollback).await;
    assert!(world.cluster.scalar::<bool>("postgres", is_back).await, "{rollback}");
}

async fn regressions(major: Major, rung: Rung) {
    let mut world = World::start(major, rung).await;
    hours(USUAL_HOURS).await;
    neutral(&mut world).await;
    regress(&world).await;
    world.say("everything has become slower");
    let world = &world;
    let all = [others(major, rung), vec![DROPPED, USELESS, HARMFUL, LOADED, TUNED]].concat();
    let others = async {
        for told in others(major, rung) {
            found(world, told).await;
        }
    };
    let (dropped, loaded, tuned, ..) = tokio::join!(
        repaired_by_its_script(world, DROPPED, "index public.dropped_kind created on public.dropped"),
        repaired_by_its_script(world, LOADED, "analyze public.loaded"),
        repaired_by_its_script(world, TUNED, "setting random_page_cost of role tuned: now 4"),
        repaired_with(
            world,
            USELESS,
            "CREATE INDEX useless_length ON useless (length(note))",
            FindingState::NoEffect
        ),
        repaired_with(world, HARMFUL, "CREATE INDEX harmful_place ON harmful (place)", FindingState::Harmful),
        others,
    );
    once(world, &all).await;
    rolled_back(world, &dropped, "SELECT to_regclass('public.dropped_kind') IS NULL").await;
    rolled_back(world, &tuned, "SELECT NOT EXISTS (SELECT FROM pg_db_role_setting WHERE setdatabase <> 0)")
        .await;
    rolled_back(world, &loaded, "SELECT true").await;
}

/// Each was told once, and nothing else but that the statistics of the loaded tables were stale.
async fn once(world: &World, all: &[Told]) {
    let stale = [STALE, LOADED].map(|told| Told { kind: FindingKind::StatisticsStale, ..told });
    let named = |told: &Told| (format!("{} {}", told.kind, told.table), 1);
    let expected: BTreeMap<String, usize> = all.iter().chain(&stale).map(named).collect();
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for finding in world.findings().await {
        let table = all.iter().find(|told| is_about(&finding, told.table));
        let table = table.map_or("something else", |told| told.table);
        *told.entry(format!("{} {table}", finding.kind)).or_default() += 1;
    }
    assert_eq!(told, expected, "PostgreSQL {}\n{}", world.cluster.major(), world.state().await);
}

// By itself: two seconds are an hour here, and a machine that does something else for some of them is a server-wide slowdown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn regressions_are_found_once_with_their_cause_and_repairs_are_measured() {
    tokio::join!(
        regressions(Major::V14, Rung::Explained),
        regressions(Major::V16, Rung::Explained),
        regressions(Major::V18, Rung::Logged),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn regressions_of_the_other_majors() {
    tokio::join!(
        regressions(Major::V13, Rung::Explained),
        regressions(Major::V15, Rung::Logged),
        regressions(Major::V17, Rung::Explained),
    );
}
