//! Records and texts for the micro-benches: made from an index alone, the same in every run.

use std::fmt::Write as _;
use std::sync::Arc;

use dbintel_model::catalogue::{METRICS, STATEMENT_COUNTERS};
use dbintel_model::{
    Attribute, Batch, Counters, Exactness, Interval, Labels, MetricPoint, Moments, Node, Number, Query,
    QueryKey, Record, Server, Session, Target, Text, Timestamp,
};
use dbintel_receiver_postgresql::state::statements::{
    Cumulative, Entry, Extent, Shape, Snapshot, StatementKey,
};
use dbintel_receiver_postgresql::state::texts::query_text;

/// Records per batch.
pub const RECORDS: usize = 512;
/// When the records happened.
const TIME: Timestamp = Timestamp::from_nanos(1_795_236_205_000_000_000);
/// Columns and tables of the statements: enough of them that compression has something to do.
const NOUNS: [&str; 24] = [
    "account",
    "address",
    "basket",
    "booking",
    "category",
    "channel",
    "customer",
    "delivery",
    "discount",
    "document",
    "event",
    "inventory",
    "invoice",
    "item",
    "ledger",
    "message",
    "order",
    "payment",
    "price",
    "product",
    "region",
    "shipment",
    "supplier",
    "warehouse",
];

/// A statement as an application writes it, `bytes` long or a few bytes more, with literals in its predicates.
#[must_use]
pub fn statement(index: usize, bytes: usize) -> String {
    let noun = |n: usize| NOUNS[(index * 7 + n * 5) % NOUNS.len()];
    let mut text = format!("SELECT t0.id, t0.{}_id, t0.{}_at, count(*)", noun(1), noun(2));
    let tail = format!(" GROUP BY 1, 2, 3 ORDER BY t0.{}_at DESC LIMIT {}", noun(2), 10 + index % 90);
    let _ = write!(text, " FROM {}_{index} t0", noun(0));
    let mut joins = 1;
    while text.len() + tail.len() < bytes / 3 {
        let _ = write!(text, " JOIN {0}s t{joins} ON t{joins}.id = t0.{0}_id", noun(joins));
        joins += 1;
    }
    let mut predicates = 0;
    while text.len() + tail.len() < bytes || predicates == 0 {
        let glue = if predicates == 0 { " WHERE" } else { " AND" };
        let column = noun(predicates + joins);
        let _ = match predicates % 3 {
            0 => write!(text, "{glue} t0.{column}_id = {}", index * 31 + predicates),
            1 => write!(text, "{glue} t0.{column}_name LIKE 'x{index}%'"),
            _ => write!(text, "{glue} t0.{column}_at >= now() - interval '{} days'", predicates + 1),
        };
        predicates += 1;
    }
    text + &tail
}

/// A statement as `pg_stat_statements` shows it: parameters in the place of literals.
#[must_use]
pub fn normalised_statement(index: usize, bytes: usize) -> String {
    let mut parameters = 0;
    let mut text = String::with_capacity(bytes + bytes / 4);
    let source = statement(index, bytes);
    let mut words = source.split(' ').peekable();
    while let Some(word) = words.next() {
        if word.starts_with('\'') || word.chars().all(|letter| letter.is_ascii_digit()) {
            parameters += 1;
            let _ = write!(text, "${parameters}");
            // The rest of an interval's literal.
            while !word.ends_with('\'') && word.starts_with('\'') {
                if words.next().is_none_or(|rest| rest.ends_with('\'')) {
                    break;
                }
            }
        } else {
            text.push_str(word);
        }
        if words.peek().is_some() {
            text.push(' ');
        }
    }
    text
}

/// A batch of one server.
#[must_use]
pub fn batch(records: Vec<Record>) -> Batch {
    let server = Server {
        receiver: Text::Static("postgresql/orders"),
        system: Text::Static("postgresql"),
        address: Text::Static("db.example"),
        port: 5432,
        resource: vec![
            Attribute::new("db.system.name", "postgresql"),
            Attribute::new("server.address", "db.example"),
            Attribute::new("server.port", 5432),
            Attribute::new("service.instance.id", "5b1f3f9e-0d6c-5c5a-9d7e-3f1f6a1b2c3d"),
        ],
    };
    let target = Arc::new(Target::server(Arc::new(server)));
    Batch { target, node: None, observed_at: TIME, server_clock: None, records }
}

/// `count` ranked statements whose masked texts are about `text_bytes` long.
#[must_use]
pub fn queries(count: usize, text_bytes: usize) -> Batch {
    batch((0..count).map(|index| query(index, text_bytes)).collect())
}

/// `count` sampled sessions: eight short attributes, about 300 bytes.
#[must_use]
pub fn sessions(count: usize) -> Batch {
    batch((0..count).map(session).collect())
}

/// `count` points of the metrics of tables.
#[must_use]
pub fn points(count: usize) -> Batch {
    batch((0..count).map(point).collect())
}

fn query(index: usize, text_bytes: usize) -> Record {
    let counters: Vec<f64> = (0..STATEMENT_COUNTERS.len()).map(|n| (index * n % 1_000) as f64).collect();
    Record::Query(Box::new(Query {
        key: QueryKey {
            system: "postgresql",
            database: Text::Static("orders"),
            database_id: 16_384,
            user: Text::Static("app"),
            user_id: 16_385,
            query_id: query_id(index),
            toplevel: Some(true),
        },
        text: Some(Arc::new(query_text(&normalised_statement(index, text_bytes), false))),
        interval: Interval { start: TIME, end: TIME },
        calls: 100,
        total_time_ms: 12.5,
        moments: Some(Moments { mean_ms: 0.125, variance_ms2: Some(0.01) }),
        counters: Counters::new(&STATEMENT_COUNTERS, &counters),
        exactness: Exactness::Exact,
        rank: Some(1),
        plan: None,
        plan_missing: None,
        plan_times: None,
        errors: None,
    }))
}

fn session(index: usize) -> Record {
    Record::Session(Box::new(Session {
        pid: 1_000 + int(index),
        database: Some(Text::Static("orders")),
        user: Some(Text::Static("app")),
        application: Some(Text::Static("web")),
        state: Some(Text::Static("active")),
        wait_event_type: Some(Text::Static("IO")),
        wait_event: Some(Text::Static("DataFileRead")),
        ..Session::default()
    }))
}

fn point(index: usize) -> Record {
    let labels = Labels {
        resource: Vec::new(),
        point: vec![
            Attribute::new("db.namespace", "orders|public"),
            Attribute::new("db.collection.name", format!("{}_{index}", NOUNS[index % NOUNS.len()])),
        ],
    };
    Record::Metric(MetricPoint {
        metric: &METRICS[index % 20],
        labels: Arc::new(labels),
        fixed: &[],
        value: Number::Int(int(index) * 1_000),
        start: Some(Timestamp::from_nanos(1)),
        time: TIME,
    })
}

/// A reading of `entries` statements, after `reading` intervals in each of which one of `idle_but_one_in` statements
/// ran (1: all of them).
#[must_use]
pub fn snapshot(entries: usize, reading: u32, idle_but_one_in: usize) -> Snapshot {
    let minutes = u64::from(reading) * 60_000_000_000;
    let times_run =
        |index: usize| if index.is_multiple_of(idle_but_one_in) { f64::from(reading) } else { 0.0 };
    Snapshot {
        node: Arc::new(Node::default()),
        shape: Shape { toplevel: true, info: true },
        extent: Extent::Whole,
        taken_at: TIME.plus(std::time::Duration::from_nanos(minutes)),
        entries: (0..entries).map(|index| (key(index), entry(index, times_run(index)))).collect(),
        dealloc_before: Some(0),
        dealloc: Some(0),
        max: Some(10_000),
        stats_reset: Some(Timestamp::from_nanos(1)),
        hidden: 0,
        cut: 0,
    }
}

fn key(index: usize) -> StatementKey {
    StatementKey { database_id: 16_384, user_id: 16_385, query_id: query_id(index), toplevel: Some(true) }
}

fn entry(index: usize, times_run: f64) -> Entry {
    let calls = 10.0 + times_run * 5.0;
    let total_ms = calls * (1.0 + index as f64 / 100.0);
    Entry {
        times: Cumulative { calls, total_ms, mean_ms: total_ms / calls, stddev_ms: 0.25 },
        min_ms: 0.5,
        max_ms: 90.0,
        counters: (0..STATEMENT_COUNTERS.len()).map(|n| n as f64 * calls).collect(),
        stats_since: Some(Timestamp::from_nanos(2)),
        mark: query_id(index) ^ (calls as i64),
    }
}

/// Spread over 64 bits, as hashes are.
fn query_id(index: usize) -> i64 {
    int(index + 1).wrapping_mul(0x5851_f42d_4c95_7f2d)
}

fn int(index: usize) -> i64 {
    i64::try_from(index).expect("a small index")
}

#[cfg(test)]
mod tests {
    use dbintel_plan::sql::{MaskLimits, mask};

    use super::*;

    #[test]
    fn statements_have_the_size_asked_for_and_leave() {
        for (index, bytes) in [(0, 200), (17, 1_024), (511, 4_000)] {
            for text in [statement(index, bytes), normalised_statement(index, bytes)] {
                assert!((bytes * 8 / 10..bytes + 100).contains(&text.len()), "{} {text}", text.len());
                let masked = mask(&text, MaskLimits::default());
                assert!(
                    masked.text_may_leave() && masked.text.starts_with("SELECT t0.id"),
                    "{}",
                    masked.text
                );
            }
        }
    }

    #[test]
    fn normalised_statements_hold_no_literal() {
        let text = normalised_statement(3, 1_024);
        assert!(text.contains("interval $") && !text.contains('\''), "{text}");
    }
}
