//! Documents that list things are generated from code: `docs/telemetry.md` lists every metric, event and self-metric,
//! `docs/circuit-breaker.md` every class of failure. `make docs` rewrites them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fmt::Write as _;

use dbintel_admission::{CLASSES, Limits, TreeConfig};
use dbintel_model::Instrument;
use dbintel_model::catalogue::{EVENTS, METRICS};
use dbintel_pipeline::telemetry::{SelfMetricKind, definitions};
use dbintel_processors::circuit_breaker::{STATEMENT_BURST, STATEMENTS_PER_SECOND};

fn telemetry() -> String {
    let mut text = String::from(
        "# Telemetry\n\nGenerated from the catalogue (`crates/model/catalogue/`) and from the code by `make docs`.\n\n\
         ## Metrics of PostgreSQL\n\nA metric marked *contrib* has the name, unit and type of OpenTelemetry contrib's \
         `postgresqlreceiver`. All sums are cumulative. Switch a metric on or off with \
         `receivers.postgresql.metrics.<name>.enabled`.\n\n| metric | unit | type | attributes | default | contrib | meaning |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for metric in &METRICS {
        let kind = match metric.instrument {
            Instrument::Counter => "sum, monotonic",
            Instrument::UpDownCounter => "sum",
            Instrument::Gauge => "gauge",
        };
        let number = format!("{:?}", metric.number).to_lowercase();
        let attributes: Vec<String> = metric.attributes.iter().map(|key| format!("`{key}`")).collect();
        let (enabled, contrib) =
            (if metric.enabled { "on" } else { "off" }, if metric.contrib { "yes" } else { "" });
        writeln!(
            text,
            "| `{}` | `{}` | {kind} ({number}) | {} | {enabled} | {contrib} | {} |",
            metric.name,
            metric.unit,
            attributes.join(", "),
            metric.description
        )
        .unwrap();
    }
    for event in EVENTS {
        write!(
            text,
            "\n## Event `{}`\n\n{} Severity number {}.\n\n| attribute | meaning |\n|---|---|\n",
            event.name, event.description, event.severity
        )
        .unwrap();
        for (key, meaning) in event.attributes {
            writeln!(text, "| `{key}` | {meaning} |").unwrap();
        }
    }
    text.push_str(
        "\n## Self-metrics\n\nOn `127.0.0.1:8888/metrics`. Labels are those that a series can have.\n\n\
         | metric | type | labels | meaning |\n|---|---|---|---|\n",
    );
    let own = [
        definitions::ALL,
        dbintel_admin::definitions::ALL,
        dbintel_processors::definitions::ALL,
        dbintel_store::definitions::ALL,
    ];
    for metric in own.into_iter().flatten() {
        let is_total = metric.name.ends_with("_total");
        assert!(!is_total || matches!(metric.kind, SelfMetricKind::Counter), "{} only grows", metric.name);
        let kind = match metric.kind {
            SelfMetricKind::Counter => "counter",
            SelfMetricKind::Gauge => "gauge",
        };
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        writeln!(text, "| `{}` | {kind} | {} | {} |", metric.name, labels.join(", "), metric.help).unwrap();
    }
    text
}

/// Each class of failure, on whom it acts, after how many, and how long is waited.
fn breakers() -> String {
    let mut text = String::from(
        "# What stands before a database\n\nThe table is generated from the code by `make docs`.\n\n\
         Every statement of a receiver needs a permit, and every permit is accounted for. What decides is a tree: the \
         process, the server (everything behind one endpoint), each of its databases, and each query of ours in it. All \
         gates must agree: work the process has given up, maintenance windows, breakers, rates, statements under way, and \
         the budget of database time. What there is no room to account for gets no permit. \
         Safety does not depend on the pipeline: the tree is there without the processor \
         `circuit_breaker`, which configures and shows it.\n\n\
         ## Breakers\n\nA breaker opens after so many failures of one class in a row. While it is open nothing is sent, and \
         what is missing is told as a gap (`not_admitted`). After a wait one probe goes, the cheapest statement there is; \
         so many successful probes in a row (`success_threshold`) close it, and a failed one doubles the wait, up to a \
         maximum. Waits are drawn between half and the whole of what is due, so that many collectors do not come back at \
         once. `max_backoff` caps all of them.\n\n\
         What a query was refused for want of (`insufficient_privilege`, `missing_object`, `not_in_this_role`) may come before \
         its wait is over. Every `catalogue_collection.collection_interval` the receiver looks, in each database, which \
         extension is there and which statistics views and functions its role may use, and at every poll in which role the \
         node is: when one of them differs, such queries probe at their next turn. A probe that came too early and failed \
         lengthens the wait like any other.\n\n\
         zPages show the latest changes of state with their time, class and wait.\n\n\
         | class | opens the breaker of | failures in a row | first wait | longest wait | what is tried instead |\n\
         |---|---|---|---|---|---|\n",
    );
    for rule in &CLASSES {
        writeln!(
            text,
            "| `{}` | {} | {} | {} s | {} s | {} |",
            rule.class.as_str(),
            rule.level.as_str(),
            rule.threshold,
            rule.base.as_secs(),
            rule.max.as_secs(),
            rule.instead
        )
        .unwrap();
    }
    text.push_str(
        "\n## Budget\n\nThe cost of a statement is what the database says it took, in a last column of the statement itself; \
         planning is not in it. Statements that may have no rows are joined onto one row that is always there, so that the \
         server speaks also then. Of a statement that failed, of opening a connection, and of an EXPLAIN where the function \
         `dbintel.explain` is not installed ([plans.md](plans.md)), it says nothing: then our own \
         clock counts, which is longer. The label `source` says which. Each database has a budget per minute (`limits.budget`, by \
         default 300 ms: half a percent of one core), and so has what is asked of the server as a whole. From 80 % plans \
         wait; at 100 % everything waits but one probe a minute; the intervals of that database, or of what is asked of the server, are \
         stretched, up to sixteen times, until what is left of the cadence fits. So in any minute a database is cost the budget and one statement at most, of execution. \
         Parsing and planning come on top, of which the server says nothing: with them 2 to 2.7 times as much was measured \
         ([endurance.md](endurance.md)).\n\n\
         ## Signs of distress\n\nEvery poll looks at the free connection slots, at our own statements that wait for locks, and \
         on a standby at replay that falls behind: by five seconds, and by half of the time, since it last kept pace, unless replay is \
         paused or `recovery_min_apply_delay` is set, or what is there is replayed. With fewer free slots than `free_slots_min` nothing is sent, and each of our \
         connections is closed when its turn comes. None of the slots reserved for superusers is kept; but an attempt to connect has a \
         slot until the server has refused it, for that moment also one of those when no other is left. So it is tried rarely \
         (`too_many_connections`). A wait for a lock opens the breaker of the database it is in. \
         A sign that could not be read is none: it opens nothing, and closes nothing. What keeps the database then are the budget, the \
         rates, the time-outs, and the failure of the reading itself, which counts like that of any other statement.\n\n\
         Planning is a sign too, but no server tells how long it planned a statement unless it is asked, and to ask means to \
         plan once more. What our clock shows beyond the execution and two ways there and back holds the planning, and all \
         else that kept us: a function that takes 700 ms to plan showed as 703 ms by our clock and 5 µs of execution, and \
         so would a machine without processor time to spare. So that is only a suspicion. The statement that began \
         latest, by at least 100 ms, twice in a row, is asked about with `EXPLAIN (SUMMARY)`, which runs nothing; when the \
         planning time in the answer is above `planning_time_max` the breaker of the database opens. Statements with \
         arguments (sessions, texts, changed statements) are not asked about.\n\n\
         ## Kinds of work\n\nWhat the process gives up when it runs short, and what `heavy_work` keeps to its windows, goes by kind:\n\n\
         | class | what it is |\n|---|---|\n\
         | `plans` | EXPLAIN |\n\
         | `sessions` | samples of sessions, and the metrics of activity, of the xmin horizon and of locks |\n\
         | `sizes` | exact sizes, and everything that is read within a database: tables, indexes, functions, locks, definitions, \
         maintenance |\n\
         | `statements` | statements and their texts, the counters of the server, settings; only the process gives it up |\n\n\
         What is held back is told: a statement without a plan has the reason `not_admitted`, and each of the other readings is a gap \
         with it. While `sizes` is held back, a finding or a change of plan has no index, definition or analysis among its causes, \
         since nobody has seen them; a change of plan waits ten minutes for them first.\n\n\
         ## The process itself\n\nWhen the collector runs short itself it gives up [work](#kinds-of-work) in the order of what it costs: \
         plans, sessions, sizes (and with them everything within databases), statements, at 70, 80, 90 and 95 % of the CPU that it can use, which is its quota, or the machine, and no more than its two \
         worker threads; plans above the soft mark of memory, above which its door refuses, and everything up to statements above the hard one. \
         After 30 s without statements nothing is sent at all. A level is kept for 10 s at least before the next lower one. Use of CPU \
         or memory that could not be read gives up nothing: this protects the collector and its neighbours, and the database has \
         the other gates.",
    );
    let TreeConfig { server_statements_per_second, server_statement_burst, .. } = TreeConfig::default();
    write!(
        text,
        " Besides, a server is sent {server_statements_per_second} statements a second and {server_statement_burst} at once at most, whatever its \
         databases may be sent, and all servers of a process {STATEMENTS_PER_SECOND} and {STATEMENT_BURST}: no settings, but a stop for \
         mistakes in those.",
    )
    .unwrap();
    text.push_str(
        "\n\n\
         ## Time-outs\n\n`statement_timeout` of each transaction follows the longest of the measured 99th percentiles of our queries to that \
         database, from the receiver's `timeout` up to `max_timeout`, by default three times as long and 60 s at most.\n\n\
         ## Settings\n\n```yaml\nprocessors:\n  circuit_breaker:\n    limits: {budget: 300ms, statements_per_second: 50, burst: 100}\n    \
         free_slots_min: 3\n    planning_time_max: 500ms\n    schedule:              # other limits at other times\n      time_zone: Europe/Berlin\n      \
         windows:\n        - {days: [monday, tuesday, wednesday, thursday, friday], from: \"08:00\", to: \"18:00\", limits: {budget: 100ms}}\n    \
         heavy_work:            # when statements may be explained at all\n      time_zone: Europe/Berlin\n      classes: [plans]\n      windows:\n        \
         - {from: \"22:00\", to: \"05:00\"}\n```\n\n| key | default | meaning |\n|---|---|---|\n",
    );
    breaker_settings(&mut text);
    text.push_str(
        "\nA pipeline without the key `processors` has `memory_limiter`, `circuit_breaker`, `plan_extractor`, \
         `regression_verifier` and `verification`.\n",
    );
    text
}

fn breaker_settings(text: &mut String) {
    let TreeConfig { breaker, slow_threshold, free_slots_min, planning_time_max, .. } = TreeConfig::default();
    let limits = Limits::default();
    let ms = |duration: std::time::Duration| format!("`{}ms`", duration.as_millis());
    let rates = format!("`{}`, `{}`", limits.statements_per_second, limits.statement_burst);
    let number = |number: f64| format!("`{number}`");
    let rows = [
        (
            "`limits.budget`",
            ms(limits.budget.per_minute),
            "database time we may cost one database in a minute",
        ),
        (
            "`limits.statements_per_second`, `limits.burst`",
            rates,
            "statements, on average and at once; half of it at each sign of trouble, and half a statement a second more every ten seconds without one",
        ),
        (
            "`limits.plans_per_minute`",
            number(limits.plans_per_minute),
            "EXPLAINs; half of it at each sign of trouble, a quarter at least, and a tenth more every ten seconds without one",
        ),
        (
            "`success_threshold`",
            number(breaker.success_threshold.into()),
            "successful probes in a row that close a breaker, from 1 to 100",
        ),
        (
            "`slow_threshold`",
            format!("`{}s`", slow_threshold.as_secs()),
            "a statement of ours that took longer counts as a failure; at least the receiver's `timeout`",
        ),
        (
            "`max_timeout`",
            "three times the receiver's `timeout`".into(),
            "the longest `statement_timeout` of ours, at least the receiver's `timeout`, 60s at most",
        ),
        (
            "`max_backoff`",
            "by class, up to an hour".into(),
            "the longest wait before a breaker tries again, at least 1s",
        ),
        (
            "`free_slots_min`",
            number(free_slots_min.into()),
            "with fewer free connection slots nothing is sent",
        ),
        (
            "`planning_time_max`",
            ms(planning_time_max),
            "a statement of ours that the server plans longer than this opens the breaker, at least 10ms",
        ),
        (
            "`schedule.windows`",
            "none".into(),
            "other limits at other times; what a window's `limits` leave out is as in `limits`. The first window that holds \
             the time decides. `days` is a list of the days on which it begins, no range; without it, every day",
        ),
        (
            "`heavy_work.windows`, `heavy_work.classes`",
            "none, `[plans, sizes]`".into(),
            "when this work may run at all, of `plans`, `sessions` and `sizes` ([kinds of work](#kinds-of-work)). With `sizes` \
             among them, as they are where `classes` is left out, nothing is read within databases outside of the windows",
        ),
    ];
    for (key, default, meaning) in rows {
        writeln!(text, "| {key} | {default} | {meaning} |").unwrap();
    }
}

fn check(name: &str, text: &str) {
    let path = format!("{}/../docs/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::vars().any(|(name, _)| name == "DBINTEL_UPDATE") {
        std::fs::write(&path, text).unwrap();
    }
    let held = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(held == text, "docs/{name} is out of date; run: make docs");
}

#[test]
fn the_telemetry_document_is_up_to_date() {
    check("telemetry.md", &telemetry());
}

#[test]
fn the_document_of_breakers_is_up_to_date() {
    check("circuit-breaker.md", &breakers());
}
