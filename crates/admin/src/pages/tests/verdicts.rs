//! `/debug/findingz` and `/debug/queryz`: what they say, in which order, and that nothing in a finding or a statement becomes markup.

use dbintel_model::finding::{
    Applied, Category, Cause, Chart, ChartPoint, Decision, DecisionAction, Effect, Evidence, FindingKind,
    Lock, Outcome, PastCase, PlanFlip, Questions, ServerIdentity, Source, Subject, TimeLost, TrackRecord,
    Verdict, similar_cases,
};
use dbintel_model::{Finding, FindingId, PlanFingerprint, PlanRung, Server, Text};
use dbintel_pipeline::{
    FindingLine, FindingsView, GivenUpView, HourView, StatementView, StatementsView, WatchedView,
};

use super::*;
use crate::pages::html::LINKS;
use crate::pages::{FINDINGS_IN_FULL_MAX, PAGE_BYTES_MAX, STATEMENTS_LISTED_MAX};

const NASTY: &str = "\"><script>alert('x')</script><svg onload=\"alert(2)\">";
const HOUR: Duration = Duration::from_secs(3_600);

/// A fleet whose lanes have verifiers that give what these functions make of the name of the lane.
fn verified(
    findings: fn(&str) -> FindingsView,
    statements: fn(&str) -> StatementsView,
) -> (AdminContext, JoinSet<()>) {
    let (asker, questions) = lane_questions();
    let mut lanes = JoinSet::new();
    lanes.spawn(questions.serve(move |lane, command| async move {
        let reply = match &command {
            Command::Findings { finding } => {
                let mut view = findings(&lane);
                if let Some(wanted) = finding {
                    view.findings.retain(|finding| finding.id == *wanted);
                    view = FindingsView { findings: view.findings, ..FindingsView::default() };
                }
                Reply { findings: Some(Box::new(view)), ..Reply::default() }
            }
            Command::Statements => {
                Reply { statements: Some(Box::new(statements(&lane))), ..Reply::default() }
            }
            other => panic!("{other:?}"),
        };
        vec![("memory_limiter".into(), Reply::default()), ("regression_verifier/nights".into(), reply)]
    }));
    let clock = ManualClock::at(start_time());
    let mut wiring = fleet_wiring(Some(asker));
    for pipeline in &mut wiring.pipelines {
        pipeline.processors.push("regression_verifier/nights".into());
    }
    (context(&clock, wiring), lanes)
}

fn lost(seconds: f64) -> TimeLost {
    TimeLost {
        seconds_per_day: Some(seconds),
        low: Some(seconds * 0.5),
        high: Some(seconds * 2.0),
        confidence: Some(0.997),
    }
}

/// A finding with something in every place, each text of it this one.
fn finding(id: u128, lost_seconds: f64, text: &str) -> Finding {
    let said = || Text::from(text.to_owned());
    let server = Server {
        receiver: "postgresql/orders".into(),
        system: "postgresql".into(),
        address: said(),
        port: 5432,
        resource: Vec::new(),
    };
    let subject = Subject {
        server: ServerIdentity::from(said()),
        database: Some(said()),
        role: Some(said()),
        query_id: Some(-77),
        query_text: Some(said()),
        object: Some(said()),
        ..Subject::of_server(&server, None)
    };
    let kind = FindingKind::PlanRegression;
    let mut finding = Finding::new(FindingId::from_u128(id), kind, Category::Manual, subject, start_time());
    let plan = |exact| PlanFingerprint { shape: exact, exact };
    let hour = |number: u32, mean| {
        let start = start_time().plus(HOUR * number);
        ChartPoint { start, end: start.plus(HOUR), mean: Some(mean), p10: None, p90: None }
    };
    let lock = |passed, value| Lock {
        name: said(),
        value: Some(value),
        threshold: Some(5.0),
        passed,
        caps_at: (passed != Some(true)).then_some(Category::Careful),
        sentence: said(),
    };
    finding.ceiling = Category::Auto;
    finding.summary = said();
    finding.for_review = true;
    let at = start_time().plus(HOUR * 10);
    finding.flip = Some(PlanFlip { at, rung: PlanRung::Actual, old: plan(1), new: plan(2) });
    finding.effect = Some(Effect {
        before_ms: Some(12.0),
        after_ms: Some(60.0),
        ratio: Some(5.0),
        ratio_low: Some(4.5),
        ratio_high: None,
        t: Some(321.0),
        degrees_of_freedom: Some(19.5),
        calls_before: Some(54_321.0),
        calls_after: Some(1_234.0),
    });
    finding.time_lost = Some(lost(lost_seconds));
    finding.evidence = vec![Evidence::new("limit", Some(7.25), "ms", Source::Configured, said())];
    finding.locks = vec![lock(Some(true), 10.5), lock(Some(false), 4.25), lock(None, 1.0)];
    let course = Chart {
        name: said(),
        unit: said(),
        before: (0..10).map(|number| hour(number, 12.0)).collect(),
        after: (10..14).map(|number| hour(number, 60.0)).collect(),
    };
    finding.charts = vec![course];
    finding.causes =
        vec![Cause { kind: said(), at: None, object: Some(said()), score: Some(0.5), sentence: said() }];
    finding.failure_modes = vec![said()];
    finding.scripts.forward = Some(format!("CREATE INDEX i ON t (a);\n-- {text}").into());
    finding.scripts.rollback = Some("DROP INDEX i;".into());
    finding.scripts.check = Some("SELECT 1;".into());
    let [worst_case, survivable, worth_it, detect_and_recover] = [(); 4].map(|()| said());
    finding.questions = Some(Questions { worst_case, survivable, worth_it, detect_and_recover });
    let decision = Decision::try_new(DecisionAction::Accept, text, start_time(), Some(text)).unwrap();
    finding.decide(decision).unwrap();
    finding.rolled_back_at = Some(start_time());
    finding
}

fn watched(query_id: &'static str, seconds: f64, text: &str) -> WatchedView {
    let said = || Text::from(text.to_owned());
    WatchedView {
        database: said(),
        user: said(),
        query_id: query_id.into(),
        text: Some(said()),
        since: start_time(),
        has_other_plan: true,
        conclusion: "regressed",
        category: "insufficient",
        effect: Effect { before_ms: Some(3.5), after_ms: Some(7.25), ..Effect::default() },
        time_lost: lost(seconds),
    }
}

fn statement(query_id: &str, text: &str) -> StatementView {
    let said = || Text::from(text.to_owned());
    let hour = |number: u32| HourView {
        start: start_time().plus(HOUR * number),
        calls: 100.0,
        mean_ms: 8.0,
        deviation_ms: Some(2.0),
    };
    StatementView {
        database: said(),
        user: said(),
        query_id: query_id.to_owned().into(),
        text: Some(said()),
        time_lost: Some(lost(7_200.0)),
        finding: Some(FindingId::from_u128(0xabc)),
        trial_given_up: None,
        calls_per_hour: Some(2_345.0),
        mean_ms: Some(8.25),
        seconds_last_day: 451.0,
        plan_changes: vec![start_time().plus(HOUR * 3)],
        hours: (0..8).map(hour).collect(),
    }
}

fn no_statements(_: &str) -> StatementsView {
    StatementsView::default()
}

fn no_findings(_: &str) -> FindingsView {
    FindingsView::default()
}

/// Everything is there, in the order of a night, and none of it is markup.
#[tokio::test(start_paused = true)]
async fn a_finding_says_everything_and_what_it_says_stays_text() {
    let nasty = |lane: &str| {
        let is_first = lane == "postgresql/orders";
        let findings = if is_first { vec![finding(0xabc, 3_600.0, NASTY)] } else { Vec::new() };
        let watched = vec![watched("-78", 60.0, NASTY)];
        FindingsView { findings, watched, ..FindingsView::default() }
    };
    let (cx, _lanes) = verified(nasty, no_statements);
    let id = "00000000000000000000000000000abc";
    for path in ["/debug/findingz", &format!("/debug/findingz?receiver=postgresql%2Forders&finding={id}")] {
        let html = get(&cx, path).await;
        for forbidden in ["<script", "alert('", "onload=\"", "\"><svg"] {
            assert!(!html.contains(forbidden), "{forbidden} in {html}");
        }
        // The page's own pictures are all there are.
        assert_eq!(html.matches("<svg").count(), 1);
        let escaped = "&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;";
        let in_order = [
            "slower since its plan changed, accepted",
            "Evidence: manual (t alone would allow auto); waits for review. Time lost per day: about 60 min (30 min to 120 min). \
             Most probable cause: &quot;",
            "planz?receiver=postgresql%2Forders&amp;statement=-77\"",
            "<td class=\"n\">54,321</td><td class=\"n\">1,234</td>",
            "<td class=\"n\">12.0</td><td class=\"n\">60.0</td>",
            "5.00 (4.50 to –)",
            "321",
            "19.5",
            "<span class=\"bad\">FAILED</span>",
            "<td class=\"n\">4.25</td><td class=\"n\">5.00</td><td>careful</td>",
            "<span class=\"warn\">not asked</span>",
            "<span class=\"good\">passed</span>",
            "<td class=\"n\">10.5</td><td class=\"n\">5.00</td>",
            "<svg role=\"img\" aria-label=\"&quot;&gt;&lt;script&gt;",
            "class=\"band\" d=\"M",
            "class=\"change\"",
            "Probable causes",
            "Script to do it",
            "<pre>CREATE INDEX i ON t (a);\n-- &quot;&gt;&lt;script",
            "Script to undo it",
            "<pre>DROP INDEX i;</pre>",
            "Script to check it",
            "Wrong if",
            "at worst?",
            "how it shows, and the way back?",
            "Its life so far",
            "accept",
            "undone",
        ];
        let mut from = html.find("<h2>000000000000 on postgresql/orders").expect("a card");
        for text in in_order {
            from += html[from..].find(text).unwrap_or_else(|| panic!("{text} in {}", &html[from..]));
        }
        // Accepted already: it can only be rejected.
        let reject = format!("\ndbintel findings reject {id} --config FILE --reason &quot;…&quot;</pre>");
        contains_all(&html, &[&reject, "<td class=\"n\">7.25</td><td>ms</td><td>configured</td>", escaped]);
        assert!(!html.contains("findings accept"));
    }
    let html = get(&cx, "/debug/findingz").await;
    let (queue, watch) = (html.find("<h2>Queue").unwrap(), html.find("<h2>Watch list").unwrap());
    let finding = format!("findingz?receiver=postgresql%2Forders&amp;finding={id}\">000000000000</a>");
    assert!(queue < html.find(&finding).unwrap() && html.find("<h2>000000000000").unwrap() < watch);
    let watched = &html[watch..];
    contains_all(
        watched,
        &["about 1 min (30 s to 2 min)", "3.50 → 7.25 ms", "regressed, insufficient", "statement=-78\""],
    );
    assert!(!watched.contains("<pre>"), "nothing to do about what is watched");
}

#[tokio::test(start_paused = true)]
async fn past_cases_and_what_is_wrong_with_the_store_are_said_as_text() {
    let views = |lane: &str| {
        let mut past = finding(0xdef, 60.0, NASTY);
        let reject = Decision::try_new(DecisionAction::Reject, "eve", start_time(), Some(NASTY)).unwrap();
        past.decide(reject).unwrap();
        let past = [PastCase::of(&past).unwrap()];
        let finding = finding(if lane == "postgresql/orders" { 0xabc } else { 0xabd }, 60.0, NASTY);
        let similar = [(finding.id, similar_cases(&finding, &past))].into();
        let store_trouble = Some(format!("unavailable: {NASTY}; what to do: look").into());
        FindingsView { findings: vec![finding], similar, store_trouble, ..FindingsView::default() }
    };
    let (cx, _lanes) = verified(views, no_statements);
    let html = get(&cx, "/debug/findingz").await;
    for forbidden in ["<script", "alert('", "onload=\"", "\"><svg"] {
        assert!(!html.contains(forbidden), "{forbidden} in {html}");
    }
    let said = "The store could not be asked: what persons decided lately is not here. unavailable: &quot;";
    assert_eq!(html.matches(said).count(), 1, "once for all lanes: {html}");
    contains_all(&html, &["what to do: look.", "They are context, no evidence", "<td class=\"n\">1.00</td>"]);
    assert_eq!(html.matches("<h3>Similar past cases").count(), 2);
    let row = &html[html.find("<h3>Similar past cases").unwrap()..];
    contains_all(row, &["00000000000000000000000000000def", "rejected by eve: &quot;&gt;&lt;script"]);
    // After everything that was weighed.
    assert!(html.find("<h3>All numbers").unwrap() < html.find("<h3>Similar past cases").unwrap());

    let (cx, _lanes) = verified(
        |_| FindingsView { findings: vec![finding(1, 1.0, "x")], ..FindingsView::default() },
        no_statements,
    );
    let html = get(&cx, "/debug/findingz").await;
    assert!(!html.contains("The store could not be asked") && !html.contains("Similar past cases"));
}

/// All servers are one queue.
#[tokio::test(start_paused = true)]
async fn the_queue_begins_with_what_loses_the_most_on_whatever_server() {
    let two = |lane: &str| {
        let base = if lane == "postgresql/orders" { 1_u128 } else { 2 };
        let seconds = if base == 1 { 4_000.0 } else { 8_000.0 };
        let mut rejected = finding(base << 120, 90_000.0, "rejected before");
        rejected
            .decide(Decision::try_new(DecisionAction::Reject, "me", start_time(), Some("no")).unwrap())
            .unwrap();
        let further = FindingLine::of(&finding(base << 100, seconds / 8.0, "in a line"));
        let watched = vec![watched(if base == 1 { "11" } else { "22" }, seconds, "slow")];
        let findings = vec![finding(base << 110, seconds, "in full"), rejected];
        let mut record = TrackRecord::new(FindingKind::PlanRegression);
        (0..3).for_each(|_| record.add(Verdict::Confirmed, 1));
        record.add(Verdict::NoEffect, 1);
        FindingsView {
            records: vec![record],
            findings,
            further: vec![further],
            watched,
            watched_further: 3,
            ..FindingsView::default()
        }
    };
    let (cx, _lanes) = verified(two, no_statements);
    let html = get(&cx, "/debug/findingz").await;
    let queue = &html[html.find("<h2>Queue").unwrap()..html.find("<h2>0").unwrap()];
    let places: Vec<usize> = ["67 min", "33 min", "≥ 8 min", "≥ 4 min", "rejected before"]
        .map(|text| queue.find(text).unwrap_or_else(|| panic!("{text} in {queue}")))
        .into();
    assert!(places.is_sorted(), "{places:?} in {queue}");
    assert_eq!(html.matches("<h3>Its life so far").count(), 2, "a rejected finding waits for nobody");
    let watch = &html[html.find("<h2>Watch list").unwrap()..];
    assert!(watch.find(">22</a>").unwrap() < watch.find(">11</a>").unwrap());
    contains_all(watch, &["And 6 more that lose less."]);
    // What the store has of all servers is there once.
    assert_eq!(watch.matches("<td class=\"n\">75 % of 4</td>").count(), 1, "{watch}");
    let html = get(&cx, "/debug/findingz?receiver=postgresql%2Forders").await;
    assert!(html.contains(">11</a>") && !html.contains("postgresql/billing"));
}

#[tokio::test(start_paused = true)]
async fn queryz_shows_what_loses_with_its_week_and_leads_on() {
    let statements = |_: &str| {
        let mut plain = statement("5", "SELECT ?");
        (plain.time_lost, plain.finding, plain.calls_per_hour, plain.hours) = (None, None, None, Vec::new());
        let (since, at) = (start_time(), start_time().plus(HOUR));
        plain.trial_given_up = Some(GivenUpView { since, at, others: 512 });
        let statements = vec![statement("-77", NASTY), plain];
        StatementsView { statements, further: 40, hour_seconds: 3_600.0 }
    };
    let (cx, _lanes) = verified(no_findings, statements);
    let html = get(&cx, "/debug/queryz?receiver=postgresql%2Forders").await;
    for forbidden in ["<script", "alert('", "onload=\""] {
        assert!(!html.contains(forbidden), "{forbidden} in {html}");
    }
    contains_all(
        &html,
        &[
            "Server orders.db:5432 of postgresql/orders",
            "&quot;&gt;&lt;script&gt;",
            "≥ 60 min",
            "7 min 31 s",
            "2345",
            "8.25",
            "planz?receiver=postgresql%2Forders&amp;statement=-77\">its plans</a>",
            "findingz?receiver=postgresql%2Forders&amp;finding=00000000000000000000000000000abc\">its finding</a>",
            "<title>calls by hour</title>",
            "<small>100 to 100 calls</small>",
            "<small>8.00 to 8.00 ms</small>",
            "<title>plan changed 2026-11-21 07:43:25 UTC</title>",
            "mean by hour: nothing known",
            "what happened at 2026-11-21 04:43:25 UTC is not judged: its trial was given up at 2026-11-21 05:43:25 UTC, because 512 \
             others lost more time or had a finding",
            "And 40 more that take less.",
        ],
    );
    assert_eq!(html.matches("given up").count(), 1);
    assert_eq!((html.matches("<svg").count(), html.matches("class=\"change\"").count()), (2, 2));
    assert!(!html.contains("billing.db"));
}

#[tokio::test(start_paused = true)]
async fn without_a_verifier_the_pages_say_how_to_have_one() {
    let fixture = fixture();
    for page in ["findingz", "queryz"] {
        for receiver in ["", "?receiver=postgresql%2Forders", "?receiver=nosuch"] {
            let html = get(&fixture.cx, &format!("/debug/{page}{receiver}")).await;
            contains_all(
                &html,
                &[
                    "has the processor regression_verifier",
                    "plan_extractor, regression_verifier, verification]",
                ],
            );
            assert!(!html.contains("No finding waits"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_accelerated_run_is_marked_and_a_silent_lane_is_told() {
    let (asker, questions) = lane_questions();
    let mut lanes = JoinSet::new();
    lanes.spawn(questions.serve(|lane, _| async move {
        if lane.as_str() == "postgresql/billing" {
            std::future::pending::<()>().await;
        }
        let (findings, statements) = (Some(Box::default()), Some(Box::default()));
        vec![("regression_verifier".into(), Reply { findings, statements, ..Reply::default() })]
    }));
    let mut wiring = fleet_wiring(Some(asker));
    for pipeline in &mut wiring.pipelines {
        pipeline.processors.push("regression_verifier".into());
    }
    wiring.pipelines[1].acceleration = Some(60.0);
    let cx = context(&ManualClock::at(start_time()), wiring);
    for (page, nothing) in [("findingz", "No finding waits"), ("queryz", "No statement was seen yet")] {
        let html = get(&cx, &format!("/debug/{page}")).await;
        contains_all(&html, &["lane of postgresql/billing gave no answer", nothing]);
    }
    let marked = "hours are no hours in postgresql/orders (60 times).";
    let odd = ["findingz?finding=odd", "planz?statement=odd", "tracez?span=odd", "queryz?receiver=odd"];
    for page in LINKS.into_iter().map(|(page, _)| page).chain(odd) {
        let html = get(&cx, &format!("/debug/{page}")).await;
        assert_eq!(html.matches("Accelerated").count(), 1, "{page}: {html}");
        // Before everything else on it.
        let begins = html.find("<h2>").unwrap_or(html.len());
        assert!(html.find(marked).is_some_and(|at| at < begins), "{page}: {html}");
    }
    let real = fixture();
    for (page, _) in LINKS {
        assert!(!get(&real.cx, &format!("/debug/{page}")).await.contains("Accelerated"), "{page}");
    }
}

#[tokio::test(start_paused = true)]
async fn odd_ids_and_scripts_that_are_too_long_are_told() {
    let long = |_: &str| {
        let mut finding = finding(0xabc, 60.0, "long");
        finding.scripts.forward = Some("CREATE ".repeat(1_000).into());
        FindingsView { findings: vec![finding], ..FindingsView::default() }
    };
    let (cx, _lanes) = verified(long, no_statements);
    let html = get(&cx, "/debug/findingz").await;
    contains_all(
        &html,
        &["It does not fit a page whole", "dbintel findings show 00000000000000000000000000000abc"],
    );
    assert!(!html.contains("CREATE"));
    let html = get(&cx, "/debug/findingz?finding=%3Cscript%3E").await;
    contains_all(&html, &["the id of a finding is 32 lower-case hexadecimal digits"]);
    let html = get(&cx, "/debug/findingz?finding=00000000000000000000000000000def").await;
    contains_all(
        &html,
        &["No lane has this finding", "dbintel findings show 00000000000000000000000000000def --config FILE"],
    );
}

/// Full lists of long texts make a page that is whole.
#[tokio::test(start_paused = true)]
async fn full_pages_fit() {
    let many = |lane: &str| {
        let base = if lane == "postgresql/orders" { 1_u128 << 120 } else { 2 << 120 };
        let text = "SELECT customer FROM orders ".repeat(30);
        let full = |n: u32| {
            let mut finding = finding(base + u128::from(n), 600.0, "public.orders_customer");
            finding.summary = text.clone().into();
            finding.subject.query_text = Some(text.clone().into());
            finding.scripts.forward = Some(format!("{text}\n").repeat(4).into());
            let (lock, number) = (finding.locks[0].clone(), finding.evidence[0].clone());
            finding.locks = vec![Lock { sentence: "It holds. ".repeat(20).into(), ..lock }; 32];
            finding.evidence = vec![Evidence { detail: "total_exec_time / calls".into(), ..number }; 64];
            let point = |n: u32| {
                let start = start_time().plus(HOUR * n);
                ChartPoint {
                    start,
                    end: start.plus(HOUR),
                    mean: Some(1.0 + f64::from(n * 7 % 100)),
                    p10: None,
                    p90: None,
                }
            };
            let (before, after) = ((0..240).map(point).collect(), (240..480).map(point).collect());
            let name: Text = "time_per_call".into();
            finding.charts = vec![Chart { name: name.clone(), unit: "ms".into(), before, after }; 4];
            finding.applied = Some(Applied { at: start_time(), how: name.clone() });
            finding.outcome = Some(Outcome {
                verdict: Verdict::Confirmed,
                at: start_time(),
                measured_from: start_time(),
                measured_to: start_time(),
                ratio: None,
                ratio_low: None,
                ratio_high: None,
                time_lost: None,
                sentence: name,
            });
            finding
        };
        let line = |n: u32| FindingLine { summary: text.clone().into(), ..FindingLine::of(&full(n)) };
        FindingsView {
            findings: (0..10).map(full).collect(),
            further: (10..256).map(line).collect(),
            watched: vec![
                WatchedView { text: Some(text.clone().into()), ..watched("7", 60.0, "orders") };
                50
            ],
            watched_further: 0,
            ..FindingsView::default()
        }
    };
    let statements = |_: &str| {
        let mut one = statement("-77", &"SELECT customer FROM orders ".repeat(36));
        let hour = one.hours[0];
        one.hours = (0..169)
            .map(|n| HourView { start: start_time().plus(HOUR * n), mean_ms: 1.0 + f64::from(n), ..hour })
            .collect();
        StatementsView { statements: vec![one; STATEMENTS_LISTED_MAX + 5], further: 1, hour_seconds: 3_600.0 }
    };
    let (cx, _lanes) = verified(many, statements);
    let html = get(&cx, "/debug/findingz").await;
    assert!(html.len() > PAGE_BYTES_MAX / 4 && !html.contains("This page was cut"), "{}", html.len());
    assert_eq!(html.matches("<h3>Its life so far").count(), FINDINGS_IN_FULL_MAX);
    contains_all(&html, &["And 312 more: dbintel findings list", "And 50 more that lose less."]);
    let html = get(&cx, "/debug/queryz").await;
    assert!(html.len() > PAGE_BYTES_MAX / 8 && !html.contains("This page was cut"), "{}", html.len());
    contains_all(&html, &["And 6 more that take less."]);
}
