//! `dbintel replay`: a recorded week goes through the compiled program, and what is in it is found.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use dbintel_model::catalogue::STATEMENT_COUNTERS;
use dbintel_model::{
    ACTION_FACT, Attribute, Batch, Change, ChangeKind, Counters, Exactness, Interval, Moments, OBJECT_FACT,
    PlanCause, PlanChange, PlanFingerprint, PlanIdentity, PlanReference, PlanRung, PlanSpan, Query, QueryKey,
    QueryText, Record, Server, TABLE_FACT, Target, Text, Timestamp,
};
use dbintel_otlp::encode::{Format, LogsEncoder, RequestBytes};
use dbintel_testkit::process::Launch;
use serde_json::Value;

/// A Sunday, at midnight.
const START: Timestamp = Timestamp::from_nanos(1_793_491_200_000_000_000);
/// Between two readings.
const STEP: Duration = Duration::from_secs(600);
const READINGS_PER_DAY: u64 = 144;
/// Enough of them that those without a change say what is usual.
const STATEMENTS: usize = 24;
/// Gets slower with its new plan.
const SLOWER: usize = 7;
/// Gets another plan and takes the time it took.
const AS_FAST: usize = 3;
/// When both plans change.
const FLIP_DAY: u64 = 8;

/// A server whose statements are read every ten minutes.
struct Recorder {
    target: Arc<Target>,
    now: Timestamp,
    random: u64,
    flipped: bool,
    encoder: LogsEncoder,
    lines: Vec<u8>,
}

impl Recorder {
    fn new() -> Self {
        let resource = vec![
            Attribute::new("db.system.name", "postgresql"),
            Attribute::new("server.address", "db.example"),
            Attribute::new("server.port", 5432),
            Attribute::new("service.instance.id", "5b1f3f9e-0d6c-5c5a-9d7e-3f1f6a1b2c3d"),
        ];
        let (receiver, system, address) = ("postgresql".into(), "postgresql".into(), "db.example".into());
        let server = Arc::new(Server { receiver, system, address, port: 5432, resource });
        Self {
            target: Arc::new(Target::server(server)),
            now: START,
            random: 42,
            flipped: false,
            encoder: LogsEncoder::new(Format::Json, RequestBytes::default()),
            lines: Vec::new(),
        }
    }

    /// A factor around one, at most so far from it.
    fn noise(&mut self, most: f64) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        1.0 + most * ((self.random >> 40) as f64 / f64::from(1 << 23) - 1.0)
    }

    fn days(&mut self, days: u64) {
        for _ in 0..days * READINGS_PER_DAY {
            let start = self.now;
            self.now = start.plus(STEP);
            let interval = Interval { start, end: self.now };
            let records = (0..STATEMENTS).map(|n| self.query(n, interval)).collect();
            self.write(records);
        }
    }

    fn query(&mut self, n: usize, interval: Interval) -> Record {
        let factor = if self.flipped && n == SLOWER { 5.0 } else { 1.0 };
        let calls = (300.0 * self.noise(0.1)).round();
        let mean = (5.0 + n as f64) * factor * self.noise(0.1);
        let value = |column: &str| match column {
            "shared_blks_hit" => calls * 60.0 * factor,
            "rows" => calls,
            _ => 0.0,
        };
        let counters: Vec<f64> = STATEMENT_COUNTERS.iter().map(|counter| value(counter.column)).collect();
        Record::Query(Box::new(Query {
            key: key(n),
            text: Some(text(n)),
            interval,
            calls: calls as i64,
            total_time_ms: calls * mean,
            moments: Some(Moments { mean_ms: mean, variance_ms2: Some((0.4 * mean).powi(2)) }),
            counters: Counters::new(&STATEMENT_COUNTERS, &counters),
            exactness: Exactness::Exact,
            rank: Some(n as u32 + 1),
            plan: Some(PlanReference {
                fingerprint: plan(n, self.flipped && (n == SLOWER || n == AS_FAST)),
                rung: PlanRung::Actual,
            }),
            plan_missing: None,
            plan_times: None,
            errors: None,
        }))
    }

    /// An index is dropped, and two statements have another plan.
    fn flip(&mut self) {
        self.flipped = true;
        let text = |text: &'static str| Some(Text::Static(text));
        let dropped = Change {
            at: Some(self.now),
            database: text("shop"),
            subject: text("public.orders_customer"),
            before: text("btree (customer)"),
            facts: vec![
                Attribute::new(OBJECT_FACT, "index"),
                Attribute::new(ACTION_FACT, "dropped"),
                Attribute::new(TABLE_FACT, "public.orders"),
            ],
            ..Change::new(ChangeKind::Ddl)
        };
        let changes = [SLOWER, AS_FAST].map(|n| Record::PlanChange(Box::new(self.plan_change(n))));
        let mut records = vec![Record::Change(Box::new(dropped))];
        records.extend(changes);
        self.write(records);
    }

    fn plan_change(&self, n: usize) -> PlanChange {
        PlanChange {
            key: key(n),
            text: Some(text(n)),
            rung: PlanRung::Actual,
            identity: PlanIdentity::Proven,
            at: self.now,
            old: plan(n, false),
            old_span: PlanSpan { first: START, last: self.now },
            old_cost: Some(10.0),
            new: plan(n, true),
            new_cost: Some(500.0),
            seen_before: None,
            difference: "Index Scan -> Seq Scan".into(),
            causes: vec![PlanCause {
                kind: "ddl".into(),
                description: "ddl index public.orders_customer dropped on public.orders, noticed at 2026"
                    .into(),
            }],
            causes_not_listed: 0,
        }
    }

    fn write(&mut self, records: Vec<Record>) {
        let (target, now) = (Arc::clone(&self.target), self.now);
        let batch = Batch { target, node: None, observed_at: now, server_clock: Some(now), records };
        let mut requests = Vec::new();
        self.encoder.push_batch(&batch, |_| true, &mut requests);
        requests.extend(self.encoder.finish());
        for request in requests {
            self.lines.extend_from_slice(&request.body);
            self.lines.push(b'\n');
        }
    }

    /// What was written since the last time.
    fn take(&mut self) -> String {
        String::from_utf8(std::mem::take(&mut self.lines)).unwrap()
    }
}

fn key(n: usize) -> QueryKey {
    QueryKey {
        system: "postgresql",
        database: "shop".into(),
        database_id: 5,
        user: "app".into(),
        user_id: 10,
        query_id: n as i64,
        toplevel: Some(true),
    }
}

fn text(n: usize) -> Arc<QueryText> {
    Arc::new(QueryText {
        masked: Some(format!("SELECT * FROM \"orders\" AS o{n} WHERE customer = ?").into()),
        fingerprint: 1_000 + n as u64,
        kind: "select",
        operation: Some("SELECT"),
        summary: Some("SELECT orders".into()),
        truncated: false,
    })
}

fn plan(n: usize, is_new: bool) -> PlanFingerprint {
    let exact = 100 + n as u128 + if is_new { 1_000 } else { 0 };
    PlanFingerprint { shape: exact, exact }
}

async fn replay(files: &[(&str, &str)], options: &[&str]) -> Output {
    let mut launch = Launch::command(&["replay"]);
    for option in options {
        launch = launch.argument(*option);
    }
    for (name, content) in files {
        let path = launch.write_file(name, content);
        launch = launch.argument(path);
    }
    launch.output().await
}

fn said(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// The week is in one file, as if it was rotated then, and the day with the change in another one, with a damaged line in it.
#[tokio::test]
async fn the_one_regression_of_a_week_is_the_one_finding() {
    let mut recorder = Recorder::new();
    recorder.days(FLIP_DAY);
    let week = recorder.take();
    recorder.flip();
    recorder.days(1);
    let day = recorder.take() + "{\"resourceLogs\":[{\"resource\":\n";
    let output = replay(&[("week.json.1", &week), ("week.json", &day)], &[]).await;
    let (stdout, stderr) = (said(&output.stdout), said(&output.stderr));
    assert!(output.status.success(), "{stderr}");
    let findings: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids: BTreeSet<String> = findings.iter().map(|finding| finding["id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "{stderr}\n{stdout}");
    let last = findings.last().unwrap();
    assert_eq!(
        (&last["kind"], &last["subject"]["query_id"]),
        (&"plan_regression".into(), &SLOWER.to_string().into())
    );
    assert_eq!(last["subject"]["endpoint"], "db.example:5432");
    let ratio = last["effect"]["ratio"].as_f64().unwrap();
    assert!((4.5..5.5).contains(&ratio), "{ratio}");
    assert_eq!(last["causes"][0]["object"], "public.orders_customer");
    assert!(last["scripts"]["forward"].as_str().unwrap().contains("CREATE INDEX CONCURRENTLY"), "{last}");
    // Object ids of databases are not in a file, so no script may name one.
    assert!(last["scripts"]["check"].as_str().unwrap().contains("datname = 'shop'"), "{last}");
    // By the clock of the records, not by that of this machine.
    assert!(last["summary"].is_string() && stdout.contains("2026-11-"), "{last}");
    let intervals = STATEMENTS as u64 * READINGS_PER_DAY * (FLIP_DAY + 1);
    for expected in [
        format!("{intervals:>14}  statement intervals"),
        format!("{:>14}  changes of the server", 1),
        format!("{:>14}  changes of plans", 2),
        "findings: 1 opened".to_owned(),
        "week.json:146: no OTLP/JSON".to_owned(),
        "2 files".to_owned(),
        "1 problems".to_owned(),
    ] {
        assert!(stderr.contains(&expected), "{expected}\n{stderr}");
    }
}

#[tokio::test]
async fn without_anything_to_read_it_says_so_and_fails() {
    let output = replay(&[], &["/nowhere/week.json"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output.stderr).contains("/nowhere/week.json: No such file"), "{}", said(&output.stderr));
    let metrics =
        "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"gauge\":{\"dataPoints\":[{}]}}]}]}]}\n";
    let output = replay(&[("metrics.json", metrics)], &[]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output.stderr).contains("1  not needed: metric points"), "{}", said(&output.stderr));
    assert_eq!(replay(&[], &[]).await.status.code(), Some(2));
}

/// The chain of a configuration is used, and what it lacks is said.
#[tokio::test]
async fn the_processors_are_those_of_the_configuration() {
    let config = "receivers:\n  postgresql:\n    endpoint: db.example:5432\n    username: dbintel\n    \
                  password: none\nexporters:\n  debug:\nservice:\n  pipelines:\n    logs:\n      \
                  receivers: [postgresql]\n      exporters: [debug]\n";
    let mut recorder = Recorder::new();
    recorder.flip();
    let lines = recorder.take();
    for (processors, is_told) in [("[verification]", true), ("[regression_verifier, verification]", false)] {
        let config = format!("{config}      processors: {processors}\n");
        let launch = Launch::command(&["replay", "--config"]);
        let file = launch.write_file("dbintel.yaml", &config);
        let recorded = launch.write_file("lines.json", &lines);
        let output = launch.argument(file).argument(recorded).output().await;
        let stderr = said(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        assert_eq!(stderr.contains("have no regression_verifier"), is_told, "{stderr}");
    }
}
