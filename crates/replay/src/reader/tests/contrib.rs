//! Files of OpenTelemetry contrib's receiver and `file` exporter.

use super::*;

/// A statement of a reading: identifier, executions, seconds.
type Told<'a> = (&'a str, u64, f64);

/// A reading in the form that contrib's exporter writes: the name of the event behind the attributes, numbers in quotes, a resource
/// that has only an instance.
fn reading(seconds: u64, statements: &[Told<'_>]) -> String {
    let records: Vec<String> = statements.iter().map(|told| record(seconds, told)).collect();
    let records = records.join(",");
    format!(
        r#"{{"resourceLogs":[{{"resource":{{"attributes":[{{"key":"service.instance.id","value":{{"stringValue":"localhost:5432"}}}}]}},"scopeLogs":[{{"scope":{{"name":"postgresqlreceiver","version":"0.160.0"}},"logRecords":[{records}]}}]}}]}}"#
    )
}

fn record(seconds: u64, (id, calls, total): &Told<'_>) -> String {
    let text = |key: &str, value: &str| format!(r#"{{"key":"{key}","value":{{"stringValue":"{value}"}}}}"#);
    let int =
        |key: &str, value: u64| format!(r#"{{"key":"postgresql.{key}","value":{{"intValue":"{value}"}}}}"#);
    let double =
        |key: &str, value: f64| format!(r#"{{"key":"postgresql.{key}","value":{{"doubleValue":{value}}}}}"#);
    let attributes = [
        text("db.system.name", "postgresql"),
        text("db.namespace", "shop"),
        text("db.query.text", "select * from orders where id = ?"),
        int("calls", *calls),
        int("rows", 2 * calls),
        int("shared_blks_dirtied", 0),
        int("shared_blks_hit", 3 * calls),
        int("shared_blks_read", *calls),
        int("shared_blks_written", 0),
        int("temp_blks_read", 0),
        int("temp_blks_written", 0),
        text("postgresql.queryid", id),
        text("postgresql.rolname", "app"),
        double("total_exec_time", *total),
        double("total_plan_time", 0.0),
        text("postgresql.query_plan", ""),
    ];
    let (attributes, nanos) = (attributes.join(","), (records::EPOCH + seconds) * 1_000_000_000);
    format!(
        r#"{{"timeUnixNano":"{nanos}","body":{{}},"attributes":[{attributes}],"eventName":"db.server.top_query"}}"#
    )
}

#[test]
fn differences_get_their_interval_from_the_reading_before() {
    let readings = [
        // The first reading, and the first time of a statement: counters since their reset, no differences.
        reading(0, &[("1", 1_000_000, 5_000.0)]),
        reading(60, &[("1", 10, 0.5), ("2", 9_000_000, 9_999.0)]),
        reading(120, &[("1", 20, 1.0), ("2", 5, 0.25)]),
        // Not among the top in one reading: its differences go on.
        reading(180, &[("2", 6, 0.3)]),
        reading(240, &[("1", 30, 1.5)]),
    ];
    let lines: Vec<&[u8]> = readings.iter().map(String::as_bytes).collect();
    let (batches, reader) = read(&lines);
    let told: Vec<(i64, i64, u64)> = queries(&batches)
        .into_iter()
        .map(|query| (query.key.query_id, query.calls, query.interval.start.as_secs() - records::EPOCH))
        .collect();
    assert_eq!(told, [(1, 10, 0), (1, 20, 60), (2, 5, 60), (2, 6, 120), (1, 30, 180)]);
    let passed_over: Vec<(PassedOver, u64)> = reader.counts().passed_over.into_iter().collect();
    assert_eq!(passed_over, [(PassedOver::NoInterval, 1), (PassedOver::FirstSighting, 1)]);
    assert_eq!(batches[0].target.server.to_string(), "localhost:5432");
}

#[test]
fn a_difference_has_what_the_verifier_needs() {
    let readings = [reading(0, &[("1", 1, 1.0)]), reading(60, &[("1", 10, 0.5)])];
    let lines: Vec<&[u8]> = readings.iter().map(String::as_bytes).collect();
    let (batches, _) = read(&lines);
    let query = queries(&batches)[0];
    assert_eq!(query.exactness, Exactness::LowerBound);
    assert!((query.total_time_ms - 500.0).abs() < 1e-9);
    let moments = query.moments.unwrap();
    assert!((moments.mean_ms - 50.0).abs() < 1e-9 && moments.variance_ms2.is_none());
    let counters = ["rows", "shared_blks_hit", "shared_blks_read"].map(|column| query.counters.get(column));
    assert_eq!(counters, [Some(20.0), Some(30.0), Some(10.0)]);
    let text = query.text.as_ref().unwrap();
    assert_eq!((text.kind, text.masked.as_deref()), ("select", Some("select * from orders where id = ?")));
    // The role has no number in the file: one that stands for its name.
    assert_eq!(query.key.user_id, crate::contrib::number_of("app"));
    assert!(query.plan.is_none());
}

#[test]
fn a_session_of_contrib_is_one() {
    let line = br#"{"resourceLogs":[{"resource":{"attributes":[{"key":"server.address","value":{"stringValue":"db"}}]},"scopeLogs":[{"scope":{},"logRecords":[{"timeUnixNano":"1795000000000000000","body":{},"attributes":[
        {"key":"db.system.name","value":{"stringValue":"postgresql"}},{"key":"db.namespace","value":{"stringValue":"shop"}},
        {"key":"db.query.text","value":{"stringValue":"select ?"}},{"key":"user.name","value":{"stringValue":"app"}},
        {"key":"postgresql.state","value":{"stringValue":"active"}},{"key":"postgresql.pid","value":{"intValue":"42"}},
        {"key":"postgresql.query_id","value":{"stringValue":"-7"}},{"key":"postgresql.wait_event_type","value":{"stringValue":"Lock"}},
        {"key":"postgresql.wait_event","value":{"stringValue":"transactionid"}},
        {"key":"postgresql.query_start","value":{"stringValue":"2026-11-18T16:37:54.843Z"}}],"eventName":"db.server.query_sample"}]}]}]}"#;
    let (batches, reader) = read(&[line]);
    assert_eq!(reader.counts().used(), 1);
    let Record::Session(session) = &batches[0].records[0] else { panic!("{batches:?}") };
    assert_eq!((session.pid, session.query_id, session.state.as_deref()), (42, Some(-7), Some("active")));
    assert_eq!(session.wait_event.as_deref(), Some("transactionid"));
    assert!(session.query_start.is_some() && session.text.is_some());
}
