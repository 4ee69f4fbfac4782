//! What our encoder writes of any record is read as that record, and no bytes make the reader panic.

use dbintel_model::catalogue::STATEMENT_COUNTERS;
use dbintel_model::{
    Attribute, Blocking, Change, ChangeKind, Counters, Interval, Moments, PlanCause, PlanChange,
    PlanFingerprint, PlanIdentity, PlanReference, PlanRung, PlanSpan, QueryErrors, QueryKey, QueryText,
    Session, Text, Value,
};
use proptest::prelude::*;

use super::*;

/// Any characters; `any::<String>()` would leave out those that control.
fn string() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::collection::vec(any::<char>(), 0..20).prop_map(String::from_iter),
        "[a-z\"\\\\/ ]{0,60}"
    ]
}

fn text() -> impl Strategy<Value = Text> {
    string().prop_map(Text::from)
}

/// Microseconds, which is what a time has as text.
fn time() -> impl Strategy<Value = Timestamp> {
    (1..9_000_000_000_000_000_u64).prop_map(|micros| Timestamp::from_nanos(micros * 1_000))
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![(0..1_000_000_u32).prop_map(|number| f64::from(number) / 8.0), Just(0.0)]
}

fn key() -> impl Strategy<Value = QueryKey> {
    (text(), text(), any::<u32>(), any::<i64>(), any::<Option<bool>>()).prop_map(
        |(database, user, user_id, query_id, toplevel)| QueryKey {
            system: "postgresql",
            database_id: crate::contrib::number_of(&database),
            database,
            user,
            user_id,
            query_id,
            toplevel,
        },
    )
}

fn query_text() -> impl Strategy<Value = Arc<QueryText>> {
    let kinds = [("select", Some("SELECT")), ("select", None), ("other", None), ("ddl", None)];
    let texts = (prop::option::of(string()), prop::option::of(string()));
    (texts, any::<u64>(), prop::sample::select(kinds.to_vec()), any::<bool>()).prop_map(
        |((masked, summary), fingerprint, (kind, operation), truncated)| {
            let (masked, summary) = (masked.map(Into::into), summary.map(Into::into));
            Arc::new(QueryText { masked, fingerprint, kind, operation, summary, truncated })
        },
    )
}

fn fingerprint() -> impl Strategy<Value = PlanFingerprint> {
    (any::<u128>(), any::<u128>()).prop_map(|(shape, exact)| PlanFingerprint { shape, exact })
}

fn rung() -> impl Strategy<Value = PlanRung> {
    prop::sample::select(PlanRung::ALL.to_vec())
}

/// Counters as they can be known afterwards: not those that never leave, nor a zero that is left out.
fn counters() -> impl Strategy<Value = Counters> {
    prop::collection::vec(prop::option::of(number()), STATEMENT_COUNTERS.len()).prop_map(|values| {
        let known = values.into_iter().zip(&STATEMENT_COUNTERS).map(|(value, counter)| {
            let value = value.filter(|_| counter.attribute.is_some());
            let value = value.map(|value| if counter.scale == 1.0 { value.trunc() } else { value });
            value.filter(|value| *value != 0.0 || !counter.omit_zero).unwrap_or(f64::NAN)
        });
        Counters::new(&STATEMENT_COUNTERS, &known.collect::<Vec<f64>>())
    })
}

fn query() -> impl Strategy<Value = Record> {
    let moments = (number(), prop::option::of(number()));
    let moments = moments.prop_map(|(mean_ms, variance_ms2)| Moments { mean_ms, variance_ms2 });
    let interval = (time(), time()).prop_map(|(start, end)| Interval { start, end });
    let errors = prop::option::of((0..u64::from(u32::MAX), 0..9_u64));
    let plan = prop::option::of((fingerprint(), rung()));
    let numbers = (any::<i64>(), number(), prop::option::of(moments), counters(), any::<u32>());
    let exactness = [Exactness::Exact, Exactness::LowerBound, Exactness::Unknown];
    let more = (errors, plan, prop::sample::select(exactness.to_vec()));
    (key(), prop::option::of(query_text()), interval, numbers, more).prop_map(
        |(
            key,
            text,
            interval,
            (calls, total_time_ms, moments, counters, rank),
            (errors, plan, exactness),
        )| {
            Record::Query(Box::new(Query {
                key,
                text,
                interval,
                calls,
                total_time_ms,
                moments,
                counters,
                exactness,
                rank: Some(rank),
                plan: plan.map(|(fingerprint, rung)| PlanReference { fingerprint, rung }),
                plan_missing: None,
                plan_times: None,
                errors: errors.map(|(failed, timed_out)| QueryErrors { failed, timed_out }),
            }))
        },
    )
}

fn session() -> impl Strategy<Value = Record> {
    let blocking = (prop::collection::vec(any::<i64>(), 1..4), 1..9_i64, prop::option::of(time()), text());
    let blocking = blocking.prop_map(|(pids, depth, wait_start, mode)| {
        let (wait_duration_ms, lock_mode) = (wait_start.map(|_| 1_500.0), Some(mode));
        Box::new(Blocking { pids, depth, wait_start, wait_duration_ms, lock_mode, ..Blocking::default() })
    });
    let names = (any::<i64>(), prop::option::of(text()), prop::option::of(text()), prop::option::of(text()));
    let more = (prop::option::of(any::<i64>()), prop::option::of(time()), prop::option::of(number()));
    (names, more, prop::option::of(query_text()), prop::option::of(blocking)).prop_map(
        |((pid, database, user, state), (query_id, query_start, running_ms), text, blocking)| {
            Record::Session(Box::new(Session {
                pid,
                wait_event: state.clone(),
                database,
                user,
                state,
                query_id,
                query_start,
                state_change: query_start,
                running_ms,
                text,
                blocking,
                ..Session::default()
            }))
        },
    )
}

fn change() -> impl Strategy<Value = Record> {
    let value = prop_oneof![
        text().prop_map(Value::Text),
        any::<i64>().prop_map(Value::Int),
        number().prop_map(Value::Double),
        any::<bool>().prop_map(Value::Bool)
    ];
    let names =
        ["postgresql.table.reltuples", "postgresql.rolname", "dbintel.change.table", "userid", "of nobody"];
    let facts = (prop::sample::subsequence(names.to_vec(), 0..5), prop::collection::vec(value, names.len()));
    let texts = (prop::option::of(text()), prop::option::of(text()), prop::option::of(text()));
    let times = (prop::option::of(time()), prop::option::of(time()));
    (prop::sample::select(ChangeKind::ALL.to_vec()), times, texts, facts).prop_map(
        |(kind, (at, not_before), (database, subject, after), (names, values))| {
            let facts = names.into_iter().zip(values);
            let facts = facts.map(|(key, value)| Attribute { key: key.into(), value }).collect();
            let before = after.clone();
            Record::Change(Box::new(Change { kind, at, not_before, database, subject, before, after, facts }))
        },
    )
}

fn plan_change() -> impl Strategy<Value = Record> {
    let span = || (time(), time()).prop_map(|(first, last)| PlanSpan { first, last });
    let kinds = vec!["ddl", "analyze", "table_rewrite", "setting"];
    let cause = (prop::sample::select(kinds), "[a-z.0-9 ]{0,20}(\n {2}[a-z]{1,9})?");
    let plans = (fingerprint(), fingerprint(), rung(), prop::option::of(number()));
    let rest = (span(), prop::option::of(span()), text(), prop::collection::vec(cause, 0..4), 0..3_u32);
    (key(), prop::option::of(query_text()), time(), plans, rest).prop_map(
        |(key, text, at, (old, new, rung, cost), (old_span, seen_before, difference, causes, more))| {
            let causes = causes.into_iter().map(|(kind, rest)| PlanCause {
                kind: kind.into(),
                description: format!("{} {rest}, at noon", kind.replace('_', " ")).into(),
            });
            let causes: Vec<PlanCause> = causes.collect();
            Record::PlanChange(Box::new(PlanChange {
                key,
                text,
                rung,
                identity: PlanIdentity::Proven,
                at,
                old,
                old_span,
                old_cost: cost,
                new,
                new_cost: cost,
                seen_before,
                difference,
                causes_not_listed: if causes.is_empty() { 0 } else { more },
                causes,
            }))
        },
    )
}

fn record() -> impl Strategy<Value = Record> {
    prop_oneof![4 => query(), 1 => session(), 1 => change(), 1 => plan_change()]
}

/// The time that an event has, by which the clock of a batch is known afterwards.
fn time_of(record: &Record, clock: Timestamp) -> Timestamp {
    match record {
        Record::Query(query) => query.interval.end,
        Record::PlanChange(change) => change.at,
        _ => clock,
    }
}

fn near(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// Numbers that went through another unit may differ in their last digit.
fn rounded(record: &Record) -> Record {
    let mut record = record.clone();
    if let Record::Query(query) = &mut record {
        query.total_time_ms = near(query.total_time_ms);
        let value = |column| query.counters.get(column).map_or(f64::NAN, near);
        let values: Vec<f64> = STATEMENT_COUNTERS.iter().map(|counter| value(counter.column)).collect();
        query.counters = Counters::new(&STATEMENT_COUNTERS, &values);
    }
    record
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        records in prop::collection::vec(record(), 1..12),
        seconds in 1..1_000_000_000_u64,
    ) {
        let written = batch(&server("db", 5432), seconds, records);
        let lines = encoded([&written]);
        let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        let (batches, reader) = read(&lines);
        prop_assert_eq!(reader.counts().problems, 0);
        prop_assert_eq!(reader.counts().passed_over.len(), 0, "{:?}", reader.counts().passed_over);
        prop_assert_eq!(batches.len(), 1);
        let batch = &batches[0];
        prop_assert_eq!(&*batch.target.server, &*written.target.server);
        prop_assert_eq!(batch.observed_at, written.observed_at);
        let clock = written.server_clock.unwrap();
        let latest = written.records.iter().map(|record| time_of(record, clock)).max();
        prop_assert_eq!(batch.server_clock, latest);
        prop_assert_eq!(batch.records.len(), written.records.len());
        for (read, written) in batch.records.iter().zip(&written.records) {
            prop_assert_eq!(rounded(read), rounded(written));
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(
        lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..8)
    ) {
        let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        let (_, reader) = read(&lines);
        prop_assert!(reader.counts().problems <= reader.counts().lines);
    }

    /// Bytes that are nearly right go deeper than any others.
    #[test]
    fn no_damage_to_a_line_makes_the_reader_panic(
        record in record(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..6),
    ) {
        let mut line = encoded([&batch(&server("db", 5432), 60, vec![record])]).remove(0);
        for (place, byte, how) in damage {
            let at = place.index(line.len().max(1));
            match how {
                0 => line.truncate(at),
                1 => line.insert(at.min(line.len()), byte),
                2 if at < line.len() => drop(line.remove(at)),
                _ => line.iter_mut().skip(at).take(1).for_each(|old| *old = byte),
            }
        }
        let (_, reader) = read(&[&line, &line]);
        prop_assert!(reader.counts().problems <= 2);
    }
}
