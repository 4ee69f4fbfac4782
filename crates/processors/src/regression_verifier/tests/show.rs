//! What pages are shown, and how much of it at most.

use dbintel_model::finding::{FindingKind, FindingState};
use dbintel_pipeline::{Command, Context, FindingsView, Output, Processor as _, Reply, StatementsView};

use super::super::{
    CHANGES_REMEMBERED, FINDINGS_BYTES_MAX, FINDINGS_IN_FULL_MAX, HOURS_MAX, STATEMENTS_SHOWN_MAX,
    TEXT_SHOWN_BYTES_MAX,
};
use super::world::{World, key, text, world};

impl World {
    fn command(&mut self, command: &Command) -> Reply {
        let mut random = fastrand::Rng::with_seed(1);
        let monotonic = dbintel_model::Clock::monotonic(&self.clock);
        let mut cx = Context { now: self.now(), monotonic, random: &mut random };
        self.verifier.command(&mut cx, command, &mut Output::default())
    }

    fn findings(&mut self) -> FindingsView {
        *self.command(&Command::Findings { finding: None }).findings.unwrap()
    }

    pub(super) fn top(&mut self) -> StatementsView {
        *self.command(&Command::Statements).statements.unwrap()
    }
}

#[test]
fn the_queue_has_what_loses_most_first_and_each_in_full() {
    let mut world = World::after_a_week("{}");
    assert_eq!(world.findings(), FindingsView::default());
    world.flip(3, 5.0, 5.0, &[]);
    world.flip(30, 5.0, 5.0, &[]);
    world.hours(30);
    let shown = world.findings();
    let queries: Vec<_> = shown.findings.iter().map(|finding| finding.subject.query_id.unwrap()).collect();
    // The second one takes four times as long, and runs twice as often.
    assert_eq!((queries, shown.further.len()), (vec![30, 3], 0));
    assert_eq!(
        (shown.watched.len(), shown.watched_further),
        (0, 0),
        "what has a finding is not watched as well"
    );
    let last = world.of_kind(FindingKind::PlanRegression).into_iter().next_back().unwrap().finding.clone();
    let same = shown.findings.iter().find(|finding| finding.id == last.id).unwrap();
    assert_eq!(*same, last, "what is shown is what was told last, with locks, charts and scripts");
    assert!(!last.locks.is_empty() && !last.charts.is_empty());

    let one = *world.command(&Command::Findings { finding: Some(last.id) }).findings.unwrap();
    assert_eq!(one, FindingsView { findings: vec![last.clone()], ..FindingsView::default() });
    assert_eq!(last.state, FindingState::Open);
    let none = dbintel_model::FindingId::from_u128(1);
    let none = *world.command(&Command::Findings { finding: Some(none) }).findings.unwrap();
    assert_eq!(none, FindingsView::default());
    let other = world.command(&Command::Plans { statement: None });
    assert_eq!(other, Reply::default(), "plans are another processor's");
}

#[test]
fn what_loses_too_little_is_watched_and_not_told() {
    let mut world = World::after_a_week("{lost_time_per_day: 2h, review_lost_time_per_day: 3h}");
    world.flip(7, 5.0, 5.0, &[]);
    // Slower as well, by less.
    world.flip(5, 2.0, 2.0, &[]);
    world.flip(9, 0.2, 0.2, &[]);
    world.hours(20);
    assert_eq!(world.told(), [""; 0]);
    let watched = world.findings().watched;
    let queries: Vec<&str> = watched.iter().map(|one| one.query_id.as_str()).collect();
    assert_eq!(queries, ["7", "5"], "the one that got faster loses nothing");
    let first = &watched[0];
    assert!(first.has_other_plan && first.text.as_deref() == Some("SELECT ? FROM orders"));
    let ratio = first.effect.ratio.unwrap();
    assert!((4.0..6.0).contains(&ratio) && first.effect.t.is_some(), "{:?}", first.effect);
    let lost = |index: usize| watched[index].time_lost.seconds_per_day.unwrap();
    assert!(lost(0) > lost(1) && lost(1) > 0.0 && lost(0) < 7_200.0, "{} {}", lost(0), lost(1));
}

#[test]
fn top_statements_are_those_that_lose_then_those_that_take_the_most() {
    let mut world = World::after_a_week("{}");
    world.flip(3, 5.0, 5.0, &[]);
    let changed = world.now();
    world.hours(20);
    let shown = world.top();
    assert_eq!(shown.statements.len() + shown.further, world.statements.len());
    assert_eq!(shown.statements.len(), STATEMENTS_SHOWN_MAX);
    let first = &shown.statements[0];
    assert_eq!((&*first.query_id, first.text.as_deref()), ("3", Some("SELECT ? FROM orders")));
    assert_eq!((&first.database, &first.user), (&key(3).database, &key(3).user));
    assert_eq!(first.finding, world.found.first().map(|event| event.finding.id));
    let lost = first.time_lost.unwrap();
    assert!(lost.seconds_per_day > Some(1_000.0) && lost.low.is_some(), "{lost:?}");
    assert_eq!(first.plan_changes, [changed]);
    // 2,300 an hour, more in the afternoon.
    assert!((1_500.0..3_500.0).contains(&first.calls_per_hour.unwrap()), "{:?}", first.calls_per_hour);
    // Eight milliseconds of four hours ago and forty since.
    assert!((20.0..45.0).contains(&first.mean_ms.unwrap()), "{:?}", first.mean_ms);
    assert!((HOURS_MAX - 1..=HOURS_MAX + 1).contains(&first.hours.len()));
    assert!(first.hours.is_sorted_by_key(|hour| hour.start));
    let (old, new) = (&first.hours[0], &first.hours[HOURS_MAX - 4]);
    assert!(old.mean_ms * 3.0 < new.mean_ms && old.calls > 1_000.0);
    let variation = old.deviation_ms.unwrap() / old.mean_ms;
    assert!((0.3..0.5).contains(&variation), "{variation}");

    let second = &shown.statements[1];
    assert_eq!((&*second.query_id, second.time_lost, second.finding), ("39", None, None));
    assert!(second.plan_changes.is_empty());
    let seconds: Vec<f64> = shown.statements.iter().skip(1).map(|one| one.seconds_last_day).collect();
    assert!(seconds.is_sorted_by(|a, b| a > b), "{seconds:?}");
}

#[test]
fn a_statement_is_shown_before_its_first_hour_is_over() {
    let mut world = world("{}");
    assert_eq!(world.top().statements, []);
    world.interval();
    let shown = world.top();
    let first = &shown.statements[0];
    assert_eq!((first.hours.len(), first.calls_per_hour), (1, None));
    assert!(first.mean_ms.is_some() && first.seconds_last_day > 0.0);
    assert_eq!(shown.hour_seconds, 3_600.0);
}

#[test]
fn changes_of_plan_are_remembered_over_a_restart_and_are_few() {
    let mut world = world("{}");
    world.hours(2);
    for n in 0..10 {
        world.flip_to(7, 900 + n, &[]);
        world.hours(1);
    }
    let changes = |world: &mut World| {
        let shown = world.top();
        shown.statements.into_iter().find(|one| &*one.query_id == "7").unwrap().plan_changes
    };
    world.statements[7].calls_per_hour *= 1_000.0;
    world.hours(1);
    let known = changes(&mut world);
    assert_eq!(known.len(), CHANGES_REMEMBERED);
    assert!(
        known.is_sorted()
            && known.last().unwrap().plus(std::time::Duration::from_secs(2 * 3_600)) == world.now()
    );
    world.hand_over();
    assert_eq!(changes(&mut world), known);
    world.kill();
    assert_eq!(changes(&mut world), known);
}

/// Whatever the findings are, an answer stays small, and none is left out.
#[test]
fn an_answer_is_bounded() {
    let yaml = "{lost_time_per_day: 0s, review_lost_time_per_day: 0s, caps: {per_run: 100, per_object: 2, per_hour: 100}}";
    let mut world = World::after_a_week(yaml);
    // One after the other, so that they are not one of the server.
    for statement in 0..FINDINGS_IN_FULL_MAX + 4 {
        world.flip(statement, 6.0, 6.0, &[]);
        world.hours(2);
    }
    world.hours(8);
    let shown = world.findings();
    let all = shown.findings.len() + shown.further.len();
    assert_eq!((shown.findings.len(), all), (FINDINGS_IN_FULL_MAX, FINDINGS_IN_FULL_MAX + 4));
    let least = |lost: &Option<dbintel_model::finding::TimeLost>| lost.unwrap().least();
    let last_in_full = least(&shown.findings.last().unwrap().time_lost);
    assert!(shown.further.iter().all(|line| least(&line.time_lost) <= last_in_full));

    let ids: Vec<_> = shown.findings.iter().map(|finding| finding.id).collect();
    for id in ids {
        let kept = world.verifier.findings.get_mut(id).unwrap();
        kept.finding.scripts.forward = Some("x".repeat(FINDINGS_BYTES_MAX / 4).into());
        kept.finding.summary = "ü".repeat(TEXT_SHOWN_BYTES_MAX).into();
    }
    let shown = world.findings();
    assert_eq!((shown.findings.len(), shown.findings.len() + shown.further.len()), (3, all));
    assert!(shown.further.iter().all(|line| line.summary.len() <= TEXT_SHOWN_BYTES_MAX));

    let mut long = (*text(39)).clone();
    long.masked = Some("y".repeat(100_000).into());
    let mut query = super::bounds::query(&world, 39);
    query.text = Some(std::sync::Arc::new(long));
    // A text that is known stays; of a statement that is new it is this one.
    query.key.query_id = 4_000;
    query.text.as_mut().map(|text| std::sync::Arc::make_mut(text).fingerprint = 4_000).unwrap();
    (query.total_time_ms, query.calls) = (1e12, 100);
    world.see(vec![dbintel_model::Record::Query(Box::new(query))]);
    let shown = world.top();
    let long = shown.statements.iter().find(|one| &*one.query_id == "4000").unwrap();
    assert_eq!(long.text.as_ref().unwrap().len(), TEXT_SHOWN_BYTES_MAX);
}
