//! The pages as text, with what a person at three in the morning looks for.

use std::time::Duration;

use axum::body::Body;
use dbintel_model::{Clock as _, ManualClock, PlanMissing};
use dbintel_pipeline::memory::MemoryAccounts;
use dbintel_pipeline::status::{ComponentKind, State as ComponentState};
use dbintel_pipeline::{Command, MissingPlanView, PlanDetails, PlanView, Reply};
use http::Request;
use http_body_util::BodyExt as _;
use tokio::task::JoinSet;
use tower::ServiceExt as _;
use tracing_subscriber::layer::SubscriberExt as _;

use super::*;
use crate::TracezLayer;
use crate::fixture::{Wiring, context, fleet, fleet_wiring, pass, start_time};

mod verdicts;

struct Fixture {
    cx: AdminContext,
    clock: ManualClock,
    _lanes: JoinSet<()>,
}

/// The fleet of the fixture, with lanes that answer.
fn fixture() -> Fixture {
    let (asker, questions) = lane_questions();
    let mut lanes = JoinSet::new();
    lanes.spawn(questions.serve(|lane, command| async move {
        let line = ("memory used".into(), "81.0 MiB <resident>".into());
        let (plans, without_plan) = (plans(&command), without_plan(&command));
        let reply = Reply { lines: vec![line], plans, without_plan, ..Reply::default() };
        let reply = ("memory_limiter".into(), reply);
        if lane.as_str() == "postgresql/billing" { std::future::pending().await } else { vec![reply] }
    }));
    let clock = ManualClock::at(start_time());
    let cx = context(&clock, fleet_wiring(Some(asker)));
    fleet(&cx);
    pass(&cx, &clock, Duration::from_secs(100));
    Fixture { cx, clock, _lanes: lanes }
}

/// One plan, in full where it is asked for.
fn plans(command: &Command) -> Vec<PlanView> {
    let Command::Plans { statement } = command else { return Vec::new() };
    if statement.as_deref().is_some_and(|statement| statement != "0.1.2.-3.0") {
        return Vec::new();
    }
    let details = PlanDetails {
        tree: "Seq Scan on <orders>  cost 12.5  << 100 % of cost\n    filter: (id = ?)\n".into(),
        previous: Some("Index Scan using orders_pkey on orders  cost 1".into()),
        difference: vec!["orders: Index Scan -> Seq Scan".into()],
        earlier: vec![("00ff".into(), "then to now".into())],
    };
    vec![PlanView {
        statement: "0.1.2.-3.0".into(),
        database: "<shop>".into(),
        query_id: "-3".into(),
        rung: "generic",
        fingerprint: "abcd".into(),
        cost: Some(12.5),
        first_seen: start_time(),
        last_seen: start_time(),
        changes: 1,
        changed_at: Some(start_time()),
        details: statement.is_some().then_some(details),
        ..PlanView::default()
    }]
}

/// One statement without a plan, in the list.
fn without_plan(command: &Command) -> Vec<MissingPlanView> {
    let Command::Plans { statement: None } = command else { return Vec::new() };
    let meaning = "One of its tables was <locked>.";
    vec![MissingPlanView {
        database: "shop".into(),
        user: "app".into(),
        query_id: "-77".into(),
        summary: None,
        missing: PlanMissing { reason: "lock_timeout", meaning },
        at: start_time(),
    }]
}

fn addresses() -> Arc<OnceLock<AdminAddresses>> {
    let addresses = AdminAddresses {
        health: None,
        metrics: Some("0.0.0.0:8888".parse().unwrap()),
        zpages: Some("127.0.0.1:55679".parse().unwrap()),
    };
    Arc::new(OnceLock::from(addresses))
}

async fn get(cx: &AdminContext, path: &str) -> String {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let router = router(addresses(), cx.clone());
    let response = router.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let html = String::from_utf8(body.to_vec()).unwrap();
    is_plain(&html);
    html
}

/// No scripts, nothing from elsewhere, every tag closed.
fn is_plain(html: &str) {
    for forbidden in ["<script", "src=", "http:", "https:", "@import", "url("] {
        assert!(!html.contains(forbidden), "{forbidden}");
    }
    for tag in ["table", "tr", "td", "th", "ul", "li", "a", "span", "h2", "p", "body", "html"] {
        let opened = html.matches(&format!("<{tag}>")).count() + html.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, html.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}

fn contains_all(html: &str, texts: &[&str]) {
    for text in texts {
        assert!(html.contains(text), "{text} is not in {html}");
    }
}

#[tokio::test(start_paused = true)]
async fn servicez_tells_what_runs_and_how_it_is() {
    let fixture = fixture();
    let accounts = MemoryAccounts::new(fixture.cx.registry.clone());
    let _texts = accounts.open("receiver orders texts".into(), || 3 << 20);
    let _queue = accounts.open("lane orders queue".into(), || 512 << 10);
    let html = get(&fixture.cx, "/debug/servicez").await;
    contains_all(
        &html,
        &[
            "dbintel 0.1.0",
            "Alive and ready; one component is degraded",
            "2026-11-21 04:43:25 UTC (1 min 40 s ago)",
            "resident",
            "dbintel.yaml, production.yaml",
            "dbintel run --config dbintel.yaml",
            "One warning:",
            "a secret is written inline",
            "abc1234",
            "connection refused, 3 attempts",
            "<td>receiver orders texts</td><td class=\"n\">3.0 MiB</td>",
            "3.5 MiB in 2 accounts.",
        ],
    );
    fixture.clock.advance(Duration::from_secs(31));
    let html = get(&fixture.cx, "/debug/servicez").await;
    contains_all(&html, &["Not alive: the main runtime has not run for 31 s"]);
}

#[tokio::test(start_paused = true)]
async fn pipelinez_tells_what_is_wrong_first_and_then_everything() {
    let fixture = fixture();
    let html = get(&fixture.cx, "/debug/pipelinez").await;
    contains_all(
        &html,
        &[
            "exporter otlp is degraded for 1 min 40 s: connection refused, 3 attempts",
            "receiver postgresql/orders works, without statements (insufficient_privilege)",
            "1,234,567",
            "7 of 1,000",
            "100 queue_full",
            "GRANT pg_monitor TO dbintel",
            "insufficient_privilege",
            "lane (2 batches, 64.0 KiB of 16.0 MiB waiting)",
            "otlp (metrics, logs)",
            "at the door, by reason: 40 memory.",
            "1.60 s in 1 min 40 s: on average 1.600 % of one backend",
            "30 success",
            "10 server_error",
            "the database",
            "25 µs",
            "81.0 MiB &lt;resident&gt;",
            "The lane gave no answer within a second",
        ],
    );
    let troubled = html.find("Receiver postgresql/orders").unwrap();
    let healthy = html.find("Receiver postgresql/billing").unwrap();
    assert!(troubled < healthy, "details of the receiver in trouble come first");
}

#[tokio::test(start_paused = true)]
async fn one_receiver_can_be_asked_for() {
    let fixture = fixture();
    let html = get(&fixture.cx, "/debug/pipelinez?receiver=postgresql%2Forders").await;
    contains_all(&html, &["Receiver postgresql/orders", "Details of 1 more receivers"]);
    assert!(!html.contains("Receiver postgresql/billing"));
    let html = get(&fixture.cx, "/debug/pipelinez?receiver=%3Cscript%3E").await;
    contains_all(&html, &["Details of 2 more receivers"]);
}

#[tokio::test(start_paused = true)]
async fn a_large_fleet_fits_on_the_page() {
    let clock = ManualClock::at(start_time());
    let pipelines = (0..2_000).map(|n| PipelineView {
        receiver: format!("postgresql/{n}").into(),
        server: format!("{}.example:5432", "long".repeat(60)).into(),
        ..PipelineView::default()
    });
    let wiring = Wiring { pipelines: pipelines.collect(), ..Wiring::default() };
    let cx = context(&clock, wiring);
    for n in 0..2_000 {
        let id = format!("postgresql/{n}").into();
        let receiver = cx.board.register(ComponentKind::Receiver, id, clock.now());
        receiver.set(ComponentState::Degraded("x".repeat(300).into()), clock.now());
    }
    let request = Request::get("/debug/pipelinez").body(Body::empty()).unwrap();
    let response = router(addresses(), cx).oneshot(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let html = String::from_utf8_lossy(&body);
    assert!(body.len() <= PAGE_BYTES_MAX);
    contains_all(&html, &["And 1950 more.", "This page was cut", "</html>"]);
}

#[tokio::test(start_paused = true)]
async fn extensionz_tells_where_endpoints_are_and_what_they_turned_away() {
    let fixture = fixture();
    let labels = vec![("endpoint", "metrics".into()), ("reason", "host".into())];
    let refused = &crate::definitions::ADMIN_REFUSED;
    fixture.cx.registry.counter(refused, labels).add(3);
    let html = get(&fixture.cx, "/debug/extensionz").await;
    contains_all(
        &html,
        &[
            "127.0.0.1:55679",
            "this machine only",
            "0.0.0.0:8888",
            "without a password",
            "off",
            "3 host",
            "/debug/findingz /debug/queryz /debug/planz",
            "connections at once",
        ],
    );
}

#[tokio::test(start_paused = true)]
async fn tracez_counts_by_duration_and_lists_slow_and_failed_spans() {
    let fixture = fixture();
    assert!(get(&fixture.cx, "/debug/tracez").await.contains("No span has been seen"));
    let layer = TracezLayer::filtered(fixture.cx.spans.clone(), Arc::new(fixture.clock.clone()));
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        for millis in [2, 2, 2_500] {
            let _span =
                tracing::info_span!(target: "dbintel_pipeline", "poll", receiver = "<postgresql>").entered();
            fixture.clock.advance(Duration::from_millis(millis));
        }
        drop(tracing::info_span!(target: "dbintel_otlp", "export", error = true, reason = "unavailable"));
    });
    let html = get(&fixture.cx, "/debug/tracez").await;
    contains_all(
        &html,
        &[
            "span=poll&amp;bucket=3\">2</a>",
            "span=poll&amp;bucket=6\">1</a>",
            "span=export&amp;bucket=9\">1</a>",
            "Latest failures",
            "reason=unavailable",
            "2.50 s",
            "receiver=&lt;postgresql&gt;",
        ],
    );
    let html = get(&fixture.cx, "/debug/tracez?span=poll&bucket=3").await;
    assert!(html.contains("2.0 ms") && !html.contains("2.50 s"));
    for odd in ["?span=nosuch", "?span=poll&bucket=77", "?bucket=2"] {
        get(&fixture.cx, &format!("/debug/tracez{odd}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn planz_lists_plans_and_opens_one_beside_the_one_before() {
    let fixture = fixture();
    let html = get(&fixture.cx, "/debug/planz").await;
    contains_all(
        &html,
        &[
            "receiver=postgresql%2Forders&amp;statement=0.1.2.-3.0\">-3</a>",
            "&lt;shop&gt;",
            "generic",
            "12.50",
            "1 min 40 s ago",
            "The lane gave no answer within a second",
            "-77",
            "lock_timeout",
            "One of its tables was &lt;locked&gt;.",
        ],
    );
    assert!(!html.contains("<pre>"));
    let html = get(&fixture.cx, "/debug/planz?receiver=postgresql%2Forders&statement=0.1.2.-3.0").await;
    contains_all(
        &html,
        &[
            "<span class=\"warn\">Seq Scan on &lt;orders&gt;  cost 12.5  &lt;&lt; 100 % of cost</span>",
            "<h3>Before</h3>",
            "<h3>Now</h3>",
            "orders: Index Scan -&gt; Seq Scan",
            "then to now",
        ],
    );
    assert!(!html.contains("Server of postgresql/billing"));
    for odd in ["?statement=%3Cscript%3E", "?receiver=nosuch", "?receiver=postgresql%2Forders&statement="] {
        get(&fixture.cx, &format!("/debug/planz{odd}")).await;
    }
}
