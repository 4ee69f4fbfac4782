//! Any batch: strings with any character, extreme numbers, shared and equal labels, several servers.

use std::sync::Arc;

use dbintel_model::catalogue::{METRICS, STATEMENT_COUNTERS};
use dbintel_model::finding::{
    Category, Decision, DecisionAction, Effect, Evidence, FindingKind, FindingNews, FindingState, Identity,
    Source, Subject,
};
use dbintel_model::{
    Attribute, Batch, Blocking, Change, ChangeKind, Counters, Exactness, Finding, FindingEvent, Gap,
    GapReason, Interval, Labels, MetricPoint, Moments, Number, PlanCause, PlanChange, PlanFingerprint,
    PlanIdentity, PlanMissing, PlanNews, PlanNumbers, PlanOutline, PlanReference, PlanRung, PlanSensitivity,
    PlanSpan, Query, QueryErrors, QueryKey, QueryPlan, QueryText, Record, Sampling, Server, Session, Target,
    Text, Timestamp, Value,
};
use proptest::prelude::*;

/// Which doubles may occur. JSON has no numbers for the others.
#[derive(Clone, Copy)]
pub(super) enum Doubles {
    All,
    Finite,
}

/// One to three servers; batches refer to them.
pub(super) fn batches(doubles: Doubles) -> impl Strategy<Value = Vec<Batch>> {
    let servers = prop::collection::vec(server(doubles), 1..4);
    servers.prop_flat_map(move |servers| prop::collection::vec(batch(servers, doubles), 0..5))
}

fn server(doubles: Doubles) -> impl Strategy<Value = Arc<Server>> {
    ("[a-z]{1,8}(/[a-z]{1,4})?", attributes(doubles, 4)).prop_map(|(receiver, resource)| {
        Arc::new(Server {
            receiver: receiver.into(),
            system: Text::Static("postgresql"),
            address: Text::Static("db"),
            port: 5432,
            resource,
        })
    })
}

fn batch(servers: Vec<Arc<Server>>, doubles: Doubles) -> impl Strategy<Value = Batch> {
    let labels = prop::collection::vec(labels(doubles), 1..4);
    let records = labels.prop_flat_map(move |labels| prop::collection::vec(record(labels, doubles), 0..40));
    let times = (time(), prop::option::of(time()));
    (prop::sample::select(servers), times, records).prop_map(
        |(server, (observed_at, server_clock), records)| Batch {
            target: Arc::new(Target::server(server)),
            node: None,
            observed_at,
            server_clock,
            records,
        },
    )
}

fn labels(doubles: Doubles) -> impl Strategy<Value = Arc<Labels>> {
    let resource = prop_oneof![Just(Vec::new()), attributes(doubles, 3)];
    (resource, attributes(doubles, 4)).prop_map(|(resource, point)| Arc::new(Labels { resource, point }))
}

fn attributes(doubles: Doubles, max: usize) -> impl Strategy<Value = Vec<Attribute>> {
    prop::collection::vec((text(), value(doubles)), 0..=max)
        .prop_map(|pairs| pairs.into_iter().map(|(key, value)| Attribute { key, value }).collect())
}

/// Any characters; `any::<String>()` would leave out those that control.
fn string() -> impl Strategy<Value = String> {
    prop::collection::vec(any::<char>(), 0..40).prop_map(String::from_iter)
}

fn text() -> impl Strategy<Value = Text> {
    prop_oneof![string().prop_map(Text::from), "[a-z.\"\\\\]{0,300}".prop_map(Text::from)]
}

fn value(doubles: Doubles) -> impl Strategy<Value = Value> {
    prop_oneof![
        text().prop_map(Value::Text),
        int().prop_map(Value::Int),
        double(doubles).prop_map(Value::Double),
        any::<bool>().prop_map(Value::Bool),
    ]
}

fn int() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), Just(i64::MIN), Just(i64::MAX), -3i64..200]
}

fn double(doubles: Doubles) -> BoxedStrategy<f64> {
    let finite = prop_oneof![
        prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO,
        Just(f64::MAX),
        Just(f64::MIN_POSITIVE),
        (-1_000i32..1_000).prop_map(f64::from),
    ];
    match doubles {
        Doubles::Finite => finite.boxed(),
        Doubles::All => {
            prop_oneof![finite, Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY)].boxed()
        }
    }
}

fn time() -> impl Strategy<Value = Timestamp> {
    prop_oneof![any::<u64>(), Just(0), Just(u64::MAX)].prop_map(Timestamp::from_nanos)
}

fn record(labels: Vec<Arc<Labels>>, doubles: Doubles) -> impl Strategy<Value = Record> {
    prop_oneof![
        4 => point(labels, doubles),
        1 => query(doubles),
        1 => session(),
        1 => change(doubles),
        1 => gap(),
        1 => query_plan(doubles),
        1 => plan_change(doubles),
        1 => plan_sensitivity(doubles),
        1 => finding(doubles),
    ]
}

fn point(labels: Vec<Arc<Labels>>, doubles: Doubles) -> impl Strategy<Value = Record> {
    let number = prop_oneof![int().prop_map(Number::Int), double(doubles).prop_map(Number::Double)];
    let labels = prop::sample::select(labels);
    (0..METRICS.len(), any::<prop::sample::Index>(), labels, number, prop::option::of(time()), time())
        .prop_map(|(metric, source, labels, value, start, time)| {
            let metric = &METRICS[metric];
            Record::Metric(MetricPoint {
                metric,
                labels,
                fixed: source.get(metric.sources).fixed,
                value,
                start,
                time,
            })
        })
}

fn query_text() -> impl Strategy<Value = Arc<QueryText>> {
    let masked = prop::option::of(prop_oneof![string(), Just("x".repeat(20_000))]);
    (masked, any::<u64>(), prop::option::of(string()), any::<bool>()).prop_map(
        |(masked, fingerprint, summary, truncated)| {
            Arc::new(QueryText {
                masked: masked.map(Into::into),
                fingerprint,
                kind: "select",
                operation: truncated.then_some("SELECT"),
                summary: summary.map(Into::into),
                truncated,
            })
        },
    )
}

fn fingerprint(seed: u32) -> PlanFingerprint {
    PlanFingerprint { shape: u128::from(seed), exact: u128::MAX - u128::from(seed) }
}

fn query_key() -> impl Strategy<Value = QueryKey> {
    (text(), any::<u32>(), any::<i64>(), prop::option::of(any::<bool>())).prop_map(
        |(database, user_id, query_id, toplevel)| QueryKey {
            system: "postgresql",
            database: database.clone(),
            database_id: 1,
            user: database,
            user_id,
            query_id,
            toplevel,
        },
    )
}

fn query_plan(doubles: Doubles) -> impl Strategy<Value = Record> {
    let numbers = (any::<u32>(), prop::option::of(double(doubles)), any::<bool>());
    let parts = (query_key(), prop::option::of(query_text()), time(), numbers);
    (parts, text(), prop::option::of(text())).prop_map(
        |((key, text, obtained_at, (seed, total_cost, truncated)), summary, json)| {
            Record::QueryPlan(Box::new(QueryPlan {
                key,
                text,
                rung: PlanRung::Generic,
                identity: PlanIdentity::Unproven,
                news: PlanNews::Changed,
                fingerprint: fingerprint(seed),
                obtained_at,
                numbers: PlanNumbers { total_cost, nodes: seed, ..PlanNumbers::default() },
                rules: summary.clone(),
                findings: summary.clone(),
                summary,
                json,
                truncated,
            }))
        },
    )
}

fn plan_change(doubles: Doubles) -> impl Strategy<Value = Record> {
    let causes = prop::collection::vec((text(), text()), 0..4);
    let span = (time(), time()).prop_map(|(first, last)| PlanSpan { first, last });
    let numbers = (any::<u32>(), prop::option::of(double(doubles)), prop::option::of(span), 0..3_u32);
    (query_key(), time(), text(), causes, numbers).prop_map(
        |(key, at, difference, causes, (seed, old_cost, seen_before, causes_not_listed))| {
            let causes = causes.into_iter().map(|(kind, description)| PlanCause { kind, description });
            Record::PlanChange(Box::new(PlanChange {
                key,
                text: None,
                rung: PlanRung::Actual,
                identity: PlanIdentity::Proven,
                at,
                old: fingerprint(0),
                old_span: PlanSpan { first: at, last: at },
                old_cost,
                new: fingerprint(seed),
                new_cost: None,
                seen_before,
                difference,
                causes: causes.collect(),
                causes_not_listed,
            }))
        },
    )
}

fn plan_sensitivity(doubles: Doubles) -> impl Strategy<Value = Record> {
    let numbers = (double(doubles), any::<u32>(), prop::option::of(double(doubles)));
    (query_key(), prop::option::of(query_text()), time(), (text(), text()), numbers).prop_map(
        |(key, text, at, (relation, column), (frequency, seed, cost))| {
            let outline = PlanOutline { shape: fingerprint(seed).shape, cost, rows: cost };
            Record::PlanSensitivity(Box::new(PlanSensitivity {
                key,
                text,
                at,
                parameter: i64::from(seed),
                relation,
                column,
                frequency,
                generic: outline,
                frequent: PlanOutline { cost: None, ..outline },
                absent: PlanOutline::default(),
            }))
        },
    )
}

fn finding(doubles: Doubles) -> impl Strategy<Value = Record> {
    let numbers = (prop::option::of(double(doubles)), prop::option::of(double(doubles)));
    let closed =
        (prop::sample::select(Category::ALL), prop::sample::select(FindingState::ALL), any::<bool>());
    let texts = prop::collection::vec(text(), 0..4);
    (query_key(), prop::option::of(query_text()), time(), texts, numbers, closed).prop_map(
        |(key, query_text, at, texts, (ratio, t), (category, state, opened))| {
            let server = Server {
                receiver: Text::default(),
                system: "postgresql".into(),
                address: "db".into(),
                port: 5432,
                resource: Vec::new(),
            };
            let subject = Subject::of_query(&server, None, &key, query_text.as_deref());
            let kind = FindingKind::PlanRegression;
            let id = Identity { kind, subject: &subject, plan: None }.at(at).id;
            let evidence =
                texts.iter().map(|text| Evidence::new("t", t, "1", Source::Computed, text.clone()));
            let finding = Finding {
                state,
                effect: Some(Effect { ratio, t, ..Effect::default() }),
                evidence: evidence.collect(),
                failure_modes: texts.clone(),
                decisions: texts
                    .iter()
                    .map(|by| Decision { action: DecisionAction::Accept, by: by.clone(), at, reason: None })
                    .collect(),
                ..Finding::new(id, kind, category, subject, at)
            };
            let news =
                if opened { FindingNews::Opened } else { FindingNews::Changed { from: FindingState::Open } };
            Record::Finding(Box::new(FindingEvent { news, finding }))
        },
    )
}

fn query(doubles: Doubles) -> impl Strategy<Value = Record> {
    let key = query_key();
    let counters = prop::collection::vec(double(doubles), STATEMENT_COUNTERS.len());
    let moments = (double(doubles), prop::option::of(double(doubles)));
    let interval = (time(), time()).prop_map(|(start, end)| Interval { start, end });
    let numbers =
        (int(), double(doubles), prop::option::of(moments), counters, prop::option::of(any::<u32>()));
    (key, prop::option::of(query_text()), interval, numbers).prop_map(
        |(key, text, interval, (calls, total_time_ms, moments, counters, rank))| {
            Record::Query(Box::new(Query {
                key,
                text,
                interval,
                calls,
                total_time_ms,
                moments: moments.map(|(mean_ms, variance_ms2)| Moments { mean_ms, variance_ms2 }),
                counters: Counters::new(&STATEMENT_COUNTERS, &counters),
                exactness: Exactness::LowerBound,
                rank,
                plan: rank
                    .map(|rank| PlanReference { fingerprint: fingerprint(rank), rung: PlanRung::Custom }),
                plan_missing: (calls % 2 == 0).then_some(PlanMissing { reason: "syntax", meaning: "" }),
                plan_times: None,
                errors: rank.map(|rank| QueryErrors { failed: u64::from(rank), timed_out: u64::MAX }),
            }))
        },
    )
}

fn session() -> impl Strategy<Value = Record> {
    let blocking = (prop::collection::vec(int(), 0..4), int(), prop::option::of(time())).prop_map(
        |(pids, depth, wait_start)| Box::new(Blocking { pids, depth, wait_start, ..Blocking::default() }),
    );
    let parts = (int(), prop::option::of(text()), prop::option::of(query_text()), prop::option::of(blocking));
    let sampling = (any::<bool>(), 0.001..=1.0, 0..3_u32)
        .prop_map(|(keep, probability, suppressed)| Sampling { keep, probability, suppressed });
    let more = (prop::option::of(time()), prop::option::of(sampling));
    (parts, more).prop_map(|((pid, database, text, blocking), (query_start, sampling))| {
        Record::Session(Box::new(Session {
            pid,
            application: database.clone(),
            database,
            text,
            query_start,
            blocking,
            sampling,
            ..Session::default()
        }))
    })
}

fn change(doubles: Doubles) -> impl Strategy<Value = Record> {
    (prop::option::of(text()), attributes(doubles, 3), prop::option::of(time())).prop_map(
        |(subject, facts, at)| {
            Record::Change(Box::new(Change { subject, facts, at, ..Change::new(ChangeKind::Setting) }))
        },
    )
}

fn gap() -> impl Strategy<Value = Record> {
    (text(), text(), time(), prop::sample::select(&GapReason::ALL[..])).prop_map(
        |(what, detail, to, reason)| {
            Record::Gap(Box::new(Gap { what, database: None, from: None, to, reason, detail }))
        },
    )
}
