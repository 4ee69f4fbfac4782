//! Records and their lines, for tests.

use std::sync::Arc;
use std::time::Duration;

use dbintel_model::catalogue::STATEMENT_COUNTERS;
use dbintel_model::{
    Attribute, Batch, Counters, Exactness, Interval, Moments, Query, QueryKey, QueryText, Record, Server,
    Target, Text, Timestamp,
};
use dbintel_otlp::encode::{Format, LogsEncoder, RequestBytes};

/// When the tests happen.
pub(super) const EPOCH: u64 = 1_795_000_000;

pub(super) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_nanos((EPOCH + seconds) * 1_000_000_000)
}

pub(super) fn server(address: &'static str, port: u16) -> Arc<Server> {
    let resource = vec![
        Attribute::new("db.system.name", "postgresql"),
        Attribute::new("server.address", address),
        Attribute::new("server.port", i64::from(port)),
        Attribute::new("service.instance.id", format!("{address}-{port}")),
    ];
    let (receiver, system) = (Text::Static("postgresql"), Text::Static("postgresql"));
    Arc::new(Server { receiver, system, address: address.into(), port, resource })
}

pub(super) fn batch(server: &Arc<Server>, seconds: u64, records: Vec<Record>) -> Batch {
    Batch {
        target: Arc::new(Target::server(Arc::clone(server))),
        node: None,
        observed_at: at(seconds).plus(Duration::from_millis(3)),
        server_clock: Some(at(seconds)),
        records,
    }
}

/// What a statement did in the minute before.
pub(super) fn query_record(query_id: i64, seconds: u64, text: &str) -> Record {
    let counters: Vec<f64> = (0..STATEMENT_COUNTERS.len()).map(|place| place as f64).collect();
    Record::Query(Box::new(Query {
        key: QueryKey {
            system: "postgresql",
            database: "orders".into(),
            database_id: crate::contrib::number_of("orders"),
            user: "app".into(),
            user_id: 16_385,
            query_id,
            toplevel: Some(true),
        },
        text: Some(Arc::new(QueryText {
            masked: Some(text.into()),
            fingerprint: xxhash_rust::xxh3::xxh3_64(text.as_bytes()),
            kind: "select",
            operation: Some("SELECT"),
            summary: None,
            truncated: false,
        })),
        interval: Interval { start: at(seconds - 60), end: at(seconds) },
        calls: 100,
        total_time_ms: 250.0,
        moments: Some(Moments { mean_ms: 2.5, variance_ms2: Some(0.25) }),
        counters: Counters::new(&STATEMENT_COUNTERS, &counters),
        exactness: Exactness::Exact,
        rank: Some(1),
        plan: None,
        plan_missing: None,
        plan_times: None,
        errors: None,
    }))
}

/// The lines that our file exporter writes of these batches.
pub(super) fn encoded<'a>(batches: impl IntoIterator<Item = &'a Batch>) -> Vec<Vec<u8>> {
    let mut encoder = LogsEncoder::new(Format::Json, RequestBytes::default());
    let mut requests = Vec::new();
    for batch in batches {
        encoder.push_batch(batch, |_| true, &mut requests);
    }
    requests.extend(encoder.finish());
    requests.into_iter().map(|request| request.body).collect()
}
